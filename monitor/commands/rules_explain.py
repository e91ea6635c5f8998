"""What `monitor rules explain` does: find the rule and the event, ask, and show the answer as a tree."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson
import typer

from monitor import events
from monitor.acts import Acts
from monitor.commands.common import fail, load_kept, load_reference, rule_files, say
from monitor.documents import Wrong
from monitor.enrich import enrich
from monitor.explanations import Explanations
from monitor.pieces import pieces_of
from monitor.reference import Reference
from monitor.replay_processes import messages_in
from monitor.rules import Rule
from monitor.rules.load import BothLists, lists_in
from monitor.ruletest import DEFAULTS, START, lookup_of
from monitor.settings import Settings
from monitor.verdict import Pack, Row, Verdict, pack_of, verdict_of

_FOREVER = 2**60


class Event(NamedTuple):
    """A lookup, and the log it is in, if it is in one, with its line (from 1)."""

    lookup: dict[str, Any]
    log: Path | None = None
    line: int = 0


def explain_event(rule: str, event: str, reference: Path | None, folder: Path | None) -> list[Verdict]:
    """What the rule, or each rule of a file, says of the event; what cannot be loaded is said."""
    known = Reference() if reference is None else load_reference(reference)[0]
    pack, wanted = _rules(rule, folder, known)
    explanations = pack.rules.explanations
    found = _event(event, known, explanations)
    if found.log is not None:
        acts, reached = Acts(), 0
        for each in chain(_earlier(found, known, explanations), (found.lookup,)):
            reached = max(reached, each["ts"])
            acts.fold(each, known, reached)
    return [verdict_of(each, pack, dict(found.lookup), known, _earlier(found, known, explanations)) for each in wanted]


def _rules(name: str, folder: Path | None, known: Reference) -> tuple[Pack, list[Rule]]:
    file = Path(name)
    folders = [folder or Settings().rules]
    if file.is_file() and not file.resolve().is_relative_to(folders[0].resolve()):
        folders = [file.parent]
    files = rule_files(folders)
    loaded = load_kept(files, known.lists)
    for problem in loaded.problems:
        say(str(problem))
    rules = list(loaded.rules.by_id.values())
    if file.is_file():
        wanted = [rule for rule in rules if Path(rule.path).resolve() == file.resolve()]
        wanted = [rule for rule in wanted if rule.alerts] or wanted
    else:
        wanted = [rule for rule in rules if name in (rule.id, rule.name, rule.title)]
    if not wanted:
        near = get_close_matches(name, [rule.name for rule in rules if rule.name is not None], 1)
        hint = f"did you mean {near[0]}?" if near else "say its id, its name or its file"
        raise fail(f"there is no rule {name} in {folders[0]} ({hint})")
    return pack_of(files, loaded.rules, BothLists(lists_in(files), known.lists)), wanted


def _event(text: str, known: Reference, explanations: Explanations) -> Event:
    """The event of a JSON text, a file, or a line of a file."""
    if text.lstrip().startswith("{"):
        fixed = {"id": "1", "time": START.isoformat(), **DEFAULTS}
        return Event(_lookup(text.encode(), "the event", known, explanations, fixed))
    name, _, line = text.rpartition(":")
    if not Path(text).is_file() and Path(name).is_file() and line.isdecimal():
        for number, found in enumerate(_lines(Path(name)), 1):
            if number == int(line):
                return Event(_lookup(found, text, known, explanations), Path(name), number)
        raise fail(f"{name} has no line {line}")
    try:
        whole = Path(text).read_bytes()
    except OSError as error:
        raise fail(f"{text}: {error.strerror} (an event is a JSON text, a file, or FILE:LINE)") from None
    if len(list(messages_in(whole))) > 1 and not _is_json(whole):
        raise fail(f"{text} has several lines; say which one: {text}:1")
    return Event(_lookup(whole, text, known, explanations))


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _lookup(
    raw: bytes, where: str, known: Reference, explanations: Explanations, fixed: dict[str, Any] | None = None
) -> dict[str, Any]:
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise fail(f"{where}: not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise fail(f"{where}: not an object")
    try:
        return lookup_of(fields, known, fixed, explanations=explanations)
    except Wrong as wrong:
        raise fail(f"{where}: {wrong.message}") from None


def _lines(path: Path) -> Iterator[bytes]:
    troubles: list[str] = []
    for piece in pieces_of(path, troubles):
        yield from piece.removesuffix(b"\n").split(b"\n")
    if troubles:
        raise fail(troubles[0])


def _earlier(event: Event, known: Reference, explanations: Explanations) -> Iterator[dict[str, Any]]:
    """The lookups before the event in its log; what is none is passed over, as it would be when it comes."""
    for number, line in enumerate(_lines(event.log) if event.log is not None else (), 1):
        if number == event.line:
            return
        try:
            yield enrich(events.decode(line, received_ms=_FOREVER), known, explanations)
        except (events.BadEvent, events.Notice):
            pass


def show(verdicts: list[Verdict], form: str) -> None:
    """Print verdicts, as trees or as JSON."""
    if form == "json":
        made = msgspec.to_builtins(verdicts[0] if len(verdicts) == 1 else verdicts)
        print(orjson.dumps(made, option=orjson.OPT_INDENT_2).decode())
        return
    for number, verdict in enumerate(verdicts):
        if number:
            print()
        for depth, words in _lines_of(verdict, 0):
            typer.echo(f"{'  ' * depth}{words}")


def _sign(holds: bool) -> str:
    good = "utf" in (sys.stdout.encoding or "").lower()
    return ("✓" if holds else "✗") if good else ("+" if holds else "-")


def _lines_of(verdict: Verdict, depth: int) -> Iterator[tuple[int, str]]:
    """What is said of a rule, and how deep each line stands."""
    verb = "match" if verdict.type == "detection" else "fire"
    said = f"{verb}{'es' if verb == 'match' else 's'}" if verdict.matches else f"does not {verb}"
    yield depth, f"{_sign(verdict.matches)} {verdict.name or verdict.id} {said}: {verdict.title}"
    yield from ((depth + 1, f"because {why}") for why in verdict.why)
    yield from _rows_of(verdict.conditions, depth + 1)
    for each in verdict.filters:
        state = "takes it out" if each.applies else "has expired" if each.expired else "does not apply"
        yield depth + 1, f"filter {each.title} ({each.path}) {state}"
        yield from _rows_of(each.conditions, depth + 2)
    group = ", ".join(f"{name} = {'not there' if value is None else value}" for name, value in verdict.group.items())
    for label, words in (
        ("waits for paperwork", verdict.grace),
        ("group", group),
        ("window", verdict.window),
        ("asks for", verdict.asks),
        ("so far", verdict.so_far),
        ("missing", "; ".join(verdict.missing)),
    ):
        if words:
            yield depth + 1, f"{label}: {words}"
    for part in verdict.parts:
        yield from _lines_of(part, depth + 1)


def _rows_of(rows: list[Row], depth: int) -> Iterator[tuple[int, str]]:
    for row in rows:
        yield depth + row.depth, f"{_sign(row.holds)} {row.asked}"
