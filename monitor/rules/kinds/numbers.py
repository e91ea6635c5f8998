"""``value_sum``, ``value_avg``, ``value_percentile`` and ``value_median``: numbers that a field holds."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, fsum
from statistics import median
from typing import Any, Final

from monitor.rules.kinds.kind import mark_of
from monitor.rules.kinds.slots import LongLog
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry
from monitor.rules.values import number_of

#: Over long spans a percentile is taken of so many numbers a slot, chosen by chance that depends on the lookup alone.
PER_SLOT: Final = 4
#: A number further from 0 is not counted.
MAX_NUMBER: Final = 1e18


class OfNumbers(LongLog):
    """A type that looks at numbers. A lookup whose field is no number, or one beyond 10**18, is not counted; of a list, the
    sum of its numbers is."""

    needs_field = True

    def value(self, rule: Correlation, lookup: Lookup, hits: tuple[int, ...]) -> Any:
        found = lookup.get(rule.fields[0])
        value: float | None
        if type(found) is list:
            numbers = [
                number for item in found if (number := number_of(item)) is not None and abs(number) <= MAX_NUMBER
            ]
            value = fsum(numbers) if numbers else None
        else:
            value = number_of(found)
        return value if value is not None and abs(value) <= MAX_NUMBER else None


class ValueSum(OfNumbers):
    """The sum of the numbers. Over more than 31 days it is kept by slot."""

    noun = "in sum"

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return fsum(entry.value for entry in inside)

    def put(self, numbers: list[Any], entry: Entry) -> None:
        count, total = numbers or (0, 0.0)
        numbers[:] = [count + 1, total + entry.value]

    def take(self, numbers: list[Any], entry: Entry) -> None:
        numbers[:] = [numbers[0] - 1, numbers[1] - entry.value] if numbers[0] > 1 else []

    def of_slots(self, rule: Correlation, slots: Sequence[list[Any]]) -> float:
        return fsum(numbers[1] for numbers in slots)


class ValueAverage(ValueSum):
    """The mean of the numbers."""

    noun = "on average"

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return super().measure(rule, inside) / len(inside)

    def of_slots(self, rule: Correlation, slots: Sequence[list[Any]]) -> float:
        return super().of_slots(rule, slots) / float(sum(numbers[0] for numbers in slots))


class ValuePercentile(OfNumbers):
    """The percentile (``condition.percentile``, 50 unless given) of the numbers, by the nearest rank.

    Over more than 31 days it is that of a sample of four numbers a slot: those of the lookups whose ids have the least CRC-32.
    """

    noun = "at the percentile"
    options = {"percentile": float}  # noqa: RUF012 (read only)

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return self._of(rule, [entry.value for entry in inside])

    def put(self, numbers: list[Any], entry: Entry) -> None:
        numbers[:] = sorted([*numbers, [mark_of(entry.id), entry.value]])[:PER_SLOT]

    def take(self, numbers: list[Any], entry: Entry) -> None:
        numbers[:] = [pair for pair in numbers if pair[0] != mark_of(entry.id)]

    def of_slots(self, rule: Correlation, slots: Sequence[list[Any]]) -> float:
        return self._of(rule, [pair[1] for numbers in slots for pair in numbers])

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
