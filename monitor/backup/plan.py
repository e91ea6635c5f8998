"""Which topics must come back at the same offsets, and in which order they are looked at while the monitor works. Pure.

State names what it was made of by topic, partition and offset (promise 1), the journal names where each entry was read, and alerts name a
position of the reference data. So a topic whose offsets somebody remembers must come back with every record where it was. What was removed from
its front or from in between is filled up with :func:`filler` records, and the front is removed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from monitor.stream.topics import (
    ALERTS,
    AUDIT,
    CANARIES,
    COMMANDS,
    DISPOSITIONS,
    EVENTS,
    FEATURES,
    HOLDS,
    INCIDENTS,
    JOURNAL,
    KEYED,
    PRIORITIES,
    REFERENCE,
    REVIEW,
    RULES,
    SINKS_DLQ,
    SOURCES,
    UNMASKINGS,
    Topic,
)

#: How the topics of state are called. Nobody remembers an offset in one: a worker reads all of it.
STATE_SUFFIX: Final = ".state.v1"
#: What is made of something else, what is made last first; then what it is made of.
_BACKWARDS: Final = (SINKS_DLQ, INCIDENTS, PRIORITIES, JOURNAL, ALERTS, REVIEW, FEATURES, KEYED, SOURCES, CANARIES)
_SOURCES: Final = (EVENTS, DISPOSITIONS, COMMANDS, HOLDS, UNMASKINGS, RULES, REFERENCE, AUDIT)
#: Compacted topics in which somebody remembers an offset: alerts and state a position in the first, the journal one in the second.
_REMEMBERED: Final = (REFERENCE, HOLDS)
#: The key of a record that stands for one that is gone. It has no value, and no reader of a compacted topic knows anything by this key.
FILLER_KEY: Final = b"padding/0"


def backwards(names: Iterable[str]) -> list[str]:
    """The topics in the order in which their ends must be looked at: state, then what is made, then what it is made of.

    Then all that a state or a message says it was made of is before the end of that topic, as after a crash of everything at once: what
    comes after is made again, the same. A topic that is not known here is taken for one that nothing makes, and comes after all others.
    """

    def rank(name: str) -> tuple[int, int, str]:
        if name.endswith(STATE_SUFFIX):
            return 0, 0, name
        if name.endswith(".dlq"):  # refused out of whatever comes after it
            return 1, 0, name
        if name in _BACKWARDS:
            return 2, _BACKWARDS.index(name), name
        return 3, _SOURCES.index(name) if name in _SOURCES else len(_SOURCES), name

    return sorted(names, key=rank)


def is_compacted(topic: Topic) -> bool:
    """Whether Kafka removes records from in between."""
    return "compact" in topic.config["cleanup.policy"].split(",")


def keeps_offsets(topic: Topic) -> bool:
    """Whether a record of the topic must come back at the offset it had."""
    return not is_compacted(topic) or topic.name in _REMEMBERED


class Gap(NamedTuple):
    """Offsets without a record: from ``first`` up to and without ``past``."""

    first: int
    past: int


def gap_before(offset: int, at: int) -> Gap | None:
    """What has to be filled until a log that ends at ``at`` takes a record at ``offset``; ``None`` when nothing."""
    return Gap(at, offset) if at < offset else None


def split(gap: Gap, size: int) -> Iterator[int]:
    """The gap in pieces of at most ``size`` records: how many in each."""
    left = gap.past - gap.first
    while left > 0:
        yield min(size, left)
        left -= size
