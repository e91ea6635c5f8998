"""``new_value``, ``rate_change`` and ``share``: a group against its own past, and a part against its whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

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
)
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Slots, State, Values
from monitor.rules.windows import DAY_MS, is_quiet

#: The values a group is remembered to have had; the longest unseen go first.
MAX_VALUES: Final = 512
LEARNING_MS: Final = 14 * DAY_MS
#: How many whole periods make a baseline unless the rule says, and the least there must be.
BASELINE: Final = 8
LEAST_PERIODS: Final = 3
#: Into how many slots the span of a share is divided.
SHARE_SLOTS: Final = 32


class NewValue(Kind):
    """A value of ``field`` that the group has not had within ``timespan``, once it has been known for ``learning``
    (14 days unless given). Values are kept as 32-bit hashes."""

    noun = "new value"
    needs_bound = False
    needs_field = True
    options = {"learning": int}  # noqa: RUF012 (read only)

    def start(self, rule: Correlation) -> State:
        return Values()

    def observe(self, rule: Correlation, state: Values, lookup: Lookup, hits: tuple[int, ...]) -> Iterator[Hit]:
        value, ts = values_of(rule, lookup), lookup["ts"]
        if value is None:
            return
        state.first = ts if state.first is None else state.first
        last = state.seen.get(mark_of(value))
        is_new = last is None or ts - last > rule.span_ms
        state.seen[mark_of(value)] = max(ts, last or ts)
        if len(state.seen) > MAX_VALUES:
            del state.seen[min(state.seen, key=lambda mark: (state.seen[mark], mark))]
        remember(state, entry_of(lookup, None))
        if is_new and ts - state.first >= rule.options.get("learning", LEARNING_MS):
            reason = f"a value of {' and '.join(rule.fields)} not seen for {span_words(rule.span_ms)}"
            yield Hit(ts, 1, state.recent[-1:], reason, bool(rule.suppress_ms) and is_quiet(rule, state.fired, ts, ts))


class RateChange(Kind):
    """The count of the running period of ``timespan`` against the whole periods before it (``baseline``, 8 unless given).

    With ``factor``: it is so many times the mean of the baseline. With ``p``: so high a count would come by chance with a
    probability below ``p``, if the group went on as before (a negative binomial distribution: Poisson counts whose rate is
    known from the baseline only; A. Gelman et al., "Bayesian Data Analysis", 3rd ed., section 2.6). ``minimum`` is the least
    count that can fire.
    """

    noun = "lookups"
    needs_bound = False
    options = {"factor": float, "p": float, "minimum": int, "baseline": int}  # noqa: RUF012 (read only)

    def start(self, rule: Correlation) -> State:
        return Slots()

    def observe(self, rule: Correlation, state: Slots, lookup: Lookup, hits: tuple[int, ...]) -> Iterator[Hit]:
        period = lookup["ts"] // rule.span_ms
        length = int(rule.options.get("baseline", BASELINE))
        newest = max(state.slots, default=period)
        if period < newest - length:
            return
        state.first = period if state.first is None else min(state.first, period)
        state.slots.setdefault(period, [0])[0] += 1
        for old in [each for each in state.slots if each < max(period, newest) - length]:
            del state.slots[old]
        remember(state, entry_of(lookup, None))
        # The first period of all began before we looked, so it is not whole.
        whole = range(max(period - length, state.first + 1), period)
        before = [state.slots.get(each, [0])[0] for each in whole]
        count = state.slots[period][0]
        if len(before) < min(LEAST_PERIODS, length) or count < rule.options.get("minimum", 1):
            return
        reason = self.departs(rule, count, before)
        if reason is not None:
            start, end = period * rule.span_ms, (period + 1) * rule.span_ms - 1
            inside = [entry for entry in state.recent if start <= entry.ts <= end]
            yield Hit(end, count, inside, reason, is_quiet(rule, state.fired, start, end))

    def departs(self, rule: Correlation, count: int, before: list[int]) -> str | None:
        """Why the count departs from those before it, or ``None``."""
        mean = sum(before) / len(before)
        if "factor" in rule.options and count < rule.options["factor"] * mean:
            return None
        if "p" in rule.options and chance_of(count, before) >= rule.options["p"]:
            return None
        return f"{count} lookups within {span_words(rule.span_ms)}, where {number(mean)} were usual"


def chance_of(count: int, before: list[int]) -> float:
    """The probability of at least ``count`` in the next period, given the counts of those before it."""
    size, stay = sum(before) + 0.5, len(before) / (len(before) + 1)
    below = 0.0
    for value in range(min(count, 100_000)):
        term = math.lgamma(value + size) - math.lgamma(size) - math.lgamma(value + 1)
        below += math.exp(term + size * math.log(stay) + value * math.log1p(-stay))
    return max(0.0, 1.0 - below)


class Share(Kind):
    """The share of the lookups of the second rule that match the first one too, over ``timespan`` (in 32 slots), once there
    are ``minimum`` of the second."""

    noun = "of them"
    rules = (2, 2)
    options = {"minimum": int}  # noqa: RUF012 (read only)

    def start(self, rule: Correlation) -> State:
        return Slots()

    def observe(self, rule: Correlation, state: Slots, lookup: Lookup, hits: tuple[int, ...]) -> Iterator[Hit]:
        if 1 not in hits:
            return
        slot = lookup["ts"] // -(-rule.span_ms // SHARE_SLOTS)
        newest = max(max(state.slots, default=slot), slot)
        if slot <= newest - SHARE_SLOTS:
            return
        counts = state.slots.setdefault(slot, [0, 0])
        counts[0] += 0 in hits
        counts[1] += 1
        for old in [each for each in state.slots if each <= newest - SHARE_SLOTS]:
            del state.slots[old]
        if 0 in hits:
            remember(state, entry_of(lookup, None))
        part, whole = (sum(each[position] for each in state.slots.values()) for position in (0, 1))
        if 0 in hits and whole >= rule.options.get("minimum", 1) and holds(rule, part / whole):
            end = state.recent[-1].ts
            reason = f"{part} of {whole} lookups ({part / whole:.0%}) within {span_words(rule.span_ms)}"
            yield Hit(end, part / whole, state.recent, reason, is_quiet(rule, state.fired, end - rule.span_ms, end))
