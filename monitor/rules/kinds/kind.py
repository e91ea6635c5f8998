"""What every type of correlation does, and what most of them share."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry, Log, Slots, State, Values, Waiting
from monitor.rules.values import COMPARE, MAX_VALUE, brief, key_of
from monitor.rules.windows import (
    TS,
    Window,
    forget,
    insert,
    is_quiet,
    keep_newest,
    note_fired,
    window_at,
    windows_with,
)

MAX_EVIDENCE: Final = 100
#: The evidence that windows counted in slots keep.
MAX_RECENT: Final = 12
#: Of a waiting alert's lookups, the newest so many are asked about when it is decided.
MAX_ASKED: Final = 1_000
#: A late lookup is looked at in one window after the other, until these have so many lookups together.
MAX_LOOKED_AT: Final = 4_000
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
    #: Whether every hit is an alert of its own, so that only ``suppress`` keeps it quiet.
    single = False

    def start(self, rule: Correlation) -> State:
        """A group's state before its first lookup."""
        raise NotImplementedError

    def observe(self, rule: Correlation, state: Any, lookup: Lookup, hits: tuple[int, ...]) -> Hit | None:
        """Count a lookup that matched the rules at positions ``hits``; the first window for which the condition holds now.

        One that is only counted, as one near it has fired, is told when there is no other.
        """
        raise NotImplementedError

    def fire(self, rule: Correlation, state: Any, group: Sequence[tuple[str, str]], end: int) -> int:
        """Note that it fired; how many lookups would have fired since the last time."""
        note_fired(rule, state.fired, end)
        suppressed, state.hushed = state.hushed, 0
        return int(suppressed)

    def hush(self, rule: Correlation, state: Any, group: Sequence[tuple[str, str]]) -> None:
        """Note that a lookup would have fired, had it not done so shortly before."""
        state.hushed += 1

    def quiet(self, rule: Correlation, state: Any, waiting: Waiting) -> bool:
        """Whether, at the time it is decided, one near what waits has fired."""
        if self.single and not rule.suppress_ms:
            return False
        return is_quiet(rule, state.fired, Window(waiting.end, waiting.end, 0, 0))

    def asked(self, rule: Correlation, state: Any, waiting: Waiting) -> Sequence[Entry]:
        """The lookups of what waits, each of which may be explained by now."""
        return waiting.entries

    def strike(self, rule: Correlation, state: Any, waiting: Waiting, gone: Sequence[Entry]) -> None:
        """Take the lookups that are explained out of the evidence of an alert that waits."""
        waiting.entries = [entry for entry in waiting.entries if entry not in gone]

    def again(self, rule: Correlation, state: Any, waiting: Waiting, gone: Sequence[Entry]) -> Hit | None:
        """Forget the lookups that are explained, and ask about the window once more without them.

        They are in the evidence of no alert that waits any more (:meth:`strike`).
        """
        return recorded(waiting)


def recorded(waiting: Waiting) -> Hit | None:
    """What waits as it was, if any of its evidence is left."""
    return Hit(waiting.end, waiting.count, waiting.entries, waiting.reason) if waiting.entries else None


def with_evidence(hit: Hit | None, waiting: Waiting) -> Hit | None:
    """A hit whose evidence includes what is left of that with which it began to wait."""
    if hit is None:
        return None
    more = [entry for entry in hit.inside if entry not in waiting.entries]
    return hit._replace(inside=sorted([*waiting.entries, *more], key=TS))


