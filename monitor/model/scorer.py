"""The model of one peer group: it scores and learns every lookup, and keeps a quantile of its score.

Half-space trees: S. C. Tan, K. M. Ting, T. F. Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

import msgspec

from monitor.model.features import FEATURES
from monitor.model.trees import FlatTrees, Scale

MODEL_VERSION: Final = 3
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
#: For how many names it is kept when they last alerted.
_MAX_NAMED: Final = 20_000


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
        return self.at(self.q)

    def at(self, q: float) -> float:
        """Another quantile of the same scores."""
        above = list(accumulate(reversed(self.counts)))
        bins = bisect_right(above, (1.0 - q) * self.total)
        return 1.0 - 10 ** (-(_BINS - bins) * _DECADES / _BINS) if bins < _BINS else 1.0


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
    low: list[float]
    high: list[float]
    counter: int
    counts: list[list[int]]
    reference: list[list[int]] | None
    scores: list[int]
    since: int
    threshold: float
    alerted: dict[str, int]
    counted: dict[str, int]
    means: list[float]
    named: dict[str, int]


class PeerModel:
    """A peer group's model. The same lookups in the same order give the same scores, in any process."""

    def __init__(self, quantile: float = 0.999) -> None:
        self._trees = FlatTrees(FEATURES, n_trees=TREES, height=HEIGHT, window_size=WINDOW, seed=SEED)
        self._scale = Scale()
        self.quantile = ScoreQuantile(quantile)
        self.seen = 0
        self._means = [0.0] * len(FEATURES)
        self._alerted: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        self._named: dict[str, int] = {}

    def step(self, actor: str, ts: int, vector: Mapping[str, float]) -> Scored:
        """:meth:`learn` for a vector by names."""
        return self.learn(actor, ts, [vector[name] for name in FEATURES])

    def learn(self, actor: str, ts: int, values: Sequence[float]) -> Scored:
        """Score a lookup of ``actor`` at ``ts`` (milliseconds since the epoch), then learn it unless it is extreme.

        Learning from the extreme would let a slow poisoner teach the model that leaking is ordinary. So it moves neither
        the scaler nor the trees nor the means, and each actor's extremes move the quantile at most once in a while.
        """
        is_warm = self.seen >= WARM_UP
        if not is_warm:
            self._scale.learn(values)
        leaves = self._trees.leaves_of(self._scale.transform(values))
        score = self._trees.score(leaves)
        threshold = self.quantile.value
        is_extreme = is_warm and score > threshold
        self.seen += 1
        if score > 0.0 and (not is_extreme or _is_due(self._counted, actor, ts, COUNTED_MS)):
            self.quantile.update(score)
        if not is_extreme:
            if is_warm:
                self._scale.learn(values)
            self._trees.learn(leaves)
            share = 1 / min(self.seen, 5000)
            self._means = [mean + (value - mean) * share for mean, value in zip(self._means, values, strict=True)]
        return Scored(score, threshold, is_extreme and _is_due(self._alerted, actor, ts, QUIET_MS))

    @property
    def means(self) -> dict[str, float]:
        """The group's mean of each feature, of late."""
        return dict(zip(FEATURES, self._means, strict=True))

    def quantile_at(self, q: float) -> float:
        """The score that a lookup must pass to be above the quantile ``q``; none can until the model is warm."""
        return self.quantile.at(q) if self.seen >= WARM_UP else 1.0

    def is_due(self, name: str, ts: int, quiet_ms: int) -> bool:
        """Whether what is called ``name`` has not alerted for ``quiet_ms``; then it does at ``ts``."""
        last = self._named.get(name)
        if last is not None and abs(ts - last) < quiet_ms:
            return False
        self._named[name] = ts
        if len(self._named) > _MAX_NAMED:
            for old in sorted(self._named, key=lambda each: (self._named[each], each))[: _MAX_NAMED // 4]:
                del self._named[old]
        return True

    def score(self, vector: Mapping[str, float]) -> float:
        """The score of a vector, without learning it."""
        values = [vector[name] for name in FEATURES]
        return self._trees.score(self._trees.leaves_of(self._scale.transform(values)))

    def to_bytes(self) -> bytes:
        """All that was learned, as MessagePack. No pickle: nothing from Kafka may run code (promise 4)."""
        trees = self._trees
        return msgspec.msgpack.encode(
            _Saved(
                MODEL_VERSION,
                self.quantile.q,
                self.seen,
                self._scale.low,
                self._scale.high,
                trees.counter,
                trees.counts,
                trees.reference,
                self.quantile.counts,
                self.quantile._since,
                self.quantile.value,
                self._alerted,
                self._counted,
                self._means,
                self._named,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> PeerModel:
        """The model of :meth:`to_bytes`, going on exactly where it was. Raises ``ValueError`` for anything else."""
        try:
            version = msgspec.msgpack.decode(data, type=list[Any])[:1]
            if version != [MODEL_VERSION]:
                raise ValueError(
                    f"the saved model has version {version[0] if version else None}; this program reads version {MODEL_VERSION}"
                )
            saved = msgspec.msgpack.decode(data, type=_Saved)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ValueError(f"not a saved model: {error}") from None
        model = cls(saved.quantile)
        model.seen, model._means = saved.seen, saved.means
        model._alerted, model._counted, model._named = saved.alerted, saved.counted, saved.named
        quantile = model.quantile = ScoreQuantile(saved.quantile, saved.scores)
        quantile._since, quantile.value = saved.since, saved.threshold
        model._scale = Scale(saved.low, saved.high)
        model._trees.counts, model._trees.counter = saved.counts, saved.counter
        if saved.reference is not None:
            model._trees.turn_to(saved.reference)
        return model
