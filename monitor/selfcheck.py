"""The self-check: the last span run again, over and over, with metrics of what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from monitor.agree import HOWS, Agreement
from monitor.evidence import Unusable
from monitor.evidence.check import Checked, check
from monitor.evidence.survey import span_of
from monitor.http import serve
from monitor.settings import Settings
from monitor.stream.masking import masks_if_known, sealer_of

log = structlog.get_logger(__name__)
RESULTS: Final = ("equal", "differs", "broken")
#: After a check that broke, the next comes after so many seconds, or sooner if it is due.
_AGAIN_AFTER: Final = 300.0
#: So many of the differences are logged.
_LOGGED: Final = 50


class ReplayMetrics:
    """The metrics of the self-check, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = "lookup_monitor_replay_"
        self.mismatch = Counter(
            name + "mismatch", "Alerts in which a replay differed from live", ["how"], registry=self.registry
        )
        self.runs = Counter(name + "runs", "Replays, by what came of them", ["result"], registry=self.registry)
        self.compared = Gauge(name + "compared_alerts", "Alerts the last replay compared", registry=self.registry)
        self.left_out = Gauge(
            name + "left_out_alerts", "Alerts the last replay could not compare", registry=self.registry
        )
        self.duration = Gauge(name + "duration_seconds", "How long the last replay took", registry=self.registry)
        self.success = Gauge(
            name + "last_success_timestamp_seconds",
            "When a replay last came to its end, whatever it found",
            registry=self.registry,
        )
        for how in HOWS:
            self.mismatch.labels(how)
        for result in RESULTS:
            self.runs.labels(result)

    def note(self, found: Agreement, seconds: float) -> None:
        """Note what came of a replay."""
        for difference in found.differences:
            self.mismatch.labels(difference.how).inc()
        self.runs.labels("differs" if found.differences else "equal").inc()
        self.compared.set(found.compared)
        self.left_out.set(sum(found.left_out.values()))
        self.duration.set(seconds)
        self.success.set(time.time())


class SelfCheck:
    """Runs a span again every so often. ``why_not_ready`` is why the last one broke."""

    def __init__(self, act: Callable[[], Checked], every: float) -> None:
        """``act`` is the check, ``every`` how often, in seconds."""
        self.metrics = ReplayMetrics()
        self.why_not_ready: str | None = "the first replay has not come to its end"
        self._act = act
        self._every = every

    def run(self, stop: threading.Event) -> None:
        """Check now and then every so often, until told to stop."""
        while not stop.is_set():
            began = time.monotonic()
            is_done = self.once()
            pause = self._every if is_done else min(self._every, _AGAIN_AFTER)
            stop.wait(max(0.0, pause - (time.monotonic() - began)))

    def once(self) -> bool:
        """Check once; whether it came to its end."""
        began = time.monotonic()
        try:
            found = self._act().agreement
        except Exception as error:  # whatever it is, the next one may do better; that this one broke is seen
            # What we say ourselves names nobody; what others say may (promise 7).
            why = str(error) if isinstance(error, Unusable) else type(error).__name__
            self.why_not_ready = f"the last replay broke: {why}"
            self.metrics.runs.labels("broken").inc()
            log.error("replay broke", why=why)
            return False
        self.why_not_ready = None
        self.metrics.note(found, time.monotonic() - began)
        _tell(found)
        return True


def _tell(found: Agreement) -> None:
    log.info(
        "replayed",
        equal=found.equal,
        differ=len(found.differences),
        undecided=found.undecided,
        left_out=sum(found.left_out.values()),
    )
    for each in found.differences[:_LOGGED]:
        log.warning("alert differs", how=each.how, alert=each.id, rule=each.rule, time=each.time, place=each.place)


def recheck(settings: Settings, span_ms: int, wait: float) -> Checked:
    """Run the last ``span_ms`` again. Raises :class:`Unusable` and kafka-python's ``KafkaError``."""
    now = int(time.time() * 1000)
    with span_of(settings, now - span_ms, now, wait) as span:
        if span.facts.behind:
            raise Unusable(f"the workers are {span.facts.behind:,} messages behind")
        return check(span, forms=masks_if_known(settings), sealer=sealer_of(settings))


def serve_checks(settings: Settings, every_ms: int, span_ms: int, wait: float, stop: threading.Event) -> None:
    """Run the self-check with its pages until told to stop. Raises ``OSError`` when the port is taken."""
    checks = SelfCheck(lambda: recheck(settings, span_ms, wait), every_ms / 1000)
    server = serve(settings, checks.metrics, lambda: checks.why_not_ready)
    print(f"replay: metrics at http://{settings.metrics_host}:{server.server_port}/metrics", flush=True)
    try:
        checks.run(stop)
    finally:
        server.shutdown()
        server.server_close()
