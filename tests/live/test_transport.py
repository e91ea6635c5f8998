"""What the consumer drops on its way to a stage comes again, on a real broker; what does not is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from monitor import local_kafka
from monitor.local_kafka import LocalKafka
from monitor.settings import Settings
from monitor.stream.app import App, ChunkLost, StageFailed, add_agent, new_app
from monitor.stream.tables import read_to_end
from monitor.stream.transport import ChunkConsumer, ChunkThread, seek_to_committed

DEADLINE = 60.0
_names = count()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """One broker for this file; each test has its own topic and group."""
    with local_kafka.start(tmp_path_factory.mktemp("kafka")) as running:
        yield running


class Log:
    """A topic of one partition."""

    def __init__(self, kafka: LocalKafka) -> None:
        self.topic = f"transport-{next(_names)}"
        self.settings = Settings(bootstrap=kafka.bootstrap, group=self.topic, commit_interval=3600)
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        admin.create_topics([NewTopic(self.topic, num_partitions=1, replication_factor=1)])
        admin.close()
        self._producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
        self._sent = 0

    def send(self, how_many: int) -> None:
        """Numbers, going on from the last."""
        for _ in range(how_many):
            self._producer.send(self.topic, b"%d" % self._sent)
            self._sent += 1
        self._producer.flush()


@asynccontextmanager
async def running(app: App, topic: str) -> AsyncIterator[list[int]]:
    """The numbers that a stage of ``app`` was given so far."""
    seen: list[int] = []

    async def handle(event: Any) -> None:
        seen.extend(int(record.value) for record in event.message.value)
        event.ack()

    async def started() -> None:
        pass

    add_agent(app, topic, started, handle)
    app.finalize()
    await app.start()
    try:
        yield seen
    finally:
        await app.stop()


async def until(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.05)
    assert condition(), what


def test_what_is_dropped_while_partitions_are_handed_out_comes_again_though_nothing_was_committed(
    kafka: LocalKafka,
) -> None:
    """aiokafka's own seek leaves a partition without a committed offset where it is: the first chunk was lost so."""
    log = Log(kafka)
    log.send(100)

    async def go() -> list[int]:
        app = new_app(log.settings)
        dropped: list[int] = []

        async def fetch(*_: Any, **__: Any) -> None:
            # As does a fetch that was begun before the rebalance.
            consumer = app.consumer._thread._ensure_consumer()
            fetched = await app.consumer._thread.call_thread(
                consumer._fetcher.fetched_records, [TP(log.topic, 0)], 10.0, 30
            )
            dropped.extend(int(record.value) for records in fetched.values() for record in records)

        app.on_rebalance_complete.connect(fetch)
        async with running(app, log.topic) as seen:
            await until(lambda: 99 in seen, "the last record")
        assert dropped, "nothing was dropped, so nothing was tested"
        return seen

    assert asyncio.run(go()) == list(range(100))


def test_records_that_were_fetched_and_did_not_come_are_read_again(
    kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(kafka)
    log.send(10)
    lost: list[int] = []

    async def fetch(thread: Any, *args: Any, **kwargs: Any) -> Any:
        records = await original(thread, *args, **kwargs)
        mine = [int(record.value) for fetched in records.values() for record in fetched]
        if 10 in mine and not lost:
            lost.extend(mine)
            return {}
        return records

    async def go() -> list[int]:
        async with running(new_app(log.settings), log.topic) as seen:
            await until(lambda: 9 in seen, "the first records")
            log.send(10)
            await until(lambda: bool(lost), "records to be lost")
            log.send(10)
            await until(lambda: 29 in seen, "the last record")
            return list(seen)

    original: Callable[..., Awaitable[Any]] = ChunkThread._fetch_records
    monkeypatch.setattr(ChunkThread, "_fetch_records", fetch)
    assert asyncio.run(go()) == list(range(30))


def test_a_worker_ends_when_a_chunk_was_lost_before_its_stage(
    kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going on would say of the lost one, by the position in the state, that it is done."""
    log = Log(kafka)
    log.send(10)
    drop = False

    def deliver(consumer: Any, tp: TP, chunk: list[Any]) -> Any:
        message = original(consumer, tp, chunk)
        return original(consumer, tp, chunk) if drop else message

    async def go() -> tuple[list[int], Any]:
        nonlocal drop
        app = new_app(log.settings)
        async with running(app, log.topic) as seen:
            await until(lambda: 9 in seen, "the first records")
            drop = True
            log.send(1)
            async with asyncio.timeout(DEADLINE):
                await app.wait_until_stopped()
        return seen, app.crash_reason

    original = ChunkConsumer._deliver
    monkeypatch.setattr(ChunkConsumer, "_deliver", deliver)
    seen, reason = asyncio.run(go())
    assert seen == list(range(10))
    assert isinstance(reason, StageFailed)
    assert ChunkLost.__name__ in str(reason)


def test_a_hole_in_the_log_is_read_again_once_and_then_gone_past(kafka: LocalKafka) -> None:
    """The markers of a producer's transactions are offsets without records."""
    log = Log(kafka)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=log.topic, acks="all")
    producer.init_transactions()

    async def go() -> list[int]:
        async with running(new_app(log.settings), log.topic) as seen:
            for number in range(3):
                producer.begin_transaction()
                producer.send(log.topic, b"%d" % number)
                producer.commit_transaction()
                await until(lambda number=number: number in seen, "the record of a transaction")  # type: ignore[misc]
            return list(seen)

    assert asyncio.run(go()) == [0, 1, 2]
    producer.close()


def test_a_consumer_without_partitions_has_nowhere_to_seek(kafka: LocalKafka) -> None:
    nobody = SimpleNamespace(assignment=frozenset)
    assert asyncio.run(seek_to_committed(nobody)) == {}


def test_a_changelog_that_retention_has_emptied_is_read_as_empty_and_on_from_there(kafka: LocalKafka) -> None:
    """Faust's own recovery fails or hangs then (faust-streaming 597)."""
    log = Log(kafka)
    log.send(5)
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.delete_records({TopicPartition(log.topic, 0): 5})
    admin.close()

    async def read(start: int) -> list[int]:
        async with asyncio.timeout(DEADLINE):
            return [int(each.value) async for each in read_to_end(log.settings.kafka, log.topic, 0, start)]

    assert asyncio.run(read(0)) == asyncio.run(read(3)) == []
    log.send(3)
    assert asyncio.run(read(0)) == asyncio.run(read(3)) == asyncio.run(read(5)) == [5, 6, 7]
