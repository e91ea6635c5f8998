"""The metrics of each kind of process. Labels are few, known beforehand and never name a person, subject, case or address."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from monitor.canary import STAGES as CANARY_STAGES
from monitor.events import REASONS
from monitor.fairness.counts import DIMENSIONS
from monitor.feedback.disposition import REASONS as BAD_DISPOSITIONS
from monitor.feedback.disposition import VERDICTS
from monitor.model.quantile import BANDS
from monitor.rules.model import LEVELS

FATES: Final = ("counted", "late", "duplicate", "repeated", "refused")
STAGES: Final = ("intake", "detect", "score")
#: What is said of scores: the highest quantile of the peers' that they have passed.
MODEL_BANDS: Final = ("0", *map(str, BANDS), "threshold")
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LATENESS: Final = (1, 10, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600)
_STEP: Final = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.02, 0.1)


class Metrics:
    """All ``lookup_monitor_*`` metrics in a registry of their own."""

    def __init__(self, rules: Iterable[tuple[str, str]] = (), partitions: int = 0) -> None:
        """``rules`` are (id, level) of every rule that can alert; their series exist from the start, at zero."""
        self.registry = CollectorRegistry()
        name = "lookup_monitor_"
        self.events = Counter(name + "events", "Lookups by what became of them", ["fate"], registry=self.registry)
        self.alerts = Counter(name + "alerts", "Alerts written", ["rule", "level"], registry=self.registry)
        self.dlq = Counter(name + "dlq", "Messages refused, by reason", ["reason"], registry=self.registry)
        self.lateness = Histogram(
            name + "lateness_seconds",
            "How long after its own time a lookup was received",
            buckets=_LATENESS,
            registry=self.registry,
        )
        self.ahead = Counter(
            name + "clock_ahead",
            "Lookups stamped so far ahead of their receipt that they counted when they were received",
            registry=self.registry,
        )
        self.latency = Histogram(
            name + "end_to_end_seconds",
            "From a lookup's receipt by Kafka to its alert in Kafka",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.lag = Gauge(name + "lag", "Messages not yet read", ["stage", "partition"], registry=self.registry)
        self.lag_seconds = Gauge(
            name + "lag_seconds",
            "How long ago the last message that was read had been received by Kafka; 0 when all are read",
            ["stage", "partition"],
            registry=self.registry,
        )
        self.progress = Gauge(
            name + "last_progress_timestamp_seconds",
            "When a partition last moved on",
            ["stage", "partition"],
            registry=self.registry,
        )
        self.held = Gauge(name + "held", "Lookups waiting for their order", ["stage"], registry=self.registry)
        self.rule_time = Histogram(
            name + "rule_seconds",
            "Rules and features on one lookup (mean of a chunk)",
            buckets=_STEP,
            registry=self.registry,
        )
        self.model_time = Histogram(
            name + "model_seconds", "The model on one lookup (mean of a chunk)", buckets=_STEP, registry=self.registry
        )
        self.model_days = Counter(
            name + "model_days",
            "Actor-days that models judged, by the highest quantile of the peers' scores that they passed",
            ["above"],
            registry=self.registry,
        )
        self.model_score = Gauge(
            name + "model_score",
            "The score at a quantile of a peer group's",
            ["peers", "quantile"],
            registry=self.registry,
        )
        self.model_drift = Gauge(
            name + "model_feature_drift",
            "How far a feature's last week is from before (PSI), in the peer group where it is farthest",
            ["feature"],
            registry=self.registry,
        )
        self.model_group_drift = Gauge(
            name + "model_group_drift",
            "The same of a peer group, by the feature that is farthest, of those that are steady when nothing changes",
            ["peers"],
            registry=self.registry,
        )
        self.model_rollbacks = Counter(
            name + "model_rollbacks", "Models that returned to an earlier version", registry=self.registry
        )
        self.retries = Counter(
            name + "write_retries", "Writes to Kafka that had to be repeated", ["stage"], registry=self.registry
        )
        self.standbys = Gauge(
            name + "standby_partitions",
            "Copies of other workers' state that are kept up to date",
            registry=self.registry,
        )
        self.standby_lag = Gauge(
            name + "standby_lag", "Records of changelogs not yet in those copies", registry=self.registry
        )
        self.reference = Gauge(name + "reference_records", "Reference records known", registry=self.registry)
        self.reference_position = Gauge(
            name + "reference_position",
            "How far the reference data was taken in: the offset after the last record",
            registry=self.registry,
        )
        self.bad_reference = Counter(name + "reference_refused", "Reference records refused", registry=self.registry)
        self.bad_state = Counter(name + "state_refused", "Saved states that could not be read", registry=self.registry)
        self.rule_problems = Gauge(name + "rule_problems", "Rules refused at load", registry=self.registry)
        self.rules_refused = Counter(
            name + "rules_refused",
            "Packs of rules refused for a flaw or their signature, so that the one before stays",
            registry=self.registry,
        )
        self.rules_info = Gauge(name + "rules_info", "The version of the rules", ["version"], registry=self.registry)
        self.show_rules("")
        self._create_labels(rules, partitions)

    def show_rules(self, version: str) -> None:
        """Say which version of the rules is at work."""
        self.rules_info.clear()
        self.rules_info.labels(version).set(1)

    def _create_labels(self, rules: Iterable[tuple[str, str]], partitions: int) -> None:
        for fate in FATES:
            self.events.labels(fate)
        for reason in REASONS:
            self.dlq.labels(reason)
        for band in MODEL_BANDS:
            self.model_days.labels(band)
        for rule, level in rules:
            self.alerts.labels(rule, level if level in LEVELS else "medium")
        for stage in STAGES:
            self.held.labels(stage)
            self.retries.labels(stage)
            for partition in range(partitions):
                self.lag.labels(stage, str(partition))
                self.lag_seconds.labels(stage, str(partition))
                self.progress.labels(stage, str(partition))


class CanaryMetrics:
    """The metrics of ``monitor canary``."""

    def __init__(self, partitions: int = 0) -> None:
        self.registry = CollectorRegistry()
        name = "lookup_monitor_canary_"
        where = ["stage", "partition"]
        self.latency = Histogram(
            name + "latency_seconds",
            "From writing a canary to its answer",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.missing = Counter(name + "missing", "Answers that did not come in time", where, registry=self.registry)
        self.success = Gauge(
            name + "last_success_timestamp_seconds",
            "When all canaries of a round were last answered in time",
            registry=self.registry,
        )
        for stage in CANARY_STAGES:
            self.latency.labels(stage)
            for partition in range(partitions):
                self.missing.labels(stage, str(partition))


class WatchMetrics:
    """The metrics of ``monitor watch``. Registers are at most :data:`monitor.sources.MAX_REGISTERS`, and ``other``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name, of = "lookup_monitor_source_", ["register"]
        self.silent = Gauge(name + "silent", "1 when a register has gone silent", of, registry=self.registry)
        self.seen = Gauge(name + "seen", "Lookups in the last hour of event time", of, registry=self.registry)
        self.expected = Gauge(
            name + "expected", "Lookups usual in an hour like the last; NaN: not known yet", of, registry=self.registry
        )
        self.gaps = Counter(
            name + "gaps", "Alerts about lookups that never came, or counters begun anew", of, registry=self.registry
        )
        self.lost = Counter(
            name + "lost", "Lookups that never came, by the numbers that are missing", of, registry=self.registry
        )
        self.refused = Counter(
            name + "counters_refused", "Numbers of counters beyond those watched", registry=self.registry
        )
        self.bad = Counter(
            name + "state_refused", "Saved state or messages that could not be read", registry=self.registry
        )
        self.progress = Gauge(
            name + "last_progress_timestamp_seconds", "When the watch last heard of any source", registry=self.registry
        )


