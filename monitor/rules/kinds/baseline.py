"""``new_value``, ``rate_change`` and ``share``: a group against its own past, and a part against its whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from monitor.rules.kinds.chance import chance_of
from monitor.rules.kinds.kind import (
    Hit,
    Kind,
    entry_of,
    holds,
    mark_of,
    number,
    remember,
    span_words,
    values_of,
    with_evidence,
)
from monitor.rules.kinds.slots import evidence, oldest_slot, quiet_at, slot_of
from monitor.rules.model import DAY_MS, Correlation, Lookup
from monitor.rules.state import Entry, Slots, State, Values, Waiting
from monitor.rules.windows import Window, is_quiet

#: The values a group is remembered to have had; the longest unseen go first.
MAX_VALUES: Final = 512
LEARNING_MS: Final = 14 * DAY_MS
#: How many whole periods make a baseline unless the rule says, the least there must be, and the most.
BASELINE: Final = 8
LEAST_PERIODS: Final = 3
MAX_BASELINE: Final = 366
#: Into how many slots the span of a share is divided.
SHARE_SLOTS: Final = 32
#: A lookup may be late by so many periods at most.
MAX_LATE: Final = 64
_NOTHING: Final = (0,)


class NewValue(Kind):
    """A value of ``field`` that the group has not had within ``timespan`` before, once the group has been known for
    ``learning`` (14 days unless given). A list is one value; with several fields it is their combination.

    A value that was seen later already, by a lookup that came earlier, is not new. The 512 values last seen are kept, as 32-bit
    hashes. Each new value is an alert; with ``suppress``, those near another one are only counted.
    """

    noun = "new value"
    needs_bound = False
    needs_field = True
    single = True
    options = {"learning": int}  # noqa: RUF012 (read only)

    def start(self, rule: Correlation) -> State:
        return Values()

    def observe(self, rule: Correlation, state: Values, lookup: Lookup, hits: tuple[int, ...]) -> Hit | None:
        value, ts = values_of(rule, lookup), lookup["ts"]
        if value is None:
            return None
        if state.first is None or ts < state.first:
            state.first = ts
        if ts > state.newest:
            state.newest = ts
        mark, seen = mark_of(value), state.seen
        last = seen.get(mark)
        seen[mark] = ts if last is None or ts > last else last
        if len(seen) > MAX_VALUES:
            del seen[min(seen, key=lambda each: (seen[each], each))]
        if last is not None and ts - last <= rule.span_ms:
            return None
        if ts - state.first < rule.options.get("learning", LEARNING_MS):
            return None
        reason = f"a value of {' and '.join(rule.fields)} not seen for {span_words(rule.span_ms)}"
        quiet = bool(rule.suppress_ms) and quiet_at(rule, state, ts)
        return Hit(ts, 1, [entry_of(lookup, None)], reason, quiet)


class RateChange(Kind):
    """The count of a period of ``timespan`` (aligned to the epoch) against the whole periods before it (``baseline``, 8 unless
    given; those before the first lookup do not count, nor does the first one's, and there must be three, or ``baseline``).

    With ``factor``: it is at least so many times the mean of the baseline. With ``p``: at least so high a count would come by
    chance with a probability below ``p``, if the group went on as before (a negative binomial distribution: Poisson counts whose
    rate is known from the baseline only; A. Gelman et al., "Bayesian Data Analysis", 3rd ed., section 2.6). With both, both
    must hold. ``minimum`` is the least count that can fire. One period is one alert.
    """

    noun = "lookups"
    needs_bound = False
    options = {"factor": float, "p": float, "minimum": int, "baseline": int}  # noqa: RUF012 (read only)

    def start(self, rule: Correlation) -> State:
        return Slots()

    def observe(self, rule: Correlation, state: Slots, lookup: Lookup, hits: tuple[int, ...]) -> Hit | None:
        ts, span, slots = lookup["ts"], rule.span_ms, state.slots
        period, before = ts // span, state.newest // span
        if period < before and period < before - late_periods(rule):
            return None
        if state.first is None or period < state.first:
            state.first = period
        counts = slots.get(period)
        if counts is None:
            slots[period] = [1]
        else:
            counts[0] += 1
        remember(state, entry_of(lookup, None))
        if period > before:  # else what is too old has gone already
            oldest = period - late_periods(rule) - self._length(rule) - rule.grace_ms // span - 1
            for old in [each for each in slots if each < oldest]:
                del slots[old]
        return self._of_period(rule, state, period)

    def _of_period(self, rule: Correlation, state: Slots, period: int) -> Hit | None:
        count = state.slots.get(period, _NOTHING)[0]
        if count < max(1, rule.options.get("minimum", 1)) or state.first is None:
            return None
        length = self._length(rule)
        before = [state.slots.get(each, _NOTHING)[0] for each in range(max(period - length, state.first + 1), period)]
        if len(before) < min(LEAST_PERIODS, length):
            return None
        start, end = period * rule.span_ms, (period + 1) * rule.span_ms - 1
        quiet = is_quiet(rule, state.fired, Window(start, end, 0, 0))
        reason = None if quiet and not rule.suppress_ms else self.departs(rule, count, before)
        if reason is None:
            return None
        inside = [entry for entry in state.recent if start <= entry.ts <= end]
        return Hit(end, count, inside, reason, quiet)

    @staticmethod
    def _length(rule: Correlation) -> int:
        return int(rule.options.get("baseline", BASELINE))

    def again(self, rule: Correlation, state: Slots, waiting: Waiting, gone: Sequence[Entry]) -> Hit | None:
        for entry in gone:
            if entry.ts // rule.span_ms in state.slots:
                state.slots[entry.ts // rule.span_ms][0] -= 1
        state.recent[:] = [each for each in state.recent if each not in gone]
        return with_evidence(self._of_period(rule, state, waiting.end // rule.span_ms), waiting)

    def departs(self, rule: Correlation, count: int, before: list[int]) -> str | None:
        """Why the count departs from those before it, or ``None``."""
        mean = sum(before) / len(before)
        if "factor" in rule.options and count < rule.options["factor"] * mean:
            return None
        if "p" in rule.options and chance_of(count, before) >= rule.options["p"]:
            return None
        return f"{count} lookups within {span_words(rule.span_ms)}, where {number(mean)} were usual"


def late_periods(rule: Correlation) -> int:
    """By how many periods a lookup may be late."""
    return min(MAX_LATE, -(-rule.late_ms // rule.span_ms))


class Share(Kind):
    """The share of the lookups of the second rule that match the first one too, over ``timespan``, once there are ``minimum`` of
    the second. It is asked about at each lookup that matches both.

    The span is divided into 32 slots, aligned to the epoch; the window is that of the newest lookup and the 31 before it.
    """

    noun = "of them"
    rules = (2, 2)
    options = {"minimum": int}  # noqa: RUF012 (read only)

    def start(self, rule: Correlation) -> State:
        return Slots()

    def observe(self, rule: Correlation, state: Slots, lookup: Lookup, hits: tuple[int, ...]) -> Hit | None:
        if 1 not in hits:
            return None
        ts, newest, width = lookup["ts"], state.newest, -(-rule.span_ms // SHARE_SLOTS)
        slot = ts // width
        if ts < newest and slot <= newest // width - SHARE_SLOTS:
            return None
        counts = state.slots.get(slot)
        if counts is None:
            counts = state.slots[slot] = [0, 0]
        counts[1] += 1
        if ts > newest:
            state.newest = ts
            if (ts - rule.grace_ms) // width > (
                newest - rule.grace_ms
            ) // width:  # else what is too old has gone already
                oldest = oldest_slot(rule, ts, SHARE_SLOTS)
                for old in [each for each in state.slots if each < oldest]:
                    del state.slots[old]
        if 0 not in hits:
            return None
        counts[0] += 1
        remember(state, entry_of(lookup, None))
        hit = self._of_window(rule, state, state.newest)
        return None if hit is None else hit._replace(quiet=quiet_at(rule, state, hit.end))

    def _of_window(self, rule: Correlation, state: Slots, end: int) -> Hit | None:
        last = slot_of(rule, end, SHARE_SLOTS)
        inside = [counts for slot, counts in state.slots.items() if last - SHARE_SLOTS < slot <= last]
        part, whole = sum(counts[0] for counts in inside), sum(counts[1] for counts in inside)
        if whole < max(1, rule.options.get("minimum", 1)) or not holds(rule, part / whole):
            return None
        reason = f"{part} of {whole} lookups ({part / whole:.0%}) within {span_words(rule.span_ms)}"
        return Hit(end, part / whole, evidence(rule, state.recent, end, SHARE_SLOTS), reason)

    def quiet(self, rule: Correlation, state: Any, waiting: Waiting) -> bool:
        return quiet_at(rule, state, waiting.end)

    def again(self, rule: Correlation, state: Slots, waiting: Waiting, gone: Sequence[Entry]) -> Hit | None:
        for entry in gone:
            counts = state.slots.get(slot_of(rule, entry.ts, SHARE_SLOTS))
            if counts and counts[0]:
                counts[0] -= 1
        state.recent[:] = [each for each in state.recent if each not in gone]
        return with_evidence(self._of_window(rule, state, waiting.end), waiting)
