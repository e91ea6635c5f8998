"""``value_sum``, ``value_avg``, ``value_percentile`` and ``value_median``: numbers that a field holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from statistics import median
from typing import Any, Final

from monitor.rules.kinds.counts import add_to_slot, long_hits
from monitor.rules.kinds.kind import Hit, OfLog, is_long, mark_of, slot_of
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry, Slots, State
from monitor.rules.values import number_of

#: Over long spans a percentile is taken of so many numbers a slot, chosen by chance that depends on the lookup alone.
PER_SLOT: Final = 4


class OfNumbers(OfLog):
    """A type that looks at numbers. A lookup whose field is no number is not counted; of a list, the sum is."""

    needs_field = True

    def start(self, rule: Correlation) -> State:
        return Slots() if is_long(rule) else super().start(rule)

    def value(self, rule: Correlation, lookup: Lookup, hits: tuple[int, ...]) -> Any:
        found = lookup.get(rule.fields[0])
        if type(found) is list:
            numbers = [number for item in found if (number := number_of(item)) is not None]
            return sum(numbers) if numbers else None
        return number_of(found)


class ValueSum(OfNumbers):
    """The sum of the numbers. Over more than 31 days it is kept by slot."""

    noun = "in sum"

    def observe(self, rule: Correlation, state: Any, lookup: Lookup, hits: tuple[int, ...]) -> Iterator[Hit]:
        if not isinstance(state, Slots):
            yield from super().observe(rule, state, lookup, hits)
            return
        value = self.value(rule, lookup, hits)
        newest = None if value is None else add_to_slot(rule, state, lookup, [1, value])
        if newest is not None:
            yield from long_hits(self, rule, state, newest, self._of_slots(state))

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return float(sum(entry.value for entry in inside))

    @staticmethod
    def _of_slots(state: Slots) -> float:
        return float(sum(numbers[1] for numbers in state.slots.values()))


class ValueAverage(ValueSum):
    """The mean of the numbers."""

    noun = "on average"

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return super().measure(rule, inside) / len(inside)

    @staticmethod
    def _of_slots(state: Slots) -> float:
        counts = sum(numbers[0] for numbers in state.slots.values())
        return float(sum(numbers[1] for numbers in state.slots.values()) / counts)


class ValuePercentile(OfNumbers):
    """The percentile (``condition.percentile``, 50 unless given) of the numbers, by the nearest rank.

    Over more than 31 days it is that of a sample of four numbers a slot.
    """

    noun = "at the percentile"
    options = {"percentile": float}  # noqa: RUF012 (read only)

    def observe(self, rule: Correlation, state: Any, lookup: Lookup, hits: tuple[int, ...]) -> Iterator[Hit]:
        if not isinstance(state, Slots):
            yield from super().observe(rule, state, lookup, hits)
            return
        value = self.value(rule, lookup, hits)
        newest = None if value is None else add_to_slot(rule, state, lookup, [0])
        if newest is None:
            return
        self._sample(rule, state, lookup, value)
        numbers = [pair[1] for sample in state.slots.values() for pair in sample[1:]]
        yield from long_hits(self, rule, state, newest, self._of(rule, numbers))

    @staticmethod
    def _sample(rule: Correlation, state: Slots, lookup: Lookup, value: float) -> None:
        sample = state.slots[slot_of(rule, lookup["ts"])]
        sample[1:] = sorted([*sample[1:], [mark_of(lookup["id"]), value]])[:PER_SLOT]

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return self._of(rule, [entry.value for entry in inside])

    def _of(self, rule: Correlation, numbers: list[float]) -> float:
        ordered = sorted(numbers)
        rank = ceil(round(rule.options.get("percentile", 50.0) / 100 * len(ordered), 9))
        return ordered[max(0, rank - 1)]


class ValueMedian(ValuePercentile):
    """The median of the numbers: of an even count, the mean of the two in the middle."""

    noun = "in the middle"
    options = {}  # noqa: RUF012 (read only)

    def _of(self, rule: Correlation, numbers: list[float]) -> float:
        return float(median(numbers))
