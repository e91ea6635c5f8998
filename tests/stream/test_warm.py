"""Tables at hand are what reading the whole changelog gives, whatever was written, by whom, and when they were kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from monitor.connection import Connection
from monitor.detector import KeyState, dues_of, load_state, save_state
from monitor.metrics import Metrics
from monitor.rules import Waiting
from monitor.settings import Settings
from monitor.stream import tables, warm, worker
from monitor.stream.batches import Out, Span
from monitor.stream.tables import Table, Tables
from monitor.stream.topics import DETECT_STATE
from monitor.stream.warm import Warm
from monitor.stream.worker import Worker

KEYS = st.sampled_from(["a", "b", "c"])

NOWHERE = Connection("nowhere:1")


class Log:
    """A changelog: what was written, in order, and by whom."""

    def __init__(self) -> None:
        self.records: list[Out] = []

    def write(self, out: list[Out]) -> list[Span]:
        first = len(self.records)
        self.records += out
        return [Span(DETECT_STATE, 0, first, first + len(out))] if out else []

    async def read(self, _: str, topic: str, partition: int, start: int = 0) -> AsyncIterator[Any]:
        for offset, out in enumerate(self.records):
            if offset >= start:
                yield SimpleNamespace(key=out.key, value=out.value, headers=out.headers, offset=offset)

    def compacted(self) -> Log:
        """What Kafka keeps: of each key what came last."""
        last = {out.key: offset for offset, out in enumerate(self.records)}
        kept = Log()
        kept.records = [out for offset, out in enumerate(self.records) if last[out.key] == offset]
        return kept


def whole(log: Log) -> Table:
    """A table that reads all of the changelog."""
    table = Table(DETECT_STATE, 0)

    async def read() -> None:
        async for record in log.read(NOWHERE, DETECT_STATE, 0):
            tables.take_in(table, record)

    asyncio.run(read())
    return table


STEP = st.one_of(
    st.tuples(st.just("change"), st.integers(0, 1), st.lists(KEYS, min_size=1, max_size=3, unique=True)),
    st.tuples(st.just("remove"), st.integers(0, 1), st.lists(KEYS, min_size=1, max_size=2, unique=True)),
    st.tuples(st.just("pass on"), st.just(0), st.just([])),
)


class Pair:
    """Worker 0 owns the partition; worker 1 was taken for dead, and writes on. Both go by what they have counted themselves."""

    def __init__(self, ahead: int) -> None:
        self.log = Log()
        self.tables = [Table(DETECT_STATE, 0), Table(DETECT_STATE, 0)]
        #: How far each has come; the owner, who began later, may be behind the other at first.
        self.position = [0, ahead]
        #: How far the owner had come when it last changed each key.
        self.owned: dict[str, int] = {}

    def do(self, act: str, who: int, keys: list[str]) -> list[Out]:
        self.position[who] += 1
        at, table = self.position[who], self.tables[who]
        if who == 0:
            self.owned.update(dict.fromkeys(keys, at))
        if act == "remove":
            return table.remove(at, keys, 0)
        return table.change(at, [(key, b"%d-%d" % (who, at)) for key in keys], 0)

    def check(self, table: Table) -> None:
        """What the owner has counted, and perhaps committed, is in the table; and it is what somebody has written."""
        for key, at in self.owned.items():
            assert table.position(key) >= at
        for key in sorted(table.keys()):
            value, at = table.get(key), table.position(key)
            assert value is None or int(value.partition(b"-")[2]) == at


@given(st.lists(STEP, max_size=25), st.sampled_from([0, 1, 5, 20]))
def test_reading_on_from_a_kept_table_loses_nothing_that_was_counted(
    steps: list[tuple[str, int, list[str]]], ahead: int
) -> None:
    pair = Pair(ahead)
    for act, who, keys in steps:
        if act == "pass on":
            _read_on(pair.log, pair.tables[0])
            assert pair.tables[0].synced == len(pair.log.records)
        else:
            out = pair.do(act, who, keys)
            pair.tables[who].acknowledged(pair.log.write(out))
    for table in pair.tables:
        _read_on(pair.log, table)
        pair.check(table)
    pair.check(whole(pair.log))


@given(st.lists(STEP, max_size=25), st.sampled_from([0, 1, 5, 20]))
def test_compaction_keeps_what_was_counted_though_somebody_wrote_an_older_state_after_it(
    steps: list[tuple[str, int, list[str]]], ahead: int
) -> None:
    pair = Pair(ahead)

    async def write(_: str, out: list[Out], in_order: bool) -> list[Span]:
        return pair.log.write(out)

    async def read_on(_: str, table: Table) -> None:
        async for record in pair.log.read(NOWHERE, DETECT_STATE, 0, table.synced):
            tables.take_in(table, record)

    shell: Any = SimpleNamespace(_write=write, _until_done=lambda _, act: act(), settings=Settings())

    def own(out: list[Out]) -> None:
        with mock.patch.object(worker, "load", read_on):
            asyncio.run(Worker._write_state(shell, "detect", pair.tables[0], out))

    for act, who, keys in steps:
        if act == "pass on":
            # As a worker does that comes back: it reads all of what Kafka has.
            pair.tables[0] = whole(pair.log)
            own(pair.tables[0].again())
        elif who == 0:
            own(pair.do(act, who, keys))
        else:
            pair.log.write(pair.do(act, who, keys))
    own(pair.do("change", 0, ["d"]))
    pair.check(whole(pair.log))
    pair.check(whole(pair.log.compacted()))


def _read_on(log: Log, table: Table) -> None:
    async def read() -> None:
        async for record in log.read(NOWHERE, DETECT_STATE, 0, table.synced):
            tables.take_in(table, record)

    asyncio.run(read())


def test_what_somebody_else_wrote_in_between_is_read() -> None:
    log, mine, other = Log(), Table(DETECT_STATE, 0), Table(DETECT_STATE, 0)
    mine.acknowledged(log.write(mine.change(1, [("a", b"1")], 0)))
    log.write(other.change(9, [("b", b"9")], 0))
    mine.acknowledged(log.write(mine.change(2, [("a", b"2")], 0)))
    assert mine.synced == 1, "offset 1 is someone else's"
    _read_on(log, mine)
    assert mine.values == {"a": b"2", "b": b"9"}


def test_spans_of_one_write_may_come_in_any_order_and_of_other_partitions_do_not_count() -> None:
    table = Table(DETECT_STATE, 0)
    table.acknowledged([Span(DETECT_STATE, 1, 0, 7), Span(DETECT_STATE, 0, 2, 5), Span(DETECT_STATE, 0, 0, 2)])
    assert table.synced == 5


def test_a_tombstone_written_by_hand_removes_what_came_before_it_and_nothing_later() -> None:
    table, writer = Table(DETECT_STATE, 0), Table(DETECT_STATE, 0)
    (first,), (second,) = writer.change(5, [("a", b"old")], 0), writer.change(6, [("a", b"new")], 0)
    table.restore("a", first.value)
    table.restore("a", None)
    assert table.get("a") is None
    table.restore("a", second.value)
    assert table.get("a") == b"new"


WAITING = st.builds(Waiting, st.integers(0, 2**42), st.integers(-1, 5), st.just("name"), st.just([]), st.just({}))


@given(st.lists(WAITING, max_size=5))
def test_what_waits_is_told_without_reading_the_rest(waiting: list[Waiting]) -> None:
    data = save_state(KeyState({0: 7}, 5, b"f" * 16, waiting=waiting))
    expected = [(each.src, each.due) for each in load_state(data).waiting]
    # A head of zero says that nothing waits: what is due at the beginning of time is decided by the next lookup.
    assert dues_of(data) == (expected if min((each.due for each in waiting), default=0) else [])


def test_the_keys_in_which_something_waits_are_noted() -> None:
    table = Tables(Settings()).new(DETECT_STATE, 0)
    idle, waiting = save_state(KeyState()), save_state(KeyState(waiting=[Waiting(5, 0, "n", [], {})]))
    table.change(1, [("a", waiting), ("b", idle), ("c", waiting), ("d", waiting)], 0)
    assert table.waiting["a"] == 5
    table.change(2, [("a", idle), ("b", waiting)], 0)
    table.remove(3, ["c"], 0)
    assert table.waiting == {"b": 5, "d": 5}
    again = Tables(Settings()).new(DETECT_STATE, 0)
    for out in table.change(4, table.values.items(), 0):
        again.restore((out.key or b"").decode(), out.value)
    assert again.waiting == {"b": 5, "d": 5}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Warm:
    monkeypatch.setattr(warm, "_PAUSE", 0.01)
    return Warm(NOWHERE, Tables(Settings()), Metrics())


def ends_at(monkeypatch: pytest.MonkeyPatch, offset: int) -> None:
    async def of(ends: warm.Ends, place: warm.Place) -> int:
        return offset

    monkeypatch.setattr(warm.Ends, "of", of)


@pytest.mark.parametrize(("end", "read"), [(2, [2]), (1, [])])
def test_a_table_that_has_all_of_its_changelog_is_handed_over_at_once(
    made: Warm, monkeypatch: pytest.MonkeyPatch, end: int, read: list[int]
) -> None:
    kept, log, starts = Table(DETECT_STATE, 0), Log(), []
    kept.acknowledged(log.write(kept.change(1, [("a", b"1")], 0)))
    log.write(Table(DETECT_STATE, 0).change(2, [("b", b"2")], 0))

    async def reads(kafka: Connection, topic: str, partition: int, start: int = 0) -> AsyncIterator[Any]:
        starts.append(start + 1)
        async for record in log.read(kafka, topic, partition, start):
            yield record

    monkeypatch.setattr(tables, "read_to_end", reads)
    ends_at(monkeypatch, end)
    made.keep(kept)
    assert asyncio.run(made.table(DETECT_STATE, 0)) is kept
    assert starts == read
    assert sorted(kept.values) == ["a", "b"][: 1 + len(read)]


def test_a_table_is_handed_over_once(made: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Table(DETECT_STATE, 2)
    made.keep(kept)
    log = Log()
    monkeypatch.setattr(tables, "read_to_end", log.read)

    async def both() -> list[Table]:
        return await asyncio.gather(made.table(DETECT_STATE, 2), made.table(DETECT_STATE, 2))

    first, second = asyncio.run(both())
    assert first is kept
    assert second is not kept


def test_what_was_read_before_kafka_went_away_is_not_read_again(made: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.write(Table(DETECT_STATE, 0).change(1, [("a", b"1"), ("b", b"2"), ("c", b"3")], 0))
    starts: list[int] = []

    async def breaks(kafka: Connection, topic: str, partition: int, start: int = 0) -> AsyncIterator[Any]:
        starts.append(start)
        async for record in log.read(kafka, topic, partition, start):
            yield record
            if len(starts) == 1 and record.offset == 1:
                raise KafkaConnectionError

    monkeypatch.setattr(tables, "read_to_end", breaks)
    ends_at(monkeypatch, 3)
    with pytest.raises(KafkaConnectionError):
        asyncio.run(made.table(DETECT_STATE, 0))
    table = asyncio.run(made.table(DETECT_STATE, 0))
    assert (starts, table.values) == ([0, 2], {"a": b"1", "b": b"2", "c": b"3"})


def test_only_standbys_and_what_the_worker_has_itself_stay(made: Warm) -> None:
    for partition in range(3):
        made.keep(Table(DETECT_STATE, partition))
    made.assign({(DETECT_STATE, 1), (DETECT_STATE, 3)}, {(DETECT_STATE, 0)})
    assert sorted(made._kept) == [(DETECT_STATE, each) for each in (0, 1, 3)]
    assert made._metrics.standbys._value.get() == 2


class Consumer:
    """A consumer of one log, as far as standbys ask."""

    def __init__(self, log: Log, then: Callable[[], None]) -> None:
        self._log, self._then, self._at = log, then, 0

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, parts: list[TopicPartition]) -> None: ...

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(DETECT_STATE, 0)}

    async def beginning_offsets(self, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(parts, 0)

    def seek(self, part: TopicPartition, offset: int) -> None:
        self._at = offset

    def highwater(self, part: TopicPartition) -> int:
        return len(self._log.records) + 4

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0)
        self._then()
        found = [record async for record in self._log.read(NOWHERE, DETECT_STATE, 0, self._at)]
        self._at = len(self._log.records)
        return {TopicPartition(DETECT_STATE, 0): found}


def follow(
    made: Warm, log: Log, monkeypatch: pytest.MonkeyPatch, then: Callable[[], None], until: Callable[[], bool]
) -> None:
    monkeypatch.setattr(warm, "AIOKafkaConsumer", lambda **_: Consumer(log, then))

    async def run() -> None:
        follower = asyncio.create_task(made.follow())
        async with asyncio.timeout(10):
            while not until():
                await asyncio.sleep(0.001)
        follower.cancel()

    asyncio.run(run())


def test_a_standby_takes_in_what_its_owner_writes(made: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    log, owner = Log(), Table(DETECT_STATE, 0)
    log.write(owner.change(1, [("a", b"1")], 0))
    made.assign({(DETECT_STATE, 0)}, set())
    table = made._kept[DETECT_STATE, 0]
    writes = iter([b"2", b"3"])

    def write() -> None:
        for value in writes:
            log.write(owner.change(2, [("a", value)], 0))
            return

    follow(made, log, monkeypatch, write, lambda: table.get("a") == b"3")
    assert made._metrics.standby_lag._value.get() == 4
    assert table.synced == 3


def test_a_table_that_was_handed_over_is_not_changed_by_what_was_being_fetched(
    made: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new owner goes on from there: an older state must not come under it."""
    log = Log()
    log.write(Table(DETECT_STATE, 0).change(1, [("a", b"1")], 0))
    made.assign({(DETECT_STATE, 0)}, set())
    table = made._kept[DETECT_STATE, 0]
    asked: list[int] = []

    def taken() -> None:
        asked.append(1)
        made._unfollow((DETECT_STATE, 0))

    follow(made, log, monkeypatch, taken, lambda: bool(asked) and not made._changed.is_set())
    assert table.values == {}


def test_standbys_wait_for_kafka(made: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.write(Table(DETECT_STATE, 0).change(1, [("a", b"1")], 0))
    made.assign({(DETECT_STATE, 0)}, set())
    table = made._kept[DETECT_STATE, 0]
    tries: list[int] = []

    def breaks() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise KafkaConnectionError

    follow(made, log, monkeypatch, breaks, lambda: table.get("a") == b"1")
    assert len(tries) >= 3
