"""Correlations over windows of event time. One class a type; the full set of Sigma's types grows here."""

from __future__ import annotations

import operator
from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final

from monitor.rules.compile import key_of
from monitor.rules.model import Correlation, Entry, Firing, Lookup, Window

_HOUR: Final = 3600 * 1000
MAX_ENTRIES: Final = 10_000
MAX_EVIDENCE: Final = 100
_TS: Final = attrgetter("ts")
OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}
_WORDS: Final = {
    "gt": "more than",
    "gte": "{} or more",
    "lt": "less than",
    "lte": "{} or less",
    "eq": "exactly",
    "neq": "not",
}
_UNITS: Final = (("day", 24 * _HOUR), ("hour", _HOUR), ("minute", 60_000), ("second", 1000))


def lateness_of(span_ms: int) -> int:
    """How late a lookup may be and still count in windows of this span: the span, but at least 1 hour and at most 24."""
    return min(24 * _HOUR, max(_HOUR, span_ms))


class EventCount:
    """``event_count``: how many lookups matched."""

    noun = "lookups"

    @staticmethod
    def measure(entries: Sequence[Entry]) -> int:
        """The number that the condition is about."""
        return len(entries)


class ValueCount:
    """``value_count``: how many different values of ``field`` the matching lookups had."""

    noun = "different values"

    @staticmethod
    def measure(entries: Sequence[Entry]) -> int:
        """The number that the condition is about."""
        return len({entry.value for entry in entries if entry.value is not None})


TYPES: Final[dict[str, type[EventCount] | type[ValueCount]]] = {"event_count": EventCount, "value_count": ValueCount}


def group_values(rule: Correlation, lookup: Lookup) -> tuple[tuple[str, str], ...] | None:
    """The group a lookup belongs to, or ``None`` when it lacks one of the fields. A list counts as one value, joined by |."""
    group = []
    for field in rule.group_by:
        value = lookup.get(field)
        if value is None:
            return None
        group.append((field, "|".join(map(str, value)) if type(value) is list else str(value)))
    return tuple(group)


def observe(rule: Correlation, group: tuple[tuple[str, str], ...], window: Window, lookup: Lookup) -> Firing | None:
    """Count ``lookup`` in ``window`` (changed in place); return the firing if the rule fires.

    A window ends at a lookup and reaches back one span. A late lookup may complete windows that end after it, so each of
    those is asked. After a firing the group is quiet for one span of event time.
    """
    entry = _entry(rule, lookup)
    entries = window.entries
    if entries and entry.ts < entries[-1].ts:
        if entry.ts < entries[-1].ts - lateness_of(rule.span_ms):
            return None
        insort(entries, entry, key=_TS)
    else:
        entries.append(entry)
    horizon = entries[-1].ts - rule.span_ms - lateness_of(rule.span_ms)
    stale = max(bisect_right(entries, horizon, key=_TS), len(entries) - MAX_ENTRIES)
    if stale > 0:
        del entries[:stale]
    return _ask(rule, group, window, lookup, entry.ts)


def _entry(rule: Correlation, lookup: Lookup) -> Entry:
    value = lookup.get(rule.field) if rule.field is not None else None
    return Entry(
        lookup["ts"],
        lookup["id"],
        lookup["actor.id"],
        lookup.get("subject.id"),
        None if value is None else key_of(value),
    )


def _ask(
    rule: Correlation, group: tuple[tuple[str, str], ...], window: Window, lookup: Lookup, ts: int
) -> Firing | None:
    entries, measure = window.entries, TYPES[rule.type].measure
    last = bisect_right(entries, ts, key=_TS) - 1
    ends = sorted({entry.ts for entry in entries[last:] if entry.ts < ts + rule.span_ms})
    for end in ends:
        if window.fired is not None and abs(end - window.fired) < rule.span_ms:
            continue
        first, past = bisect_right(entries, end - rule.span_ms, key=_TS), bisect_right(entries, end, key=_TS)
        inside = entries[first:past]
        if _cannot(rule, len(inside)):
            continue
        count = measure(inside)
        if all(OPERATORS[name](count, bound) for name, bound in rule.conditions):
            window.fired = end
            return _firing(rule, group, inside, count, lookup)
    return None


def _cannot(rule: Correlation, size: int) -> bool:
    """Whether so few lookups cannot meet a lower bound, so that nothing needs to be counted."""
    return any(size < bound for name, bound in rule.conditions if name in ("gt", "gte", "eq"))


def _firing(
    rule: Correlation, group: tuple[tuple[str, str], ...], inside: Sequence[Entry], count: int, lookup: Lookup
) -> Firing:
    asked = " and ".join(
        _WORDS[name].format(f"{bound:g}") if "{}" in _WORDS[name] else f"{_WORDS[name]} {bound:g}"
        for name, bound in rule.conditions
    )
    noun = f"{TYPES[rule.type].noun} of {rule.field}" if rule.field is not None else TYPES[rule.type].noun
    return Firing(
        rule=rule,
        group=group,
        trigger=f"{lookup['system']}/{lookup['id']}",
        ts=lookup["ts"],
        time=lookup["time"],
        actors=sorted({entry.actor for entry in inside}),
        subjects=sorted({entry.subject for entry in inside if entry.subject is not None})[:MAX_EVIDENCE],
        events=[entry.id for entry in inside[-MAX_EVIDENCE:]],
        count=count,
        reasons=[f"{count} {noun} within {span_words(rule.span_ms)} (the rule asks for {asked})", rule.title],
    )


def span_words(span_ms: int) -> str:
    """A span in words, ``10 minutes``."""
    for noun, size in _UNITS:
        if span_ms >= size and span_ms % size == 0:
            count = span_ms // size
            return f"{count} {noun}{'s' if count > 1 else ''}"
    return f"{span_ms} ms"
