"""The model of one peer group: it scores and learns every lookup, and keeps a quantile of its score."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from monitor.model import meter
from monitor.model.catalogue import CATALOGUE, EXPLAINED, FEATURES, WITHHELD
from monitor.model.learned import Learned
from monitor.model.quantile import BANDS, ScoreQuantile
from monitor.model.ranges import Ranges, bins_of, weight_of

MODEL_VERSION: Final = 4
#: Of an actor's first lookups nothing is learned: shares and rates start from nothing, and would make the others look much.
SETTLED: Final = 120
#: No alert before a group has shown so many lookups and actor-days of so many actors: until then the model of all groups
#: judges. With fewer actor-days the highest of a thousand is only the highest so far, of which there are many.
WARM_UP: Final = 2000
WARM_DAYS: Final = 300
FEWEST: Final = 10
#: The model alerts about one actor at most once in so much event time, in milliseconds; the leak meter less often.
QUIET_MS: Final = 24 * 3600 * 1000
METER_QUIET_MS: Final = 28 * 24 * 3600 * 1000
#: An actor's extreme scores count in the quantile at most once in so much event time (milliseconds), as one actor-day.
COUNTED_MS: Final = 7 * 24 * 3600 * 1000
#: For how many names it is kept when they last alerted.
_MAX_NAMED: Final = 20_000
_COUNT: Final = len(FEATURES)
_NOTHING: Final = CATALOGUE[FEATURES.index("nothing_ever")]
_FLAGS: Final = _COUNT + 3
#: The tail of a vector given by names.
_NO_TAIL: Final = (float(SETTLED), 0.0, 0.0, 0.0)


class Scored(msgspec.Struct, frozen=True):
    """One lookup's score and the threshold it was held against, both 0..1; ``p`` is the leak meter's when it alerts, else 1.

    ``weight`` is the part of an actor-day that the lookup is, in 1/1000, and ``band`` is how many of the quantiles :data:`BANDS` and of the
    threshold the score has passed; no weight where nobody is judged.
    """

    score: float
    threshold: float
    alert: bool
    p: float = 1.0
    weight: int = 0
    band: int = 0


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
    actors: list[str]
    masses: list[list[int]]
    kinds: list[int]
    faded: int
    refreshed: int
    surprises: list[list[int]]
    tolerated: float
    days: int
    scores: list[int]
    before: list[int]
    turned: int
    since: int
    threshold: float
    alerted: dict[str, int]
    counted: dict[str, int]
    named: dict[str, int]


class _Third(msgspec.Struct, array_like=True):
    """A model of version 3, of half-space trees over the first 15 features."""

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
        self.ranges = Ranges()
        self.quantile = ScoreQuantile(quantile)
        self.seen = 0
        #: The first :data:`FEWEST` actors that were seen.
        self._actors: list[str] = []
        self._alerted: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        self._named: dict[str, int] = {}

    @property
    def is_young(self) -> bool:
        """Whether too little is known of the group to judge anybody by it."""
        return self.seen < WARM_UP or self.ranges.days < WARM_DAYS or len(self._actors) < FEWEST

    def step(self, actor: str, ts: int, vector: Mapping[str, float]) -> Scored:
        """:meth:`learn` for a vector by names."""
        return self.learn(actor, ts, [*(vector[name] for name in FEATURES), *_NO_TAIL])

    def learn(self, actor: str, ts: int, values: Sequence[float]) -> Scored:
        """Score a lookup of ``actor`` at ``ts`` (milliseconds since the epoch), then learn it unless it is extreme or withheld.

        Learning from the extreme would let a slow poisoner teach the model that leaking is ordinary. So it moves no
        histogram, and each actor's extremes move the quantile at most once in a while. A lookup that the work explains is
        learned and never alerts.
        """
        is_young, flags = self.is_young, int(values[_FLAGS])
        bins = bins_of(values)
        score, threshold = self.ranges.score_of(bins), self.quantile.value
        bands = bisect_left(self.quantile.bands, score)
        is_extreme = not is_young and score > threshold
        if values[_COUNT] >= SETTLED:
            self.seen += 1
            if len(self._actors) < FEWEST and actor not in self._actors:
                self._actors.append(actor)
            if not (is_extreme or flags & WITHHELD):
                self.quantile.update(score, ts, self.ranges.learn(values, ts, bins))
            elif _is_due(self._counted, actor, ts, COUNTED_MS):
                self.quantile.update(score, ts)
        if is_young:
            return Scored(score, threshold, False)
        weight, band = weight_of(values), len(BANDS) + 1 if is_extreme else bands
        if flags & EXPLAINED:
            return Scored(score, threshold, False, 1.0, weight, band)
        return Scored(
            score,
            threshold,
            is_extreme and _is_due(self._alerted, actor, ts, QUIET_MS),
            self._metered(actor, ts, values),
            weight,
            band,
        )

    def _metered(self, actor: str, ts: int, values: Sequence[float]) -> float:
        lookups, nothing = values[_COUNT], values[_COUNT + 1]
        if nothing < meter.LEAST_NOTHING:
            return 1.0
        p = meter.p_value(lookups, nothing, self.tolerated)
        return p if p <= meter.ALPHA and self.is_due(f"meter/{actor}", ts, METER_QUIET_MS) else 1.0

    @property
    def tolerated(self) -> float:
        """The share of lookups that led to nothing which 95 % of the group stay below."""
        return _NOTHING.natural(min(self.ranges.tolerated, 0.95)) / 100.0

    @property
    def medians(self) -> dict[str, float]:
        """The median of each feature over the members of the group, of late."""
        return {name: self.ranges.at(position, 0.5) for position, name in enumerate(FEATURES)}

    def quantile_at(self, q: float) -> float:
        """The score that a lookup must pass to be above the quantile ``q``; none can until the group is known."""
        return 1.0 if self.is_young else self.quantile.at(q)

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
        """The score of a vector by names, without learning it."""
        return self.ranges.score([vector[name] for name in FEATURES])

    def use(self, quantile: float) -> None:
        """From now on the threshold is this quantile. Nothing changes when it was before."""
        if quantile != self.quantile.q:
            self.quantile.q = quantile
            self.quantile.refresh_values()

    def learned(self) -> Learned:
        """What was learned, apart from whom it has alerted about; it shares nothing with the model."""
        ranges, quantile = self.ranges, self.quantile
        masses, kinds = [row[:] for row in ranges.masses], ranges.kinds[:]
        scores = (quantile.counts[:], quantile.before[:], quantile.turned)
        return Learned(MODEL_VERSION, self.seen, self._actors[:], masses, kinds, ranges.faded, *scores)

    def restore(self, learned: Learned | None) -> None:
        """Return to what had been learned, or to nothing for ``None``. Whom it has alerted about stays. Raises ``ValueError`` when a
        model of another version has learned it; then nothing has changed."""
        ranges, quantile = Ranges(), ScoreQuantile(self.quantile.q)
        if learned is not None:
            if learned.version != MODEL_VERSION or len(learned.masses) != _COUNT:
                raise ValueError(
                    f"a model of version {learned.version} has learned it; this program has {MODEL_VERSION}"
                )
            ranges.masses, ranges.kinds, ranges.faded = learned.masses, learned.kinds, learned.faded
            quantile.counts, quantile.before, quantile.turned = learned.counts, learned.before, learned.turned
            ranges.refresh()
            quantile.refresh_values()
        self.ranges, self.quantile = ranges, quantile
        self.seen, self._actors = (0, []) if learned is None else (learned.seen, learned.actors)

    def to_bytes(self) -> bytes:
        """All that was learned, as MessagePack. No pickle: nothing from Kafka may run code (promise 4)."""
        ranges, quantile = self.ranges, self.quantile
        return msgspec.msgpack.encode(
            _Saved(
                MODEL_VERSION,
                quantile.q,
                self.seen,
                self._actors,
                ranges.masses,
                ranges.kinds,
                ranges.faded,
                ranges.since,
                ranges.surprises,
                ranges.tolerated,
                ranges.days,
                quantile.counts,
                quantile.before,
                quantile.turned,
                quantile.since,
                quantile.value,
                self._alerted,
                self._counted,
                self._named,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> PeerModel:
        """The model of :meth:`to_bytes`, going on exactly where it was. Raises ``ValueError`` for anything else.

        A model of version 3 counted other features: it begins to learn anew, but who was alerted about lately is kept, so
        that nobody is alerted about twice for it.
        """
        try:
            version = msgspec.msgpack.decode(data, type=list[Any])[:1]
            if version == [3]:
                return cls._of_version_3(msgspec.msgpack.decode(data, type=_Third))
            if version != [MODEL_VERSION]:
                raise ValueError(
                    f"the saved model has version {version[0] if version else None}; this program reads versions 3 and {MODEL_VERSION}"
                )
            saved = msgspec.msgpack.decode(data, type=_Saved)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ValueError(f"not a saved model: {error}") from None
        if len(saved.masses) != _COUNT or len(saved.surprises) != _COUNT:
            raise ValueError(f"the saved model has {len(saved.masses)} features; this program has {_COUNT}")
        model = cls(saved.quantile)
        model.seen, model._actors = saved.seen, saved.actors
        model._alerted, model._counted, model._named = saved.alerted, saved.counted, saved.named
        ranges, quantile = model.ranges, model.quantile
        ranges.masses, ranges.kinds, ranges.surprises = saved.masses, saved.kinds, saved.surprises
        ranges.faded, ranges.since = saved.faded, saved.refreshed
        ranges.tolerated, ranges.days = saved.tolerated, saved.days
        quantile.counts, quantile.before, quantile.turned = saved.scores, saved.before, saved.turned
        quantile.refresh_values()
        quantile.since, quantile.value = saved.since, saved.threshold
        return model

    @classmethod
    def _of_version_3(cls, saved: _Third) -> PeerModel:
        model = cls(saved.quantile)
        model._alerted, model._counted, model._named = saved.alerted, saved.counted, saved.named
        return model
