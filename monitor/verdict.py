"""Why a rule matched a lookup, or did not: every condition's verdict, the exceptions, and how far a correlation has come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from monitor.documents import Wrong, parse_text
from monitor.reference import Reference
from monitor.rules import Correlation, Detection, Rule, RuleSet, tree
from monitor.rules.compile import explain
from monitor.rules.detections import Filter
from monitor.rules.kinds.kind import span_words
from monitor.rules.plan import field_of, text_of_group
from monitor.rules.values import Lists
from monitor.sofar import Run, asked_words, window_words

#: So many of the conditions that decide are named in ``why``.
_NAMED: Final = 5


class Row(msgspec.Struct):
    """One part of a condition: how deep it is, what it asks and what was found, and whether it holds."""

    depth: int
    asked: str
    holds: bool


class Exemption(msgspec.Struct):
    """A filter that names the rule, and whether it takes this lookup out; an expired one takes out nothing."""

    title: str
    path: str
    applies: bool
    expired: bool
    conditions: list[Row]


class Verdict(msgspec.Struct, omit_defaults=True):
    """What a rule says of a lookup. For a correlation ``matches`` is whether it fires at this lookup; ``so_far`` is how far it
    has come with it, ``missing`` what it still asks for, and ``parts`` what each rule says of the lookup that it is made of."""

    id: str
    title: str
    type: str
    matches: bool
    why: list[str]
    name: str | None = None
    grace: str | None = None
    conditions: list[Row] = []
    filters: list[Exemption] = []
    parts: list[Verdict] = []
    group: dict[str, str | None] = {}
    window: str | None = None
    asks: str | None = None
    so_far: str | None = None
    missing: list[str] = []


class Pack(msgspec.Struct):
    """Rules with what is known of them besides: the values of their lists, and the filters, by the id of the rule they name."""

    rules: RuleSet
    lists: Lists
    filters: dict[str, list[tuple[str, str, Filter]]] = {}


def pack_of(files: Mapping[str, str], rules: RuleSet, lists: Lists) -> Pack:
    """The rules of texts, with their filters."""
    made = Pack(rules, lists, {})
    ids = {name: rule.id for rule in rules.detections for name in (rule.id, rule.name, rule.title) if name is not None}
    for path, text in files.items():
        for document in parse_text(path, text, []) if "filter" in text else ():
            if document.data.get("filter") is None:
                continue
            try:
                found = Filter(document.data, lists)
            except Wrong:
                continue  # it is said when the rules are loaded
            named = [rule.id for rule in rules.detections] if found.rules is None else found.rules
            for rule in dict.fromkeys(ids[name] for name in named if name in ids):
                made.filters.setdefault(rule, []).append((str(document.data.get("title", path)), path, found))
    return made


def verdict_of(
    rule: Rule, pack: Pack, lookup: dict[str, Any], reference: Reference, earlier: Iterable[dict[str, Any]] = ()
) -> Verdict:
    """What a rule says of a lookup; ``earlier`` are those before it in the log, which a correlation counts too."""
    if isinstance(rule, Correlation):
        return _of_correlation(rule, pack, lookup, Run(rule, pack.rules, lookup, reference, earlier))
    assert isinstance(rule, Detection)
    return _of_detection(rule, pack, lookup)


def _made(rule: Rule, kind: str, matches: bool, why: list[str]) -> Verdict:
    grace = span_words(rule.grace_ms) if rule.grace_ms else None
    return Verdict(rule.id, rule.title, kind, matches, why, rule.name, grace)


def _of_detection(rule: Detection, pack: Pack, lookup: dict[str, Any]) -> Verdict:
    rows = _rows(rule.tree, lookup, pack.lists)
    filters = [_of_filter(*each, lookup, pack.lists) for each in pack.filters.get(rule.id, ())]
    exempted = [f"the filter {each.title} takes it out" for each in filters if each.applies]
    why = exempted if rows[0].holds and exempted else _deciding(rule.tree, rows)
    made = _made(rule, "detection", rule.predicate(lookup), why)
    made.conditions, made.filters = rows, filters
    return made


def _rows(node: tree.Node, lookup: dict[str, Any], lists: Lists) -> list[Row]:
    return [Row(*row) for row in explain(node, lookup, lists)]


def _of_filter(title: str, path: str, found: Filter, lookup: dict[str, Any], lists: Lists) -> Exemption:
    rows = _rows(found.node, lookup, lists)
    expired = found.expires_ms is not None and lookup["ts"] >= found.expires_ms
    return Exemption(title, path, rows[0].holds and not expired, expired, rows)


def _deciding(node: tree.Node, rows: Sequence[Row]) -> list[str]:
    """The conditions that make the verdict what it is."""
    found = _deciders(node, iter(rows))[1]
    more = [f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
    return found[:_NAMED] + more


def _deciders(node: tree.Node, rows: Iterator[Row]) -> tuple[bool, list[str]]:
    """Whether ``node`` holds, and what below it decides that; ``rows`` come in the order of the tree."""
    row = next(rows)
    match node:
        case tree.All() | tree.AnyOf():
            parts = [_deciders(part, rows) for part in node.parts]
            return row.holds, [words for holds, said in parts if holds == row.holds for words in said]
        case tree.Not() | tree.Named():
            return row.holds, _deciders(node.part, rows)[1]
    return row.holds, [row.asked]


def _of_correlation(rule: Correlation, pack: Pack, lookup: dict[str, Any], run: Run) -> Verdict:
    parts = [
        _of_correlation(part, pack, lookup, run) if isinstance(part, Correlation) else _of_detection(part, pack, lookup)
        for part in map(pack.rules.by_id.__getitem__, rule.rules)
        if isinstance(part, (Correlation, Detection))
    ]
    base = next((part.id for part in parts if part.matches), rule.rules[0])
    values = {name: lookup.get(field_of(rule, name, base)) for name in rule.group_by}
    found = run.of(rule)
    made = _made(rule, rule.type, found.fired, [])
    made.parts = parts
    made.group = {name: None if value is None else text_of_group(value) for name, value in values.items()}
    made.window, made.asks = window_words(rule), asked_words(rule, pack.rules)
    made.so_far, made.missing = found.so_far, found.missing
    made.why = _why(made, found.reason, found.quiet)
    return made


def _why(made: Verdict, reason: str | None, quiet: bool) -> list[str]:
    if made.matches:
        return [reason or made.title]
    if not any(part.matches for part in made.parts):
        return ["none of the rules it is made of matches this lookup"]
    unknown = [name for name, value in made.group.items() if value is None]
    if unknown:
        return [f"the lookup has no {', '.join(unknown)}, by which it is grouped"]
    if quiet:
        return ["it fired shortly before, and a burst is one alert"]
    return [f"missing: {each}" for each in made.missing] or ["it says nothing yet"]
