"""The online ranker: how likely the desk is to call an alert misuse, learned from one disposition at a time.

Logistic regression with AdaGrad (J. Duchi, E. Hazan, Y. Singer, JMLR 12, 2011) on the features of :mod:`monitor.feedback.history`
and on what became of earlier alerts of the rule and of its typology; then Platt's scaling (J. Platt, 1999), learned online from
scores that were given before the verdict was known, so that of alerts given 0.7 some seven in ten are misuse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec
from river import linear_model, optim

from monitor.feedback.history import logit, prior

STATE_VERSION: Final = 1
_RATE: Final = 0.3
_INTERCEPT_RATE: Final = 0.05
_PLATT_RATE: Final = 0.02
#: The weight of the level before anything is learned.
_PRIOR_WEIGHT: Final = 0.7
#: How many verdicts the level's prior counts as in a typology's share of misuse, and that in a rule's.
_TYPOLOGY_PRIOR, _RULE_PRIOR = 2.0, 3.0
#: A rule's verdicts fade by half when it has so many, so that a rule that was made better is not judged by what it was.
_FADES_AT: Final = 200.0
#: How much of the mean Brier score (G. W. Brier, 1950) the newest verdict makes.
_NEWEST: Final = 0.01
_MAX_NAMES: Final = 5_000


class BadState(Exception):
    """Saved state that this version cannot read."""


class _Saved(msgspec.Struct, array_like=True):
    version: int
    learned: int
    weights: dict[str, float]
    intercept: float
    squares: dict[str, float]
    steps: int
    platt: tuple[float, float]
    platt_steps: int
    rules: dict[str, list[float]]
    typologies: dict[str, list[float]]
    briers: list[float]


class Ranker:
    """Probabilities for alerts. The same verdicts in the same order give the same ones, in any process."""

    def __init__(self) -> None:
        self._model = linear_model.LogisticRegression(optimizer=optim.AdaGrad(_RATE), intercept_lr=_INTERCEPT_RATE)
        self._model._weights.update({"prior": _PRIOR_WEIGHT})
        self._platt = linear_model.LogisticRegression(optimizer=optim.SGD(_PLATT_RATE), intercept_lr=_PLATT_RATE)
        self._platt._weights.update({"score": 1.0})
        #: How many verdicts it has learned.
        self.learned = 0
        #: Misuse or not, by rule id and by typology: [not, misuse], faded.
        self._rules: dict[str, list[float]] = {}
        self._typologies: dict[str, list[float]] = {}
        #: The fading mean squared error of the ranker, and of the level's prior alone, each on verdicts not yet learned.
        self.briers = [0.0, 0.0]

    def probability(self, rule: str, typology: str, level: str, features: Mapping[str, float]) -> float:
        """How likely an alert is misuse, 0.001 to 0.999."""
        return self._calibrated(self._score(self._whole(rule, typology, level, features)))

    def learn(
        self, rule: str, typology: str, level: str, features: Mapping[str, float], is_misuse: bool, is_sample: bool
    ) -> None:
        """Learn one verdict. ``is_sample``: about an alert that was looked at by chance, whatever was thought of it."""
        whole = self._whole(rule, typology, level, features)
        score = self._score(whole)
        if is_sample:
            self._platt.learn_one({"score": score}, is_misuse)
        for at, guess in enumerate((self._calibrated(score), prior(level))):
            weight = max(_NEWEST, 1 / (self.learned + 1))
            self.briers[at] += ((guess - is_misuse) ** 2 - self.briers[at]) * weight
        self._model.learn_one(whole, is_misuse)
        _count(self._rules, rule, is_misuse)
        _count(self._typologies, typology, is_misuse)
        self.learned += 1

    def _whole(self, rule: str, typology: str, level: str, features: Mapping[str, float]) -> dict[str, float]:
        guess = prior(level)
        of_typology = _share(self._typologies.get(typology), guess, _TYPOLOGY_PRIOR)
        of_rule = _share(self._rules.get(rule), of_typology, _RULE_PRIOR)
        return {**features, "rule": logit(min(0.99, max(0.01, of_rule))) - logit(guess)}

    def _score(self, whole: Mapping[str, float]) -> float:
        weights = self._model._weights
        score = sum(weights.get(name, 0.0) * value for name, value in whole.items()) + self._model.intercept
        return min(12.0, max(-12.0, float(score)))

    def _calibrated(self, score: float) -> float:
        platt = self._platt
        # A slope below 0 would turn the order round: that is for the model to learn, not for its calibration.
        slope = max(0.05, platt._weights["score"])
        raw = 1.0 / (1.0 + math.exp(-(slope * score + platt.intercept)))
        return min(0.999, max(0.001, raw))

    def to_bytes(self) -> bytes:
        """All that was learned, as MessagePack."""
        model, platt = self._model, self._platt
        return msgspec.msgpack.encode(
            _Saved(
                STATE_VERSION,
                self.learned,
                dict(model._weights),
                model.intercept,
                dict(model.optimizer.g2),
                model.optimizer.n_iterations,
                (platt._weights["score"], platt.intercept),
                platt.optimizer.n_iterations,
                self._rules,
                self._typologies,
                self.briers,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Ranker:
        """The ranker of :meth:`to_bytes`, going on exactly where it was. Raises :class:`BadState` for anything else."""
        try:
            version = msgspec.msgpack.decode(data, type=list[msgspec.Raw])[:1]
            if version and msgspec.msgpack.decode(version[0]) != STATE_VERSION:
                raise BadState(f"the saved ranker is not of version {STATE_VERSION}")
            saved = msgspec.msgpack.decode(data, type=_Saved)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadState(f"not a saved ranker: {error}") from None
        made = cls()
        made.learned, made._rules, made._typologies = saved.learned, saved.rules, saved.typologies
        made.briers = saved.briers
        made._model._weights.update(saved.weights)
        made._model.intercept = saved.intercept
        made._model.optimizer.g2.update(saved.squares)
        made._model.optimizer.n_iterations = saved.steps
        slope, made._platt.intercept = saved.platt
        made._platt._weights.update({"score": slope})
        made._platt.optimizer.n_iterations = saved.platt_steps
        return made


def _share(counts: list[float] | None, guess: float, weight: float) -> float:
    wrong, right = counts or (0.0, 0.0)
    return (right + weight * guess) / (wrong + right + weight)


def _count(table: dict[str, list[float]], name: str, is_misuse: bool) -> None:
    counts = table.pop(name, [0.0, 0.0])
    counts[is_misuse] += 1.0
    if sum(counts) > _FADES_AT:
        counts = [each / 2 for each in counts]
    table[name] = counts  # the last one heard of is last
    if len(table) > _MAX_NAMES:
        del table[next(iter(table))]
