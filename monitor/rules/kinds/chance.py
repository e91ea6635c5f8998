"""How likely a count is by chance, given the counts before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_TINY: Final = 1e-300
_CLOSE: Final = 1e-14
_MAX_STEPS: Final = 1_000


def chance_of(count: int, before: Sequence[int]) -> float:
    """The probability of at least ``count`` in the next period, given the counts of those before it.

    The tail of a negative binomial distribution is the regularised incomplete beta function (M. Abramowitz, I. A. Stegun,
    "Handbook of Mathematical Functions", 26.5.24), so that it takes no longer for large counts than for small ones.
    """
    if count <= 0:
        return 1.0
    return incomplete_beta(float(count), sum(before) + 0.5, 1.0 / (len(before) + 1))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction on the side where that is short."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, 1.0 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Lentz's method (W. H. Press et al., "Numerical Recipes", 3rd ed., section 6.4)."""
    c, d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1.0))
    result = d
    for step in range(1, _MAX_STEPS):
        for numerator in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            d = 1.0 / _not_zero(1.0 + numerator * d)
            c = _not_zero(1.0 + numerator / c)
            result *= c * d
        if abs(c * d - 1.0) < _CLOSE:
            break
    return result


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
