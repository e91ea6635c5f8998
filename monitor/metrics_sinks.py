"""The metrics of ``monitor sinks run``. Sinks are those of the file, each by its name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

REASONS: Final = ("refused", "broken")


class SinkMetrics:
    """The metrics of ``monitor sinks run``."""

    def __init__(self, sinks: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        name, of = "lookup_monitor_sink_", ["sink"]
        self.up = Gauge(name + "up", "0 while a sink does not take messages", of, registry=self.registry)
        self.delivered = Counter(name + "delivered", "Messages delivered", of, registry=self.registry)
        self.failed = Counter(
            name + "failed", "Tries after which a sink was taken to be down", of, registry=self.registry
        )
        self.refused = Counter(
            name + "refused", "Messages that a sink will never take", ["sink", "reason"], registry=self.registry
        )
        self.pending = Gauge(name + "pending", "Incidents a sink is to be told of", of, registry=self.registry)
        self.oldest = Gauge(
            name + "oldest_pending_seconds", "How long the first of them has waited", of, registry=self.registry
        )
        self.bad = Counter(
            name + "state_refused", "Saved state or messages that could not be read", registry=self.registry
        )
        self.progress = Gauge(
            name + "last_progress_timestamp_seconds",
            "When it last asked Kafka for incidents and got an answer",
            registry=self.registry,
        )
        for sink in sinks:
            self.up.labels(sink).set(1)
            for metric in (self.delivered, self.failed, self.pending, self.oldest):
                metric.labels(sink)
            for reason in REASONS:
                self.refused.labels(sink, reason)
