"""What intake says of each partition, joined: the same gaps as a backtest, whatever the chunks, crashes and workers."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import alerts
from monitor.backtest import Backtest
from monitor.reference import Reference
from monitor.rules import RuleSet
from monitor.sources import MAX_REGISTERS, OTHER, BadState, Chunk, Seen, Sources, State, load_state
from monitor.stream.intake import Intake
from monitor.stream.tables import Table
from monitor.stream.topics import EVENTS, SOURCES, partition_of
from monitor.stream.versions import Pinned
from tests.samples import GOOD

PARTITIONS = 3
AFTER_MS = 60_000
T0 = 1_790_000_100_000
RECEIVED = T0 + 10**9


def log_of(seed: int) -> list[tuple[str, bytes]]:
    """(Kafka key, message) of lookups of two counters with numbers missing, some late, and heartbeats."""
    chance, made = random.Random(seed), []
    for number in range(300):
        ts = T0 + number * 2_000
        late = chance.choice([0, 0, 0, 5_000, 50_000, 200_000])
        if chance.random() > 0.03:
            actor = f"o-{chance.randrange(12)}"
            body = {**GOOD, "id": f"x-{number}", "actor": {"id": actor}, "seq": number, "time": text(ts)}
            body |= {"source": "b"} if number % 5 == 0 else {}
            made.append((ts + late, actor, orjson.dumps(body)))
        if number % 40 == 0:
            beat = {"kind": "heartbeat", "system": "bvi", "seq": number, "time": text(ts)}
            made.append((ts + 1, "bvi", orjson.dumps(beat)))
    return [(key, raw) for _, key, raw in sorted(made)]


def text(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).isoformat(timespec="milliseconds")


def expected_of(log: list[tuple[str, bytes]]) -> dict[str, bytes]:
    """Of a backtest, whose sources are the partitions of the keys."""
    run = Backtest(
        RuleSet(), Reference([]), PARTITIONS, lambda key: partition_of(key, PARTITIONS), 0.999, gap_after_ms=AFTER_MS
    )
    found = run.run([raw for _, raw in log], RECEIVED)
    return {alert.id: alerts.encode(alert) for alert in found if alert.kind == "rule"}


def partitions_of(log: list[tuple[str, bytes]]) -> list[list[Any]]:
    made: list[list[Any]] = [[] for _ in range(PARTITIONS)]
    for key, raw in log:
        of = made[partition_of(key, PARTITIONS)]
        of.append(
            SimpleNamespace(
                topic=EVENTS, partition=0, offset=len(of), key=key.encode(), value=raw, timestamp=RECEIVED, headers=()
            )
        )
    return made


def said_by_intakes(log: list[tuple[str, bytes]], chance: random.Random) -> list[bytes]:
    """What intakes in several workers write, chunks of any size, some done twice after a crash before their state."""
    written: list[bytes] = []
    records = partitions_of(log)
    stages = [Intake(src, PARTITIONS, Table("s", src), Reference([]), Pinned(RuleSet())) for src in range(PARTITIONS)]
    at = [0] * PARTITIONS
    while any(at[src] < len(records[src]) for src in range(PARTITIONS)):
        src = chance.randrange(PARTITIONS)
        size = chance.randrange(1, 40)
        before = Table("s", src)
        before.values = dict(stages[src].table.values)
        out, _ = stages[src].process(records[src][at[src] : at[src] + size])
        written += [each.value or b"" for each in out if each.topic == SOURCES]
        if chance.random() < 0.2:
            stages[src] = Intake(src, PARTITIONS, before, Reference([]), Pinned(RuleSet()))
        else:
            at[src] += size
    return written + [each.value or b"" for stage in stages for each in stage.idle() if each.topic == SOURCES]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), restarts=st.sets(st.integers(0, 60), max_size=4))
def test_live_is_backtest_whatever_the_chunks_crashes_and_restarts(seed: int, restarts: set[int]) -> None:
    log = log_of(seed)
    expected = expected_of(log)
    written = said_by_intakes(log, random.Random(seed))
    found: dict[str, bytes] = {}
    sources, saved, at = Sources(PARTITIONS, AFTER_MS, State()), State(), 0
    keep = sources.save()
    todo = sorted(restarts)
    while at < len(written):
        if todo and at >= todo[0]:
            todo.pop(0)
            saved = load_state(keep)  # the state of a while ago: what came since is read again
            sources, at = Sources(PARTITIONS, AFTER_MS, saved), saved.position
            continue
        sources.take(at, written[at])
        at += 1
        for alert in sources.release():
            raw = alerts.encode(alert)
            assert found.setdefault(alert.id, raw) == raw
        if at % 7 == 0:
            keep = sources.save()
    assert found == expected


def test_the_world_of_these_tests_has_gaps() -> None:
    assert sum(bool(expected_of(log_of(seed))) for seed in range(10)) >= 5


def chunk(src: int, minute: int, counts: dict[str, int], passed: int | None = None, offset: int = 0) -> bytes:
    reached = minute * 60_000
    seen = Seen()
    for system, number in counts.items():
        for _ in range(number):
            lookup = {"system": system, "ts": reached, "hour": minute // 60 % 24, "weekday": (minute // 1440 + 3) % 7}
            seen.lookup(lookup, reached, offset)
    return seen.chunk(src, offset, reached)


def test_a_registers_lookups_are_summed_over_all_partitions_and_workers() -> None:
    minute = T0 // 60_000
    sources = Sources(2, AFTER_MS, State())
    sources.take(0, chunk(0, minute, {"bvi": 3}))
    sources.release()
    assert sources.registers["bvi"].seen(60) == 0, "the other partition may have had something before"
    sources.take(1, chunk(1, minute, {"bvi": 4, "rdw": 1}))
    sources.take(2, chunk(0, minute + 1, {}, offset=1))
    sources.take(3, chunk(1, minute + 1, {}, offset=1))
    sources.release()
    assert {name: register.seen(60) for name, register in sources.registers.items()} == {"bvi": 7, "rdw": 1}
    sources.take(4, chunk(0, minute, {"bvi": 3}))
    sources.take(5, chunk(0, minute + 2, {}, offset=2))
    sources.take(6, chunk(1, minute + 2, {}, offset=2))
    sources.release()
    assert sources.registers["bvi"].seen(60) == 7, "a repeated chunk counts once"


def test_minutes_are_counted_where_they_belong_though_one_partition_is_hours_ahead() -> None:
    minute = T0 // 60_000
    sources = Sources(2, AFTER_MS, State())
    lookups = {0: range(0, 300, 2), 1: range(1, 300, 2)}
    for src, minutes in lookups.items():
        seen = Seen()
        for each in minutes:
            seen.lookup({"system": "bvi", "ts": T0, "hour": 0, "weekday": 0}, (minute + each) * 60_000, each)
        sources.take(src, seen.chunk(src, 300, (minute + 300) * 60_000))
        sources = Sources(2, AFTER_MS, load_state(sources.save()))
    sources.release()
    register = sources.registers["bvi"]
    assert [register.seen(span) for span in (5, 60, 240)] == [5, 60, 240]


def test_a_partition_that_never_had_a_lookup_does_not_stop_time() -> None:
    sources = Sources(2, AFTER_MS, State())
    sources.take(0, chunk(0, T0 // 60_000, {"bvi": 1}))
    assert sources.now == 0
    quiet = Intake(1, 2, Table("s", 1), Reference([]), Pinned(RuleSet())).idle(12_000)
    sources.take(1, next(each.value for each in quiet if each.topic == SOURCES) or b"")
    assert sources.now == T0 // 60_000 * 60_000


def test_registers_have_a_bound_or_are_named() -> None:
    named = Sources(1, AFTER_MS, State(), ["bvi"])
    named.take(0, chunk(0, T0 // 60_000, {"bvi": 1, "o-10293": 1}))
    named.release()
    assert set(named.registers) == {"bvi", OTHER}
    many = Sources(1, AFTER_MS, State())
    many.take(0, chunk(0, T0 // 60_000, {f"r{number}": 1 for number in range(2 * MAX_REGISTERS)}))
    many.release()
    assert len(many.registers) == MAX_REGISTERS + 1
    assert len(many.save()) < MAX_REGISTERS * 12_000


@pytest.mark.parametrize("hours", [-11, 0, 1, 2, 13])
def test_the_hour_of_the_week_is_the_registers_own(hours: int) -> None:
    ts = T0
    local = datetime.fromtimestamp(ts / 1000 + hours * 3600, UTC)
    seen = Seen()
    seen.lookup({"system": "bvi", "ts": ts, "hour": local.hour, "weekday": local.weekday()}, ts, 0)
    sources = Sources(1, AFTER_MS, State())
    sources.take(0, seen.chunk(0, 0, ts))
    sources.release()
    register = sources.registers["bvi"]
    assert register.shift == hours
    assert register._cell(ts // 60_000) == local.weekday() * 24 + local.hour


@given(st.binary(max_size=30))
def test_state_that_cannot_be_read_is_an_error_of_its_own(raw: bytes) -> None:
    try:
        load_state(raw)
    except BadState:
        pass


def test_state_of_another_version_is_refused() -> None:
    with pytest.raises(BadState, match="version 2"):
        load_state(Sources(1, 1, State(version=2)).save().replace(b"\x96\x01", b"\x96\x02", 1))


def test_a_chunk_is_small_when_nothing_is_numbered() -> None:
    assert len(chunk(0, T0 // 60_000, {"bvi": 2000, "rdw": 500})) < 80
    assert Chunk(0, 0, 0, 0).counts == {}
