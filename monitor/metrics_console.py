"""The metrics of ``monitor console``. Pages are those of a closed set; nobody who is looked at or looks is in them."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: The pages, as the label ``page``.
PAGES: Final = (
    "queue", "incident", "pending", "act", "actor", "subject", "rules", "live", "dispositions", "review", "search", "identities", "other",
)  # fmt: skip
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 10)


class ConsoleMetrics:
    """The metrics of ``monitor console``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = "lookup_monitor_console_"
        self.behind = Gauge(name + "behind", "Messages that are not in the store yet", registry=self.registry)
        self.refused = Counter(name + "refused", "Messages that could not be read", registry=self.registry)
        self.progress = Gauge(
            name + "last_progress_timestamp_seconds",
            "When it last asked Kafka for messages and got an answer",
            registry=self.registry,
        )
        self.seconds = Histogram(
            name + "page_seconds", "What it took to answer", ["page"], buckets=_SECONDS, registry=self.registry
        )
        self.failed = Counter(
            name + "failed", "Pages that could not be answered (5xx)", ["page"], registry=self.registry
        )
        for page in PAGES:
            self.seconds.labels(page)
            self.failed.labels(page)
