"""The metrics of ``monitor incidents run``."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from monitor.feedback.disposition import REASONS as BAD_DISPOSITIONS
from monitor.incidents.book import FATES
from monitor.incidents.command import COMMANDS
from monitor.incidents.command import REASONS as BAD_COMMANDS
from monitor.incidents.head import Brief
from monitor.incidents.response import PAGED
from monitor.rules.model import LEVELS

QUEUES: Final = ("supervisor", "desk", "pager")
REFUSED: Final = tuple(dict.fromkeys((*BAD_COMMANDS, *BAD_DISPOSITIONS)))


class IncidentMetrics:
    """The metrics of ``monitor incidents run``. What is counted again after a crash is what is done again."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = "lookup_monitor_incidents_"
        self.open = Gauge(name + "open", "Incidents that are not closed", ["level"], registry=self.registry)
        self.oldest = Gauge(
            name + "oldest_unacknowledged_seconds",
            "Age of the oldest incident that nobody has acknowledged, by who was told; 0: there is none",
            ["queue"],
            registry=self.registry,
        )
        self.alerts = Counter(name + "alerts", "Alerts by what became of them", ["fate"], registry=self.registry)
        self.pages = Counter(name + "pages", "Pages, by why they went out", ["why"], registry=self.registry)
        self.escalations = Counter(
            name + "escalations", "Pages sent again because nobody acknowledged them", registry=self.registry
        )
        self.held = Counter(name + "held", "Pages not sent because the day's had been used up", registry=self.registry)
        self.muted = Counter(
            name + "muted", "Incidents of which one about a ring is told instead", registry=self.registry
        )
        self.left = Gauge(name + "pages_left", "Pages that are left of the day's", registry=self.registry)
        self.commands = Counter(name + "commands", "Commands done", ["command"], registry=self.registry)
        self.refused = Counter(
            name + "refused", "Commands and verdicts refused, by reason", ["reason"], registry=self.registry
        )
        self.bad = Counter(
            name + "state_refused", "Saved state or messages that could not be read", registry=self.registry
        )
        self.progress = Gauge(
            name + "last_progress_timestamp_seconds",
            "When it last asked Kafka for alerts and got an answer",
            registry=self.registry,
        )
        self._shown: Tally[str] = Tally()
        self._create_labels()

    def _create_labels(self) -> None:
        for level in LEVELS:
            self.open.labels(level)
        for queue in QUEUES:
            self.oldest.labels(queue)
        for fate in FATES:
            self.alerts.labels(fate)
        for why in PAGED:
            self.pages.labels(why)
        for command in COMMANDS:
            self.commands.labels(command)
        for reason in REFUSED:
            self.refused.labels(reason)

    def show(self, open_ones: Iterable[Brief], left: int, done: Tally[str], now: float) -> None:
        """Show the open incidents, the pages left, and what was done so far; ``now`` is in seconds since the epoch."""
        levels: Tally[str] = Tally()
        oldest: dict[str, int] = {}
        for each in open_ones:
            levels[each.level] += 1
            if each.status == "open" and not each.is_muted:
                oldest[each.response] = min(oldest.get(each.response, each.opened), each.opened)
        for level in LEVELS:
            self.open.labels(level).set(levels[level])
        for queue in QUEUES:
            self.oldest.labels(queue).set(max(0.0, now - oldest[queue] / 1000) if queue in oldest else 0.0)
        self.left.set(left)
        for why in PAGED:
            self.pages.labels(why).inc(done[why] - self._shown[why])
        for counter, what in ((self.escalations, "escalation"), (self.held, "held"), (self.muted, "muted")):
            counter.inc(done[what] - self._shown[what])
        self._shown = done.copy()
