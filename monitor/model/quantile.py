"""A quantile of the scores of the last weeks, so that "among the top 0.1 % of the peers' days this month" is true.

Scores are counted by weight, as in :mod:`monitor.model.ranges`: an actor-day weighs about one. An actor's scores of one day are much
alike, so that a quantile over lookups would promise the desk nothing: 0.1 % of the lookups may be one alert or fifty.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate
from typing import Final

_BINS: Final = 800
_DECADES: Final = 4.0
_EVERY: Final = 200
#: The scores of two spans of so much event time count: of the last 15 to 30 days, in milliseconds.
SPAN_MS: Final = 15 * 24 * 3600 * 1000
#: The weight of an actor-day.
DAY: Final = 1000
#: The quantiles of which is counted how many scores lie above them, besides the threshold.
BANDS: Final = (0.5, 0.9, 0.99)
#: A span goes on until it has so many actor-days: a small group remembers longer rather than to know little.
_LEAST: Final = 500 * DAY


class ScoreQuantile:
    """A quantile of a stream of scores in 0..1, from histograms over log10(1 - score), where the interesting ones lie.

    River's own ``stats.Quantile`` keeps its state out of reach, so that it can only be saved by pickle; this saves as
    lists of counts. The error is half a bin: 0.6 % of (1 - score).
    """

    def __init__(self, q: float) -> None:
        self.q = q
        self.counts = [0] * _BINS
        self.before = [0] * _BINS
        #: When the running span began, in event time.
        self.turned = 0
        self.since = 0
        self.value = 1.0
        #: The scores at :data:`BANDS`, as of the last refresh (or since the model was read; no alert depends on them).
        self.bands = [1.0] * len(BANDS)

    @property
    def total(self) -> int:
        """The weight of all the scores that count."""
        return sum(self.counts) + sum(self.before)

    def update(self, score: float, ts: int = 0, weight: int = DAY) -> None:
        """Take in a score of event time ``ts``."""
        self.counts[_bin(score)] += weight
        self.since += 1
        if self.since >= _EVERY:
            self.refresh(ts)

    def refresh(self, ts: int = 0) -> None:
        """Compute the value now rather than after the next so many scores."""
        if not self.turned:
            self.turned = ts
        if ts - self.turned >= SPAN_MS and sum(self.counts) >= _LEAST:
            self.counts, self.before, self.turned = [0] * _BINS, self.counts, ts
        self.since = 0
        self.refresh_values()

    def refresh_values(self) -> None:
        """Compute :attr:`value` and :attr:`bands`."""
        above = self._above()
        self.value = self._at(above, self.q)
        self.bands = [self._at(above, q) for q in BANDS]

    def at(self, q: float) -> float:
        """Another quantile of the same scores."""
        return self._at(self._above(), q)

    @staticmethod
    def _at(above: list[int], q: float) -> float:
        bins = bisect_right(above, (1.0 - q) * above[-1])
        return 1.0 - 10 ** (-(_BINS - bins) * _DECADES / _BINS) if bins < _BINS else 1.0

    def share_above(self, score: float) -> float:
        """The share, by weight, of the scores in a higher bin than this one's."""
        above = self._above()
        bins = _BINS - 1 - _bin(score)
        return (above[bins - 1] if bins else 0) / max(1, above[-1])

    def _above(self) -> list[int]:
        both = [new + old for new, old in zip(self.counts, self.before, strict=True)]
        return list(accumulate(reversed(both)))


def _bin(score: float) -> int:
    return min(_BINS - 1, int(-math.log10(max(1.0 - score, 1e-9)) * _BINS / _DECADES))
