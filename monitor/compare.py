"""Two models over the same lookups: how far their scores, ranks and alerts are apart, in each peer group.

Features do not depend on the model, so a log is run once, and every vector is scored and learned by both.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

import msgspec
from scipy.stats import rankdata

from monitor.alerts import Alert
from monitor.backtest import Backtest, Scorable
from monitor.model import PeerModel
from monitor.model.family import parent_of, partition_of_group
from monitor.model.scorer import QUIET_MS
from monitor.rerun import Rerun
from monitor.scoring import judge_lookup

#: The quantiles of the scores that are told.
QUANTILES: Final = (0.5, 0.9, 0.99, 0.999)
Name = Literal["A", "B"]


class Only(msgspec.Struct, frozen=True):
    """An alert that only one of the two raises. It names people."""

    model: Name
    group: str
    alert: Alert


class Scores(msgspec.Struct, frozen=True):
    """How one of the two scored a group's lookups: quantiles of the scores, by :data:`QUANTILES`, and how many alerts it raised."""

    quantiles: dict[str, float]
    alerts: int


class Apart(msgspec.Struct, frozen=True):
    """How far two models are apart in one peer group, each from 0 (alike) to 1.

    ``scores`` is the Kolmogorov-Smirnov distance of the two distributions of scores; ``ranks`` is (1 − ρ) / 2, ρ Spearman's rank
    correlation of the scores of the same lookups; ``alerts`` is the share of all alerts that only one of the two raises. An alert is the
    same when the other raises one of the same rule about the same actor within a day.
    """

    group: str
    lookups: int
    a: Scores
    b: Scores
    scores: float
    ranks: float
    alerts: float
    both: int
    only_a: int
    only_b: int

    @property
    def most(self) -> float:
        """The largest of the three distances."""
        return max(self.scores, self.ranks, self.alerts)


class Side:
    """One of the two. ``start`` gives the model with which a group begins, by its name; it learns from the event time ``from_ms`` on."""

    def __init__(self, start: Callable[[str], PeerModel], from_ms: int = 0) -> None:
        self._start = start
        self._from_ms = from_ms
        self._models: dict[str, PeerModel] = {}

    def step(self, item: Scorable, parent: str) -> tuple[float, list[Alert]] | None:
        """Score and learn a lookup: the score and the alerts; ``None`` for one of before its time."""
        if item.lookup["ts"] < self._from_ms:
            return None
        own, of_all = self._model(item.group), self._model(parent)
        scored, made = judge_lookup(own, item.lookup, item.features, item.anomalies, item.rules, of_all)
        return scored.score, made

    def _model(self, name: str) -> PeerModel:
        model = self._models.get(name)
        if model is None:
            model = self._models[name] = self._start(name)
        return model


class _Seen:
    """What both made of one group's lookups."""

    def __init__(self) -> None:
        self.scores = array("d"), array("d")
        self.alerts: tuple[list[Alert], list[Alert]] = [], []


class Comparison:
    """Takes every lookup with both models. Those of event times ``from_ms <= t < to_ms`` are compared."""

    def __init__(self, a: Side, b: Side, from_ms: int = 0, to_ms: int = 2**62) -> None:
        self._sides = (a, b)
        self._span = (from_ms, to_ms)
        self._seen: defaultdict[str, _Seen] = defaultdict(_Seen)

    def step(self, item: Scorable, parent_name: str) -> None:
        """Score and learn a lookup with both."""
        done = [side.step(item, parent_name) for side in self._sides]
        if not self._span[0] <= item.lookup["ts"] < self._span[1]:
            return
        seen = self._seen[item.group]
        for scores, alerts, made in zip(seen.scores, seen.alerts, done, strict=True):
            if made is not None:
                scores.append(made[0])
                alerts += made[1]

    def result(self) -> list[Apart]:
        """How far they are apart in every group, by its name."""
        return [_apart(name, self._seen[name]) for name in sorted(self._seen)]

    def only(self) -> Iterator[Only]:
        """The alerts that only one of the two raises, by group, A's first."""
        for name in sorted(self._seen):
            a, b = _unmatched(*self._seen[name].alerts)
            yield from (Only("A", name, each) for each in a)
            yield from (Only("B", name, each) for each in b)


