"""The metrics of ``monitor outcomes run``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from monitor.trace.outcome import KINDS, REASONS


class OutcomeMetrics:
    """The metrics of ``monitor outcomes run``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = "lookup_monitor_outcomes_"
        self.traced = Counter(
            name + "traced", "Outcomes that were traced, or added nothing", ["kind"], registry=self.registry
        )
        for kind in KINDS:
            self.traced.labels(kind)
        self.refused = Counter(name + "refused", "Messages that are no outcome", ["reason"], registry=self.registry)
        for reason in REASONS:
            self.refused.labels(reason)
        self.alerts = Counter(name + "alerts", "Alerts that were raised by outcomes", registry=self.registry)
        self.oldest = Gauge(
            name + "oldest_seconds",
            "How long ago the outcome was received that waits until the archive has the lookups before it; 0: none waits",
            registry=self.registry,
        )
        self.progress = Gauge(
            name + "last_progress_timestamp_seconds",
            "When it last asked Kafka for outcomes and got an answer",
            registry=self.registry,
        )
