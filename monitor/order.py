"""One order for all lookups, whatever the partitions and workers: a deterministic merge of the source partitions.

A lookup's *place* is (``ot``, ``src``, ``off``): the newest event time its source partition had reached when it came, the
partition, and its offset there. ``ot`` never falls within a partition, so the places of a partition only rise, and merging
the partitions by place gives the same order in the live service, a backtest and a replay. What is grouped by the actor does
not need this (an actor's lookups share a partition); what joins several actors (a subject's window, a peer group's model) does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Place = tuple[int, int, int]
#: The watermark of a channel that has nothing to say for now: it holds nobody back.
IDLE = 2**62


class Merger(Generic[T]):
    """Holds items until no channel can still bring one that belongs before them.

    A channel is any stream of rising places; all channels must be named beforehand, as one that has never spoken holds
    everything back. Memory is what the channels are apart.
    """

    def __init__(self, channels: Iterable[tuple[int, ...]]) -> None:
        # The last element of a channel's name is the source partition whose places it brings.
        self._reached: dict[tuple[int, ...], tuple[int, int]] = {channel: (-1, channel[-1]) for channel in channels}
        self._held: list[tuple[Place, int, T]] = []
        self._pushed = 0
        self._is_sorted = True

    def __len__(self) -> int:
        return len(self._held)

    def push(self, channel: tuple[int, ...], place: Place, item: T) -> None:
        """Take an item in; it also moves its channel on."""
        self._pushed += 1
        self._held.append((place, self._pushed, item))
        self._is_sorted = False
        self._reached[channel] = (place[0], channel[-1])

    def advance(self, channel: tuple[int, ...], ot: int) -> None:
        """Say that ``channel`` has reached ``ot`` (milliseconds since the epoch), or is :data:`IDLE`."""
        self._reached[channel] = (ot, channel[-1])

    def ready(self) -> list[tuple[Place, T]]:
        """Release, in order, every item that nothing can come before any more.

        What was pushed is a few rising runs, which sorting takes in one pass; so ask once a chunk rather than once an item.
        """
        if not self._is_sorted:
            # No two items are compared themselves: their numbers differ.
            self._held.sort()
            self._is_sorted = True
        past = bisect_right(self._held, min(self._reached.values()), key=_order)
        released = self._held[:past]
        del self._held[:past]
        return [(place, item) for place, _, item in released]


def _order(held: tuple[Place, int, Any]) -> tuple[int, int]:
    return held[0][:2]
