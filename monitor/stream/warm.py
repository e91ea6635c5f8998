"""State at hand: tables that are kept up to date before they are needed, so that a partition that comes need not be read anew.

Two kinds: those of partitions that this worker has just given back (most come again, since every change of the group takes
all partitions from all workers), and *standbys*, copies of what another worker has now, which Faust's assignor spreads over
the workers and prefers when that worker is gone. Both are what the changelog says up to :attr:`Table.synced`, no more: so
reading on from there gives what reading all of it would.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from monitor.connection import Connection
from monitor.metrics import Metrics
from monitor.stream.closing import leave
from monitor.stream.tables import Table, Tables, load, take_in

log = structlog.get_logger(__name__)
#: The part of a worker's time that may go into reading standbys, so that its own partitions come first.
SHARE = 0.25
#: After how long standbys are tried again when Kafka did not answer, in seconds.
_PAUSE = 1.0
_RECORDS_AT_ONCE = 500
#: What is fetched of one standby at a time, in bytes: it waits in memory until its turn comes.
_FETCH_BYTES = 1024 * 1024

Place = tuple[str, int]


class Ends:
    """Where changelogs end now, asked by one client that stays connected.

    A change of the group asks for all tables at once, most of which are up to date. To connect anew for each took a second.
    """

    def __init__(self, kafka: Connection) -> None:
        self._kafka = kafka
        self._client: AIOKafkaConsumer | None = None
        self._connecting = asyncio.Lock()

    async def of(self, place: Place) -> int:
        """The offset after the last record of a partition. Raises ``KafkaError``."""
        async with self._connecting:
            if self._client is None:
                client = AIOKafkaConsumer(**self._kafka.options(), enable_auto_commit=False)
                try:
                    await client.start()
                except BaseException:
                    await leave(client)
                    raise
                self._client = client
        part = TopicPartition(*place)
        return int((await self._client.end_offsets([part]))[part])

    async def stop(self) -> None:
        """Disconnect."""
        if self._client is not None:
            await leave(self._client)


class Warm:
    """The tables at hand. What is asked for is handed over, and is its new owner's from then on."""

    def __init__(self, kafka: Connection, tables: Tables, metrics: Metrics) -> None:
        self._kafka = kafka
        self._tables = tables
        self._metrics = metrics
        self._kept: dict[Place, Table] = {}
        #: Those of ``_kept`` that are followed.
        self._standbys: set[Place] = set()
        self._changed = asyncio.Event()
        self._ends = Ends(kafka)

    async def stop(self) -> None:
        """Close what it opened itself."""
        await self._ends.stop()

    async def table(self, topic: str, partition: int) -> Table:
        """The table of a partition, with all that its changelog has now; it is not followed any more.

        Raises ``KafkaError``; what was read until then need not be read again.
        """
        place = topic, partition
        self._unfollow(place)
        # Taken out at once: whoever else asks for the same partition meanwhile must get another.
        table = self._kept.pop(place, None) or self._tables.new(topic, partition)
        try:
            if not table.synced or await self._ends.of(place) != table.synced:
                await load(self._kafka, table)
        except BaseException:
            self._kept.setdefault(place, table)
            raise
        self._tell_refused(table)
        return table

    def keep(self, table: Table) -> None:
        """A table whose partition has gone, of which all that was changed is acknowledged, and which nobody changes any more."""
        self._kept[table.topic, table.partition] = table

    def assign(self, standbys: Iterable[Place], own: Iterable[Place]) -> None:
        """Follow these standbys, keep what there is of ``own``, and forget the rest."""
        wanted, own = set(standbys), set(own)
        for place in self._kept.keys() - wanted - own:
            del self._kept[place]
        for place in wanted - self._kept.keys():
            self._kept[place] = self._tables.new(*place)
        if wanted != self._standbys:
            self._standbys = wanted
            self._changed.set()
        self._metrics.standbys.set(len(wanted))
        self._metrics.standby_lag.set(0)

    def _unfollow(self, place: Place) -> None:
        if place in self._standbys:
            self._standbys.discard(place)
            self._changed.set()
            self._metrics.standbys.set(len(self._standbys))

    def _tell_refused(self, table: Table) -> None:
        if table.refused:
            self._metrics.bad_state.inc(table.refused)
            log.error("records of saved state refused, for their signature", topic=table.topic, records=table.refused)
            table.refused = 0

    async def follow(self) -> None:
        """Follow standbys, for ever. Raises :class:`monitor.stream.rocks.DiskFailed`."""
        while True:
            try:
                await self._follow_for_now()
            except (KafkaError, OSError) as error:
                self._metrics.retries.labels("standby").inc()
                log.warning("standbys wait: Kafka does not answer", error=type(error).__name__)
                await asyncio.sleep(_PAUSE)

    async def _follow_for_now(self) -> None:
        """Follow the standbys of now, until they change."""
        self._changed.clear()
        if not self._standbys:
            await self._changed.wait()
            return
        consumer = AIOKafkaConsumer(
            **self._kafka.options(),
            enable_auto_commit=False,
            fetch_max_wait_ms=200,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        try:
            await consumer.start()
            parts = [TopicPartition(*place) for place in self._standbys]
            consumer.assign(parts)
            first = await consumer.beginning_offsets(parts)
            for part in parts:
                if (table := self._kept.get(part)) is not None:
                    consumer.seek(part, max(table.synced, first[part]))
            while not self._changed.is_set():
                await self._take(consumer)
        finally:
            await leave(consumer)

    async def _take(self, consumer: Any) -> None:
        fetched = await consumer.getmany(timeout_ms=200, max_records=_RECORDS_AT_ONCE)
        began = time.monotonic()
        for part, records in fetched.items():
            # Asked here, where nothing else can run: once a table is handed over, its new owner alone changes it.
            if part not in self._standbys:
                continue
            table = self._kept[part]
            for record in records:
                take_in(table, record)
            self._tell_refused(table)
        behind = 0
        for part in self._standbys:
            end = consumer.highwater(TopicPartition(*part)) if part in consumer.assignment() else None
            behind += max(0, (end or 0) - self._kept[part].synced)
        self._metrics.standby_lag.set(behind)
        if fetched:
            await asyncio.sleep((time.monotonic() - began) * (1 / SHARE - 1))
