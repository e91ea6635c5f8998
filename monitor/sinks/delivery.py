"""Delivery: one courier a sink, which tells it of every incident there is something to tell, and waits as long as the sink is down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import stamina
import structlog

from monitor.incidents.model import Incident, Notice
from monitor.metrics_sinks import SinkMetrics
from monitor.sinks.config import SinkConfig
from monitor.sinks.http import Refused, SinkDown
from monitor.sinks.kinds import Sink
from monitor.sinks.message import message_of
from monitor.sinks.plan import Mark, done, pending

log = structlog.get_logger(__name__)
#: So often it is tried at once; after that the sink is down and asked again after a pause that doubles up to the longest.
ATTEMPTS: Final = 3
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 60.0


class Clock:
    """The time, and waiting for it."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Offer(NamedTuple):
    """An incident as it was read: its message, and where that is."""

    incident: Incident
    record: Any


class Limiter:
    """A token bucket: ``rate`` a minute, and as many at once after a quiet minute."""

    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate, self._clock = rate, clock
        self._tokens, self._at = max(1.0, rate), clock.now()

    async def wait(self) -> None:
        """Wait for a token and take it."""
        while True:
            now = self._clock.now()
            self._tokens += max(0.0, now - self._at) * self._rate / 60
            self._tokens, self._at = min(max(1.0, self._rate), self._tokens), now
            if self._tokens >= 1.0 - 1e-9:
                self._tokens -= 1.0
                return
            await self._clock.sleep((1.0 - self._tokens) * 60 / self._rate)


class Courier:
    """Delivers to one sink. ``marks`` is what it has done, by incident; ``save`` makes a mark last before it goes on.

    ``refuse`` takes what the sink does not take. Both are tried by whoever gave them until they are done.
    """

    def __init__(
        self,
        config: SinkConfig,
        sink: Sink,
        marks: MutableMapping[str, Mark],
        save: Callable[[str, Mark], Awaitable[None]],
        refuse: Callable[[Offer, str, str, str], Awaitable[None]],
        metrics: SinkMetrics,
        clock: Clock,
    ) -> None:
        self.name = config.name
        self._config, self._sink, self._marks = config, sink, marks
        self._save, self._refuse = save, refuse
        self._metrics, self._clock = metrics, clock
        self._limiter = Limiter(config.rate, clock)
        self._waiting: dict[str, Offer] = {}
        self._is_offered = asyncio.Event()
        self._pause = FIRST_PAUSE
        #: Why it is down; ``None`` when it is not known to be.
        self.trouble: str | None = None

    def offer(self, offer: Offer) -> None:
        """Take in an incident as it is now."""
        name = offer.incident.id
        if self._pending(offer.incident):
            self._waiting[name] = offer
            self._is_offered.set()
        else:
            self._waiting.pop(name, None)
        self.show()

    def show(self) -> None:
        """Show how much waits, and since when."""
        self._metrics.pending.labels(self.name).set(len(self._waiting))
        # They wait in the order in which they came.
        first = next(iter(self._waiting.values()), None)
        notices = [] if first is None else self._pending(first.incident)
        age = max(0.0, self._clock.now() - _seconds(notices[0].time)) if notices else 0.0
        self._metrics.oldest.labels(self.name).set(age)

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            await self._is_offered.wait()
            await self.deliver_all()

    async def deliver_all(self) -> None:
        """Deliver until nothing waits."""
        while self._waiting:
            name = next(iter(self._waiting))
            notices = self._pending(self._waiting[name].incident)
            if notices:
                await self._limiter.wait()
                # What has come while it waited for its turn counts.
                offer = self._waiting.get(name)
                notices = [] if offer is None else self._pending(offer.incident)
                if offer is not None and notices:
                    await self._deliver(offer, notices[0])
                    continue
            self._waiting.pop(name, None)
        self._is_offered.clear()
        self.show()

    async def _deliver(self, offer: Offer, notice: Notice) -> None:
        try:
            await self._try(offer, notice)
        except SinkDown as error:
            await self._be_down(error)
            return
        except Refused as error:
            await self._give_up(offer, notice, "refused", str(error))
        except Exception as error:
            # One that cannot be put into words must not stop the others.
            await self._give_up(offer, notice, "broken", type(error).__name__)
        else:
            self._metrics.delivered.labels(self.name).inc()
            self._be_up()
        mark = done(self._marks.get(offer.incident.id, Mark()), notice)
        await self._save(offer.incident.id, mark)
        self._marks[offer.incident.id] = mark
        self.show()

    async def _try(self, offer: Offer, notice: Notice) -> None:
        message = message_of(offer.incident, notice)
        retry = stamina.retry_context(
            on=lambda error: isinstance(error, SinkDown) and error.wait is None,
            attempts=ATTEMPTS,
            timeout=None,
            wait_initial=0.2,
            wait_max=2.0,
        )
        async for attempt in retry:
            with attempt:
                await self._sink.deliver(message, offer.incident)

    async def _be_down(self, error: SinkDown) -> None:
        if self.trouble is None:
            log.error("a sink is down", sink=self.name, why=str(error))
        self.trouble = str(error)
        self._metrics.up.labels(self.name).set(0)
        self._metrics.failed.labels(self.name).inc()
        self.show()
        pause = self._pause if error.wait is None else max(self._pause, min(error.wait, 3600.0))
        self._pause = min(LONGEST_PAUSE, self._pause * 2)
        await self._clock.sleep(pause)

    def _be_up(self) -> None:
        if self.trouble is not None:
            log.info("a sink is back", sink=self.name)
        self.trouble, self._pause = None, FIRST_PAUSE
        self._metrics.up.labels(self.name).set(1)

    async def _give_up(self, offer: Offer, notice: Notice, reason: str, detail: str) -> None:
        log.error("a sink does not take a message", sink=self.name, reason=reason, detail=detail)
        self._metrics.refused.labels(self.name, reason).inc()
        await self._refuse(offer, f"{offer.incident.id}/{notice.number}", reason, detail)

    def _pending(self, incident: Incident) -> list[Notice]:
        mark = self._marks.get(incident.id, Mark())
        return pending(incident, mark, self._config.notices, self._sink.is_record)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
