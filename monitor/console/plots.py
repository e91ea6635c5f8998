"""What plots are made of: places and sizes for the inline SVG of the templates. Pure arithmetic, no text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from monitor.model.explain import Factor

WIDTH: Final = 320.0


class Range(NamedTuple):
    """A factor on a line from nothing to the most there is: the peers' range, their median, the actor's value, as x."""

    factor: Factor
    low: float
    high: float
    usual: float
    value: float


class Bar(NamedTuple):
    """A bar: x and width, y and height."""

    x: float
    y: float
    width: float
    height: float


def range_of(factor: Factor) -> Range:
    """Where the parts of a factor's plot stand; the line's end is a little beyond the highest of them."""
    most = max(factor.value, factor.high, factor.usual, 0.0) * 1.08 or 1.0

    def at(number: float) -> float:
        return round(WIDTH * max(0.0, number) / most, 1)

    return Range(factor, at(factor.low), at(factor.high), at(factor.usual), at(factor.value))


def bars(counts: Sequence[int], width: float = 120.0, height: float = 18.0) -> list[Bar]:
    """One bar for each count that is something; the highest fills the height."""
    most = max(counts, default=0)
    step = width / max(1, len(counts))
    return [
        Bar(
            round(number * step, 2),
            round(height - height * count / most, 2),
            round(step * 0.8, 2),
            round(height * count / most, 2),
        )
        for number, count in enumerate(counts)
        if count
    ]


def share(part: float, whole: float, width: float = 90.0) -> float:
    """How wide the bar of a part of a whole is."""
    return round(width * min(1.0, max(0.0, part) / whole), 1) if whole > 0 else 0.0