class _Both:
    """Puts two models in the place of the one by which a run scores. Its alerts are not raised: they are in the comparison."""

    comparison: Comparison
    _reached: list[int]

    def _score(self, reached: int, item: Scorable) -> list[Alert]:
        self.comparison.step(item, parent_of(partition_of_group(item.group, len(self._reached))))
        return []

    def _roll_back(self, day: int) -> None:
        """What the service returned to then says nothing about these two."""


class ComparedBacktest(_Both, Backtest):
    """A backtest that compares two models; ``comparison`` is to be set before it runs."""


class ComparedRerun(_Both, Rerun):
    """A rerun that compares two models; ``comparison`` is to be set before it runs."""


def _apart(name: str, seen: _Seen) -> Apart:
    a, b = seen.scores
    only_a, only_b = _unmatched(*seen.alerts)
    mine, theirs = map(len, seen.alerts)
    both = mine - len(only_a)
    every = both + len(only_a) + len(only_b)
    return Apart(
        name,
        len(a),
        Scores(_quantiles(a), mine),
        Scores(_quantiles(b), theirs),
        _rounded(_distance(a, b)),
        _rounded((1.0 - _correlation(a, b)) / 2.0),
        _rounded((len(only_a) + len(only_b)) / every if every else 0.0),
        both,
        len(only_a),
        len(only_b),
    )


def _rounded(value: float) -> float:
    return round(max(0.0, value), 6)


def _quantiles(scores: Sequence[float]) -> dict[str, float]:
    """The least score with at least that share of the scores at or below it."""
    ordered = sorted(scores)
    at = {q: min(len(ordered) - 1, int(q * len(ordered))) for q in QUANTILES}
    return {str(q): round(ordered[at[q]], 6) if ordered else 0.0 for q in QUANTILES}


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Kolmogorov-Smirnov: how far the shares of scores up to the same value are apart at most. (SciPy's also works out a p-value, with warnings.)"""
    x, y = sorted(a), sorted(b)
    at = below = 0
    most = 0.0
    while at < len(x) and below < len(y):
        value = min(x[at], y[below])
        at, below = bisect_right(x, value, at), bisect_right(y, value, below)
        most = max(most, abs(at / len(x) - below / len(y)))
    return most


def _correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's ρ, with mean ranks for ties. Where one of the two knows no difference it is 1 if the other knows none either, else 0."""
    if len(a) < 2 or a == b:
        return 1.0
    x, y = rankdata(a), rankdata(b)
    x, y = x - x.mean(), y - y.mean()
    spread = float(x @ x) * float(y @ y)
    if not spread:
        return 1.0 if not x.any() and not y.any() else 0.0
    rho = float(x @ y) / math.sqrt(spread)
    return min(1.0, max(-1.0, rho))


def _unmatched(a: Sequence[Alert], b: Sequence[Alert]) -> tuple[list[Alert], list[Alert]]:
    """What only one of the two has. Each alert is matched at most once, the earliest first."""
    waiting: defaultdict[tuple[str, str], list[Alert]] = defaultdict(list)
    for alert in sorted(b, key=lambda each: each.ts):
        waiting[alert.rule.id, alert.entity.id].append(alert)
    only = []
    for alert in sorted(a, key=lambda each: each.ts):
        others = waiting[alert.rule.id, alert.entity.id]
        first = bisect_left(others, alert.ts - QUIET_MS, key=lambda each: each.ts)
        if first < len(others) and others[first].ts <= alert.ts + QUIET_MS:
            del others[first]
        else:
            only.append(alert)
    return only, sorted((each for left in waiting.values() for each in left), key=lambda each: (each.ts, each.id))
