"""What waits in the states of one partition, by when it is due, so that time can pass without asking every key."""

from __future__ import annotations

import heapq
from collections import defaultdict


class Due:
    """Keys by source partition and time. A key may be named too often, never too seldom: its state decides."""

    def __init__(self) -> None:
        self._heaps: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
        self._noted: set[tuple[int, int, str]] = set()

    def add(self, src: int, due: int, key: str) -> None:
        """Note that something in ``key`` is due at ``due`` of the source ``src`` (milliseconds since the epoch)."""
        if (src, due, key) not in self._noted:
            self._noted.add((src, due, key))
            heapq.heappush(self._heaps[src], (due, key))

    def until(self, src: int, now: int) -> list[str]:
        """The keys in which something is due before ``now``, each once, the soonest first; they are noted no more."""
        found: dict[str, None] = {}
        heap = self._heaps[src]
        while heap and heap[0][0] < now:
            due, key = heapq.heappop(heap)
            self._noted.discard((src, due, key))
            found[key] = None
        return list(found)
