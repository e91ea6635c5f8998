"""Long spans, counted in slots of time: a few numbers a slot rather than every lookup.

A span is divided into 64 slots of equal length, aligned to the epoch. The window is the slot of the newest lookup and the 63
before it, so it is up to one slot shorter than the span. A lookup that comes late is counted in its slot as long as that slot
is in the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from monitor.rules.kinds.kind import (
    Hit,
    OfLog,
    counted,
    entry_of,
    holds,
    remember,
    with_evidence,
)
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry, Log, Slots, State, Values, Waiting
from monitor.rules.windows import LONG_MS, Window, is_quiet

#: Into how many slots a long span is divided.
SLOTS: Final = 64
#: A sliding window whose bound is above this is counted in slots too, however short it is.
MAX_COUNTED: Final = 1_000


def is_long(rule: Correlation) -> bool:
    """Whether the rule's span is counted in slots."""
    return rule.span_ms > LONG_MS


def is_long_count(rule: Correlation) -> bool:
    """Whether a number of lookups or values is counted in slots: over a long span, or if the rule asks for very many."""
    return is_long(rule) or (rule.window == "sliding" and rule.enough > MAX_COUNTED)


def slot_of(rule: Correlation, ts: int, slots: int = SLOTS) -> int:
    """The slot of a time, in a span of so many slots."""
    return ts // -(-rule.span_ms // slots)


def oldest_slot(rule: Correlation, newest: int, slots: int = SLOTS) -> int:
    """The oldest slot that is kept, given the newest lookup's time: what waits may ask for a window that is past."""
    return slot_of(rule, newest - rule.grace_ms, slots) - slots + 1


def quiet_at(rule: Correlation, state: Slots | Values, end: int) -> bool:
    """Whether one near a window that ends at this time has fired."""
    return is_quiet(rule, state.fired, Window(end, end, 0, 0))


def evidence(rule: Correlation, recent: Sequence[Entry], end: int, slots: int = SLOTS) -> list[Entry]:
    """The lookups among the last ones that are in the window of an end."""
    last = slot_of(rule, end, slots)
    return [entry for entry in recent if last - slots < slot_of(rule, entry.ts, slots) <= last]


class LongLog(OfLog):
    """A type that looks at the lookups of a window, but over long spans only at numbers by slot."""

    def is_long(self, rule: Correlation) -> bool:
        """Whether slots are counted."""
        return is_long(rule)

    def start(self, rule: Correlation) -> State:
        return Slots() if self.is_long(rule) else Log()

    def put(self, numbers: list[Any], entry: Entry) -> None:
        """Add a lookup to its slot's numbers."""
        raise NotImplementedError

    def take(self, numbers: list[Any], entry: Entry) -> None:
        """Undo :meth:`put`, for a lookup that is explained."""
        raise NotImplementedError

    def of_slots(self, rule: Correlation, slots: Sequence[list[Any]]) -> float:
        """What :meth:`measure` is of the lookups, of the slots of a window, at least one of which has a lookup."""
        raise NotImplementedError

    def observe(self, rule: Correlation, state: Any, lookup: Lookup, hits: tuple[int, ...]) -> Hit | None:
        if not isinstance(state, Slots):
            return super().observe(rule, state, lookup, hits)
        value = self.value(rule, lookup, hits)
        entry = entry_of(lookup, value)
        if value is None or slot_of(rule, entry.ts) <= slot_of(rule, state.newest) - SLOTS:
            return None
        self.put(state.slots.setdefault(slot_of(rule, entry.ts), []), entry)
        remember(state, entry)
        oldest = oldest_slot(rule, state.newest)
        for slot in [each for each in state.slots if each < oldest]:
            del state.slots[slot]
        hit = self._of_window(rule, state, state.newest)
        return None if hit is None else hit._replace(quiet=quiet_at(rule, state, hit.end))

    def _of_window(self, rule: Correlation, state: Slots, end: int) -> Hit | None:
        last = slot_of(rule, end)
        slots = [numbers for slot, numbers in state.slots.items() if last - SLOTS < slot <= last and numbers]
        if not slots:
            return None
        count = self.of_slots(rule, slots)
        inside = evidence(rule, state.recent, end)
        return Hit(end, count, inside, counted(rule, self.noun, count)) if holds(rule, count) else None

    def quiet(self, rule: Correlation, state: Any, waiting: Waiting) -> bool:
        return quiet_at(rule, state, waiting.end) if isinstance(state, Slots) else super().quiet(rule, state, waiting)

    def asked(self, rule: Correlation, state: Any, waiting: Waiting) -> Sequence[Entry]:
        return waiting.entries if isinstance(state, Slots) else super().asked(rule, state, waiting)

    def again(self, rule: Correlation, state: Any, waiting: Waiting, gone: Sequence[Entry]) -> Hit | None:
        if not isinstance(state, Slots):
            return super().again(rule, state, waiting, gone)
        for entry in gone:
            numbers = state.slots.get(slot_of(rule, entry.ts))
            if numbers:
                self.take(numbers, entry)
        state.recent[:] = [each for each in state.recent if each not in gone]
        return with_evidence(self._of_window(rule, state, waiting.end), waiting)
