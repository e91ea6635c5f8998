"""model compare: two models over the same lookups."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
import typer

from monitor.commands.common import fail, kafka_errors, load_reference, load_rules, out, read_lines, say
from monitor.commands.evidence import From, To, Wait, narrowed, said, span_between
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.compare import Apart, Comparison, Side
    from monitor.model import PeerModel
    from monitor.model.versions import Group

_WHAT = "`now`, a day (2026-11-24), or `retrained` (of the log alone); with @QUANTILE for another threshold: now@0.9995"


class Chosen(NamedTuple):
    """One of the two, as it was asked for: ``now``, ``retrained`` or a day, and the quantile of its threshold."""

    what: str
    quantile: float


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=_WHAT)],
    b: Annotated[str, typer.Argument(metavar="B", help="the same")],
    events: Annotated[Path | None, typer.Option(help="lookups, JSON Lines; default: those in Kafka")] = None,
    reference: Annotated[Path | None, typer.Option(help="reference records, JSON Lines")] = None,
    rules: Annotated[Path | None, typer.Option(help="folder of rules, with --events; default: the pack")] = None,
    export_folder: Annotated[
        Path | None, typer.Option("--export", metavar="PATH", help="the lookups of an export, without Kafka")
    ] = None,
    from_: From = None,
    to: To = None,
    tolerance: Annotated[float, typer.Option(min=0, max=1, help="how far apart still is alike, 0..1")] = 0.0,
    alerts: Annotated[
        Path | None, typer.Option(help="file for the alerts that only one raises, JSON Lines; it names people")
    ] = None,
    format: Annotated[Literal["text", "json"], typer.Option(help="for people or for programs")] = "text",
    wait: Wait = 0.0,
) -> None:
    """Compare two models over the same lookups, by peer group: scores, ranks and alerts. Exit code 1 when they are not alike.

    The lookups are those of --from (7d) <= t < --to (now), or all of a file or an export. Models learn on over them.
    """
    settings = Settings()
    chosen = _chosen(a, settings), _chosen(b, settings)
    if (events is None) != (reference is None) or (events is not None and export_folder is not None):
        raise fail("give --events and --reference, or --export, or none of them and Kafka is read")
    if events is None and rules is not None:
        raise fail("--rules goes with --events; in Kafka and exports there are the rules of then")
    groups = _groups(settings, chosen)

    def sides(from_ms: int) -> Comparison:
        from monitor.compare import Comparison

        mine, other = (_side(one, groups, from_ms) for one in chosen)
        return Comparison(mine, other, *span)

    span: tuple[int, int] = (0, 2**62)
    with said():
        if events is not None and reference is not None:
            if from_ is not None or to is not None:
                span = span_between(from_ or "1970-01-01T00:00:00Z", to or "now")
            found = _of_file(settings, events, reference, rules, sides(span[0]))
        elif export_folder is not None:
            opened = narrowed(export_folder, from_, to)
            span = (opened.facts.from_ms, opened.facts.to_ms)
            found = _of_log(opened, sides(span[0]))
        else:
            span = span_between(from_ or "7d", to or "now")
            found = _of_kafka(settings, span, wait, sides)
        if alerts is not None:
            alerts.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in found.only()))
    result = found.result()
    alike = all(each.most <= tolerance for each in result)
    if format == "json":
        about = {"a": a, "b": b, "tolerance": tolerance, "alike": alike, "groups": result}
        print(msgspec.json.format(msgspec.json.encode(about)).decode())
    else:
        _print(result, alike, tolerance)
    if not alike:
        raise typer.Exit(1)


def _chosen(text: str, settings: Settings) -> Chosen:
    from monitor.model.versions import day_of

    what, _, rest = text.partition("@")
    try:
        if what not in ("now", "retrained"):
            day_of(what)
        quantile = float(rest) if rest else settings.quantile
        if not 0.5 < quantile < 1:
            raise ValueError(f"{rest} is not a quantile above 0.5 and below 1")
    except ValueError as error:
        raise fail(f"{text!r}: {error}; give {_WHAT}") from None
    return Chosen(what, quantile)


def _groups(settings: Settings, chosen: tuple[Chosen, ...]) -> dict[str, Group]:
    """The models of the service, if they are needed."""
    from monitor.commands.model_versions import is_kept, saved_groups
    from monitor.model.versions import day_of

    if all(one.what == "retrained" for one in chosen):
        return {}
    groups = saved_groups(settings)
    for what in {one.what for one in chosen} - {"now", "retrained"}:
        unknown = sum(not is_kept(group, day_of(what)) for group in groups.values())
        if unknown == len(groups):
            raise fail(f"no version of {what} is kept; `monitor model versions` lists those that are")
        if unknown:
            say(
                f"note: of {unknown} of {len(groups)} models it is not known what they were on {what}; they begin with nothing"
            )
    return groups


def _side(one: Chosen, groups: dict[str, Group], from_ms: int) -> Side:
    from monitor.compare import Side

    # What is learned of the log alone is learned of all of it.
    return Side(_start(one, groups), 0 if one.what == "retrained" else from_ms)


def _start(one: Chosen, groups: dict[str, Group]) -> Callable[[str], PeerModel]:
    from monitor.model import PeerModel
    from monitor.model.versions import day_of

    def start(name: str) -> PeerModel:
        group = groups.get(name)
        made = PeerModel(one.quantile)
        if group is None or one.what == "retrained":
            return made
        if one.what != "now":
            earlier = group.versions.model(day_of(one.what), one.quantile)
            if earlier is not None or day_of(one.what) <= group.versions.day:
                return earlier or made
        # Not whom it has alerted about: an alert that it has raised of these very lookups must not keep it quiet.
        made.restore(group.model.learned())
        return made

    return start


def _of_file(settings: Settings, events: Path, reference: Path, rules: Path | None, both: Comparison) -> Comparison:
    from monitor.compare import ComparedBacktest
    from monitor.stream.topics import partition_of

    known, _ = load_reference(reference)
    pack, _ = load_rules(rules or settings.rules, known.lists)
    run = ComparedBacktest(
        pack, known, settings.partitions, lambda actor: partition_of(actor, settings.partitions), settings.quantile,
        forget_ms=settings.forget_ms, gap_after_ms=settings.gap_after_ms,
    )  # fmt: skip
    run.comparison = both
    for _ in run.run(read_lines(events), int(time.time() * 1000)):
        pass
    return both


def _of_kafka(settings: Settings, span: tuple[int, int], wait: float, sides: Callable[[int], Comparison]) -> Comparison:
    from monitor.evidence.survey import span_of

    with kafka_errors(settings.kafka), span_of(settings, *span, wait) as found:
        for note in [*found.facts.notes, *found.facts.gone]:
            say(f"note: {note}")
        return _of_log(found, sides(span[0]))


def _of_log(evidence: Any, both: Comparison) -> Comparison:
    from monitor.compare import ComparedRerun
    from monitor.evidence import Unusable
    from monitor.evidence.check import Packs
    from monitor.reference import Reference
    from monitor.rerun import UnknownPack
    from monitor.stream.masking import sealer_of
    from monitor.stream.store import BlobStore

    facts, store = evidence.facts, BlobStore()
    try:
        known = Reference(store=store, sealer=sealer_of(Settings()))
        packs = Packs(evidence, known)
        run = ComparedRerun(
            packs.rules, facts.starts, known, facts.quantile, facts.idle_ms, facts.forget_ms, facts.gap_after_ms
        )
        run.comparison = both
        for _ in run.play(evidence.log()):
            pass
    except UnknownPack as error:
        raise Unusable(f"the rules {error} are not there, but the log begins under them") from None
    finally:
        store.close()
    return both


def _print(result: list[Apart], alike: bool, tolerance: float) -> None:
    from rich.table import Table

    from monitor.commands.model import named

    table = Table(
        "group", "lookups", "median A", "B", "0.999 A", "B", "alerts A", "B", "only A", "only B", "scores", "ranks", "alerts apart"
    )  # fmt: skip
    for each in result:
        pairs = [f"{side.quantiles[q]:.3f}" for q in ("0.5", "0.999") for side in (each.a, each.b)]
        counts = [f"{n:,}" for n in (each.a.alerts, each.b.alerts, each.only_a, each.only_b)]
        apart = [f"{value:.3f}" for value in (each.scores, each.ranks, each.alerts)]
        table.add_row(named(each.group), f"{each.lookups:,}", *pairs, *counts, *apart)
    out.print(table)
    most = max((each.most for each in result), default=0.0)
    out.print(f"{'alike' if alike else 'not alike'}: {most:.3f} apart at most, where {tolerance:g} is asked for")
