"""State with a batched changelog: one record a touched key and chunk, written as one batch, read back at assignment.

Faust's own tables write every change as a record of its own through a buffer of 100 messages; here a chunk's changes are
one batch. A value in the changelog starts with eight bytes, the offset of the chunk that made it, so that a worker which
was taken for dead and wrote once more cannot put an older state in the place of a newer one. With a key it is signed, see
:mod:`monitor.stream.seal`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, MutableMapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.connection import Connection
from monitor.detector import first_due_of, is_waiting
from monitor.settings import Settings
from monitor.stream.batches import Out, Span
from monitor.stream.closing import leave
from monitor.stream.rocks import StateFolder
from monitor.stream.seal import BadSeal, Seal, position_in, read_keys
from monitor.stream.topics import DETECT_STATE

_UNSIGNED = Seal()
#: The header of a tombstone.
_MARK = "mark"
#: How much is asked of Kafka at once when a changelog is read, in bytes.
_FETCH_BYTES = 4 * 1024 * 1024


class Table:
    """The state of one partition: keys to bytes."""

    def __init__(
        self,
        topic: str,
        partition: int,
        seal: Seal = _UNSIGNED,
        values: MutableMapping[str, bytes] | None = None,
    ) -> None:
        """``values`` is where they are kept; by default in memory."""
        self.topic = topic
        self.partition = partition
        self.values: MutableMapping[str, bytes] = {} if values is None else values
        #: How many records of the changelog were refused, for their signature.
        self.refused = 0
        #: Every record of the changelog before this offset is in the table.
        self.synced = 0
        #: The keys of which an older state lies behind the newest in the changelog, so that compaction would keep the older.
        self.stale: set[str] = set()
        #: The keys in whose state something waits, and the event time (ms) before which nothing of it is due.
        self.waiting: dict[str, int] = {}
        self._notes_waiting = topic == DETECT_STATE
        self._seal = seal
        self._positions: dict[str, int] = {}

    def get(self, key: str) -> bytes | None:
        """The key's value, or ``None``."""
        return self.values.get(key)

    def change(self, position: int, changes: Iterable[tuple[str, bytes]], timestamp: int | None) -> list[Out]:
        """Put the values and return the changelog's records of it; ``position`` is the offset of the chunk's last record."""
        out = []
        topic, partition, seal = self.topic, self.partition, self._seal
        signs, head = seal.signs, seal.head(position)
        for key, value in changes:
            self._put(key, value)
            # Also when somebody who was taken for dead came further: what this worker has committed goes no further than this.
            self._positions[key] = position
            raw = seal.close((topic, partition, key), position, value) if signs else head + value
            out.append(Out(topic, partition, key.encode(), raw, timestamp))
        return out

    def _put(self, key: str, value: bytes) -> None:
        self.values[key] = value
        self.stale.discard(key)
        if not self._notes_waiting:
            return
        if is_waiting(value):
            self.waiting[key] = first_due_of(value)
        else:
            self.waiting.pop(key, None)

    def _drop(self, key: str) -> None:
        self.values.pop(key, None)
        self.stale.discard(key)
        self.waiting.pop(key, None)

    def remove(self, position: int, keys: Iterable[str], timestamp: int | None) -> list[Out]:
        """Remove keys and return the changelog's tombstones, after which Kafka drops what it has of them."""
        out = []
        for key in keys:
            self._drop(key)
            self._positions[key] = position
            mark = self._seal.close((self.topic, self.partition, key), position, b"")
            out.append(Out(self.topic, self.partition, key.encode(), None, timestamp, ((_MARK, mark),)))
        return out

    def acknowledged(self, spans: Iterable[Span]) -> bool:
        """Kafka has taken records of :meth:`change` and :meth:`remove`, as ``spans`` of its changelog.

        When they lie right behind what is in the table anyway, so much more of the changelog is. ``False``: somebody else (a
        worker that was taken for dead) wrote in between, or a write was repeated; the table must read on from ``synced``.
        """
        mine = sorted(span for span in spans if (span.topic, span.partition) == (self.topic, self.partition))
        for span in mine:
            if span.first != self.synced:
                return False
            self.synced = span.end
        return True

    def again(self) -> list[Out]:
        """The changelog's records of :attr:`stale` keys once more, so that the newest state of each comes last."""
        out = []
        for key in sorted(self.stale):
            position, value = self._positions[key], self.values.get(key)
            out += self.remove(position, [key], None) if value is None else self.change(position, [(key, value)], None)
        return out

    def keys(self) -> list[str]:
        """Every key that has a value, and some that had one; told without reading what is on disk."""
        return list(self._positions)

    def position(self, key: str) -> int:
        """The position of the key's last change; -1 when there is none."""
        return self._positions.get(key, -1)

    def restore(self, key: str, raw: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> None:
        """Take in one record of the changelog; the highest position wins. One whose signature is wrong changes nothing.

        A tombstone (``raw`` is ``None``) has position and signature in its headers. One without, which was written by hand,
        counts where signatures are not asked for, for what came before it.
        """
        last = self._positions.get(key, -1)
        mark = dict(headers).get(_MARK, self._seal.head(max(last, 0))) if raw is None else raw
        try:
            position, value = self._seal.open((self.topic, self.partition, key), mark)
        except BadSeal:
            self.refused += 1
            return
        if position < last:
            self.stale.add(key)
            return
        self._positions[key] = position
        if raw is None:
            self._drop(key)
        else:
            self._put(key, value)


class Tables:
    """Makes tables, as the settings want them."""

    def __init__(self, settings: Settings) -> None:
        """Raises :class:`monitor.stream.seal.BadKey`, and ``OSError`` when ``state_dir`` cannot be made."""
        keys = read_keys(settings.state_key_file) if settings.state_key_file is not None else ()
        self._seal = Seal(keys, is_lenient=settings.state_unsigned == "accept")
        self._folder = StateFolder(settings.state_dir) if settings.store == "rocksdb" else None

    def new(self, topic: str, partition: int, values: MutableMapping[str, bytes] | None = None) -> Table:
        """An empty table; ``values`` is where they are kept, by default where the settings say."""
        if values is None and self._folder is not None and topic == DETECT_STATE:
            values = self._folder.new_store()
        return Table(topic, partition, self._seal, values)


async def load(kafka: Connection, table: Table) -> Table:
    """Read what a table has not of its changelog, to its end now. Raises ``KafkaError``; what was read until then stays."""
    async for record in read_to_end(kafka, table.topic, table.partition, table.synced):
        take_in(table, record)
    return table


async def load_whole(kafka: Connection, table: Table, last: str) -> Table:
    """Read a changelog of which what belongs together has one position, and the key ``last`` is written last.

    What a writer did not come to the end of is left out. Raises ``KafkaError``.
    """
    whole = Whole(last)
    async for record in read_to_end(kafka, table.topic, table.partition):
        for each in whole.put(record):
            take_in(table, each)
    return table


class Whole:
    """Holds records of a changelog back until the one that is written last of those that belong together."""

    def __init__(self, last: str) -> None:
        self._last = last
        self._waiting: list[Any] = []

    def put(self, record: Any) -> list[Any]:
        """The records that are known to be whole with this one."""
        if _mark_of(record) is None:
            return []  # a tombstone that was written by hand
        self._waiting.append(record)
        if record.key.decode() != self._last:
            return []
        upto = position_in(record.value)
        whole = [each for each in self._waiting if position_in(_mark_of(each) or b"") <= upto]
        self._waiting = [each for each in self._waiting if position_in(_mark_of(each) or b"") > upto]
        return whole


def _mark_of(record: Any) -> bytes | None:
    """What has the position of a record in it: its value, or what a tombstone says in its headers."""
    found: bytes | None = dict(record.headers or ()).get(_MARK) if record.value is None else record.value
    return found


def take_in(table: Table, record: Any) -> None:
    """Take in the next record of a table's changelog."""
    table.restore(record.key.decode(), record.value, record.headers)
    table.synced = record.offset + 1


async def read_to_end(kafka: Connection, topic: str, partition: int, start: int = 0) -> AsyncIterator[Any]:
    """Yield every record that a partition has now, from the offset ``start`` on."""
    tp = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(
        **kafka.options(),
        enable_auto_commit=False,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    try:
        await consumer.start()
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        # Compaction may have removed what lies there; a seek before the beginning would go to the end.
        consumer.seek(tp, max(start, (await consumer.beginning_offsets([tp]))[tp]))
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(tp, timeout_ms=1000, max_records=5000)).values():
                for record in records:
                    if record.offset < end:
                        yield record
    finally:
        await leave(consumer)
