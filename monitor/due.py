"""What waits in the states of one partition, by when it is due, so that time can pass without asking every key."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable


class Due:
    """Keys by source partition and time. A key may be named too often, never too seldom: its state decides.

    ``unread`` are keys of which only the time is known before which nothing in them is due: what ``read`` says of them (source
    partition and time of all that waits) is asked when that time has come, so that there may be many.
    """

    def __init__(
        self,
        unread: Iterable[tuple[int, str]] = (),
        read: Callable[[str], list[tuple[int, int]]] = lambda key: [],
    ) -> None:
        self._unread = list(unread)
        heapq.heapify(self._unread)
        self._read = read
        self._heaps: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
        self._noted: set[tuple[int, int, str]] = set()

    def add(self, src: int, due: int, key: str) -> None:
        """Note that something in ``key`` is due at ``due`` of the source ``src`` (milliseconds since the epoch)."""
        if (src, due, key) not in self._noted:
            self._noted.add((src, due, key))
            heapq.heappush(self._heaps[src], (due, key))

    def until(self, src: int, now: int) -> list[str]:
        """The keys in which something is due before ``now``, each once, the soonest first; they are noted no more."""
        while self._unread and self._unread[0][0] < now:
            _, unread = heapq.heappop(self._unread)
            for its_src, due in self._read(unread):
                self.add(its_src, due, unread)
        found: dict[str, None] = {}
        heap = self._heaps[src]
        while heap and heap[0][0] < now:
            due, key = heapq.heappop(heap)
            self._noted.discard((src, due, key))
            found[key] = None
        return list(found)
