"""The reference data in a worker: the whole compacted topic first, then every change as it comes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.metrics import Metrics
from monitor.reference import BadRecord, Reference
from monitor.rerun import Fact, put
from monitor.stream.store import BlobStore
from monitor.stream.topics import REFERENCE

log = structlog.get_logger(__name__)


class ReferenceFeed:
    """Keeps a :class:`Reference` in step with ``lookup.reference.v1``. Every worker reads all of it."""

    def __init__(self, bootstrap: str, metrics: Metrics) -> None:
        self._store = BlobStore()
        self.reference = Reference(store=self._store)
        self._metrics = metrics
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=200)
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
        self._tail = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Stop following."""
        if self._tail is not None:
            self._tail.cancel()
            with suppress(asyncio.CancelledError):
                await self._tail
        await self._consumer.stop()
        self._store.close()

    async def _follow(self) -> None:
        while True:
            await self._take(timeout_ms=1000)

    async def _take(self, timeout_ms: int) -> None:
        for records in (await self._consumer.getmany(timeout_ms=timeout_ms, max_records=5000)).values():
            for record in records:
                self._put(record.key, record.value, record.offset)
        self._metrics.reference.set(len(self.reference))

    def _put(self, key: bytes | None, value: bytes | None, offset: int) -> None:
        try:
            put(self.reference, Fact(offset, 0, key, value))
        except BadRecord:
            self._metrics.bad_reference.inc()
            log.warning("reference record refused", topic=REFERENCE, partition=0, offset=offset)
