"""What every type of correlation does, and what most of them share."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry, Log, Slots, State, Values
from monitor.rules.values import COMPARE, key_of
from monitor.rules.windows import (
    LONG_MS,
    TS,
    forget,
    insert,
    is_quiet,
    keep_newest,
    windows_with,
)

MAX_EVIDENCE: Final = 100
#: The evidence that windows counted in slots keep.
MAX_RECENT: Final = 12
#: Into how many slots a long span is divided.
SLOTS: Final = 64
_HOUR: Final = 3600 * 1000
_WORDS: Final = {
    "gt": "more than {}",
    "gte": "{} or more",
    "lt": "less than {}",
    "lte": "{} or less",
    "eq": "exactly {}",
    "neq": "not {}",
}
_UNITS: Final = (("day", 24 * _HOUR), ("hour", _HOUR), ("minute", 60_000), ("second", 1000))


class Hit(NamedTuple):
    """A window for which the condition holds: its end in event time, the number it was asked about, its lookups, why."""

    end: int
    amount: float
    inside: Sequence[Entry]
    reason: str
    #: Whether one near it has fired, so that it is only counted.
    quiet: bool = False


class Kind:
    """A type of correlation. It holds nothing itself: a group's state goes in and comes out."""

    #: What is counted, in words.
    noun = "lookups"
    #: Whether a condition with an operator and a number is needed.
    needs_bound = True
    #: Whether ``condition.field`` is needed.
    needs_field = False
    #: How many rules it takes: least and most.
    rules = (1, 1000)
    #: Options of the condition besides ``field`` and the operators, with what a value may be.
    options: Mapping[str, type] = MappingProxyType({})
    #: The windows it can be asked about.
    windows: tuple[str, ...] = ("sliding",)
    #: The longest span, in milliseconds.
    longest: int | None = None
    #: Whether it decides at a later time, and not at a lookup.
    waits = False

    def start(self, rule: Correlation) -> State:
        """A group's state before its first lookup."""
        raise NotImplementedError

    def observe(self, rule: Correlation, state: Any, lookup: Lookup, hits: tuple[int, ...]) -> Iterator[Hit]:
        """Count a lookup that matched the rules at positions ``hits``; the windows for which the condition holds now."""
        raise NotImplementedError

    def fire(self, rule: Correlation, state: Any, lookup: Lookup, hit: Hit) -> int:
        """Note that it fired; how many times it would have fired since the last time."""
        state.fired, suppressed, state.hushed = hit.end, state.hushed, 0
        return int(suppressed)

    def hush(self, rule: Correlation, state: Any, lookup: Lookup) -> None:
        """Note that it would have fired, had it not done so shortly before."""
        state.hushed += 1

    def still(self, rule: Correlation, state: Any, explained: frozenset[str], inside: Sequence[Entry]) -> bool:
        """Whether a window still holds without the lookups ``explained`` (ids), which are forgotten."""
        left = any(entry.id not in explained for entry in inside)
        if not left:
            state.fired = None
        return left


class OfLog(Kind):
    """A type that looks at the lookups of a window themselves."""

    windows = ("sliding", "tumbling", "session")

    def start(self, rule: Correlation) -> State:
        return Log()

    def value(self, rule: Correlation, lookup: Lookup, hits: tuple[int, ...]) -> Any:
        """What of a lookup is looked at; ``None``: the lookup has nothing to look at and is not counted."""
        raise NotImplementedError

    def observe(self, rule: Correlation, state: Log, lookup: Lookup, hits: tuple[int, ...]) -> Iterator[Hit]:
        value = self.value(rule, lookup, hits)
        entry = entry_of(lookup, value)
        if value is None or not insert(state.entries, entry, rule.lateness_ms):
            return
        forget(rule, state)
        self.shorten(rule, state.entries)
        for start, end, first, past in windows_with(rule, state.entries, entry.ts):
            quiet = is_quiet(rule, state.fired, start, end)
            if (quiet and not rule.suppress_ms) or self.cannot(rule, past - first):
                continue
            inside = state.entries[first:past]
            count = self.measure(rule, inside)
            if self.holds(rule, inside, count):
                yield Hit(end, count, inside, self.reason(rule, count), quiet)

    def shorten(self, rule: Correlation, entries: list[Entry]) -> None:
        """Drop lookups that can decide nothing any more although they are inside the span."""

    def cannot(self, rule: Correlation, size: int) -> bool:
        """Whether so few lookups cannot meet the condition, so that nothing needs to be counted."""
        return False

    def holds(self, rule: Correlation, inside: Sequence[Entry], count: float) -> bool:
        """Whether the condition holds for a window."""
        return holds(rule, count)

    def still(self, rule: Correlation, state: Any, explained: frozenset[str], inside: Sequence[Entry]) -> bool:
        left = [entry for entry in inside if entry.id not in explained]
        if isinstance(state, Log):
            state.entries[:] = [entry for entry in state.entries if entry.id not in explained]
        if not left or self.cannot(rule, len(left)) or not self.holds(rule, left, self.measure(rule, left)):
            state.fired = None
            return False
        return True

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        """The number of a window's lookups that the condition is about."""
        raise NotImplementedError

    def reason(self, rule: Correlation, count: float) -> str:
        """Why it fired, in words."""
        return counted(rule, self.noun, count)


