"""What the processes beside the workers have in common: one consumer, one writer, and patience with Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import Counter

from monitor import alerts
from monitor.settings import Settings
from monitor.stream.batches import BatchWriter
from monitor.stream.closing import leave

log = structlog.get_logger(__name__)
_RETRY_MAX = 10.0
#: How long what is being done may take when it is time to stop, in seconds.
_STOP_WITHIN = 5.0


def alerts_in(found: Mapping[TopicPartition, list[Any]], bad: Counter) -> Iterator[tuple[Any, alerts.Alert]]:
    """Each record of ``lookup.alerts.v1`` with its alert; one that cannot be read is told, and counted in ``bad``."""
    for part, records in found.items():
        for record in records:
            try:
                alert = alerts.decode(record.value or b"")
            except msgspec.MsgspecError:
                bad.inc()
                log.error("an alert cannot be read", partition=part.partition, offset=record.offset)
                continue
            yield record, alert


class Patient:
    """A process that works until it is told to stop, and tries again what Kafka does not take."""

    #: What it is called where it says that it stopped by itself.
    name: str

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._trouble: str | None = None

    async def run(self, stop: asyncio.Event) -> int:
        """Work until ``stop``; return 0, or 2 when it fails by itself."""
        work, ends = asyncio.create_task(self._work(stop)), asyncio.create_task(stop.wait())
        await asyncio.wait({work, ends}, return_when=asyncio.FIRST_COMPLETED)
        # What Kafka does not take when it is time to stop is not waited for: it is made again from the last state.
        await asyncio.wait({work}, timeout=_STOP_WITHIN)
        ends.cancel()
        if not work.done():
            work.cancel()
        failed = (await asyncio.gather(work, return_exceptions=True))[0]
        if isinstance(failed, Exception):
            log.error(f"{self.name} stopped by itself", why=type(failed).__name__)
            return 2
        return 0

    async def _work(self, stop: asyncio.Event) -> None:
        raise NotImplementedError

    def _reader(self, group: str | None = None) -> AIOKafkaConsumer:
        """A consumer, not started; with a group it can commit how far it has come."""
        return AIOKafkaConsumer(
            **self._settings.kafka.options(),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=200,
        )

    async def _open(self, group: str | None = None, *parts: TopicPartition) -> None:
        """Connect the consumer, of a group and with its partitions if any are given, and the writer.

        Raises ``KafkaError``; neither is left open then.
        """
        self._writer = BatchWriter(self._settings.kafka)
        self._consumer = self._reader(group)
        if parts:
            self._consumer.assign(list(parts))
        try:
            await self._writer.start()
            await self._consumer.start()
        except BaseException:
            await self._close()
            raise

    async def _close(self) -> None:
        # In this order when it ends: what was being read is not written any more.
        await leave(self._consumer)
        await self._writer.stop()

    async def _fetch(self, *parts: TopicPartition) -> dict[TopicPartition, list[Any]]:
        """What has come in some partitions; nothing when Kafka does not answer, which is then remembered."""
        try:
            found = await self._consumer.getmany(*parts, timeout_ms=500, max_records=2000)
        except KafkaError as error:
            self._trouble = type(error).__name__
            await asyncio.sleep(1.0)
            return {}
        self._trouble = None
        self._note_answer()
        return dict(found)

    def _note_answer(self) -> None:
        """Kafka has answered."""

    async def _until_done(self, act: Callable[[], Awaitable[Any]]) -> None:
        pause = 0.1
        while True:
            try:
                await act()
                self._trouble = None
                return
            except (KafkaError, OSError) as error:
                self._trouble = type(error).__name__
                await asyncio.sleep(pause)
                pause = min(_RETRY_MAX, pause * 2)
