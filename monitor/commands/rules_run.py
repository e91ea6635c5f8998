"""monitor rules test, explain, match, backtest and diff: what rules make of lookups.

Only what a command needs is imported when it runs: `match` is to answer in a second or two whatever the number of rules.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from monitor.commands.common import fail, load_kept, load_rules, progress, rule_files, say

if TYPE_CHECKING:
    from monitor.rules import RuleSet

Jobs = Annotated[int | None, typer.Option(min=1, help="processes; default: one a core")]
Events = Annotated[Path, typer.Option(help="lookups, JSON Lines, as they arrived, plain or gzip")]
ReferenceData = Annotated[Path, typer.Option(help="reference records, JSON Lines")]
RunOn = Annotated[
    str | None,
    typer.Option(
        metavar="SPAN",
        help="how long time goes on after the last lookup, such as 4d: what waits by then (for paperwork, for what does not "
        "come) is decided, by the reference data as they are; default: the log ends with its last lookup",
    ),
]
Format = Annotated[Literal["text", "json"], typer.Option(help="for people or for programs")]


def run_tests(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATHS]...", help="files and folders of rules; default: the pack")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="write the outcomes as JUnit XML")] = None,
    rule: Annotated[
        str | None, typer.Option(metavar="NAME", help="only the tests of this rule: its name or id")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="folder of rules to load around them; default: the pack, if they are part of it")
    ] = None,
) -> None:
    """Run the tests that rules carry (`tests:`); exit code 1 when one fails or cannot be run, or a rule is wrong."""
    from monitor.commands.rules_test import report, run_all

    outcomes = run_all(paths or [], rules, rule)
    if junit is not None:
        from monitor.junit import junit_xml

        with _written(junit) as file:
            file.write(junit_xml(outcomes))
    if not report(outcomes):
        raise typer.Exit(1)


def explain(
    rule: Annotated[str, typer.Argument(help="id, name or file of the rule")],
    event: Annotated[str, typer.Argument(help="a JSON text, a file, or FILE:LINE of JSON Lines")],
    reference: Annotated[Path | None, typer.Option(help="reference records, JSON Lines")] = None,
    rules: Annotated[Path | None, typer.Option(help="folder of rules; default: the pack")] = None,
    format: Format = "text",
) -> None:
    """Why a rule matches a lookup or does not, condition by condition; exit code 1 when it does not.

    A correlation counts what comes before FILE:LINE in the file too, and matches when it fires at that lookup.
    """
    from monitor.commands.rules_explain import explain_event, show

    verdicts = explain_event(rule, event, reference, rules)
    show(verdicts, format)
    if not any(verdict.matches for verdict in verdicts):
        raise typer.Exit(1)


def match(
    events: Annotated[Path, typer.Argument(metavar="EVENTS", help="JSON Lines, plain or gzip; - for standard input")],
    rules: Annotated[Path, typer.Option(help="folder of Sigma rules, of any log source")],
    out: Annotated[Path | None, typer.Option(help="where the matches go; default: standard output")] = None,
    jobs: Jobs = None,
) -> None:
    """Match detection rules with the lines of any JSON: one line {"line": n, "rule_id": "…"} a match.

    Exit code 1 when a rule was refused or a line is no JSON object; each is said on standard error, and all else is matched.
    """
    from monitor.workers import WorkFailed

    loaded = load_kept(rule_files([rules]), foreign=True)
    for problem in loaded.problems:
        say(str(problem))
    try:
        with _written(out) as file:
            bad = _match(events, loaded.rules, file, jobs)
    except WorkFailed as error:
        raise fail(str(error)) from None
    if bad or loaded.problems:
        raise typer.Exit(1)


def backtest(
    events: Events,
    reference: ReferenceData,
    rules: Annotated[Path | None, typer.Option(help="folder of rules; default: the pack")] = None,
    labels: Annotated[Path | None, typer.Option(help="the simulator's labels: precision, recall, delay")] = None,
    alerts: Annotated[Path | None, typer.Option(metavar="OUT", help="where the alerts go, JSON Lines")] = None,
    model: Annotated[bool, typer.Option("--model", help="the model too, in one process")] = False,
    run_on: RunOn = None,
    jobs: Jobs = None,
    format: Format = "text",
) -> None:
    """What rules would have raised over a log: alerts by rule, level, unit and week; with labels, how good they are."""
    from monitor.commands import rules_history

    known = None if labels is None else rules_history.read_labels(labels)
    run = rules_history.History(events, reference, jobs, run_on)
    ruleset, problems = load_rules(rules or rules_history.pack(), run.log.reference.lists)
    done = run.with_model(ruleset) if model else run.of(ruleset)
    if alerts is not None:
        with _written(alerts) as file:
            rules_history.write_alerts(file, done.alerts)
    rules_history.show_backtest(run, ruleset, done, known, format)
    if problems or run.refused_records or done.troubles:
        raise typer.Exit(2 if done.troubles else 1)


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="folder of rules")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="folder of rules")],
    events: Events,
    reference: ReferenceData,
    run_on: RunOn = None,
    jobs: Jobs = None,
    format: Format = "text",
) -> None:
    """What other rules change over a log: alerts added and lost, by rule; exit code 1 when anything is different."""
    from monitor.commands import rules_history
    from monitor.tally import difference

    run = rules_history.History(events, reference, jobs, run_on)
    lists = run.log.reference.lists
    (before, wrong), (after, wrong_too) = load_rules(old, lists), load_rules(new, lists)
    first, second = run.of(before), run.of(after)
    found = difference(before, after, first.alerts, second.alerts)
    rules_history.show_difference(found, format)
    if first.troubles or second.troubles:
        raise typer.Exit(2)
    if wrong or wrong_too or run.refused_records or not found.is_none:
        raise typer.Exit(1)


def _match(events: Path, rules: RuleSet, out: IO[bytes], jobs: int | None) -> int:
    """Write the matches of a log to ``out``; how many lines were no JSON objects (each is said)."""
    from monitor.matching import Matched, Matcher
    from monitor.pieces import pieces_of
    from monitor.workers import cores, in_order

    matcher, troubles, bad, lines = Matcher(rules), list[str](), 0, 0
    gc.freeze()  # the rules stay: neither this process nor its forks need to look at them again

    def numbered() -> Iterator[bytes]:
        first = 1
        for piece in pieces_of(events, troubles):
            yield first.to_bytes(8, "big") + piece
            first += piece.count(b"\n")

    def work(piece: bytes) -> bytes:
        return msgspec.msgpack.encode(matcher.run(piece[8:], int.from_bytes(piece[:8], "big")))

    with progress() as show:
        for each in in_order(work, numbered(), jobs or cores()):
            result = msgspec.msgpack.decode(each, type=Matched)
            out.write(result.output)
            for number, problem in result.problems:
                say(f"{events}:{number}: {problem}")
            bad, lines = bad + len(result.problems), lines + result.lines
            show(f"{lines:,} lines")
    if troubles:
        raise fail(troubles[0])
    return bad


@contextmanager
def _written(path: Path | None) -> Iterator[IO[bytes]]:
    try:
        with nullcontext(sys.stdout.buffer) if path is None else path.open("wb") as file:
            yield file
            file.flush()
    except OSError as error:
        if path is None:
            raise
        raise fail(f"{path}: {error.strerror or error}") from None
