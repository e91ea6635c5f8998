"""The canary: a lookup the monitor makes itself, of nobody by nobody, to see whether lookups go the whole way.

It is a message of ``lookup.events.v1`` like any other until detect: decoded, enriched, judged by a Sigma rule that only it
meets (:mod:`monitor.canary_rule`). It has no state, takes no place in the order of lookups, moves no event time, and no other rule and no model sees it, so
what is said of real lookups is the same with and without it.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from monitor.events import CANARY

#: Where a canary is answered.
STAGES: Final = ("detect", "score")


def message(name: str, time: str) -> bytes:
    """The message of the canary ``name``, made at ``time`` (RFC 3339)."""
    document: dict[str, Any] = {"id": name, "time": time}
    for field, value in CANARY.items():
        parent, _, leaf = field.rpartition(".")
        (document.setdefault(parent, {}) if parent else document)[leaf] = value
    return orjson.dumps(document)


class Ledger:
    """The canaries on their way. Times are seconds of one clock that never goes back, given by the caller."""

    def __init__(self, keep: float = 600.0) -> None:
        """``keep`` is for how many seconds late answers are still recognised."""
        self._keep = keep
        #: By name: when it was sent, its source partition, and which answers there were.
        self._sent: dict[str, tuple[float, int, set[str]]] = {}
        self._current: set[str] = set()

    def sent(self, name: str, partition: int, at: float) -> None:
        """A canary of this round is about to be written to a source partition."""
        self._sent[name] = (at, partition, set())
        self._current.add(name)

    def answered(self, name: str, stage: str, at: float) -> float | None:
        """An answer came: its latency in seconds; ``None`` when it came before, or is to no canary of ours."""
        entry = self._sent.get(name)
        if entry is None or stage in entry[2] or stage not in STAGES:
            return None
        entry[2].add(stage)
        return at - entry[0]

    def waiting(self) -> list[tuple[int, str]]:
        """(source partition, stage) of every answer of this round that has not come, sorted."""
        entries = [self._sent[name] for name in self._current]
        return sorted((partition, stage) for _, partition, seen in entries for stage in STAGES if stage not in seen)

    def end_round(self, now: float) -> list[tuple[int, str]]:
        """As :meth:`waiting`; these are missing now. Their answers may still come, late."""
        missing = self.waiting()
        self._current.clear()
        self._sent = {name: entry for name, entry in self._sent.items() if now - entry[0] <= self._keep}
        return missing
