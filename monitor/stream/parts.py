"""The parts of one stage of a worker, one for each partition it has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Parts(Generic[T]):
    """Parts by partition, each made by ``make`` (which reads its state from the changelog) when it is first asked for.

    One made while partitions were going is used but not kept: the partition may come back later, and what others wrote in
    between would be missing from it.
    """

    def __init__(self, make: Callable[[int], Awaitable[T]]) -> None:
        self._make = make
        self._parts: dict[int, T] = {}
        self._revocations = 0

    async def of(self, partition: int) -> T:
        """The part that does this partition's work.."""
        part = self._parts.get(partition)
        if part is None:
            before = self._revocations
            part = await self._make(partition)
            if self._revocations == before:
                part = self._parts.setdefault(partition, part)
        return part

    def kept(self, partition: int) -> T | None:
        """The part, if there is one already."""
        return self._parts.get(partition)

    def forget(self, gone: Iterable[int]) -> None:
        """These partitions go to someone else, who reads what was written of them."""
        self._revocations += 1
        for partition in gone:
            self._parts.pop(partition, None)

    def __iter__(self) -> Iterator[T]:
        return iter(self._parts.values())
