"""State with a batched changelog: one record a touched key and chunk, written as one batch, read back at assignment.

Faust's own tables write every change as a record of its own through a buffer of 100 messages; here a chunk's changes are
one batch. A value in the changelog starts with eight bytes, the offset of the chunk that made it, so that a worker which
was taken for dead and wrote once more cannot put an older state in the place of a newer one. With a key it is signed, see
:mod:`monitor.stream.seal`.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.settings import Settings
from monitor.stream.batches import Out
from monitor.stream.rocks import StateFolder
from monitor.stream.seal import BadSeal, Seal, read_keys
from monitor.stream.topics import DETECT_STATE

_UNSIGNED = Seal()
#: The header of a tombstone, and what stands for it in one that was written by hand: that comes after all else.
_MARK = "mark"
_UNMARKED = (2**63 - 1).to_bytes(8, "big")


class Table:
    """The state of one partition: keys to bytes."""

    def __init__(
        self, topic: str, partition: int, seal: Seal = _UNSIGNED, values: MutableMapping[str, bytes] | None = None
    ) -> None:
        """``values`` is where they are kept; by default in memory."""
        self.topic = topic
        self.partition = partition
        self.values: MutableMapping[str, bytes] = {} if values is None else values
        #: How many records of the changelog were refused, for their signature.
        self.refused = 0
        self._seal = seal
        self._positions: dict[str, int] = {}

    def get(self, key: str) -> bytes | None:
        """The key's value, or ``None``."""
        return self.values.get(key)

    def change(self, position: int, changes: Iterable[tuple[str, bytes]], timestamp: int) -> list[Out]:
        """Put the values and return the changelog's records of it; ``position`` is the offset of the chunk's last record."""
        out = []
        topic, partition, seal = self.topic, self.partition, self._seal
        signs, head = seal.signs, seal.head(position)
        for key, value in changes:
            self.values[key] = value
            self._positions[key] = position
            raw = seal.close((topic, partition, key), position, value) if signs else head + value
            out.append(Out(topic, partition, key.encode(), raw, timestamp))
        return out

    def remove(self, position: int, keys: Iterable[str], timestamp: int) -> list[Out]:
        """Remove keys and return the changelog's tombstones, after which Kafka drops what it has of them."""
        out = []
        for key in keys:
            self.values.pop(key, None)
            self._positions.pop(key, None)
            mark = self._seal.close((self.topic, self.partition, key), position, b"")
            out.append(Out(self.topic, self.partition, key.encode(), None, timestamp, ((_MARK, mark),)))
        return out

    def position(self, key: str) -> int:
        """The position of the key's last change; -1 when there is none."""
        return self._positions.get(key, -1)

    def restore(self, key: str, raw: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> None:
        """Take in one record of the changelog; the highest position wins. One whose signature is wrong changes nothing.

        A tombstone (``raw`` is ``None``) has position and signature in its headers.
        """
        mark = dict(headers).get(_MARK, _UNMARKED) if raw is None else raw
        try:
            position, value = self._seal.open((self.topic, self.partition, key), mark)
        except BadSeal:
            self.refused += 1
            return
        if position < self._positions.get(key, -1):
            return
        self._positions[key] = position
        if raw is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value

    def restored(self) -> None:
        """All of the changelog was taken in."""
        self._positions = {key: at for key, at in self._positions.items() if key in self.values}


class Tables:
    """Makes tables, as the settings want them."""

    def __init__(self, settings: Settings) -> None:
        """Raises :class:`monitor.stream.seal.BadKey`, and ``OSError`` when ``state_dir`` cannot be made."""
        keys = read_keys(settings.state_key_file) if settings.state_key_file is not None else ()
        self._seal = Seal(keys, is_lenient=settings.state_unsigned == "accept")
        self._folder = StateFolder(settings.state_dir) if settings.store == "rocksdb" else None

    def new(self, topic: str, partition: int) -> Table:
        """An empty table."""
        values = self._folder.new_store() if self._folder is not None and topic == DETECT_STATE else None
        return Table(topic, partition, self._seal, values)


async def load(bootstrap: str, table: Table) -> Table:
    """Read the changelog of a new table's partition from its beginning to its end."""
    async for record in read_to_end(bootstrap, table.topic, table.partition):
        table.restore(record.key.decode(), record.value, record.headers)
    table.restored()
    return table


async def read_to_end(bootstrap: str, topic: str, partition: int):  # type: ignore[no-untyped-def]
    """Yield every record a partition has now."""
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
                        yield record
    finally:
        await consumer.stop()
