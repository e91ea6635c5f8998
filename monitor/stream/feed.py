"""The reference data in a worker: the whole compacted topic first, then every change as it comes.

Every worker reads all of its one partition, so all take in the same records in the same order. What was taken in is known by the
position in it (:attr:`Reference.position`): by the same position all workers know the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from monitor.connection import Connection
from monitor.metrics import Metrics
from monitor.reference import BadRecord, Reference
from monitor.rerun import Fact, put
from monitor.sealed_watch import Sealer
from monitor.stream.closing import leave
from monitor.stream.store import BlobStore
from monitor.stream.topics import REFERENCE

log = structlog.get_logger(__name__)
#: How long what another worker has taken in may take to come here, in seconds: it was in Kafka before.
_COMES_WITHIN: Final = 30.0
#: A Kafka that has not answered within so many seconds is away.
_ANSWERS_WITHIN: Final = 5.0


class ReferenceFeed:
    """Keeps a :class:`Reference` in step with ``lookup.reference.v1``. Every worker reads all of it."""

    def __init__(
        self,
        kafka: Connection,
        metrics: Metrics,
        follow: Callable[[asyncio.Task[None]], None] = lambda task: None,
        heard: Callable[[bool], None] = lambda does_answer: None,
        sealer: Sealer | None = None,
    ) -> None:
        """``follow`` is told the task that keeps it in step; when that fails, what is known is no longer what is there.

        ``heard`` is told, about once a second, whether Kafka answers. ``sealer`` knows sealed watches again.
        """
        self._store = BlobStore()
        self.reference = Reference(store=self._store, sealer=sealer)
        self._metrics = metrics
        self._told, self._heard = follow, heard
        # A topic that was made anew is read from its beginning.
        self._consumer = AIOKafkaConsumer(
            **kafka.options(), enable_auto_commit=False, fetch_max_wait_ms=200, auto_offset_reset="earliest"
        )
        self._came = asyncio.Condition()
        self._tail: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what is there now, then go on in the background."""
        await self._consumer.start()
        tp = TopicPartition(REFERENCE, 0)
        self._consumer.assign([tp])
        await self._consumer.seek_to_beginning(tp)
        end = (await self._consumer.end_offsets([tp]))[tp]
        while await self._consumer.position(tp) < end:
            await self._take(timeout_ms=1000)
        # The last offsets may have no record any more.
        self.reference.position = max(self.reference.position, end)
        self._tail = asyncio.create_task(self._follow(), name=REFERENCE)
        self._told(self._tail)

    async def stop(self) -> None:
        """Stop following."""
        if self._tail is not None:
            self._tail.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._tail
        await leave(self._consumer)
        self._store.close()

    async def reached(self, position: int) -> bool:
        """Wait until the reference data is at least that of ``position``: whoever enriched by it was another worker.

        False when it is not after 30 s, as when the topic was made anew and is shorter now.
        """
        if self.reference.position < position:
            async with self._came:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_COMES_WITHIN):
                        await self._came.wait_for(lambda: self.reference.position >= position)
            if self.reference.position < position:
                log.error("reference data another worker had is not there; going on", position=position)
        return self.reference.position >= position

    async def _follow(self) -> None:
        while True:
            await self._take(timeout_ms=1000)
            self._heard(await self._does_answer())

    async def _does_answer(self) -> bool:
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                await self._consumer.end_offsets([TopicPartition(REFERENCE, 0)])
        except (KafkaError, OSError, TimeoutError):
            return False
        return True

    async def _take(self, timeout_ms: int) -> None:
        for records in (await self._consumer.getmany(timeout_ms=timeout_ms, max_records=5000)).values():
            for record in records:
                self._put(record.key, record.value, record.offset)
            async with self._came:
                self._came.notify_all()
        self._metrics.reference.set(len(self.reference))
        self._metrics.reference_position.set(self.reference.position)

    def _put(self, key: bytes | None, value: bytes | None, offset: int) -> None:
        try:
            put(self.reference, Fact(offset, 0, key, value))
        except BadRecord:
            self._metrics.bad_reference.inc()
            log.warning("reference record refused", topic=REFERENCE, partition=0, offset=offset)