def holds(rule: Correlation, count: float) -> bool:
    """Whether a number is within all of the rule's bounds."""
    return all(COMPARE[name](count, bound) for name, bound in rule.bounds)


def needed(rule: Correlation) -> int:
    """More of something than this is all the same to the rule's bounds."""
    return int(max((bound for _, bound in rule.bounds), default=0)) + 1


def decided_before(rule: Correlation, newest: int) -> int:
    """Lookups up to this time are only in windows together with all newer ones, so that their number is enough."""
    return newest - rule.lateness_ms


def shorten_to_needed(rule: Correlation, entries: list[Entry], least: int = 20) -> None:
    """Of lookups that are old enough, keep no more than the bounds can tell apart."""
    if rule.window == "sliding":
        keep_newest(entries, decided_before(rule, entries[-1].ts), max(needed(rule), least))


def is_long(rule: Correlation) -> bool:
    """Whether the rule's span is counted in slots."""
    return rule.span_ms > LONG_MS


def slot_of(rule: Correlation, ts: int) -> int:
    """The slot of a time, in a span of :data:`SLOTS` slots."""
    return ts // -(-rule.span_ms // SLOTS)


def entry_of(lookup: Lookup, value: Any) -> Entry:
    """The lookup as it is kept."""
    return Entry(lookup["ts"], lookup["id"], lookup["actor.id"], lookup.get("subject.id"), value)


def values_of(rule: Correlation, lookup: Lookup) -> str | None:
    """The lookup's values of the rule's fields as one text; ``None`` when one is missing."""
    parts = []
    for name in rule.fields:
        found = lookup.get(name)
        if found is None:
            return None
        parts.append("|".join(map(key_of, found)) if type(found) is list else key_of(found))
    return "\x1f".join(parts)


def mark_of(text: str) -> int:
    """A text as a 32-bit number that spreads evenly (CRC-32); two texts may rarely share one."""
    return zlib.crc32(text.encode())


def remember(state: Slots | Values, entry: Entry) -> None:
    """Keep the newest lookups as evidence."""
    state.recent.append(entry)
    if len(state.recent) > 1 and entry.ts < state.recent[-2].ts:
        state.recent.sort(key=TS)
    del state.recent[:-MAX_RECENT]


def counted(rule: Correlation, noun: str, count: float) -> str:
    """How many there were, and how many the rule asks for."""
    asked = " and ".join(_WORDS[name].format(number(bound)) for name, bound in rule.bounds)
    of = f" of {' and '.join(rule.fields)}" if rule.fields else ""
    return f"{number(count)} {noun}{of} within {span_words(rule.span_ms)} (the rule asks for {asked})"


def number(value: float) -> str:
    """A number without needless zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def span_words(span_ms: int) -> str:
    """A span in words, ``10 minutes``."""
    for noun, size in _UNITS:
        if span_ms >= size and span_ms % size == 0:
            count = span_ms // size
            return f"{count} {noun}{'s' if count > 1 else ''}"
    return f"{span_ms} ms"
