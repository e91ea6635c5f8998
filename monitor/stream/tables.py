"""State with a batched changelog: one record a touched key and chunk, written as one batch, read back at assignment.

Faust's own tables write every change as a record of its own through a buffer of 100 messages; here a chunk's changes are
one batch. A value in the changelog starts with eight bytes, the offset of the chunk that made it, so that a worker which
was taken for dead and wrote once more cannot put an older state in the place of a newer one.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.stream.batches import Out

_POSITION_BYTES = 8


class Table:
    """The state of one partition: keys to bytes."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.values: dict[str, bytes] = {}
        self._positions: dict[str, int] = {}

    def get(self, key: str) -> bytes | None:
        """The key's value, or ``None``."""
        return self.values.get(key)

    def change(self, position: int, changes: Iterable[tuple[str, bytes]], timestamp: int) -> list[Out]:
        """Put the values and return the changelog's records of it; ``position`` is the offset of the chunk's last record."""
        prefix = position.to_bytes(_POSITION_BYTES, "big")
        out = []
        for key, value in changes:
            self.values[key] = value
            out.append(Out(self.topic, self.partition, key.encode(), prefix + value, timestamp))
        return out

    def restore(self, key: str, raw: bytes | None) -> None:
        """Take in one record of the changelog; the highest position wins."""
        if raw is None:
            self.values.pop(key, None)
            self._positions.pop(key, None)
            return
        position = int.from_bytes(raw[:_POSITION_BYTES], "big")
        if position >= self._positions.get(key, -1):
            self._positions[key] = position
            self.values[key] = raw[_POSITION_BYTES:]


async def load(bootstrap: str, topic: str, partition: int) -> Table:
    """Read the changelog of one partition from its beginning to its end."""
    table = Table(topic, partition)
    async for key, value in read_to_end(bootstrap, topic, partition):
        table.restore(key.decode(), value)
    table._positions.clear()
    return table


async def read_to_end(bootstrap: str, topic: str, partition: int):  # type: ignore[no-untyped-def]
    """Yield (key, value) of every record a partition has now."""
    tp = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=100)
    await consumer.start()
    try:
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        end = (await consumer.end_offsets([tp]))[tp]
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(tp, timeout_ms=1000, max_records=5000)).values():
                for record in records:
                    if record.offset < end:
                        yield record.key, record.value
    finally:
        await consumer.stop()
