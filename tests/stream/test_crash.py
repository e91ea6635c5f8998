"""A crash between any two steps loses nothing and counts nothing twice (promises 1 and 3), on an in-memory Kafka.

The stages are the real ones; only the log is a list. A crash may come after any single record was written, before the
offset is committed; then all memory is gone, and state comes back from the changelog and input from the committed offset.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import alerts
from monitor.backtest import Backtest
from monitor.canary import message
from monitor.detector import Detector, load_state
from monitor.enrich import explains_later
from monitor.model import scorer
from monitor.privacy.mask import Mask
from monitor.reference import Reference, decode
from monitor.review import Sampler
from monitor.review import message as message_of_review
from monitor.rules import load_texts, read_dir
from monitor.settings import pack_dir
from monitor.simulate import Settings, simulate
from monitor.stream.batches import Out
from monitor.stream.detect import Chunk, Detect, as_it_is
from monitor.stream.intake import Intake
from monitor.stream.score import Score
from monitor.stream.tables import Table
from monitor.stream.topics import (
    ALERTS,
    CANARIES,
    DETECT_STATE,
    EVENTS,
    FEATURES,
    INTAKE_STATE,
    KEYED,
    SCORE_STATE,
    TICK,
    partition_of,
)
from monitor.stream.versions import Pinned

PARTITIONS = 3
NOW = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1000)
QUANTILE = 0.98


#: A rule that joins actors and fires often, so that the order of what comes from several partitions is tested hard.
JOINED = """
title: Two actors, one subject
id: 0d3b5a52-5c0e-4c3e-9c56-0f0f4f6f7a11
correlation:
  type: value_count
  rules: [unexplained]
  group-by: [subject.id]
  timespan: 3d
  condition: {field: actor.id, gte: 2}
level: low
"""


@pytest.fixture(autouse=True, scope="module")
def early_model() -> Iterator[None]:
    """The model may alert after 200 lookups of a group: a world in which it does by itself would make the crashes slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorer, "WARM_UP", 200)
        patch.setattr(scorer, "WARM_DAYS", 5)
        patch.setattr(scorer, "SETTLED", 10)
        patch.setattr(scorer, "FEWEST", 3)
        yield


class Crash(Exception):
    """The process is gone."""


class Log:
    """Kafka, as lists; ``budget`` is how many more records it takes before the process dies."""

    def __init__(self) -> None:
        self.records: defaultdict[tuple[str, int], list[Any]] = defaultdict(list)
        self.committed: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.budget: int | None = None

    def write(self, out: list[Out]) -> None:
        for record in out:
            if self.budget is not None:
                if self.budget == 0:
                    raise Crash
                self.budget -= 1
            log = self.records[record.topic, record.partition]
            log.append(
                SimpleNamespace(
                    topic=record.topic,
                    partition=record.partition,
                    offset=len(log),
                    key=record.key,
                    value=record.value,
                    timestamp=record.timestamp,
                    headers=record.headers,
                )
            )

    def table(self, topic: str, partition: int) -> Table:
        table = Table(topic, partition)
        for record in self.records[topic, partition]:
            table.restore(record.key.decode(), record.value)
        return table


class Process:
    """One worker's memory: what the Faust agents do with a chunk, in the order in which they do it."""

    def __init__(self, log: Log, reference: Reference, rules: Any, mask: Mask | None = None) -> None:
        self.log, self.position = log, dict(log.committed)
        every = range(PARTITIONS)
        masked = as_it_is if mask is None else mask.alert
        review = (Sampler(0.0), message_of_review) if mask is None else (Sampler(0.2), mask.lookup)
        self.intakes = [
            Intake(p, PARTITIONS, log.table(INTAKE_STATE, p), reference, Pinned(rules), *review) for p in every
        ]
        detector = Detector(rules, partial(explains_later, reference))
        self.detects = [
            Detect(p, PARTITIONS, log.table(DETECT_STATE, p), lambda _: detector, mask=masked) for p in every
        ]
        self.scores = [Score(PARTITIONS, log.table(SCORE_STATE, p), QUANTILE, Pinned(rules), masked) for p in every]
        self.chunks: defaultdict[tuple[str, int], list[Chunk]] = defaultdict(list)

    def take(self, topic: str, partition: int, size: int) -> bool:
        """Process the next chunk of a partition; False when there is none."""
        at = self.position.get((topic, partition), 0)
        records = self.log.records[topic, partition][at : at + size]
        if not records:
            return False
        self.position[topic, partition] = at + len(records)
        chunk = Chunk(at + len(records))
        chunks = self.chunks[topic, partition]
        chunks.append(chunk)
        if topic == EVENTS:
            out, state = self.intakes[partition].process(records)
            self.log.write(out)
            self.log.write(state)
        elif topic == KEYED:
            written = self.detects[partition].process(records, chunk)
            self.log.write(written.out)
            self.log.write(written.state)
        else:
            self.log.write(self.scores[partition].process(records, chunk).out)
            self.log.write(self.scores[partition].snapshot(records[-1].offset, NOW))
        # As Faust does: the chunks of a partition are committed in order, up to the first that waits.
        while chunks and chunks[0].waiting == 0:
            self.log.committed[topic, partition] = chunks.pop(0).handle
        return True

    def run(self, size: int) -> None:
        """Go on until nothing is left, then say that the sources are idle, and finish that too."""
        self.drain(size)
        for intake in self.intakes:
            self.log.write(intake.idle())
        self.drain(size)

    def drain(self, size: int) -> None:
        while any([self.take(t, p, size) for t in (EVENTS, KEYED, FEATURES) for p in range(PARTITIONS)]):
            pass


