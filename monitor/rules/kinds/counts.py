"""``event_count`` and ``value_count``: how many lookups, how many different values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from monitor.rules.kinds.kind import (
    SLOTS,
    Hit,
    Kind,
    OfLog,
    counted,
    decided_before,
    entry_of,
    holds,
    is_long,
    mark_of,
    needed,
    remember,
    shorten_to_needed,
    slot_of,
    values_of,
)
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry, Slots, State, Values
from monitor.rules.windows import is_quiet

#: From so many different values on they are sampled rather than kept.
MAX_VALUES: Final = 256


class EventCount(OfLog):
    """How many lookups matched. A span of more than 31 days is counted in 64 slots, of which the oldest is left out."""

    def start(self, rule: Correlation) -> State:
        return Slots() if is_long(rule) else super().start(rule)

    def value(self, rule: Correlation, lookup: Lookup, hits: tuple[int, ...]) -> Any:
        return ""

    def observe(self, rule: Correlation, state: Any, lookup: Lookup, hits: tuple[int, ...]) -> Iterator[Hit]:
        if not isinstance(state, Slots):
            yield from super().observe(rule, state, lookup, hits)
            return
        newest = add_to_slot(rule, state, lookup, [1])
        if newest is None:
            return
        count = sum(numbers[0] for numbers in state.slots.values())
        yield from long_hits(self, rule, state, newest, count)

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return len(inside)

    def cannot(self, rule: Correlation, size: int) -> bool:
        return any(size < bound for name, bound in rule.bounds if name in ("gt", "gte", "eq"))

    def shorten(self, rule: Correlation, entries: list[Entry]) -> None:
        shorten_to_needed(rule, entries)


def add_to_slot(rule: Correlation, state: Slots, lookup: Lookup, numbers: list[int | float]) -> int | None:
    """Add numbers to the lookup's slot, drop the slots out of the span; the newest time, or ``None`` when it is too old."""
    slot = slot_of(rule, lookup["ts"])
    newest_slot = max(state.slots, default=slot)
    if slot <= newest_slot - SLOTS:
        return None
    kept = state.slots.setdefault(slot, [0] * len(numbers))
    for position, value in enumerate(numbers):
        kept[position] += value
    if slot > newest_slot:
        for old in [each for each in state.slots if each <= slot - SLOTS]:
            del state.slots[old]
    state.first = slot if state.first is None else min(state.first, slot)
    remember(state, entry_of(lookup, None))
    return state.recent[-1].ts


def long_hits(kind: Kind, rule: Correlation, state: Slots | Values, newest: int, count: float) -> Iterator[Hit]:
    """The window that ends with the newest lookup, if the condition holds for it."""
    if holds(rule, count):
        quiet = is_quiet(rule, state.fired, newest - rule.span_ms, newest)
        yield Hit(newest, count, state.recent, counted(rule, kind.noun, count), quiet)


class ValueCount(OfLog):
    """How many different values ``field`` had; with several fields, how many different combinations.

    Over more than 31 days the values are kept as 32-bit hashes with the slot they were last seen in; from 257 on they are
    sampled by the hash (adaptive sampling: P. Flajolet, "On adaptive sampling", Computing 43, 1990), with an error of some 8 %.
    """

    noun = "different values"
    needs_field = True

    def start(self, rule: Correlation) -> State:
        return Values() if is_long(rule) else super().start(rule)

    def value(self, rule: Correlation, lookup: Lookup, hits: tuple[int, ...]) -> Any:
        return values_of(rule, lookup)

    def observe(self, rule: Correlation, state: Any, lookup: Lookup, hits: tuple[int, ...]) -> Iterator[Hit]:
        if not isinstance(state, Values):
            yield from super().observe(rule, state, lookup, hits)
            return
        value = values_of(rule, lookup)
        if value is None:
            return
        newest = sample_value(rule, state, lookup, value)
        if newest is not None:
            yield from long_hits(self, rule, state, newest, len(state.seen) << state.level)

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return len({entry.value for entry in inside})

    def cannot(self, rule: Correlation, size: int) -> bool:
        return any(size < bound for name, bound in rule.bounds if name in ("gt", "gte", "eq"))

    def shorten(self, rule: Correlation, entries: list[Entry]) -> None:
        """Of lookups that are old enough, only a value's newest counts, and only so many values."""
        if rule.window != "sliding" or len(entries) <= max(20, needed(rule)):
            return
        limit = decided_before(rule, entries[-1].ts)
        seen: set[Any] = set()
        kept: list[Entry] = []
        for entry in reversed(entries):
            if entry.ts > limit or (entry.value not in seen and len(seen) < max(20, needed(rule))):
                kept.append(entry)
                if entry.ts <= limit:
                    seen.add(entry.value)
        if len(kept) < len(entries):
            entries[:] = reversed(kept)


def sample_value(rule: Correlation, state: Values, lookup: Lookup, value: str) -> int | None:
    """Note that a value was seen; the newest time, or ``None`` when the lookup is too old for the span."""
    slot, mark = slot_of(rule, lookup["ts"]), mark_of(value)
    newest = slot_of(rule, state.recent[-1].ts) if state.recent else slot
    if slot <= newest - SLOTS:
        return None
    remember(state, entry_of(lookup, None))
    newest = max(newest, slot)
    if mark & ((1 << state.level) - 1) == 0:
        state.seen[mark] = max(slot, state.seen.get(mark, slot))
    for old in [each for each, last in state.seen.items() if last <= newest - SLOTS]:
        del state.seen[old]
    while len(state.seen) > MAX_VALUES:
        state.level += 1
        for other in [each for each in state.seen if each & ((1 << state.level) - 1)]:
            del state.seen[other]
    return state.recent[-1].ts
