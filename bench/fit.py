"""How a cost grows: the exponent of a power law through measured points, with its interval. Pure.

``cost = factor · size ** exponent``: 0 does not grow, 1 is linear, 2 quadratic. Least squares of the logarithms; the interval is
Student's, of 95 % (ordinary regression: Draper & Smith, Applied Regression Analysis, chapter 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from scipy import stats

CONFIDENCE: Final = 0.95


class Fit(NamedTuple):
    """A power law: its exponent, the interval that holds it with 95 %, and the cost at size 1."""

    exponent: float
    low: float
    high: float
    factor: float

    def at(self, size: float) -> float:
        """The cost that the law gives for a size."""
        return self.factor * float(size**self.exponent)


def fit(sizes: Sequence[float], costs: Sequence[float]) -> Fit:
    """The power law through the points. Raises ``ValueError`` for fewer than three, for one size alone, or for what is not positive."""
    if len(sizes) != len(costs) or len(sizes) < 3:
        raise ValueError("a fit with an interval needs three points at least")
    if min(*sizes, *costs) <= 0:
        raise ValueError("sizes and costs must be above zero")
    x, y = [math.log(each) for each in sizes], [math.log(each) for each in costs]
    middle, level = math.fsum(x) / len(x), math.fsum(y) / len(y)
    spread = math.fsum((each - middle) ** 2 for each in x)
    if spread == 0:
        raise ValueError("all sizes are the same")
    slope = math.fsum((a - middle) * (b - level) for a, b in zip(x, y, strict=True)) / spread
    rest = math.fsum((b - level - slope * (a - middle)) ** 2 for a, b in zip(x, y, strict=True))
    error = math.sqrt(rest / (len(x) - 2) / spread)
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(x) - 2)) * error
    return Fit(slope, slope - reach, slope + reach, math.exp(level - slope * middle))
