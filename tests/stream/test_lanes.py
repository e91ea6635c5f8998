"""Chunks of several partitions at once, and of each one in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.stream.app import in_lanes


def chunk(partition: int, number: int, generation: int = 1) -> Any:
    return SimpleNamespace(message=SimpleNamespace(partition=partition, number=number, generation_id=generation))


async def told(chunks: list[Any]) -> AsyncIterator[Any]:
    for one in chunks:
        yield one


def is_current(event: Any) -> bool:
    return bool(event.message.generation_id == 1)


def test_each_partition_in_order_and_all_of_them_at_once() -> None:
    """Partition 0 waits until partition 1 is done with a chunk that comes after its own."""
    other, done = asyncio.Event(), []

    async def handle(event: Any) -> None:
        name = (event.message.partition, event.message.number)
        if name == (0, 0):
            await asyncio.wait_for(other.wait(), 10)
        if name == (1, 1):
            other.set()
        done.append(name)

    asyncio.run(in_lanes(told([chunk(0, 0), chunk(0, 1), chunk(1, 0), chunk(1, 1), chunk(0, 2)]), handle, is_current))
    assert done == [(1, 0), (1, 1), (0, 0), (0, 1), (0, 2)]


def test_only_so_much_is_taken_in_advance() -> None:
    """A partition that does not get on holds back what is read, rather than filling the memory."""
    taken: list[int] = []

    async def endless() -> AsyncIterator[Any]:
        for number in range(1000):
            taken.append(number)
            yield chunk(0, number)

    async def never(event: Any) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        running = asyncio.create_task(in_lanes(endless(), never, is_current))
        for _ in range(100):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(run())
    assert taken == [0, 1, 2]


def test_an_error_ends_all() -> None:
    async def handle(event: Any) -> None:
        if event.message.partition == 1:
            raise ValueError("broken")
        await asyncio.Event().wait()

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(in_lanes(told([chunk(0, 0), chunk(1, 0), chunk(1, 1), chunk(1, 2)]), handle, is_current))


def test_what_was_read_before_a_rebalance_is_dropped() -> None:
    done = []

    async def handle(event: Any) -> None:
        done.append(event.message.number)

    asyncio.run(in_lanes(told([chunk(0, 0), chunk(0, 1, generation=0), chunk(0, 2)]), handle, is_current))
    assert done == [0, 2]


def test_a_failure_ends_all_though_another_lane_does_not_hear_of_it() -> None:
    """aiokafka's consumers swallow the cancellation of who stops them; that lane would wait for its next chunk for ever."""
    begun, swallowed = asyncio.Event(), asyncio.Event()

    async def handle(event: Any) -> None:
        if event.message.partition == 0:
            await begun.wait()
            raise KeyError("broken")
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            swallowed.set()

    async def run() -> None:
        async def chunks() -> AsyncIterator[Any]:
            yield chunk(0, 0)
            yield chunk(1, 0)
            await asyncio.sleep(60)

        async with asyncio.timeout(10):
            await in_lanes(chunks(), handle, is_current)

    with pytest.raises(KeyError):
        asyncio.run(run())
    assert swallowed.is_set()