class RankMetrics:
    """The metrics of ``monitor rank``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = "lookup_monitor_rank_"
        self.dispositions = Counter(name + "dispositions", "Verdicts taken in", ["verdict"], registry=self.registry)
        self.refused = Counter(name + "refused", "Dispositions refused, by reason", ["reason"], registry=self.registry)
        self.learned = Gauge(name + "learned", "Verdicts the ranker has learned", registry=self.registry)
        self.brier = Gauge(
            name + "brier",
            "Fading mean squared error of the ranker, and of the rules' levels alone, on verdicts not yet learned",
            ["of"],
            registry=self.registry,
        )
        self.bad = Counter(
            name + "state_refused", "Saved state or messages that could not be read", registry=self.registry
        )
        self.progress = Gauge(
            name + "last_progress_timestamp_seconds",
            "When the ranker last asked Kafka for alerts and got an answer",
            registry=self.registry,
        )
        for verdict in VERDICTS:
            self.dispositions.labels(verdict)
        for reason in BAD_DISPOSITIONS:
            self.refused.labels(reason)
        for of in ("ranker", "level"):
            self.brier.labels(of)


class FairnessMetrics:
    """The metrics of ``monitor report fairness``, of one run."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name, of = "lookup_monitor_fairness_", ["dimension"]
        self.disparities = Gauge(
            name + "disparities", "Groups that alerts fall upon unevenly", of, registry=self.registry
        )
        self.shifts = Gauge(
            name + "shifts", "Groups whose alerts other rules or another model shift", of, registry=self.registry
        )
        self.run = Gauge(name + "last_run_timestamp_seconds", "When it was last looked", registry=self.registry)
        for dimension in DIMENSIONS:
            self.disparities.labels(dimension)
            self.shifts.labels(dimension)
