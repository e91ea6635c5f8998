"""Writing many records to Kafka as whole record batches, and waiting until Kafka has them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from monitor.connection import Connection
from monitor.stream.closing import leave

BATCH_BYTES = 512 * 1024
MAX_REQUEST_BYTES = 4 * 1024 * 1024


class Out(NamedTuple):
    """One record to write. ``timestamp`` is milliseconds since the epoch; ``None`` is the time at which it is written.

    What does not come of a record with a time of its own should have ``None``: Kafka refuses what is stamped more than an
    hour ahead of its own clock, and what was stamped by a clock that was wrong for a while could never be written.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp: int | None
    headers: tuple[tuple[str, bytes], ...] = ()


def refusal(topic: str, partition: int, record: Any, reason: str, detail: str, timestamp: int | None) -> Out:
    """A refused message on its way to a DLQ: it keeps its bytes, with reason and origin in the headers."""
    headers = (
        ("reason", reason.encode()),
        ("detail", detail.encode()[:1000]),
        ("topic", record.topic.encode()),
        ("partition", str(record.partition).encode()),
        ("offset", str(record.offset).encode()),
        ("timestamp", str(record.timestamp).encode()),
        *((f"original.{name}", value) for name, value in record.headers or ()),
    )
    return Out(topic, partition, record.key, record.value, timestamp, headers)


class Span(NamedTuple):
    """Where Kafka has put records that lie behind each other: the first one's offset, and the offset after the last."""

    topic: str
    partition: int
    first: int
    end: int


class BatchWriter:
    """Writes records as batches. :meth:`write` returns only when every replica asked for has them."""

    def __init__(self, kafka: Connection) -> None:
        self._producer = AIOKafkaProducer(
            **kafka.options(),
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            linger_ms=0,
            request_timeout_ms=30_000,
        )

    async def start(self) -> None:
        """Connect. Raises aiokafka's ``KafkaConnectionError`` when Kafka cannot be reached."""
        await self._producer.start()

    async def stop(self) -> None:
        """Send what is left and disconnect."""
        await leave(self._producer)

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return len(await self._producer.partitions_for(topic))

    async def write(self, records: Iterable[Out], in_order: bool = True) -> list[Span]:
        """Write the records, each partition's in the order given, and wait for the acknowledgements; say where they are.

        The order holds also when Kafka takes the second batch of a partition and not the first: the second is sent when the
        first is acknowledged. Without ``in_order`` all are sent at once, for records whose order does not matter.

        Raises aiokafka's ``KafkaError`` when Kafka refused a batch or did not answer; nothing may be taken as written
        then, and the caller must not acknowledge what the records were made from.
        """
        grouped: defaultdict[tuple[str, int], list[Out]] = defaultdict(list)
        for record in records:
            grouped[record.topic, record.partition].append(record)
        written = await asyncio.gather(*(self._write(*to, out, in_order) for to, out in grouped.items()))
        return [span for spans in written for span in spans]

    async def _write(self, topic: str, partition: int, records: list[Out], in_order: bool) -> list[Span]:
        sent: list[tuple[int, Any]] = []
        for piece in self._pieces(records):
            if isinstance(piece, Out):
                sent.append((1, await self._send_large(piece)))
            else:
                count = piece.record_count()
                sent.append((count, await self._producer.send_batch(piece, topic, partition=partition)))
            if in_order:
                await sent[-1][1]
        placed = await asyncio.gather(*(future for _, future in sent))
        firsts = [(at.offset, count) for at, (count, _) in zip(placed, sent, strict=True)]
        return [Span(topic, partition, first, first + count) for first, count in firsts]

    def _pieces(self, records: list[Out]) -> Iterator[Any]:
        """The records as batches, and alone when they are larger than one."""
        batch = self._producer.create_batch()
        for record in records:
            if self._append(batch, record):
                continue
            if batch.record_count():
                yield batch
            batch = self._producer.create_batch()
            if not self._append(batch, record):
                yield record
        if batch.record_count():
            yield batch

    @staticmethod
    def _append(batch: Any, record: Out) -> bool:
        headers = list(record.headers)
        done = batch.append(key=record.key, value=record.value, timestamp=record.timestamp, headers=headers)
        return done is not None

    async def _send_large(self, record: Out) -> Any:
        """A record larger than a batch (a model's snapshot) goes alone."""
        return await self._producer.send(
            record.topic,
            record.value,
            key=record.key,
            partition=record.partition,
            timestamp_ms=record.timestamp,
            headers=list(record.headers),
        )
