"""The parts of one stage of a worker, one for each partition it has."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Parts(Generic[T]):
    """Parts by partition, each made by ``make`` (which reads its state from the changelog) when it is first asked for.

    A part belongs to one generation of the consumer group. Chunks of the last generation may still be worked on when its
    partitions have gone; a part made or used then must not be met again when a partition comes back, since what others have
    written in between is missing from it.
    """

    def __init__(self, make: Callable[[int], Awaitable[T]]) -> None:
        self._make = make
        self._parts: dict[int, tuple[int, T]] = {}
        self._work: Counter[int] = Counter()
        #: What was done with these did not come to its end, so that what they hold may not be in Kafka.
        self._broken: set[int] = set()
        self._moved = asyncio.Event()

    @contextmanager
    def at_work(self, partition: int) -> Iterator[None]:
        """While something is done with the partition's part."""
        self._work[partition] += 1
        try:
            yield
        except BaseException:
            self._broken.add(partition)
            raise
        finally:
            self._work[partition] -= 1
            self._moved.set()

    async def rest(self, partition: int, within: float) -> bool:
        """Whether nothing is done with the partition's part any more, within so many seconds, and all that was came to its end."""
        try:
            async with asyncio.timeout(within):
                while self._work[partition]:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return partition not in self._broken

    async def of(self, partition: int, generation: int) -> T:
        """The part that does this partition's work in this generation of the group."""
        part = self._of(partition, generation)
        if part is None:
            made = await self._make(partition)
            part = self._of(partition, generation)
            if part is None:
                part = made
                if self._parts.get(partition, (generation,))[0] <= generation:
                    self._parts[partition] = generation, part
        return part

    def _of(self, partition: int, generation: int) -> T | None:
        known = self._parts.get(partition)
        return known[1] if known is not None and known[0] == generation else None

    def kept(self, partition: int) -> T | None:
        """The part of the newest generation, if there is one already."""
        known = self._parts.get(partition)
        return None if known is None else known[1]

    def forget(self, partition: int) -> T | None:
        """The partition goes to someone else, who reads what was written of it; returns the part that there was."""
        known = self._parts.pop(partition, None)
        return None if known is None else known[1]

    def __iter__(self) -> Iterator[T]:
        return iter([part for _, part in self._parts.values()])
