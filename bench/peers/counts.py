"""The counting job without anything around it: a dict of counts, for loops that keep no state anywhere else."""

from __future__ import annotations

import orjson

from bench.load import THRESHOLD, WINDOW_MS
from monitor.events import parse_ms


class Counts:
    """How many lookups each actor has in each window, and how many windows reached the threshold."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self.alerts = 0

    def add(self, raw: bytes) -> None:
        """Count one lookup, given as its JSON."""
        lookup = orjson.loads(raw)
        key = lookup["actor"]["id"], parse_ms(lookup["time"]) // WINDOW_MS
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count == THRESHOLD:
            self.alerts += 1
