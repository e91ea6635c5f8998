"""What a rerun must know of a span besides the records themselves, and where it gets them from."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

import msgspec

from monitor.agree import Live
from monitor.rerun import Fact, Message

T = TypeVar("T", Message, Fact)


class Facts(msgspec.Struct, forbid_unknown_fields=True):
    """The span and all that decides what a rerun of it gives. Times are milliseconds since the epoch.

    ``from_ms <= t < to_ms`` are event times. ``starts`` are the versions of the rules in force where the log of each partition begins;
    ``received_to_ms`` is the time of receipt up to which the log is run. ``known_from_ms`` is since when the log is complete; ``None``:
    from its beginning. ``settled`` are the offsets of each partition of the alerts before which every alert follows from
    that part of the log. With ``preload``, versions of reference records of that time are lost, and the first that is left of
    each is taken as what was known before too. ``behind`` is how many messages the workers had not done yet, ``lists`` names the lists of
    the reference data, ``gone`` says what of the span retention has removed already.
    """

    from_ms: int
    to_ms: int
    starts: list[str]
    quantile: float
    idle_ms: int
    gap_after_ms: int
    forget_ms: int
    received_to_ms: int
    known_from_ms: int | None
    settled: list[int]
    preload: bool
    behind: int
    lists: list[str] = []
    gone: list[str] = []
    notes: list[str] = []


class Evidence(Protocol):
    """Where the records of a span come from: Kafka, or an export."""

    facts: Facts

    def pack(self, version: str) -> Mapping[str, str] | None:
        """The texts of a version of the rules; ``None`` when there are none."""

    def log(self) -> Iterator[Message | Fact]:
        """The lookups and reference records from the beginning of the log, in the order they were received."""

    def live(self) -> Iterator[Live]:
        """The alerts that were raised."""


def by_receipt(
    parts: Iterable[Iterator[Message]], facts: Callable[[], Iterator[Fact]], preload: bool
) -> Iterator[Message | Fact]:
    """Lookups and reference records in the order they were received, whatever partition they came in; each partition keeps its own.

    What was received at the same moment: reference records first, then by partition.
    """
    if preload:
        yield from _first_of_each(facts())
    streams = [_timed(part) for part in parts]
    for _, entry in heapq.merge(_timed(facts()), *streams, key=lambda pair: pair[0]):
        yield entry


def _timed(entries: Iterator[T]) -> Iterator[tuple[tuple[int, int], Message | Fact]]:
    """With the time by which to order: a timestamp may be older than one before it, and then counts as that."""
    newest: dict[int, int] = {}
    for entry in entries:
        part = entry.partition if isinstance(entry, Message) else -1
        newest[part] = max(entry.received_ms, newest.get(part, 0))
        yield (newest[part], part), entry


def _first_of_each(facts: Iterator[Fact]) -> Iterator[Fact]:
    seen: set[bytes | None] = set()
    for fact in facts:
        if fact.key not in seen:
            seen.add(fact.key)
            yield fact
