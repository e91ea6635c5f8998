"""Intervals and tests for rates and shares."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from typing import Final, NamedTuple

from scipy.special import gammaincinv, ndtri, stdtr

#: The confidence of every interval.
CONFIDENCE: Final = 0.95
_Z: Final = float(ndtri((1 + CONFIDENCE) / 2))


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def wilson(hits: float, total: float) -> Interval:
    """Of a share (E. B. Wilson, 1927): its true value with 95 % confidence. 0 to 1 when there is nothing to go by."""
    if total <= 0:
        return Interval(0.0, 1.0)
    share, room = hits / total, _Z * _Z / total
    middle = (share + room / 2) / (1 + room)
    half = _Z * sqrt(share * (1 - share) / total + room / total / 4) / (1 + room)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def garwood(count: float, exposure: float, dispersion: float = 1.0) -> Interval:
    """Of a rate, exact for a Poisson count (F. Garwood, 1936). 0 to infinity when there is no exposure.

    When counts stray more than Poisson's by the factor ``dispersion``, they say as much as so many fewer.
    """
    if exposure <= 0:
        return Interval(0.0, inf)
    worth, per, tail = count / dispersion, exposure / dispersion, (1 - CONFIDENCE) / 2
    low = float(gammaincinv(worth, tail)) / per if worth > 0 else 0.0
    return Interval(low, float(gammaincinv(worth + 1, 1 - tail)) / per)


def two_sided(statistic: float, freedom: float) -> float:
    """The probability of a Student's t so far from 0, or further."""
    return float(2 * stdtr(max(freedom, 1.0), -abs(statistic)))


def adjusted(values: Sequence[float]) -> list[float]:
    """Probabilities adjusted for being many (Y. Benjamini, Y. Hochberg, 1995): those below 0.05 are false in 5 % of cases at most."""
    order = sorted(range(len(values)), key=lambda at: -values[at])
    made, least = [1.0] * len(values), 1.0
    for above, at in enumerate(order):
        least = min(least, values[at] * len(values) / (len(values) - above))
        made[at] = least
    return made
