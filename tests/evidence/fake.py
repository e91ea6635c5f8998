"""Kafka's topics in memory, for what reads them; and a small installation that has been running for a while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from monitor import alerts
from monitor.backtest import Backtest
from monitor.evidence.kafka_log import Log
from monitor.reference import Reference, decode
from monitor.rules import RuleSet, load_texts
from monitor.settings import Settings
from monitor.simulate import Settings as ForceSettings
from monitor.simulate import simulate
from monitor.stream import topics
from monitor.stream.topics import partition_of
from monitor.stream.versions import CURRENT, pack_records, switch_records
from tests.rules.samples import correlation, detection
from tests.samples import BAD

PARTITIONS = 2
HOUR = 3600 * 1000
DAY = 24 * HOUR
SETTINGS = Settings(partitions=PARTITIONS, quantile=0.9)
OLD = {
    "base.yml": detection({"action": "read"}, name="base"),
    "print.yml": detection({"action": "print"}, name="print", grace="2h"),
    "deep/export.yml": detection({"action": "export"}, name="exported"),
    "both.yml": correlation(
        "both", type="value_count", group_by=["subject.id"], condition={"field": "actor.id", "gte": 2}
    ),
}
NEW = {**OLD, "deep/search.yml": detection({"action": "search", "results": 0}, name="nothing found")}


class Record(NamedTuple):
    """A record as a consumer gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class FakeLog(Log):
    """Topics by name: the records of each partition, from any offset on."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        super().__init__(settings)
        one = (topics.REFERENCE, topics.RULES)
        many = (topics.EVENTS, topics.KEYED, topics.FEATURES, topics.ALERTS)
        self.held: dict[str, list[list[Record]]] = {name: [[]] for name in one}
        self.held.update({name: [[] for _ in range(settings.partitions)] for name in many})
        #: The first offset that is left of a partition whose records are all gone.
        self.begins: dict[tuple[str, int], int] = {}
        self.left = 0

    def put(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, at: int, headers: Any = ()
    ) -> None:
        records = self.held[topic][partition]
        offset = records[-1].offset + 1 if records else self.begins.get((topic, partition), 0)
        records.append(Record(topic, partition, offset, at, key, value, tuple(headers)))

    def drop(self, topic: str, partition: int, count: int) -> None:
        """What retention does."""
        records = self.held[topic][partition]
        self.begins[topic, partition] = records[min(count, len(records)) - 1].offset + 1
        del records[:count]

    def partitions(self, topic: str) -> int:
        return len(self.held[topic])

    def ranges(self, topic: str) -> list[tuple[int, int]]:
        found = []
        for number, records in enumerate(self.held[topic]):
            begin = self.begins.get((topic, number), 0)
            found.append((records[0].offset, records[-1].offset + 1) if records else (begin, begin))
        return found

    def after(self, topic: str, received_ms: int) -> list[int | None]:
        return [
            next((each.offset for each in records if each.timestamp > received_ms), None)
            for records in self.held[topic]
        ]

    def read(self, topic: str, partition: int, first: int, past: int) -> Iterator[Any]:
        return (each for each in list(self.held[topic][partition]) if first <= each.offset < past)

    def wait_for_workers(self, pasts: list[int], seconds: float) -> int:
        return self.left


def rules_of(files: dict[str, str]) -> RuleSet:
    loaded = load_texts(files)
    assert loaded.problems == []
    return loaded.rules


def installation(days: int = 3, start_ms: int | None = None) -> FakeLog:
    """A force whose lookups came as they were made: bad messages, a change of rules, and the alerts that a backtest gives."""
    from datetime import UTC, datetime

    log = FakeLog()
    begin = datetime(2026, 10, 1, tzinfo=UTC) if start_ms is None else datetime.fromtimestamp(start_ms / 1000, UTC)
    force = simulate(ForceSettings(seed=7, days=days, actors=20, start=begin))
    records, raws = [orjson.dumps(each) for each in force.reference], [orjson.dumps(each) for each in force.events()]
    t0 = int(begin.timestamp() * 1000)
    for raw in records:
        found = orjson.loads(raw)
        log.put(topics.REFERENCE, 0, f"{found['record']}/{found['id']}".encode(), raw, t0)
    old, new, half = rules_of(OLD), rules_of(NEW), len(raws) // 2
    for out in [*pack_records(OLD)[1], *switch_records(old.version, PARTITIONS)[:1]]:
        log.put(out.topic, out.partition, out.key, out.value, t0)
    messages: list[bytes | RuleSet] = [*raws[:half], new, *raws[half:]]
    now = t0
    for message in messages:
        if isinstance(message, RuleSet):
            for out in [*pack_records(NEW)[1], *switch_records(new.version, PARTITIONS)]:
                log.put(out.topic, out.partition, out.key, out.value, now, out.headers)
            for number, (_, value) in enumerate(BAD):
                log.put(topics.EVENTS, number % PARTITIONS, None, value, now, [("ce_id", b"\xff")])
            continue
        event = orjson.loads(message)
        now = max(now, int(datetime.fromisoformat(event["time"]).timestamp() * 1000))
        src = partition_of(event["actor"]["id"], PARTITIONS)
        log.put(topics.EVENTS, src, event["actor"]["id"].encode(), message, now)
        version = (
            new.version
            if now > log.held[topics.RULES][0][-1].timestamp and len(log.held[topics.RULES][0]) > 2
            else old.version
        )
        place = [0, src, log.held[topics.EVENTS][src][-1].offset, now, version]
        log.put(topics.KEYED, src, b"actor/x", orjson.dumps({"@": place}), now)
    run = Backtest(
        old,
        Reference(map(decode, records)),
        PARTITIONS,
        lambda actor: partition_of(actor, PARTITIONS),
        SETTINGS.quantile,
    )
    for alert in run.run(messages, 2**62):
        log.put(
            topics.ALERTS,
            partition_of(alert.entity.id, PARTITIONS),
            b"actor/x",
            alerts.encode(alert),
            max(alert.ts, t0),
            [(topics.ENRICHED_BY, b"%d" % len(records))],
        )
    assert [each.key for each in log.held[topics.RULES][0]][-1] == CURRENT
    return log
