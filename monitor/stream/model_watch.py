"""What a worker's metrics say of its models: where scores lie, what drifts, and that models were rolled back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import Gauge

from monitor.metrics import MODEL_BANDS, Metrics
from monitor.model.drift import WANDERING
from monitor.model.quantile import DAY
from monitor.stream.detect import Written
from monitor.stream.score import Score

#: Of so many groups, by name, the metrics say something: a label must not have more values. They are known well enough to judge by, and so have
#: at least ten members: no group is the name of a person.
MOST_GROUPS: Final = 32


class ModelWatch:
    """Keeps the metrics of the models in step with the parts that a worker has now."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._shown: dict[Gauge, set[tuple[str, ...]]] = {}

    def note(self, written: Written) -> None:
        """Count what a chunk led to."""
        for band, weight in written.days.items():
            self._metrics.model_days.labels(MODEL_BANDS[band]).inc(weight / DAY)
        self._metrics.model_rollbacks.inc(written.rolled_back)

    def show(self, scores: Iterable[Score]) -> None:
        """Show what is so now."""
        features: dict[tuple[str, ...], float] = {}
        groups: dict[tuple[str, ...], float] = {}
        at: dict[tuple[str, ...], float] = {}
        for score in scores:
            quantiles = score.quantiles()
            for name, drift in score.drifts.items():
                if drift and name in quantiles:
                    groups[told(name),] = max(value for of, value in drift.items() if of not in WANDERING)
                    for feature, value in drift.items():
                        features[feature,] = max(value, features.get((feature,), 0.0))
            for name, values in quantiles.items():
                at.update({(told(name), band): value for band, value in zip(MODEL_BANDS[1:], values, strict=True)})
        names = set(sorted({name for name, _ in at})[:MOST_GROUPS])
        self._set(self._metrics.model_drift, features)
        self._set(self._metrics.model_group_drift, {key: groups[key] for key in groups if key[0] in names})
        self._set(self._metrics.model_score, {key: at[key] for key in at if key[0] in names})

    def _set(self, gauge: Gauge, values: dict[tuple[str, ...], float]) -> None:
        """Those that are no more are taken away, rather than all: somebody may be reading them."""
        for gone in self._shown.get(gauge, set()) - values.keys():
            gauge.remove(*gone)
        for labels, value in values.items():
            gauge.labels(*labels).set(value)
        self._shown[gauge] = set(values)


def told(name: str) -> str:
    """The group's name as a label; that of the model of all groups in a partition has no letters that may not be in one."""
    return f"all/{name.rpartition('/')[2]}" if name.startswith("\x00") else name
