"""Taking a backup from Kafka, while the monitor works or not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import stamina
from kafka import KafkaAdminClient
from kafka.errors import OffsetOutOfRangeError, RetriableError

from monitor.backup.format import MANIFEST, Manifest, Part, Record, encode, write_part
from monitor.backup.plan import backwards, is_compacted
from monitor.evidence import Unusable
from monitor.evidence.kafka_log import Log
from monitor.settings import Settings
from monitor.stream.topics import Topic, topics_of

#: The consumer group of `monitor audit relay` is the workers' with this behind it.
RELAY_SUFFIX: Final = "-relay"
#: A record that was superseded after the end was looked at must not be compacted away before it is read; so much of the time is left.
_SPARE_SECONDS: Final = 30.0
#: Seconds until somebody must coordinate the groups.
_COORDINATED_WITHIN: Final = 30.0
T = TypeVar("T")


class _Span(NamedTuple):
    topic: Topic
    partition: int
    first: int
    past: int
    #: By when (of the monotonic clock) it must have been read, lest compaction removes what was the newest when its end was looked at.
    until: float


def take(
    settings: Settings,
    admin: KafkaAdminClient,
    folder: Path,
    say: Callable[[str], None] = lambda words: None,
    clock: Callable[[], float] = time.monotonic,
) -> Manifest:
    """Write a backup of all topics to a new folder, which appears under its name when it is whole.

    Raises :class:`Unusable`, ``OSError``, and kafka-python's ``KafkaError``.
    """
    if folder.exists():
        raise Unusable(f"{folder} is there already; name a new folder")
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    draft.mkdir(mode=0o700, parents=True)
    log = Log(settings)
    try:
        # How far the workers have come first: state goes at least as far, and what was made of it further.
        groups = _groups(admin, settings)
        spans = _spans(log, settings, clock)
        parts = []
        # What is compacted first, and of that what is compacted soonest.
        for span in sorted(spans, key=lambda each: each.until):
            say(f"{span.topic.name}/{span.partition}: {span.past - span.first} offsets")
            parts.append(_read(log, draft, span, clock))
    finally:
        log.close()
    manifest = Manifest(
        program=version("lookup-monitor"),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        partitions=settings.partitions,
        parts=sorted(parts, key=lambda part: (part.topic, part.partition)),
        groups=groups,
    )
    _finish(draft, folder, encode(manifest))
    return manifest


def patiently(ask: Callable[[], T]) -> T:
    """What a call gives once there is who coordinates the groups: a new Kafka, or one that lost a broker, has nobody for some seconds."""
    for attempt in stamina.retry_context(on=RetriableError, attempts=None, timeout=_COORDINATED_WITHIN, wait_max=1.0):
        with attempt:
            return ask()
    raise AssertionError  # the last attempt returns or raises


def _finish(draft: Path, folder: Path, manifest: bytes) -> None:
    handle = os.open(draft / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(manifest)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder)


def _groups(admin: KafkaAdminClient, settings: Settings) -> dict[str, dict[str, dict[int, int]]]:
    names = [settings.group, settings.group + RELAY_SUFFIX]
    found: dict[str, dict[str, dict[int, int]]] = {}
    for name, offsets in patiently(lambda: admin.list_group_offsets(dict.fromkeys(names))).items():
        for part, committed in offsets.items():
            if committed.offset >= 0:
                found.setdefault(name, {}).setdefault(part.topic, {})[part.partition] = committed.offset
    return found


def _spans(log: Log, settings: Settings, clock: Callable[[], float]) -> list[_Span]:
    by_name = {topic.name: topic for topic in topics_of(settings)}
    spans = []
    for name in backwards(by_name):
        topic, until = by_name[name], float("inf")
        if is_compacted(topic):
            lag = int(topic.config.get("min.compaction.lag.ms", "0")) / 1000
            until = clock() + lag - _SPARE_SECONDS if lag else until
        ranges = log.ranges(name)
        if len(ranges) != topic.partitions:
            raise Unusable(f"{name} has {len(ranges)} partitions, not {topic.partitions}; see `monitor topics`")
        spans += [_Span(topic, number, first, past, until) for number, (first, past) in enumerate(ranges)]
    return spans


def _read(log: Log, folder: Path, span: _Span, clock: Callable[[], float]) -> Part:
    """A partition into its file. What retention has removed from its front meanwhile is not in it."""
    name, number, first = span.topic.name, span.partition, span.first
    while True:
        try:
            part = write_part(folder, name, number, (first, span.past), _records(log, span, first))
            break
        except OffsetOutOfRangeError:
            first = min(span.past, log.ranges(name)[number][0])
    if clock() > span.until:
        raise Unusable(
            f"{name}/{number}: was not read before Kafka may have compacted it; take the backup from a machine nearer to Kafka, or stop"
            f" the workers and raise min.compaction.lag.ms of {name} for as long as it takes"
        )
    if not is_compacted(span.topic) and part.records != part.past - part.first:
        raise Unusable(
            f"{name}/{number}: {part.past - part.first} offsets have {part.records} records: it is no log of ours"
        )
    return part


def _records(log: Log, span: _Span, first: int) -> Iterator[Record]:
    for record in log.read(span.topic.name, span.partition, first, span.past):
        yield Record(record.offset, record.timestamp, record.key, record.value, _headers(record))


def _headers(record: Any) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, bytes(value)) for name, value in record.headers or ())
