"""Restoring a backup into a Kafka that has nothing of the monitor's.

While it is under way the topics are not as the monitor wants them (nothing is removed from any of them, and times are kept as they are
written), so that no process of the monitor starts on half of a restore. They become so at its very end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.structs import OffsetAndMetadata

from monitor.backup.format import Manifest, Part, Record, read_part
from monitor.backup.plan import FILLER_KEY, gap_before, is_compacted, keeps_offsets, split
from monitor.backup.take import patiently
from monitor.evidence import Unusable
from monitor.evidence.kafka_log import Log
from monitor.settings import Settings
from monitor.stream.batches import BatchWriter, Out
from monitor.stream.topics import Topic, read_config, topics_of
from monitor.stream.topics import create as create_topics

#: What holds for a topic while it is filled: nothing is removed, and the times are those of the backup.
_MEANWHILE: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "message.timestamp.type": "CreateTime"}
#: So many records are written before Kafka is asked where it put them.
_AT_ONCE: Final = 2_000
_FILLERS_AT_ONCE: Final = 200_000
#: Seconds that all brokers may take until they know what was set.
_TAKES_WITHIN: Final = 30.0
_AGAIN: Final = "delete the topics that begin with lookup., and begin again"
Say = Callable[[str], None]


def prepare(settings: Settings, admin: KafkaAdminClient, manifest: Manifest) -> None:
    """Make the topics that the backup is for, and let nothing work on them yet. Raises :class:`Unusable` if there is something in them."""
    wanted = {topic.name: topic for topic in topics_of(settings)}
    if manifest.partitions != settings.partitions:
        raise Unusable(
            f"the backup is of {manifest.partitions} partitions: set LOOKUP_MONITOR_PARTITIONS={manifest.partitions}"
        )
    if unknown := sorted({part.topic for part in manifest.parts} - wanted.keys()):
        raise Unusable(
            f"this program knows no {', '.join(unknown)}: use version {manifest.program}, which made the backup"
        )
    create_topics(admin, settings)
    log = Log(settings)
    try:
        for name in wanted:
            if any(past for _, past in log.ranges(name)):
                raise Unusable(
                    f"{name} is not empty: a backup is restored into a Kafka that never had anything of the monitor's; {_AGAIN}"
                )
    finally:
        log.close()
    _configure(admin, dict.fromkeys(wanted, _MEANWHILE))


async def fill(settings: Settings, folder: Path, manifest: Manifest, say: Say = lambda words: None) -> None:
    """Write all records. Raises :class:`Unusable`, :class:`monitor.evidence.Damaged`, ``OSError`` and aiokafka's ``KafkaError``."""
    by_name = {topic.name: topic for topic in topics_of(settings)}
    writer = BatchWriter(settings.kafka)
    await writer.start()
    try:
        for part in manifest.parts:
            say(f"{part.topic}/{part.partition}: {part.records} records")
            await _fill(writer, by_name[part.topic], part, read_part(folder, part))
    finally:
        await writer.stop()


async def _fill(writer: BatchWriter, topic: Topic, part: Part, records: Iterable[Record]) -> None:
    at, keeps, source = 0, keeps_offsets(topic), iter(records)
    # In a compacted topic a record without a key could not stay.
    key = FILLER_KEY if is_compacted(topic) else None
    while chunk := list(islice(source, _AT_ONCE)):
        run: list[Record] = []
        for record in chunk:
            if keeps and (gap := gap_before(record.offset, at + len(run))) is not None:
                at, run = await _write(writer, part, at, run), []
                for count in split(gap, _FILLERS_AT_ONCE):
                    at = await _write(writer, part, at, [Record(0, record.time_ms, key, None)] * count)
            run.append(record)
        at = await _write(writer, part, at, run)
    if keeps and (gap := gap_before(part.past, at)) is not None:
        for count in split(gap, _FILLERS_AT_ONCE):
            at = await _write(writer, part, at, [Record(0, 0, key, None)] * count)


async def _write(writer: BatchWriter, part: Part, at: int, records: list[Record]) -> int:
    """Write at the end of the partition, which must be ``at``; return the new end."""
    outs = [Out(part.topic, part.partition, each.key, each.value, each.time_ms, each.headers) for each in records]
    for span in await writer.write(outs):
        if span.first != at:
            raise Unusable(
                f"{part.topic}/{part.partition}: something else was written to it, or a write was repeated; {_AGAIN}"
            )
        at = span.end
    return at


def finish(settings: Settings, admin: KafkaAdminClient, manifest: Manifest) -> None:
    """Remove what only filled, tell the groups how far they were, look whether all is there, and let the monitor work.

    Raises :class:`Unusable` and kafka-python's ``KafkaError``.
    """
    wanted = {topic.name: topic for topic in topics_of(settings)}
    kept = [part for part in manifest.parts if keeps_offsets(wanted[part.topic])]
    fronts = {TopicPartition(part.topic, part.partition): part.first for part in kept if part.first}
    if fronts:
        admin.delete_records(fronts)
    for group, offsets in manifest.groups.items():
        _commit(admin, group, offsets)
    _check(settings, kept)
    _configure(admin, {name: topic.config for name, topic in wanted.items()}, _MEANWHILE)


def _commit(admin: KafkaAdminClient, group: str, offsets: dict[str, dict[int, int]]) -> None:
    committed = {
        TopicPartition(topic, number): OffsetAndMetadata(offset, "", -1)
        for topic, of_topic in offsets.items()
        for number, offset in of_topic.items()
    }
    for part, error in patiently(lambda: admin.alter_group_offsets(group, committed)).items():
        if getattr(error, "errno", 0):
            raise Unusable(
                f"group {group}, {part.topic}/{part.partition}: {error.__name__}; stop what is in the group; {_AGAIN}"
            )


def _check(settings: Settings, kept: list[Part]) -> None:
    log = Log(settings)
    try:
        for part in kept:
            found, expected = log.ranges(part.topic)[part.partition], (part.first, part.past)
            if found != expected:
                raise Unusable(
                    f"{part.topic}/{part.partition} goes from {found[0]} to {found[1]}, not {part.first} to {part.past}; {_AGAIN}"
                )
    finally:
        log.close()


def _configure(admin: KafkaAdminClient, wanted: Mapping[str, Mapping[str, str]], forget: Iterable[str] = ()) -> None:
    """Set what ``wanted`` says of each topic, and take back what of ``forget`` it does not; wait until the brokers say so too."""

    def resource(name: str, config: Mapping[str, Any]) -> Any:
        return ConfigResource(ConfigResourceType.TOPIC, name, configs=dict(config))

    admin.alter_configs([resource(name, config) for name, config in wanted.items()])
    rests = {name: dict.fromkeys(set(forget) - config.keys()) for name, config in wanted.items()}
    if rests := {name: rest for name, rest in rests.items() if rest}:
        admin.reset_configs([resource(name, rest) for name, rest in rests.items()])
    deadline = time.monotonic() + _TAKES_WITHIN
    for name, config in wanted.items():
        while wrong := _differing(admin, name, config, rests.get(name, {})):
            if time.monotonic() > deadline:
                raise Unusable(f"{name}: Kafka did not take {', '.join(wrong)}; {_AGAIN}")
            time.sleep(0.05)


def _differing(admin: KafkaAdminClient, name: str, config: Mapping[str, str], rest: Iterable[str]) -> list[str]:
    found = read_config(admin, name)
    # What is taken back of the others is Kafka's own default.
    forgotten = ["retention.ms"] if "retention.ms" in rest and found.get("retention.ms") == "-1" else []
    return [each for each, value in config.items() if found.get(each) != value] + forgotten
