"""``event_count`` and ``value_count``: how many lookups, how many different values."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

from monitor.rules.kinds.kind import (
    Hit,
    OfLog,
    counted,
    decided_before,
    entry_of,
    holds,
    mark_of,
    recorded,
    remember,
    shorten_to_needed,
    too_few,
    values_of,
)
from monitor.rules.kinds.slots import SLOTS, LongLog, evidence, is_long_count, quiet_at, slot_of
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry, Log, State, Values, Waiting
from monitor.rules.windows import TS

#: More different values than this are sampled rather than kept.
MAX_VALUES: Final = 256


class EventCount(LongLog):
    """How many lookups matched.

    Of the lookups of a sliding window that are older than any that may still come, only as many are kept as the rule's bounds
    can tell apart (the largest bound and one, at least 20): the number in an alert may be too low then, but never so that a
    bound holds or fails by it. A span of more than 31 days, and a bound of 1,000 and more, is counted in 64 slots.
    """

    def is_long(self, rule: Correlation) -> bool:
        return is_long_count(rule)

    def value(self, rule: Correlation, lookup: Lookup, hits: tuple[int, ...]) -> Any:
        return ""

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return len(inside)

    def cannot(self, rule: Correlation, size: int) -> bool:
        return too_few(rule, size)

    def shorten(self, rule: Correlation, entries: list[Entry]) -> None:
        shorten_to_needed(rule, entries)

    def put(self, numbers: list[Any], entry: Entry) -> None:
        numbers[:] = [numbers[0] + 1 if numbers else 1]

    def take(self, numbers: list[Any], entry: Entry) -> None:
        numbers[:] = [numbers[0] - 1] if numbers[0] > 1 else []

    def of_slots(self, rule: Correlation, slots: Sequence[list[Any]]) -> float:
        return float(sum(numbers[0] for numbers in slots))


class ValueCount(OfLog):
    """How many different values ``field`` had; with several fields, how many different combinations. A list is one value.

    Of the lookups of a sliding window that are older than any that may still come, only the newest of each value is kept, and
    only so many values as the rule's bounds can tell apart: what is said of ``event_count`` holds here too.

    Over more than 31 days, or with a bound of 1,000 and more, values are kept as 32-bit hashes with the slot they were last
    seen in, of the values last seen only so many as the bounds can tell apart. When that is more than 256 they are sampled by
    the hash (P. Flajolet, "On adaptive sampling", Computing 43, 1990), with a standard error of some 8 %; after a time of
    many times more values the number is too low for up to one span. An alert that waits is decided by the number it had, less
    the values that only those lookups of its evidence had which are explained.
    """

    noun = "different values"
    needs_field = True

    def start(self, rule: Correlation) -> State:
        return Values() if is_long_count(rule) else Log()

    def value(self, rule: Correlation, lookup: Lookup, hits: tuple[int, ...]) -> Any:
        return values_of(rule, lookup)

    def observe(self, rule: Correlation, state: Any, lookup: Lookup, hits: tuple[int, ...]) -> Hit | None:
        if not isinstance(state, Values):
            return super().observe(rule, state, lookup, hits)
        value = values_of(rule, lookup)
        if value is None or slot_of(rule, lookup["ts"]) <= slot_of(rule, state.newest) - SLOTS:
            return None
        remember(state, entry_of(lookup, mark_of(value)))
        sample(rule, state, mark_of(value), slot_of(rule, lookup["ts"]))
        count = len(state.seen) << state.level
        if not holds(rule, count):
            return None
        inside, quiet = evidence(rule, state.recent, state.newest), quiet_at(rule, state, state.newest)
        return Hit(state.newest, count, inside, counted(rule, self.noun, count), quiet)

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return len({entry.value for entry in inside})

    def cannot(self, rule: Correlation, size: int) -> bool:
        return too_few(rule, size)

    def shorten(self, rule: Correlation, entries: list[Entry]) -> None:
        if len(entries) <= rule.enough:
            return
        older = bisect_right(entries, decided_before(rule, entries[-1].ts), key=TS)
        if older <= rule.enough:
            return
        newest = {entry.value: at for at, entry in enumerate(entries[:older])}
        entries[:older] = [entries[at] for at in sorted(newest.values())[-rule.enough :]]

    def quiet(self, rule: Correlation, state: Any, waiting: Waiting) -> bool:
        return quiet_at(rule, state, waiting.end) if isinstance(state, Values) else super().quiet(rule, state, waiting)

    def asked(self, rule: Correlation, state: Any, waiting: Waiting) -> Sequence[Entry]:
        return waiting.entries if isinstance(state, Values) else super().asked(rule, state, waiting)

    def again(self, rule: Correlation, state: Any, waiting: Waiting, gone: Sequence[Entry]) -> Hit | None:
        if not isinstance(state, Values):
            return super().again(rule, state, waiting, gone)
        left = {entry.value for entry in state.recent if entry not in gone}
        for entry in gone:
            if entry.value not in left and state.seen.get(entry.value) == slot_of(rule, entry.ts):
                del state.seen[entry.value]
        state.recent[:] = [each for each in state.recent if each not in gone]
        hit = recorded(waiting)
        if hit is None or not holds(rule, hit.amount):
            return None
        return hit._replace(reason=counted(rule, self.noun, hit.amount))

    def strike(self, rule: Correlation, state: Any, waiting: Waiting, gone: Sequence[Entry]) -> None:
        before = {entry.value for entry in waiting.entries}
        super().strike(rule, state, waiting, gone)
        if isinstance(state, Values):
            waiting.count -= len(before - {entry.value for entry in waiting.entries}) << state.level


def sample(rule: Correlation, state: Values, mark: int, slot: int) -> None:
    """Note that a value was seen, and drop what the window has left behind and what is more than needed."""
    oldest = slot_of(rule, state.newest) - SLOTS + 1
    if mark & ((1 << state.level) - 1) == 0:
        state.seen[mark] = max(slot, state.seen.get(mark, slot))
    for old in [each for each, last in state.seen.items() if last < oldest]:
        del state.seen[old]
    if rule.enough <= MAX_VALUES:
        while len(state.seen) > rule.enough:
            del state.seen[min(state.seen, key=lambda each: (state.seen[each], each))]
        return
    while len(state.seen) > MAX_VALUES:
        state.level += 1
        for other in [each for each in state.seen if each & ((1 << state.level) - 1)]:
            del state.seen[other]
    if state.level and len(state.seen) < MAX_VALUES // 4:
        state.level -= 1
