"""The metrics of ``monitor archive run``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ArchiveMetrics:
    """The metrics of ``monitor archive run``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = "lookup_monitor_archive_"
        self.archived = Counter(name + "lookups", "Lookups that were archived", registry=self.registry)
        self.again = Counter(
            name + "again", "Lookups that came and were in the archive already", registry=self.registry
        )
        self.missed = Counter(
            name + "missed",
            "Messages of lookup.keyed.v1 that Kafka had dropped before they were archived",
            registry=self.registry,
        )
        self.bad = Counter(
            name + "unreadable", "Messages of lookup.keyed.v1 that hold no lookup", registry=self.registry
        )
        self.forgotten = Counter(name + "forgotten", "Lookups that were removed for their age", registry=self.registry)
        self.waiting = Gauge(
            name + "waiting", "Lookups that were read and are not yet archived", registry=self.registry
        )
        self.newest = Gauge(
            name + "newest_timestamp_seconds", "Event time of the newest lookup in the archive", registry=self.registry
        )
        self.progress = Gauge(
            name + "last_progress_timestamp_seconds",
            "When it last asked Kafka for lookups and got an answer",
            registry=self.registry,
        )
