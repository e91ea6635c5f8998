"""The metrics of ``monitor audit relay``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class RelayMetrics:
    """What the relay of the audit log has done."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = "lookup_monitor_relay_"
        self.lookups = Counter(
            name + "lookups", "Lookups made of what the monitor's own users looked at", registry=self.registry
        )
        self.bad = Counter(name + "refused", "Audit records that could not be read", registry=self.registry)
        self.progress = Gauge(
            name + "last_progress_timestamp_seconds",
            "When the relay last asked Kafka for audit records and got an answer",
            registry=self.registry,
        )
