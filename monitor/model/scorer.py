"""The model of one peer group: a River pipeline that scores and learns every lookup, and a quantile of its score.

Half-space trees: S. C. Tan, K. M. Ting, T. F. Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from river import anomaly, compose, preprocessing

from monitor.model.features import FEATURES

MODEL_VERSION: Final = 2
TREES: Final = 10
HEIGHT: Final = 6
WINDOW: Final = 500
SEED: Final = 20261124
#: No alert before a group has shown so many lookups.
WARM_UP: Final = 2000
#: The model alerts about one actor at most once in so much event time, in milliseconds.
QUIET_MS: Final = 3600 * 1000
#: An actor's extreme scores count in the quantile at most once in so much event time, in milliseconds.
COUNTED_MS: Final = 7 * 24 * 3600 * 1000
_BINS: Final = 800
_DECADES: Final = 4.0
_EVERY: Final = 50
_FORGET_AT: Final = 200_000


class Scored(msgspec.Struct, frozen=True):
    """One lookup's score and the threshold it was held against, both 0..1."""

    score: float
    threshold: float
    alert: bool


class ScoreQuantile:
    """A quantile of a stream of scores in 0..1, from a histogram over log10(1 - score), where the interesting ones lie.

    River's own ``stats.Quantile`` keeps its state out of reach, so that it can only be saved by pickle; this saves as a
    list of counts. The error is half a bin: 0.6 % of (1 - score). Old scores fade: all counts halve now and then.
    """

    def __init__(self, q: float, counts: list[int] | None = None) -> None:
        self.q = q
        self.counts = counts if counts is not None else [0] * _BINS
        self.total = sum(self.counts)
        self.value = self._find()
        self._since = 0

    def update(self, score: float) -> None:
        """Take one score in."""
        self.counts[_bin(score)] += 1
        self.total += 1
        self._since += 1
        if self._since >= _EVERY:
            self.refresh()

    def refresh(self) -> None:
        """Compute the value now rather than after the next so many scores."""
        if self.total > _FORGET_AT:
            self.counts = [count // 2 for count in self.counts]
            self.total = sum(self.counts)
        self._since = 0
        self.value = self._find()

    def _find(self) -> float:
        above, allowed = 0, (1.0 - self.q) * self.total
        for position in range(_BINS - 1, -1, -1):
            above += self.counts[position]
            if above > allowed:
                return 1.0 - 10 ** (-(position + 1) * _DECADES / _BINS)
        return 1.0


def _bin(score: float) -> int:
    return min(_BINS - 1, int(-math.log10(max(1.0 - score, 1e-9)) * _BINS / _DECADES))


def _is_due(last: dict[str, int], actor: str, ts: int, quiet_ms: int) -> bool:
    """Whether the actor's last time is ``quiet_ms`` away from ``ts``; then it is ``ts`` from now on."""
    if abs(ts - last.get(actor, -quiet_ms)) < quiet_ms:
        return False
    for name in [name for name, at in last.items() if abs(ts - at) >= quiet_ms]:
        del last[name]
    last[actor] = ts
    return True


class _Saved(msgspec.Struct, array_like=True):
    version: int
    quantile: float
    seen: int
    counter: int
    first_window: bool
    ranges: list[tuple[float, float]]
    masses: list[list[tuple[int, int]]]
    counts: list[int]
    since: int
    threshold: float
    alerted: dict[str, int]
    counted: dict[str, int]
    means: list[float]


class PeerModel:
    """A peer group's model. The same lookups in the same order give the same scores, in any process."""

    def __init__(self, quantile: float = 0.999) -> None:
        self._trees = anomaly.HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=WINDOW, seed=SEED)
        self._scaler = preprocessing.MinMaxScaler()
        self.pipeline = compose.Pipeline(self._scaler, self._trees)
        self.quantile = ScoreQuantile(quantile)
        self.seen = 0
        self.means = dict.fromkeys(FEATURES, 0.0)
        self._alerted: dict[str, int] = {}
        self._counted: dict[str, int] = {}

    def step(self, actor: str, ts: int, vector: Mapping[str, float]) -> Scored:
        """Score a lookup of ``actor`` at ``ts`` (milliseconds since the epoch), then learn it unless it is extreme.

        Learning from the extreme would let a slow poisoner teach the model that leaking is ordinary. So it moves neither
        the scaler nor the trees nor the means, and each actor's extremes move the quantile at most once in a while.
        """
        plain = dict(vector)
        is_warm = self.seen >= WARM_UP
        if not is_warm:
            self._scaler.learn_one(plain)
        scaled = self._scaler.transform_one(plain)
        score = float(self._trees.score_one(scaled))
        threshold = self.quantile.value
        is_extreme = is_warm and score > threshold
        self.seen += 1
        if score > 0.0 and (not is_extreme or _is_due(self._counted, actor, ts, COUNTED_MS)):
            self.quantile.update(score)
        if not is_extreme:
            if is_warm:
                self._scaler.learn_one(plain)
            self._trees.learn_one(scaled)
            for name, value in vector.items():
                self.means[name] += (value - self.means[name]) / min(self.seen, 5000)
        return Scored(score, threshold, is_extreme and _is_due(self._alerted, actor, ts, QUIET_MS))

    def score(self, vector: Mapping[str, float]) -> float:
        """The score of a vector, without learning it."""
        return float(self._trees.score_one(self._scaler.transform_one(dict(vector))))

    def to_bytes(self) -> bytes:
        """All that was learned, as MessagePack. No pickle: nothing from Kafka may run code (promise 4)."""
        ranges = (
            [(self._scaler.min[name].get(), self._scaler.max[name].get()) for name in FEATURES] if self.seen else []
        )
        masses = [[(node.l_mass, node.r_mass) for node in nodes] for nodes in self._trees._tree_nodes]
        return msgspec.msgpack.encode(
            _Saved(
                MODEL_VERSION,
                self.quantile.q,
                self.seen,
                self._trees.counter,
                self._trees._first_window,
                ranges,
                masses,
                self.quantile.counts,
                self.quantile._since,
                self.quantile.value,
                self._alerted,
                self._counted,
                list(self.means.values()),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> PeerModel:
        """The model of :meth:`to_bytes`, going on exactly where it was. Raises ``ValueError`` for anything else."""
        try:
            saved = msgspec.msgpack.decode(data, type=_Saved)
        except msgspec.DecodeError as error:
            raise ValueError(f"not a saved model: {error}") from None
        if saved.version != MODEL_VERSION:
            raise ValueError(f"the saved model has version {saved.version}; this program reads version {MODEL_VERSION}")
        model = cls(saved.quantile)
        model.seen = saved.seen
        model.means = dict(zip(FEATURES, saved.means, strict=True))
        model._alerted, model._counted = saved.alerted, saved.counted
        quantile = model.quantile = ScoreQuantile(saved.quantile, saved.counts)
        quantile._since, quantile.value = saved.since, saved.threshold
        if saved.ranges:
            model._restore_scaler(saved.ranges)
        if saved.masses:
            model._restore_trees(saved)
        return model

    def _restore_scaler(self, ranges: list[tuple[float, float]]) -> None:
        for ends in zip(*ranges, strict=True):
            self._scaler.learn_one(dict(zip(FEATURES, ends, strict=True)))

    def _restore_trees(self, saved: Any) -> None:
        """The splits follow from the seed; only the masses were learned."""
        self._trees.learn_one(dict.fromkeys(FEATURES, 0.5))
        self._trees.counter, self._trees._first_window = saved.counter, saved.first_window
        for nodes, masses in zip(self._trees._tree_nodes, saved.masses, strict=True):
            for node, (left, right) in zip(nodes, masses, strict=True):
                node.l_mass, node.r_mass = left, right