class OfLog(Kind):
    """A type that looks at the lookups of a window themselves."""

    windows = ("sliding", "tumbling", "session")

    def start(self, rule: Correlation) -> State:
        return Log()

    def value(self, rule: Correlation, lookup: Lookup, hits: tuple[int, ...]) -> Any:
        """What of a lookup is looked at; ``None``: the lookup has nothing to look at and is not counted."""
        raise NotImplementedError

    def observe(self, rule: Correlation, state: Log, lookup: Lookup, hits: tuple[int, ...]) -> Hit | None:
        value = self.value(rule, lookup, hits)
        if value is None:
            return None
        entry, entries = entry_of(lookup, value), state.entries
        if rule.delay_ms and entries and entries[-1].ts >= entry.ts and self._is_told_again(state, entry):
            return None
        if not insert(rule, entries, entry):
            return None
        forget(rule, state)
        if rule.window == "sliding" and not rule.grace_ms:
            self.shorten(rule, entries)
        return None if self.cannot(rule, len(entries)) else self._first_hit(rule, state, entry.ts)

    def _first_hit(self, rule: Correlation, state: Log, ts: int) -> Hit | None:
        """The first of the windows that a time is in for which the condition holds, and that nothing keeps quiet if possible."""
        left, only_quiet = MAX_LOOKED_AT, None
        for window in windows_with(rule, state.entries, ts):
            quiet = is_quiet(rule, state.fired, window, state.entries)
            if (quiet and not rule.suppress_ms) or self.cannot(rule, window.past - window.first):
                continue
            if left < 0:
                break
            left -= window.past - window.first
            hit = self._hit(rule, state, window)
            if hit is not None and not quiet:
                return hit
            only_quiet = hit._replace(quiet=True) if hit is not None else only_quiet
        return only_quiet

    def _is_told_again(self, state: Log, entry: Entry) -> bool:
        """Whether a lookup is counted already: another part matched it, and this one has waited."""
        for at in range(bisect_left(state.entries, entry.ts, key=TS), len(state.entries)):
            known = state.entries[at]
            if known.ts != entry.ts:
                break
            if (known.id, known.actor) == (entry.id, entry.actor):
                return self.is_same(state, at, entry)
        return False

    def is_same(self, state: Log, at: int, entry: Entry) -> bool:
        """Whether a lookup that is told again says nothing new; if it does, what is known of it is dropped."""
        return True

    def _hit(self, rule: Correlation, state: Log, window: Window) -> Hit | None:
        inside = state.entries[window.first : window.past]
        if not inside or not self.may(rule, inside):
            return None
        count = self.measure(rule, inside)
        return Hit(window.end, count, inside, self.reason(rule, count)) if self.holds(rule, inside, count) else None

    def shorten(self, rule: Correlation, entries: list[Entry]) -> None:
        """Drop lookups that can decide nothing any more although they are inside the span."""

    def cannot(self, rule: Correlation, size: int) -> bool:
        """Whether so few lookups cannot meet the condition, so that nothing needs to be counted."""
        return False

    def may(self, rule: Correlation, inside: Sequence[Entry]) -> bool:
        """Whether the condition may hold for a window, where that can be told faster than by the number."""
        return True

    def holds(self, rule: Correlation, inside: Sequence[Entry], count: float) -> bool:
        """Whether the condition holds for a window."""
        return holds(rule, count)

    def quiet(self, rule: Correlation, state: Log, waiting: Waiting) -> bool:
        return is_quiet(rule, state.fired, window_at(rule, state.entries, waiting.end), state.entries)

    def asked(self, rule: Correlation, state: Log, waiting: Waiting) -> Sequence[Entry]:
        window = window_at(rule, state.entries, waiting.end)
        if is_lost(state, window):
            return waiting.entries
        return state.entries[max(window.first, window.past - MAX_ASKED) : window.past]

    def again(self, rule: Correlation, state: Log, waiting: Waiting, gone: Sequence[Entry]) -> Hit | None:
        window = window_at(rule, state.entries, waiting.end)
        if is_lost(state, window):
            return recorded(waiting)
        if gone:
            marks = {(entry.ts, entry.id, entry.subject) for entry in gone}
            state.entries[:] = [each for each in state.entries if (each.ts, each.id, each.subject) not in marks]
            window = window_at(rule, state.entries, waiting.end)
        return self._hit(rule, state, window)

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        """The number of a window's lookups that the condition is about."""
        raise NotImplementedError

    def reason(self, rule: Correlation, count: float) -> str:
        """Why it fired, in words."""
        return counted(rule, self.noun, count)


def is_lost(state: Log, window: Window) -> bool:
    """Whether lookups of a window were dropped, as there were too many."""
    return state.lost is not None and state.lost >= window.start


def holds(rule: Correlation, count: float) -> bool:
    """Whether a number is within all of the rule's bounds."""
    return all(COMPARE[name](count, bound) for name, bound in rule.bounds)


def decided_before(rule: Correlation, newest: int) -> int:
    """Lookups up to this time are only in windows together with all newer ones, so that their number is enough."""
    return newest - rule.late_ms


def shorten_to_needed(rule: Correlation, entries: list[Entry]) -> None:
    """Of lookups that are old enough, keep no more than the bounds can tell apart."""
    keep_newest(entries, decided_before(rule, entries[-1].ts), rule.enough)


def too_few(rule: Correlation, size: int) -> bool:
    """Whether a number that is at most ``size`` is below the bounds."""
    return size < rule.least


def entry_of(lookup: Lookup, value: Any) -> Entry:
    """The lookup as it is kept."""
    return Entry(lookup["ts"], lookup["id"], lookup["actor.id"], lookup.get("subject.id"), value)


def values_of(rule: Correlation, lookup: Lookup) -> str | None:
    """The lookup's values of the rule's fields as one text; ``None`` when one is missing. A list is one value."""
    if len(rule.fields) == 1:  # as nearly always
        found = lookup.get(rule.fields[0])
        if type(found) is str and len(found) <= MAX_VALUE and found.isascii():
            return found.lower()
        return None if found is None else _text_of(found)
    values = [lookup.get(name) for name in rule.fields]
    return None if None in values else "\x1f".join(map(_text_of, values))


def _text_of(value: Any) -> str:
    return brief("|".join(map(key_of, value)) if type(value) is list else key_of(value))


def mark_of(text: str) -> int:
    """A text as a 32-bit number that spreads evenly (CRC-32); two texts may rarely share one."""
    return zlib.crc32(text.encode(errors="replace"))


def remember(state: Slots | Values, entry: Entry) -> None:
    """Keep the newest lookups as evidence."""
    recent = state.recent
    recent.append(entry)
    if entry.ts >= state.newest:
        state.newest = entry.ts
    elif len(recent) > 1 and entry.ts < recent[-2].ts:
        recent.sort(key=TS)
    if len(recent) > MAX_RECENT:
        del recent[:-MAX_RECENT]


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