@lru_cache(maxsize=1)
def lookups() -> tuple[Any, Reference, list[bytes]]:
    """Rules, reference data, lookups."""
    force = simulate(Settings(seed=3, days=5, actors=25, start=datetime(2026, 11, 10, tzinfo=UTC)))
    rules = load_texts({**read_dir(pack_dir()), "joined.yml": JOINED}).rules
    reference = Reference(decode(orjson.dumps(record)) for record in force.reference)
    return rules, reference, [orjson.dumps(event) for event in force.events()][:1800]


@lru_cache(maxsize=1)
def world() -> tuple[Any, Reference, list[bytes], dict[str, bytes]]:
    """As :func:`lookups`, and the alerts that a backtest gives."""
    rules, reference, raws = lookups()
    run = Backtest(rules, reference, PARTITIONS, lambda actor: partition_of(actor, PARTITIONS), QUANTILE)
    return rules, reference, raws, {alert.id: alerts.encode(alert) for alert in run.run(raws, NOW)}


def filled_log() -> Log:
    log = Log()
    for raw in world()[2]:
        actor = orjson.loads(raw)["actor"]["id"]
        log.write([Out(EVENTS, partition_of(actor, PARTITIONS), actor.encode(), raw, NOW)])
    return log


def alerts_in(log: Log) -> dict[str, bytes]:
    """The alerts by id; a repeat must be the same, byte for byte."""
    found: dict[str, bytes] = {}
    for partition in range(PARTITIONS):
        for record in log.records[ALERTS, partition]:
            alert = alerts.decode(record.value)
            assert found.setdefault(alert.id, record.value) == record.value
    return found


def test_without_a_crash_live_is_backtest() -> None:
    rules, reference, _, expected = world()
    log = filled_log()
    Process(log, reference, rules).run(size=97)
    assert len(expected) >= 5
    assert {alerts.decode(raw).entity.kind for raw in expected.values()} == {"actor", "subject"}
    assert {alerts.decode(raw).kind for raw in expected.values()} == {"rule", "model"}
    assert alerts_in(log) == expected


def with_canaries(log: Log, every: int) -> tuple[Log, int]:
    """The log with a canary in each source partition before every so many lookups; and how many."""
    mixed, count = Log(), 0
    for source in range(PARTITIONS):
        for number, record in enumerate(log.records[EVENTS, source]):
            if number % every == 0:
                count += 1
                canary = message(f"c-{source}-{number}", datetime.fromtimestamp(NOW / 1000, UTC).isoformat())
                mixed.write([Out(EVENTS, source, None, canary, NOW)])
            mixed.write([Out(EVENTS, source, record.key, record.value, NOW)])
    return mixed, count


def test_canaries_are_answered_by_both_stages_and_change_nothing_of_lookups() -> None:
    """They are of much later than the lookups around them: they must not move event time on."""
    rules, reference, _, expected = world()
    plain, (mixed, count) = filled_log(), with_canaries(filled_log(), 40)
    for log in (plain, mixed):
        Process(log, reference, rules).run(size=97)
    assert alerts_in(mixed) == expected
    for stage in ("detect", "score"):
        answers = [record for record in mixed.records[CANARIES, 0] if record.key.startswith(stage.encode())]
        assert len({alerts.decode(record.value).events[0] for record in answers}) == count
    for partition in range(PARTITIONS):
        states = [log.table(DETECT_STATE, partition).values for log in (plain, mixed)]
        loaded = [{key: load_state(value) for key, value in state.items()} for state in states]
        assert loaded[0].keys() == loaded[1].keys()
        for key, state in loaded[0].items():
            other = loaded[1][key]
            assert (state.newest, state.windows, state.features) == (other.newest, other.windows, other.features)
        assert log.table(SCORE_STATE, partition).values.keys() == plain.table(SCORE_STATE, partition).values.keys()


def test_a_crash_between_the_intakes_two_writes_changes_no_alert() -> None:
    """What was made of the chunk is in Kafka, the state that says so is not: everything is made again, byte for byte."""
    rules, reference, _, expected = world()
    log = filled_log()
    for source in range(PARTITIONS):
        process = Process(log, reference, rules)
        process.take(EVENTS, source, 50)
        records = log.records[EVENTS, source][50:150]
        out, _ = process.intakes[source].process(records)
        log.write(out)
    for source in range(PARTITIONS):
        assert log.committed[EVENTS, source] == 50
    Process(log, reference, rules).run(size=70)
    assert alerts_in(log) == expected
    for partition in range(PARTITIONS):
        once: dict[tuple[int, int, bytes], bytes] = {}
        for record in log.records[KEYED, partition]:
            if record.key != TICK:
                _, src, off, *_ = orjson.loads(record.value)["@"]
                assert once.setdefault((src, off, record.key), record.value) == record.value


def test_the_world_of_these_tests_has_acts() -> None:
    log = filled_log()
    rules, reference, _, _ = world()
    Process(log, reference, rules).drain(size=300)
    values = [r.value for p in range(PARTITIONS) for r in log.records[KEYED, p] if r.key.startswith(b"actor/")]
    folded = [value for value in map(orjson.loads, values) if value.get("act.folded")]
    assert len(folded) > 20
    assert any("same-act" in each.get("explanation", ()) for each in folded)


@settings(max_examples=8, deadline=None)
@given(crashes=st.lists(st.integers(0, 4000), min_size=1, max_size=4), size=st.sampled_from([13, 100, 400]))
def test_a_crash_after_any_write_changes_no_alert(crashes: list[int], size: int) -> None:
    rules, reference, _, expected = world()
    log = filled_log()
    for budget in crashes:
        log.budget = budget
        process = Process(log, reference, rules)
        try:
            process.run(size)
        except Crash:
            continue
    log.budget = None
    Process(log, reference, rules).run(size)
    assert alerts_in(log) == expected
