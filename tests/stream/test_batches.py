"""Writing to Kafka as batches: the order within a partition, also when Kafka takes some batches and not others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from monitor.stream.batches import BatchWriter, Out, Span


class Batch:
    """A batch that holds two records."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []

    def append(self, *, value: bytes | None, **_: Any) -> object:
        if len(self.values) == 2 or len(value or b"") > 10:
            return None
        self.values.append(value)
        return object()

    def record_count(self) -> int:
        return len(self.values)


class Producer:
    """What aiokafka's producer does: a batch is queued, and its future says later what came of it. ``lost`` is not taken."""

    def __init__(self, lost: bytes | None = None) -> None:
        self.taken: list[tuple[int, bytes | None]] = []
        self.asked: list[int] = []
        self._lost = lost

    create_batch = Batch

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Awaitable[Any]:
        self.asked.append(partition)
        return asyncio.ensure_future(self._take(partition, batch.values))

    async def send(self, topic: str, value: bytes, *, partition: int, **_: Any) -> Awaitable[Any]:
        self.asked.append(partition)
        return asyncio.ensure_future(self._take(partition, [value]))

    async def _take(self, partition: int, values: list[bytes | None]) -> Any:
        await asyncio.sleep(0)
        if self._lost in values:
            raise KafkaTimeoutError
        offset = sum(to == partition for to, _ in self.taken)
        self.taken += [(partition, value) for value in values]
        return SimpleNamespace(offset=offset)


def write(producer: Producer, *values: bytes, in_order: bool = True) -> list[Span]:
    writer = BatchWriter.__new__(BatchWriter)
    writer._producer = producer  # type: ignore[assignment]
    out = [Out("t", part, None, value, 0) for value in values for part in (0, 1)]
    return asyncio.run(writer.write(out, in_order))


VALUES = (b"1", b"2", b"3", b"too long for one", b"4", b"5", b"6")


@pytest.mark.parametrize("in_order", [True, False])
def test_all_is_written_in_the_order_given(in_order: bool) -> None:
    producer = Producer()
    spans = write(producer, *VALUES, in_order=in_order)
    for part in (0, 1):
        assert [span[2:] for span in spans if span.partition == part] == [(0, 2), (2, 3), (3, 4), (4, 6), (6, 7)]
        assert [value for to, value in producer.taken if to == part] == list(VALUES)


def test_nothing_is_written_after_what_kafka_did_not_take() -> None:
    """The whole is written again then; had the second batch been taken before the first, its records would be the newer ones
    for whoever reads them, and the first would be taken for repeated."""
    producer = Producer(lost=b"3")
    with pytest.raises(KafkaTimeoutError):
        write(producer, *VALUES)
    assert [value for _, value in producer.taken if value in VALUES[2:]] == []
    producer = Producer(lost=b"3")
    with pytest.raises(KafkaTimeoutError):
        write(producer, *VALUES, in_order=False)
    assert producer.asked.count(0) == producer.asked.count(1) == 5
