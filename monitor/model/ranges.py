"""What is usual in a peer group: the distribution of each feature over its members, and how far out a vector lies.

Each member counts about alike, however many lookups they make: a lookup weighs one divided by the actor's lookups of the day,
so that an actor-day weighs about one. A few bad members who look up all day then move a median or a percentile no more
than a few quiet ones would. Masses halve every 30 days of event time: what is usual is what is usual of late.

The score is that of M. Goldstein and A. Dengel, "Histogram-based Outlier Score (HBOS)", KI 2012, with the mass of the tail at
and above the value instead of the density (every feature is more unusual the higher it is), squared, so that one
feature far out weighs more than many a little out. Everything is counted in whole numbers: small when saved, and the same
in any order of addition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import getitem
from typing import Final

from monitor.model.catalogue import FEATURES, KINDS
from monitor.model.quantile import DAY

#: A feature's values 0..1 are counted in so many bins, and 1 in one more.
BINS: Final = 40
#: In so much event time the masses halve, in milliseconds; a little every :data:`_STEP_MS`.
HALF_LIFE_MS: Final = 30 * 24 * 3600 * 1000
_STEP_MS: Final = 24 * 3600 * 1000
#: The surprises are worked out anew after so many vectors.
EVERY: Final = 500
#: One of surprise in the units of surprises.
_FINE: Final = 1000
#: Of which quantile of the members' shares of lookups that led to nothing the leak meter asks whether an actor has more.
_TOLERATED: Final = 0.95
_RATE: Final = FEATURES.index("rate_1d")
_NOTHING: Final = FEATURES.index("nothing_ever")
_COUNT: Final = len(FEATURES)
_KIND: Final = _COUNT + 2


def bins_of(values: Sequence[float], features: int = _COUNT) -> list[int]:
    """The bin of each feature of a vector."""
    return [int(value * BINS) for value in values[:features]]


def weight_of(values: Sequence[float]) -> int:
    """The part of an actor-day that a lookup is, in 1/1000: one by the actor's lookups of the day."""
    rate = values[_RATE]
    # The lookups of the day are 120·v / (1 − v): rate_1d, the other way round.
    return DAY if rate < 0.0083 else int(DAY * (1.0 - rate) / (120.0 * rate)) + 1


class Ranges:
    """Weighted histograms of every feature. ``masses`` has a row of bins for each of :data:`FEATURES`, in 1/1000 actor-days."""

    def __init__(self, features: int = _COUNT) -> None:
        self.masses = [[0] * (BINS + 1) for _ in range(features)]
        #: The same by the kind of lookup.
        self.kinds = [0] * KINDS
        #: The event time up to which the masses are faded, in milliseconds.
        self.faded = 0
        #: How many vectors have been learned since the surprises were worked out.
        self.since = 0
        #: By bin, in thousandths: (log10 of the share of members at or above it)², as of the last refresh.
        self.surprises = [[0] * (BINS + 1) for _ in range(features)]
        #: The value of ``nothing_ever`` that nearly all members stay below, as of the last refresh.
        self.tolerated = 1.0
        #: How many actor-days there were, as of the last refresh.
        self.days = 0

    def learn(self, values: Sequence[float], ts: int, bins: Sequence[int]) -> int:
        """Count a vector (with its tail) at event time ``ts`` (milliseconds), which falls into ``bins``. The answer is its weight."""
        if ts - self.faded >= _STEP_MS:
            self._fade(ts)
        weight = weight_of(values)
        self.kinds[int(values[_KIND])] += weight
        self.count(bins, weight)
        return weight

    def count(self, bins: Sequence[int], weight: int) -> None:
        """Count a vector that falls into these bins with a weight in 1/1000 actor-days."""
        for row, at in zip(self.masses, bins, strict=True):
            row[at] += weight
        self.since += 1
        if self.since >= EVERY:
            self.refresh()

    def _fade(self, ts: int) -> None:
        if self.faded:
            factor = 0.5 ** ((ts - self.faded) / HALF_LIFE_MS)
            self.masses = [[int(mass * factor) for mass in row] for row in self.masses]
            self.kinds = [int(mass * factor) for mass in self.kinds]
        self.faded = ts

    def refresh(self) -> None:
        """Work out what each bin scores. Of how rare something is no more is believed than the members can show."""
        self.since, log = 0, math.log10
        self.surprises = []
        for row in self.masses:
            above = list(accumulate(reversed(row)))
            total = above[-1] + DAY
            self.surprises.append([int(_FINE * log((mass + DAY) / total) ** 2) for mass in reversed(above)])
        self.tolerated = self.at(_NOTHING, _TOLERATED) if len(self.masses) > _NOTHING else 1.0
        self.days = sum(self.kinds) // DAY

    def score(self, values: Sequence[float]) -> float:
        """How far out a vector lies, 0..1, as of the last refresh: S / (S + features), S the sum of its surprises."""
        return self.score_of(bins_of(values, len(self.masses)))

    def score_of(self, bins: Sequence[int]) -> float:
        """:meth:`score` of a vector that falls into these bins."""
        total = sum(map(getitem, self.surprises, bins))
        return total / (total + _FINE * _COUNT)

    def at(self, feature: int, q: float) -> float:
        """The quantile ``q`` of a feature among the members, by its position; within a bin as if evenly spread."""
        row = self.masses[feature]
        wanted, below = q * sum(row), 0.0
        if wanted <= 0.0:
            return 0.0
        for position, mass in enumerate(row):
            if below + mass >= wanted:
                inside = (wanted - below) / mass if position < BINS else 0.0
                return (position + inside) / BINS
            below += mass
        return 1.0

    def share_of(self, kind: int) -> float:
        """The share of the members' lookups that are of a kind."""
        return self.kinds[kind] / max(1, sum(self.kinds))
