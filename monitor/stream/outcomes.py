"""``monitor outcomes run``: each outcome starts a leak trace by itself, as soon as the archive has every lookup that was received before it.

What it knows is the topic itself, read from its beginning; how far it has traced is committed when Kafka has the alerts. Killed between the
two, it traces the same list in the same archive again, and raises the same alerts, which are known by their ids.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any, Final

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from monitor.alerts import Alert
from monitor.archive.store import Archive, ArchiveMissing
from monitor.history.ask import History, Period
from monitor.metrics_outcomes import OutcomeMetrics
from monitor.privacy.mask import Mask
from monitor.settings import Settings
from monitor.stream.batches import refusal
from monitor.stream.closing import leave
from monitor.stream.detect import alert_out, as_it_is
from monitor.stream.patient import Patient
from monitor.stream.topics import EVENTS, KEYED, OUTCOMES, OUTCOMES_DLQ
from monitor.trace.alert import of_outcome
from monitor.trace.ask import WITHIN_DAYS, trace_of
from monitor.trace.outcome import Ask, BadOutcome, Outcomes, decode, span_of

log = structlog.get_logger(__name__)
_TP: Final = TopicPartition(OUTCOMES, 0)
GROUP_SUFFIX: Final = "-outcomes"
#: Seconds between looks whether the workers and the archive have come far enough.
_LOOK_EVERY: Final = 0.5


class Tracing(Patient):
    """The shell around :class:`monitor.trace.outcome.Outcomes` and the trace."""

    name = "the process of outcomes"

    def __init__(self, settings: Settings, archive: Archive, mask: Mask | None, metrics: OutcomeMetrics) -> None:
        """``mask`` makes pseudonyms of the names in alerts; without it they are written as they are."""
        super().__init__(settings)
        self._archive, self._metrics = archive, metrics
        self._shown = as_it_is if mask is None else mask.alert
        self._outcomes = Outcomes(settings.outcome_days)
        self._has_begun = False
        self._received: int | None = None

    def why_not_ready(self) -> str | None:
        """``None`` while it does its work, else why not. An outcome that waits for the archive is no reason: a metric says so."""
        if self._trouble is not None:
            return f"Kafka: {self._trouble}"
        return None if self._has_begun else "starting"

    def _note_answer(self) -> None:
        self._has_begun = True
        self._metrics.progress.set(time.time())
        waits = 0.0 if self._received is None else max(0.0, time.time() - self._received / 1000)
        self._metrics.oldest.set(waits)

    async def _open(self, group: str | None = None, *parts: TopicPartition) -> None:
        #: Only asked how far the workers have come; it is given no partition and reads nothing.
        self._workers = self._reader(self._settings.group)
        await super()._open(group, *parts)
        try:
            await self._workers.start()
            self._done = await self._consumer.committed(_TP) or 0
            self._consumer.seek(_TP, (await self._consumer.beginning_offsets([_TP]))[_TP])
        except BaseException:
            await self._close()
            raise

    def _parts_of(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self._settings.partitions)]

    async def _close(self) -> None:
        await leave(self._workers)
        await super()._close()

    async def _work(self, stop: asyncio.Event) -> None:
        await self._until_done(lambda: self._open(self._settings.group + GROUP_SUFFIX, _TP))
        try:
            while not stop.is_set():
                for records in (await self._fetch(_TP)).values():
                    for record in records:
                        if not await self._take(record, stop):
                            return
        finally:
            await self._close()

    async def _take(self, record: Any, stop: asyncio.Event) -> bool:
        """Trace one outcome, unless that was done; ``False`` when it is time to stop before it could be."""
        kind, asks, out = None, [], []
        try:
            outcome = decode(record.value)
            kind, asks = outcome.kind, self._outcomes.take(outcome)
        except BadOutcome as error:
            out = [refusal(OUTCOMES_DLQ, 0, record, error.reason, error.detail, None)]
            if record.offset >= self._done:
                self._metrics.refused.labels(error.reason).inc()
                log.warning("an outcome was refused", reason=error.reason, offset=record.offset)
        if record.offset < self._done:
            return True
        if asks:
            self._received = record.timestamp
            if not await self._is_archived(record.timestamp, stop):
                return False
            found = await asyncio.to_thread(self._trace, asks)
            self._received = None
            out = [alert_out(self._shown(each), self._settings.partitions, record.timestamp) for each in found]
        if out:
            await self._until_done(lambda: self._writer.write(out))
        past = {_TP: OffsetAndMetadata(record.offset + 1, "")}
        await self._until_done(lambda: self._consumer.commit(past))
        self._done = record.offset + 1
        if kind is not None:
            self._metrics.traced.labels(kind).inc()
            self._metrics.alerts.inc(len(out))
            log.info("an outcome was traced", kind=kind, offset=record.offset, lists=len(asks), alerts=len(out))
        self._note_answer()
        return True

    def _trace(self, asks: list[Ask]) -> list[Alert]:
        within = timedelta(days=WITHIN_DAYS)
        found = []
        for ask in asks:
            history = History(self._archive, Period(*span_of(ask.leaks, within)))
            trace, looks = trace_of(history, ask.leaks, within)
            found.append((ask, trace.suspects(), looks))
            history.db.close()
        return of_outcome(found)

    async def _is_archived(self, received: int, stop: asyncio.Event) -> bool:
        """Wait until the archive has every lookup that Kafka had received by then; ``False`` when it is time to stop."""
        events, keyed = self._parts_of(EVENTS), self._parts_of(KEYED)
        # Lookups up to there, then whatever the workers had made of them: each is asked for once, so it is an end that is reached.
        wanted = await self._asked(lambda: self._until(events, received), stop)
        while wanted is not None and not await self._asked(lambda: self._workers_at(wanted), stop):
            if stop.is_set():
                return False
            await self._pause(stop)
        made = await self._asked(lambda: self._consumer.end_offsets(keyed), stop)
        while made is not None and not stop.is_set():
            if await asyncio.to_thread(self._archive_at, made):
                return True
            await self._pause(stop)
        return False

    async def _pause(self, stop: asyncio.Event) -> None:
        self._note_answer()
        try:
            await asyncio.wait_for(stop.wait(), _LOOK_EVERY)
        except TimeoutError:
            pass

    async def _asked(self, ask: Any, stop: asyncio.Event) -> Any:
        """Kafka's answer, asked again until there is one; ``None`` when it is time to stop."""
        while not stop.is_set():
            try:
                answer = await ask()
                self._trouble = None
                return answer
            except (KafkaError, OSError) as error:
                self._trouble = type(error).__name__
                await self._pause(stop)
        return None

    async def _until(self, parts: list[TopicPartition], received: int) -> dict[TopicPartition, int]:
        """The offset of the first record of each partition that was received after then, or its end."""
        ends = await self._consumer.end_offsets(parts)
        later = await self._consumer.offsets_for_times(dict.fromkeys(parts, received + 1))
        return {part: ends[part] if later.get(part) is None else later[part].offset for part in parts}

    async def _workers_at(self, wanted: dict[TopicPartition, int]) -> bool:
        for part, offset in wanted.items():
            if offset and (await self._workers.committed(part) or 0) < offset:
                return False
        return True

    def _archive_at(self, wanted: dict[TopicPartition, int]) -> bool:
        try:
            reached = self._archive.positions(f"{part.topic}/{part.partition}" for part in wanted)
        except ArchiveMissing:
            return not any(wanted.values())
        return all(reached.get(f"{part.topic}/{part.partition}", 0) >= offset for part, offset in wanted.items())
