"""What is in Kafka when a run has ended, and what a backtest of the very log says should be there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from monitor import alerts, ending
from monitor.backtest import Backtest
from monitor.detector import load_state, save_state
from monitor.model.versions import encode
from monitor.order import IDLE
from monitor.reference import Reference, decode
from monitor.rerun import version_in
from monitor.rules import RuleSet
from monitor.settings import Settings
from monitor.stream import tables, topics
from monitor.stream.detect import as_it_is
from monitor.stream.masking import mask_of
from monitor.stream.score import VERSIONS_OF, GroupState
from tests.torture.compare import End

_STAGES = (topics.EVENTS, topics.KEYED, topics.FEATURES)


def read(settings: Settings, topic: str, partition: int) -> list[Any]:
    """Every record that a partition has now."""
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    try:
        part = TopicPartition(topic, partition)
        consumer.assign([part])
        consumer.seek_to_beginning(part)
        end = consumer.end_offsets([part])[part]
        found: list[Any] = []
        while consumer.position(part) < end:
            for records in consumer.poll(timeout_ms=500).values():
                found += records
        return found
    finally:
        consumer.close()


def lag(settings: Settings) -> dict[tuple[str, int], int] | None:
    """How many messages each partition has that are not committed as done; ``None`` when Kafka does not say."""
    found = _standing(settings)
    return None if found is None else {place: end - done for place, (end, done) in found.items()}


def done(settings: Settings) -> int | None:
    """How many messages of all partitions are committed as done; ``None`` when Kafka does not say."""
    found = _standing(settings)
    return None if found is None else sum(done for _, done in found.values())


def _standing(settings: Settings) -> dict[tuple[str, int], tuple[int, int]] | None:
    """The end of each partition, and how far it is committed."""
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=settings.bootstrap, group_id=settings.group, enable_auto_commit=False
        )
    except (KafkaError, OSError):
        return None
    try:
        parts = [TopicPartition(topic, number) for topic in _STAGES for number in range(settings.partitions)]
        ends = consumer.end_offsets(parts)
        return {(part.topic, part.partition): (ends[part], consumer.committed(part) or 0) for part in parts}
    except (KafkaError, OSError):
        return None
    finally:
        consumer.close(autocommit=False)


class Ticks:
    """What the ticks of the log say.

    ``passed``: by keyed partition, how far each source's event time has come. A worker that is killed while it tells that a
    source is idle tells it to some partitions only. ``idle``: the sources that have spoken last as idle, in all partitions;
    ``woken``: those that fell asleep and then went on, in any.
    """

    def __init__(self, settings: Settings) -> None:
        count = settings.partitions
        self.passed: list[dict[int, int]] = [{} for _ in range(count)]
        self.idle: set[int] = set(range(count))
        self.woken: set[int] = set()
        for partition in range(count):
            self.idle &= self._read(settings, partition)

    def _read(self, settings: Settings, partition: int) -> set[int]:
        newest: dict[int, int] = {}
        passed, idle = self.passed[partition], set[int]()
        for record in read(settings, topics.KEYED, partition):
            if record.key != topics.TICK:
                continue
            src, reached, *said = orjson.loads(record.value)
            now = said[0] if said else reached
            if now != IDLE:
                passed[src] = max(now, passed.get(src, 0))
            if reached == IDLE:
                idle.add(src)
            elif reached > newest.get(src, -1):
                newest[src] = reached
                if src in idle:
                    self.woken.add(src)
                    idle.discard(src)
        return idle


def observe(settings: Settings) -> tuple[End, int, int]:
    """What the run ended with, how many alerts were repeats, and how many DLQ entries there are."""
    end, seen, refused = End(), 0, 0
    for partition in range(settings.partitions):
        for record in read(settings, topics.ALERTS, partition):
            seen += 1
            ident = alerts.decode(record.value).id
            if end.alerts.setdefault(ident, record.value) != record.value:
                end.unlike.append(ident)
        for record in read(settings, topics.DLQ, partition):
            refused += 1
            headers = dict(record.headers)
            place = (headers["topic"].decode(), int(headers["partition"]), int(headers["offset"]))
            end.refused[place] = record.value
        states = asyncio.run(tables.load(settings.kafka, tables.Table(topics.DETECT_STATE, partition)))
        end.states.update((key, load_state(value)) for key, value in states.values.items())
        models = asyncio.run(tables.load(settings.kafka, tables.Table(topics.SCORE_STATE, partition)))
        for name, value in models.values.items():
            is_model = not name.startswith(VERSIONS_OF)
            end.models[name] = msgspec.msgpack.decode(value, type=GroupState).model if is_model else value
    return end, seen - len(end.alerts), refused


class LogBacktest(Backtest):
    """A backtest of the log as it lies in Kafka: every record has its own offset, and time ends where the ticks say.

    So the offsets in the states (``at``) are the workers' own and are compared like all else. The partitions are read one
    after the other, each with its own control records: what joins them is put into the one order in any case.
    """

    def __init__(self, settings: Settings, first: RuleSet, reference: Reference, passed: list[dict[int, int]]) -> None:
        count = settings.partitions
        super().__init__(first, reference, count, lambda actor: topics.partition_of(actor, count), settings.quantile)
        self._first = first
        mask = mask_of(settings)
        self._mask = as_it_is if mask is None else mask.alert
        self._passed = passed

    def end(self, log: list[list[Any]], packs: Mapping[str, RuleSet], poison: frozenset[bytes | None]) -> End:
        """Where the workers must have ended, given the records of every partition of the log."""
        made = self.run(self._messages(log, packs), int(time.time() * 1000))
        end = End(alerts={alert.id: alerts.encode(alert) for alert in map(self._mask, made)})
        # Through the bytes, as the workers' states have gone: what was a tuple is a list then.
        end.states = {key: load_state(save_state(state)) for key, state in self._states.items()}
        end.models = {group: model.to_bytes() for group, model in self.models.items()}
        end.models |= {VERSIONS_OF + name: encode(group.versions) for name, group in self.groups.items()}
        for partition, records in enumerate(log):
            bad = (each for each in records if each.value in poison and version_in(each) is None)
            end.refused.update({(topics.EVENTS, partition, each.offset): each.value for each in bad})
        return end

    def _messages(self, log: list[list[Any]], packs: Mapping[str, RuleSet]) -> Iterator[bytes | RuleSet]:
        for partition, records in enumerate(log):
            yield self._first
            for record in records:
                version = version_in(record)
                if version is not None:
                    yield packs[version]
                    continue
                self._next[partition] = record.offset
                yield record.value

    def _decide(self) -> Iterator[alerts.Alert]:
        # Live, time goes on after the last lookup for as long as the idle ticks say; a plain backtest ends with it.
        count = len(self._reached)
        for partition, passed in enumerate(self._passed):
            states = {key: state for key, state in self._states.items() if topics.partition_of(key, count) == partition}
            reached = [passed.get(src, 0) for src in range(count)]
            yield from ending.decide(self._detector, states, reached, min(reached))


def expect(
    settings: Settings,
    raws: list[bytes],
    first: RuleSet,
    packs: Mapping[str, RuleSet],
    poison: frozenset[bytes | None],
    ticks: Ticks,
) -> End:
    """Where one undisturbed backtest of what is in the log ends."""
    log = [read(settings, topics.EVENTS, partition) for partition in range(settings.partitions)]
    return LogBacktest(settings, first, Reference(map(decode, raws)), ticks.passed).end(log, packs, poison)
