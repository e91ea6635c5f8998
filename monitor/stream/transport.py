"""Faust's Kafka transport, delivering one message for a whole fetched chunk of a partition.

Stock Faust spends some 80 µs on every record before an agent sees it. Here a record costs almost nothing: the consumer
yields one message whose value is the list of the chunk's records and whose offset is the last record's. Membership,
assignment, flow control and commits stay Faust's; only the bookkeeping of what may be committed is ours, and it is
simple: the chunks of a partition are committed in the order they came, up to the first that is not acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from aiokafka.errors import IllegalStateError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage, Message

#: The most records in one chunk, and the most bytes of their values, so that a partition with a backlog neither starves the
#: others nor blows up memory. A record that is longer is a chunk of its own.
MAX_CHUNK = 2000
MAX_CHUNK_BYTES = 700_000


#: The longest Kafka holds a fetch for which it has nothing, in milliseconds. Faust asks for 1,500. aiokafka has one fetch in
#: flight, for the partitions it holds nothing of; meanwhile one that is read faster than the others gets no new records.
FETCH_WAIT_MS = 40


#: The headers of a chunk: how often the consumer had set its positions, and how many chunks of the partition it had delivered
#: since. By these the stage that gets it sees whether one is missing before it (:class:`Order`).
SEEKS, SERIAL = "seeks", "serial"

log = logging.getLogger(__name__)


class Order:
    """Whether chunks come to a stage without one missing between them."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, int]] = {}

    def is_next(self, partition: int, headers: Mapping[str, int]) -> bool:
        """Whether this is the first chunk since positions were set, or the one after the last that was asked about."""
        here = headers[SEEKS], headers[SERIAL]
        seeks, serial = self._last.get(partition, (-1, -1))
        if here != (seeks, serial + 1) and not (here[0] > seeks and here[1] == 0):
            return False
        self._last[partition] = here
        return True


def pieces_of(records: list[Any]) -> Iterator[list[Any]]:
    """The records in chunks of at most MAX_CHUNK_BYTES, in order; none when there is no record."""
    first = size = 0
    for at, record in enumerate(records):
        length = len(record.value or b"")
        if at > first and size + length > MAX_CHUNK_BYTES:
            yield records[first:at]
            first, size = at, 0
        size += length
    if records:
        yield records[first:] if first else records


async def seek_to_committed(consumer: Any) -> Mapping[Any, int | None]:
    """Seek every partition of an aiokafka consumer to its committed offset, or to its beginning when it has none.

    aiokafka's own leaves a partition of which nothing is committed where it is. Faust drops what it fetched while partitions
    were handed out, and seeks to have it again: of such a partition it would never have come again.
    """
    try:
        # With no partition at all it fails.
        committed = await consumer.seek_to_committed() if consumer.assignment() else {}
        if fresh := [tp for tp, offset in committed.items() if not offset or offset < 0]:
            await consumer.seek_to_beginning(*fresh)
    except IllegalStateError:
        # Partitions have gone to someone else meanwhile; what comes of that seeks again.
        return {}
    return dict(committed)


class ChunkThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread, with a shorter wait in a fetch."""

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> Any:
        consumer = super()._create_consumer(loop)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch, and note what was fetched before anybody can see that the position has moved."""
        records = await super()._fetch_records(*args, **kwargs)
        self.consumer.note_fetched(records)
        return records

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every partition to what is committed of it, and to its beginning where nothing is."""
        return await self.call_thread(seek_to_committed, self._ensure_consumer())  # type: ignore[no-any-return]


class ChunkConsumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, but with one message a chunk."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._delivered: dict[TP, deque[int]] = {}
        #: The last offset that was fetched of a partition, and that was acknowledged.
        self._fetched: dict[TP, int] = {}
        self._done: dict[TP, int] = {}
        self._committed: dict[TP, int] = {}
        #: How often positions were set; how many chunks of a partition were delivered since, and where the next begins.
        self._seeks = 0
        self._serial: Counter[TP] = Counter()
        self._next: dict[TP, int] = {}
        #: From which offset a partition was read again since records before it were missing.
        self._again: dict[TP, int] = {}

    def _new_consumer_thread(self) -> ChunkThread:
        return ChunkThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Yield (partition, message); the message's value is a list of aiokafka records of that partition."""
        generation = self.app.consumer_generation_id
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        # A fetch that was begun before a rebalance and ends after it may hold records from either side of it.
        if not self.flow_active or self.app.consumer_generation_id != generation:
            await self.perform_seek()
            return
        wanted = {
            tp: fetched
            for tp, fetched in records.items()
            if fetched and (active is None or tp in active or tp in self._buffered_partitions)
        }
        for tp, fetched in wanted.items():
            if await self._is_torn(tp, fetched[0].offset):
                continue
            for chunk in pieces_of(fetched):
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return
                self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
                yield tp, self._deliver(tp, chunk)

    async def _is_torn(self, tp: TP, first: int) -> bool:
        """Whether offsets before ``first`` are missing that were not looked for yet; the partition is then read again from there.

        When they are missing again they are not in the log: the markers of transactions, or what Kafka has deleted by age.
        """
        due = self._next.get(tp)
        if due is None or first <= due or self._again.get(tp) == due:
            return False
        self._again[tp] = due
        log.info("%s/%d: offsets %d-%d did not come; reading them again", tp.topic, tp.partition, due, first - 1)
        await self.seek_wait({tp: due})
        return True

    def _deliver(self, tp: TP, chunk: list[Any]) -> ConsumerMessage:
        # Delivered from here on, it holds back the commit of whatever comes after it until it is acknowledged. An
        # acknowledgement left from before a rebalance must not count for it.
        last = chunk[-1].offset
        self._acked_index[tp].discard(last)
        self._delivered.setdefault(tp, deque()).append(last)
        message = self._chunk_message(tp, chunk)
        self._serial[tp] += 1
        self._next[tp] = last + 1
        return message

    def _chunk_message(self, tp: TP, chunk: list[Any]) -> ConsumerMessage:
        last = chunk[-1]
        return ConsumerMessage(
            last.topic,
            last.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            {SEEKS: self._seeks, SERIAL: self._serial[tp]},
            None,
            chunk,  # type: ignore[arg-type]  # the raw codec hands it on as it is
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def ack(self, message: Message) -> bool:
        """Note that a chunk is done."""
        self._done[message.tp] = max(message.offset, self._done.get(message.tp, -1))
        return bool(super().ack(message))

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what may be committed. Not after the app has crashed.

        The consumer's thread ends by itself then, and what is asked of a thread that has ended is never answered: the worker
        would wait for it for ever, with its partitions.
        """
        return not self.crashed and bool(await super().commit(topics, start_new_transaction))

    def committed(self, tp: TP) -> int:
        """The offset before which no record of the partition comes again; 0 when none is known."""
        return self._committed.get(tp, 0)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Faust's own note of what is committed is made whether or not Kafka took it.
        done = bool(await super()._commit(offsets))
        if done:
            self._committed.update(offsets)
        return done

    def note_fetched(self, records: Mapping[TP, Sequence[Any]]) -> None:
        """Called in the consumer's thread: these are in hand until they are acknowledged."""
        self._fetched.update({tp: fetched[-1].offset for tp, fetched in records.items() if fetched})

    def is_in_hand(self, tp: TP) -> bool:
        """Whether something was fetched of the partition that is not acknowledged: its position says nothing then."""
        return tp in self._fetched and self._done.get(tp, -1) < self._fetched[tp]

    def end_of(self, tp: TP) -> int | None:
        """The end of a partition as of the last fetch; ``None`` before the first, and when the partition has gone to someone else.

        aiokafka says the latter with an assertion. Raised in an agent, that would end the agent, and nothing would be read.
        """
        try:
            end = self.highwater(tp)
        except AssertionError:
            return None
        return None if end is None else int(end)

    async def is_read_up(self, tp: TP) -> bool | None:
        """Whether there is nothing in the partition, now, that was not fetched and acknowledged.

        The broker is asked: what the last fetch said of the end is not known before the first one, which may be long in coming.
        ``None`` when it is not known, since Kafka does not answer or the partition has gone to someone else.
        """
        try:
            position = await self.position(tp)
            end = (await self.highwaters(tp)).get(tp)
        except (KafkaError, AssertionError):
            return None
        # In this order: what was fetched since the position was asked is in hand.
        return position is not None and end is not None and position >= end and not self.is_in_hand(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """A chunk stands for all its records, so the offsets between two chunks are no gap."""

    def _new_offset(self, tp: TP) -> int | None:
        delivered = self._delivered.get(tp)
        acked = self._acked_index[tp]
        reached = None
        while delivered and delivered[0] in acked:
            reached = delivered.popleft()
            acked.discard(reached)
        if reached is None:
            return None
        self._acked[tp] = [offset for offset in self._acked[tp] if offset > reached]
        return reached + 1

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget the chunks of partitions that are someone else's now."""
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._delivered.pop(tp, None)
            self._fetched.pop(tp, None)
            self._done.pop(tp, None)
            self._committed.pop(tp, None)
            self._next.pop(tp, None)

    async def perform_seek(self) -> None:
        """After a seek the chunks come again, so what was delivered before counts no more."""
        self._delivered.clear()
        await super().perform_seek()
        # Not before: until the position is back, what was fetched and dropped must count as in hand.
        self._fetched.clear()
        self._done.clear()
        self._seeks += 1
        self._serial.clear()
        self._next = {tp: offset for tp, offset in self._read_offset.items() if offset}


class ChunkTransport(driver.Transport):  # type: ignore[misc]
    """Install with ``app.transport = ChunkTransport(...)``."""

    Consumer = ChunkConsumer
