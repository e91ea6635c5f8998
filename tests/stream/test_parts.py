"""The small parts of the stream: what is committed, what a changelog restores, where a key goes."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

import msgspec
import orjson
import pytest
from aiokafka.errors import IllegalStateError, KafkaTimeoutError
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2

from monitor.canary import message
from monitor.detector import STATE_VERSION as STATE_VERSION_OF_KEYS
from monitor.detector import BadState, Detector, KeyState, NewerState, save_state
from monitor.explanations import Explanations
from monitor.explanations.builtin import BUILT_IN
from monitor.metrics import Metrics
from monitor.model.catalogue import SIZE
from monitor.rerun import CONTROL, UnknownPack, version_in
from monitor.rules import RuleSet
from monitor.settings import Settings
from monitor.stream import transport, worker
from monitor.stream.app import App
from monitor.stream.batches import Out, Span
from monitor.stream.detect import Chunk, Detect, Written
from monitor.stream.intake import STATE_VERSION, Intake, load_state
from monitor.stream.parts import Parts
from monitor.stream.progress import Progress
from monitor.stream.score import Score
from monitor.stream.tables import Table
from monitor.stream.topics import (
    CANARY,
    DETECT_STATE,
    DLQ,
    EVENTS,
    FEATURES,
    KEYED,
    RULES,
    SWITCH,
    TICK,
    partition_of,
    topics_of,
)
from monitor.stream.transport import ChunkConsumer
from monitor.stream.versions import Pinned, decode, pack_records, switch_records
from monitor.stream.worker import Worker
from tests.samples import BAD, GOOD, NOW, reference

PART = TP(EVENTS, 0)


def consumer(delivered: list[int]) -> Any:
    """The bookkeeping of a consumer without the rest of Faust."""
    made = ChunkConsumer.__new__(ChunkConsumer)
    made._delivered = {PART: deque(delivered)}
    made._acked_index = {PART: set()}
    made._acked = {PART: []}
    return made


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_an_offset_is_committed_only_when_all_before_it_are_acknowledged(sizes: list[int], chance: Any) -> None:
    ends = [sum(sizes[: n + 1]) - 1 for n in range(len(sizes))]
    made, acknowledged, committed = consumer(ends), set(), 0
    order = list(ends)
    chance.shuffle(order)
    for end in order:
        acknowledged.add(end)
        made._acked_index[PART].add(end)
        made._acked[PART].append(end)
        if chance.random() < 0.6:
            offset = made._new_offset(PART)
            committed = offset if offset is not None else committed
            done = [each for n, each in enumerate(ends) if set(ends[: n + 1]) <= acknowledged]
            assert committed == (done[-1] + 1 if done else 0)
    final = made._new_offset(PART)
    assert (final or committed) == ends[-1] + 1
    assert made._acked[PART] == []


@given(st.lists(st.none() | st.integers(0, 30), max_size=30))
def test_what_is_fetched_is_cut_into_chunks_of_so_many_bytes(sizes: list[int | None]) -> None:
    records = [SimpleNamespace(value=None if size is None else bytes(size)) for size in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "MAX_CHUNK_BYTES", 40)
        pieces = list(transport.pieces_of(records))
    assert [record for piece in pieces for record in piece] == records
    lengths = [sum(len(record.value or b"") for record in piece) for piece in pieces]
    assert all(piece for piece in pieces)
    assert all(length <= 40 for length in lengths)
    assert all(here + len(after[0].value or b"") > 40 for here, after in zip(lengths, pieces[1:], strict=False))


@given(st.text(), st.integers(1, 64))
def test_a_key_goes_where_kafkas_own_producers_send_it(key: str, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


CHANGES = st.lists(
    st.tuples(st.integers(0, 30), st.dictionaries(st.sampled_from("abc"), st.binary(max_size=5), max_size=3)),
    max_size=12,
)


@given(CHANGES)
def test_a_changelog_restores_the_state_of_the_highest_position(changes: list[tuple[int, dict[str, bytes]]]) -> None:
    """A worker that was taken for dead may write an older state after a newer one; the newer must win."""
    table, log = Table("t", 0), []
    expected: dict[str, tuple[int, bytes]] = {}
    for position, values in changes:
        log += table.change(position, values.items(), NOW)
        for key, value in values.items():
            if position >= expected.get(key, (-1, b""))[0]:
                expected[key] = (position, value)
    restored = Table("t", 0)
    for out in log:
        assert out.key is not None
        restored.restore(out.key.decode(), out.value)
    assert restored.values == {key: value for key, (_, value) in expected.items()}


def test_a_tombstone_in_the_changelog_removes_the_key() -> None:
    (out,) = Table("t", 0).change(5, [("a", b"1")], NOW)
    table = Table("t", 0)
    table.restore("a", out.value)
    table.restore("a", None)
    assert table.get("a") is None


def record(value: bytes | None, offset: int, key: bytes | None = b"o-1") -> Any:
    return SimpleNamespace(
        topic=EVENTS, partition=1, offset=offset, key=key, value=value, timestamp=NOW, headers=(("trace", b"t"),)
    )


def intake(known: Any = None, rules: Any = None) -> Intake:
    return Intake(1, 4, Table("state", 1), known or reference(), Pinned(rules or RuleSet()))


def test_intake_writes_every_message_somewhere() -> None:
    raws = [raw for _, raw in BAD] + [orjson.dumps(GOOD)]
    out, _ = intake().process([record(raw, n) for n, raw in enumerate(raws)])
    assert [one.value for one in out if one.topic == DLQ] == [raw for _, raw in BAD]
    (keyed,) = [one for one in out if one.topic == KEYED and one.key != TICK]
    assert keyed.key == b"actor/o-1"
    assert keyed.partition == partition_of("actor/o-1", 4)
    ticks = [one for one in out if one.key == TICK]
    assert [one.partition for one in ticks] == [0, 1, 2, 3]


def test_a_canary_does_not_end_the_quiet_of_a_source() -> None:
    """A tick would take back that the source is idle, and hold the others back at every canary."""
    stage = intake()
    canary = message("c-1", GOOD["time"])
    out, state = stage.process([record(canary, 0)])
    assert [(one.topic, one.partition, one.key) for one in out] == [(KEYED, 1, CANARY)]
    assert stage.was_quiet
    assert stage.reached == 0
    assert len(state) == 1
    out, _ = stage.process([record(canary, 1), record(orjson.dumps(GOOD), 2)])
    assert not stage.was_quiet
    assert [one.key for one in out if one.topic == KEYED] == [CANARY, b"actor/o-1", TICK, TICK, TICK, TICK]


def test_a_canary_that_cannot_be_enriched_goes_to_the_dlq(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = intake()
    monkeypatch.setattr(stage.reference, "actors", None)
    out, _ = stage.process([record(message("c-1", GOOD["time"]), 0)])
    assert [one.topic for one in out if one.key not in (TICK, b"1")] == [DLQ]
    assert stage.refused == ["internal"]


def test_a_message_we_have_no_answer_for_goes_to_the_dlq(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = intake()
    monkeypatch.setattr(stage.reference, "actors", None)
    out, _ = stage.process([record(orjson.dumps(GOOD), 0)])
    (refused,) = [one for one in out if one.topic == DLQ]
    assert dict(refused.headers)["reason"] == b"internal"
    assert dict(refused.headers)["original.trace"] == b"t"
    assert stage.refused == ["internal"]


def test_the_place_of_a_lookup_never_falls_even_after_a_restart() -> None:
    stage = intake()
    late = orjson.dumps({**GOOD, "time": "2026-11-19T09:15:02+01:00"})
    out, state = stage.process([record(orjson.dumps(GOOD), 0), record(late, 1)])
    places = [orjson.loads(one.value or b"")["@"] for one in out if one.topic == KEYED and one.key != TICK]
    assert places[0][0] == places[1][0]
    table = Table("state", 1)
    for one in state:
        table.restore((one.key or b"").decode(), one.value)
    again = Intake(1, 4, table, reference(), Pinned(RuleSet()))
    assert again.reached == places[0][0]
    out, _ = again.process([record(orjson.dumps(GOOD), 0), record(late, 1)])
    assert [one for one in out if one.topic == KEYED and one.key != TICK] == [], (
        "their output was acknowledged before the state was written"
    )


def control(version: str, offset: int) -> Any:
    return SimpleNamespace(
        topic=EVENTS,
        partition=1,
        offset=offset,
        key=None,
        value=b"",
        timestamp=NOW,
        headers=((CONTROL, version.encode()),),
    )


class Two:
    """Two versions of the rules, of which the first is deployed."""

    current = "one"

    def rules(self, version: str) -> RuleSet:
        if version not in ("one", "two"):
            raise UnknownPack(version)
        return RuleSet(version=version, explanations=Explanations([] if version == "one" else BUILT_IN))


def test_a_control_record_changes_the_rules_from_there_on_and_survives_a_restart() -> None:
    table = Table("state", 1)
    stage = Intake(1, 4, table, reference(), Two())
    other = orjson.dumps({**GOOD, "id": "x-2"})
    out, _ = stage.process([record(orjson.dumps(GOOD), 0), control("two", 1), record(other, 2), control("three", 3)])
    judged = [
        orjson.loads(one.value or b"")["@"][4] for one in out if one.topic == KEYED and one.key not in (TICK, SWITCH)
    ]
    assert judged == ["one", "two"]
    assert [(one.partition, one.value) for one in out if one.key == SWITCH] == [(n, b"two") for n in range(4)]
    (refused,) = [one for one in out if one.topic == DLQ]
    assert dict(refused.headers)["reason"] == b"unknown-rules"
    assert Intake(1, 4, table, reference(), Two()).version == "two"


def test_each_version_of_the_rules_brings_its_own_explanations() -> None:
    known = reference(
        {"record": "actor", "id": "o-1"}, {"record": "case", "id": "c-1", "actors": ["o-1"], "subjects": ["p-1"]}
    )
    raw = [orjson.dumps({**GOOD, "id": f"x-{n}", "subject": {"id": "p-1"}}) for n in range(2)]
    out, _ = Intake(1, 4, Table("state", 1), known, Two()).process(
        [record(raw[0], 0), control("two", 1), record(raw[1], 2)]
    )
    found = [orjson.loads(one.value or b"") for one in out if one.topic == KEYED and one.key not in (TICK, SWITCH)]
    assert [each["explanation"] for each in found] == [["none"], ["own-case"]]


def click(offset: int, subject: str) -> Any:
    """One of the queries that a client program makes of a click."""
    more = {"subject": {"id": subject}, "client": {"terminal": "t-1"}}
    return record(orjson.dumps({**GOOD, "id": f"x-{offset}", **more}), offset)


def acts_in(out: list[Out]) -> list[tuple[str, bool]]:
    found = [orjson.loads(one.value or b"") for one in out if one.topic == KEYED and one.key != TICK]
    return [(each["act.id"], each.get("act.folded", False)) for each in found]


def restored(*written: list[Out]) -> Table:
    table = Table("state", 1)
    for one in (one for out in written for one in out if one.topic == "state"):
        table.restore((one.key or b"").decode(), one.value)
    return table


def test_an_act_goes_on_over_chunks_and_restarts() -> None:
    known = reference({"record": "subject", "id": "AA-01", "owner": "p-1"})
    first, state = intake(known).process([click(0, "AA-01")])
    assert acts_in(first) == [("x-0", False)]
    again = Intake(1, 4, restored(state), known, Pinned(RuleSet()))
    assert acts_in(again.process([click(1, "p-1")])[0]) == [("x-0", True)]


def test_a_crash_between_the_two_writes_repeats_the_same_bytes() -> None:
    """The state must not be ahead of what Kafka has acknowledged: else the repeat would fold otherwise, or be left out."""
    known = reference({"record": "subject", "id": "AA-01", "owner": "p-1"})
    stage = intake(known)
    _, before = stage.process([click(0, "AA-01")])
    out, after = stage.process([click(1, "p-1"), click(2, "AA-01"), click(3, "elsewhere")])
    crashed = Intake(1, 4, restored(before), known, Pinned(RuleSet()))
    again, once_more = crashed.process([click(1, "p-1"), click(2, "AA-01"), click(3, "elsewhere")])
    assert (again, once_more) == (out, after)
    written = Intake(1, 4, restored(before, after), known, Pinned(RuleSet()))
    repeated, state = written.process([click(2, "AA-01"), click(3, "elsewhere"), click(4, "AA-01")])
    assert acts_in(repeated) == [("x-4", False)], "what was acknowledged is not written again, what follows is"
    assert load_state(restored(state).get("reached")).position == 4


def test_states_of_earlier_versions_go_on() -> None:
    first = load_state(b"1790000000000")
    assert (first.position, first.reached, first.rules) == (-1, 1_790_000_000_000, None)
    second = load_state(b'{"position":7,"reached":1790000000000,"rules":"v1"}')
    assert (second.position, second.reached, second.rules) == (7, 1_790_000_000_000, "v1")
    assert load_state(None).position == -1


@given(st.binary(max_size=40) | st.sampled_from([b"{", b'{"position":"x"}', b"12x", msgspec.msgpack.encode([99])]))
def test_a_state_of_the_intake_that_is_none_is_counted_and_the_partition_goes_on(raw: bytes) -> None:
    table = Table("state", 1)
    table.values["reached"] = raw
    try:
        stage = Intake(1, 4, table, reference(), Pinned(RuleSet()))
    except NewerState:
        assert STATE_VERSION < msgspec.msgpack.decode(raw)[0] < 32
        return
    out, _ = stage.process([record(orjson.dumps(GOOD), 2**40)])
    try:
        load_state(raw)
    except BadState:
        assert stage.bad_states == 1
    assert [one.key for one in out if one.topic == KEYED and one.key != TICK] == [b"actor/o-1"]


def test_the_worker_writes_the_state_after_the_output_and_acknowledges_last() -> None:
    done: list[str] = []

    async def write(_: str, out: list[Out], **__: Any) -> list[Span]:
        done.append(out[0].topic)
        return [Span(out[0].topic, out[0].partition, 0, len(out))]

    async def intake_of(*_: int) -> Intake:
        return stage

    async def reached(position: int) -> bool:
        done.append(f"reference {position}")
        return True

    stage = intake()
    stage._state.reference = 41
    shell = SimpleNamespace(
        _feed=SimpleNamespace(reached=reached), _intakes=SimpleNamespace(of=intake_of), _write=write, _write_state=written_to(write), _show_version=str, _moved=lambda *_: None, metrics=Metrics(), _quiet_since={},
        _told_idle={},
    )  # fmt: skip
    event = SimpleNamespace(
        message=SimpleNamespace(partition=1, generation_id=1, value=[record(orjson.dumps(GOOD), 0)]),
        ack=lambda: done.append("ack"),
    )
    event.message.value[0].headers = ()
    asyncio.run(Worker._intake(shell, event))  # type: ignore[arg-type]
    assert done == ["reference 41", KEYED, "state", "ack"]
    assert stage.table.synced == 1, "what Kafka has of the state is in the table"


@pytest.mark.parametrize("is_read_up", [True, False, None])
def test_a_partition_is_idle_only_when_all_of_it_is_done(is_read_up: bool | None) -> None:
    told: list[Out] = []

    async def write(_: str, out: list[Out], **__: Any) -> None:
        told.extend(out)

    async def intake_of(*_: int) -> Intake:
        return intake()

    async def read_up(_: TP) -> bool | None:
        return is_read_up

    reader = SimpleNamespace(assignment=lambda: {PART}, is_read_up=read_up)
    shell = SimpleNamespace(
        ready=True, app=SimpleNamespace(rebalancing=False, consumer=reader, consumer_generation_id=1), settings=Settings(), _intakes=SimpleNamespace(of=intake_of),
        _write=write, _quiet_since={0: -1e9}, _told_idle={},
    )  # fmt: skip
    asyncio.run(Worker._tell_idle(shell))  # type: ignore[arg-type]
    assert bool(told) is bool(is_read_up)
    # A stamp of this machine's clock, were it wrong, would be refused by Kafka again and again, also when the clock is right.
    assert {one.timestamp for one in told} <= {None}


def reader_at(position: int | Exception | None, end: int | Exception, highwater: int | None = None) -> Any:
    """A consumer whose thread answers so, for a partition of which nothing was fetched yet."""

    def answer(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    async def position_of(_: TP) -> Any:
        return answer(position)

    async def highwaters(tp: TP) -> Any:
        return {tp: answer(end)}

    made = consumer([])
    made._fetched, made._done = {}, {}
    made._thread = SimpleNamespace(position=position_of, highwaters=highwaters, highwater=lambda _: highwater)
    return made


@pytest.mark.parametrize(
    ("position", "end", "is_read_up"),
    [
        (7, 7, True),
        (8, 7, True),
        (0, 7, False),
        (None, 7, False),
        (7, KafkaTimeoutError(), None),
        (IllegalStateError("not assigned"), 7, None),
        (AssertionError("Partition is not assigned"), 7, None),
    ],
)
def test_a_partition_is_read_up_when_the_broker_has_no_more_of_it(position: Any, end: Any, is_read_up: bool) -> None:
    """What the last fetch said of its end is not known before the first: seen as a partition taken for idle, and more alerts."""
    assert asyncio.run(reader_at(position, end).is_read_up(PART)) is is_read_up


def test_a_partition_is_not_read_up_while_its_chunks_wait_to_be_worked_on() -> None:
    """Its position is at the end then, and nothing of it may have been worked on for long: others must wait for it."""
    made = reader_at(7, 7)
    made.note_fetched({PART: [record(b"", 6)], TP(EVENTS, 1): []})
    assert asyncio.run(made.is_read_up(PART)) is False
    made._done[PART] = 6
    assert asyncio.run(made.is_read_up(PART)) is True


def test_what_is_fetched_while_the_broker_is_asked_counts() -> None:
    made = reader_at(7, 7)

    async def highwaters(tp: TP) -> Any:
        made.note_fetched({PART: [record(b"", 6)]})
        return {tp: 7}

    made._thread.highwaters = highwaters
    assert asyncio.run(made.is_read_up(PART)) is False


def test_what_the_thread_fetches_is_noted_before_anybody_sees_its_position() -> None:
    made = consumer([])
    made._fetched, made._done = {}, {}
    thread = transport.ChunkThread.__new__(transport.ChunkThread)
    thread.consumer = made

    async def fetched(*_: Any, **__: Any) -> Any:
        return {PART: [record(b"", 3)]}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport.driver.AIOKafkaConsumerThread, "_fetch_records", fetched)
        asyncio.run(thread._fetch_records(None, None))
    assert made.is_in_hand(PART)


def test_what_was_fetched_is_in_hand_until_it_is_acknowledged() -> None:
    made = consumer([])
    made._fetched, made._done = {}, {}
    made.app = SimpleNamespace(topics=SimpleNamespace(acks_enabled_for=lambda _: False))
    made._committed_offset = {PART: None}
    made._waiting_for_ack = None
    assert not made.is_in_hand(PART)
    made._fetched[PART] = 9
    assert made.is_in_hand(PART)
    for offset, left in ((4, True), (9, False)):
        made.ack(SimpleNamespace(tp=PART, topic=EVENTS, offset=offset, acked=False))
        assert made.is_in_hand(PART) is left


def test_a_pack_goes_through_kafka_as_it_is() -> None:
    files = {"a.yml": "title: é\n", "lists/x.txt": "1\n"}
    version, (pack,) = pack_records(files)
    assert (pack.topic, pack.key) == (RULES, version.encode())
    assert decode(pack.value or b"") == files
    current, *controls = switch_records(version, 3)
    assert (current.topic, current.key, current.value) == (RULES, b"current", version.encode())
    assert [(one.topic, one.partition) for one in controls] == [(EVENTS, n) for n in range(3)]
    assert {version_in(one) for one in controls} == {version}
    assert {one.timestamp for one in (pack, current, *controls)} == {None}
    with pytest.raises(ValueError, match="not a rule pack"):
        decode(b"nonsense")


def keyed(lookup_id: str, offset: int) -> Any:
    value = {"id": lookup_id, "time": GOOD["time"], "ts": NOW, "hour": 9, "system": "bvi", "action": "read"}
    return SimpleNamespace(
        key=b"actor/o-1",
        value=orjson.dumps({**value, "actor.id": "o-1", "@": (NOW, 0, offset, NOW, "")}),
        offset=offset,
        timestamp=NOW,
        headers=(),
    )


def test_a_state_that_cannot_be_read_is_counted_and_the_key_goes_on() -> None:
    table = Table(DETECT_STATE, 0)
    table.values["actor/o-1"] = b"nonsense"
    written = Detect(0, 4, table, lambda _: Detector(RuleSet())).process([keyed("x", 0)], Chunk(None))
    assert written.bad_states == 1
    assert written.fates == {"counted": 1}


def test_state_of_a_later_program_is_not_begun_anew_but_ends_the_worker() -> None:
    later = Table(DETECT_STATE, 0)
    saved = bytes([STATE_VERSION_OF_KEYS + 1]) + save_state(KeyState())[1:]
    later.values["actor/o-1"] = saved
    with pytest.raises(NewerState, match=f"version {STATE_VERSION_OF_KEYS + 1}; this program reads up to"):
        Detect(0, 4, later, lambda _: Detector(RuleSet())).process([keyed("x", 0)], Chunk(None))
    assert later.values["actor/o-1"] == saved
    table = Table("state", 1)
    table.values["reached"] = msgspec.msgpack.encode([STATE_VERSION + 1])
    with pytest.raises(NewerState):
        Intake(1, 4, table, reference(), Pinned(RuleSet()))


def test_features_of_another_version_are_counted_and_stop_nothing() -> None:
    slim = {"id": "x", "time": GOOD["time"], "ts": NOW, "system": "bvi", "actor.id": "o-1"}

    def vector(offset: int, size: int) -> Any:
        value = orjson.dumps((0, (NOW, 0, offset, NOW, ""), slim, [0.1] * size, []))
        return SimpleNamespace(key=b"officers", value=value, offset=offset, timestamp=NOW, headers=())

    stage, chunk = Score(1, Table("state", 0), 0.99, Pinned(RuleSet())), Chunk(None)
    written = stage.process([vector(0, SIZE - 1), vector(1, SIZE)], chunk)
    assert (written.bad_states, stage.held, chunk.waiting) == (1, 0, 0)
    assert stage._groups["officers"].at == {0: 1}


def test_topics_follow_the_settings() -> None:
    made = {topic.name: topic for topic in topics_of(Settings(partitions=7, replication=3, retention_days=2))}
    assert made[EVENTS].partitions == made[DETECT_STATE].partitions == 7
    assert made[EVENTS].config == {
        "cleanup.policy": "delete",
        "retention.ms": str(2 * 86_400_000),
        "message.timestamp.type": "LogAppendTime",
    }
    assert made[DETECT_STATE].config["cleanup.policy"] == "compact"
    assert {topic.replication for topic in made.values()} == {3}
    assert Out(EVENTS, 0, None, None, 0).headers == ()


def written_to(write: Any) -> Any:
    """The worker's own way of writing state, over ``write``."""
    return partial(Worker._write_state, SimpleNamespace(_write=write))


def parts_of(part: Any) -> Parts[Any]:
    """The parts of a worker that has this one for partition 0."""
    made = Parts[Any](lambda _: asyncio.sleep(0, part))
    made._parts[0] = 1, part
    return made


def test_the_worker_writes_a_keys_state_after_its_alerts_and_acknowledges_last() -> None:
    done: list[str] = []

    async def write(_: str, out: list[Out], **__: Any) -> list[Span]:
        done.extend(sorted({each.topic for each in out}))
        return [Span(DETECT_STATE, 0, 0, 1)]

    stage = Detect(0, 4, Table(DETECT_STATE, 0), lambda _: Detector(RuleSet()))
    shell = SimpleNamespace(
        _detects=parts_of((stage, [])),
        _write=write,
        _write_state=written_to(write),
        app=SimpleNamespace(consumer=SimpleNamespace(committed=lambda _: 0)),
        metrics=Metrics(),
        _count_alerts=lambda _: None,
        _moved=lambda *_: None,
    )
    event = SimpleNamespace(
        message=SimpleNamespace(tp=None, partition=0, generation_id=1, value=[keyed("x", 0)]),
        ack=lambda: done.append("ack"),
        value=None,
    )
    asyncio.run(Worker._detect(shell, event))  # type: ignore[arg-type]
    assert done == [FEATURES, DETECT_STATE, "ack"]


def test_no_snapshot_is_saved_while_the_alerts_of_what_it_learned_are_on_their_way() -> None:
    done: list[str] = []

    class Stage:
        held = 0
        table = Table("models", 0)

        def process(self, records: Any, chunk: Chunk) -> Written:
            written = Written()
            written.out = [Out("alerts", 0, None, b"", NOW)]
            return written

        def snapshot(self, position: int, timestamp: int) -> list[Out]:
            return [Out("snapshot", 0, None, b"", NOW)]

    async def write(_: str, out: list[Out], **__: Any) -> list[Span]:
        done.append(f"{out[0].topic} begun")
        await asyncio.sleep(0.01)
        done.append(f"{out[0].topic} done")
        return []

    async def both() -> None:
        pair: Any = (Stage(), [])
        shell = SimpleNamespace(
            _models=SimpleNamespace(note=lambda written: None),
            _scores=parts_of(pair), _snapshots={0: (0, NOW)}, _saving=defaultdict(asyncio.Lock), _write=write, _write_state=written_to(write),
            metrics=Metrics(), _count_alerts=lambda _: None, _moved=lambda *_: None,
        )  # fmt: skip
        event = SimpleNamespace(
            message=SimpleNamespace(partition=0, generation_id=1, offset=1, value=[record(b"", 1)]),
            ack=lambda: done.append("ack"),
            value=None,
        )
        score = asyncio.create_task(Worker._score(shell, event))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await Worker._snapshot(shell, 0)  # type: ignore[arg-type]
        await score

    asyncio.run(both())
    assert done == ["alerts begun", "alerts done", "snapshot begun", "snapshot done", "ack"]


def test_progress_in_a_partition_that_has_gone_to_someone_else_ends_no_agent() -> None:
    def highwater(_: TP) -> int:
        raise AssertionError("Partition is not assigned")

    made = reader_at(0, 0)
    made._thread.highwater = highwater
    assert made.end_of(PART) is None
    assert reader_at(0, 0, None).end_of(PART) is None
    assert reader_at(0, 0, 5).end_of(PART) == 5


def test_a_part_is_of_one_generation() -> None:
    """What is made or used when its partition was going is not met again when the partition comes back."""
    number = count()
    parts = Parts[str](lambda partition: asyncio.sleep(0, f"part {next(number)} of {partition}"))

    def of(generation: int) -> str:
        return asyncio.run(parts.of(3, generation))

    assert of(1) == of(1) == "part 0 of 3"
    parts.forget(3)
    assert parts.kept(3) is None
    # A chunk of the first generation that was in hand at the rebalance.
    assert of(1) == "part 1 of 3"
    assert of(2) == of(2) == "part 2 of 3"
    # One that was begun before it, and waited.
    assert of(1) == "part 3 of 3"
    assert of(2) == parts.kept(3) == "part 2 of 3"
    assert list(parts) == ["part 2 of 3"]


def test_the_state_of_a_part_is_kept_only_when_nothing_is_done_with_it_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else what is still to be written of it would be missing from the changelog, or come after it was kept."""
    monkeypatch.setattr(worker, "_REST_WITHIN", 0.2)
    kept: list[Table] = []
    stage = intake()
    shell: Any = SimpleNamespace(_warm=SimpleNamespace(keep=kept.append))

    async def work(ends: asyncio.Event) -> None:
        with shell._parts[EVENTS].at_work(0):
            await ends.wait()

    async def revoked(after: float) -> None:
        shell._parts = {EVENTS: parts_of(stage)}
        ends = asyncio.Event()
        at_work = asyncio.create_task(work(ends))
        asyncio.get_running_loop().call_later(after, ends.set)
        await asyncio.sleep(0)
        await Worker._keep_state(shell, TP(EVENTS, 0), stage)
        assert ends.is_set() == bool(kept)
        ends.set()
        await at_work

    asyncio.run(revoked(30.0))
    assert kept == []
    asyncio.run(revoked(0.01))
    assert kept == [stage.table]


def test_a_part_that_is_asked_for_twice_while_it_is_made_is_one() -> None:
    parts = Parts[object](lambda _: asyncio.sleep(0, object()))

    async def both() -> list[object]:
        return await asyncio.gather(parts.of(0, 1), parts.of(0, 1))

    first, second = asyncio.run(both())
    assert first is second


def test_a_chunk_is_not_begun_when_its_partition_has_gone() -> None:
    """The next generation may be long in coming, and a new part would not know what the old one held back."""
    stopped: list[str] = []
    shell: Any = SimpleNamespace(
        app=SimpleNamespace(consumer_generation_id=0, ended_generation=None, has_failed=False,
            consumer=SimpleNamespace(stop_flow=partial(stopped.append, "consumer")),
            flow_control=SimpleNamespace(suspend=partial(stopped.append, "streams"))), _snapshots={}, _quiet_since={0: 1.0}, _told_idle={}, progress=Progress(Metrics()),
        settings=Settings(standby_replicas=1),
    )  # fmt: skip
    shell._intakes, shell._detects, shell._scores = parts_of("intake"), parts_of("detect"), parts_of("score")
    shell._parts = {EVENTS: shell._intakes, KEYED: shell._detects, FEATURES: shell._scores}
    kept: list[TP] = []
    shell._keep_state = lambda tp, _: asyncio.sleep(0, kept.append(tp))

    def is_current(generation: int) -> bool:
        return App.may_begin(shell.app, generation)

    def revoked(gone: set[TP]) -> None:
        asyncio.run(App.end_generation(shell.app, shell.app, gone))
        asyncio.run(Worker._revoked(shell, shell.app, gone))

    revoked(set())
    # Though it had no partition: the first ones' positions are not set yet when their first records come.
    assert stopped == ["consumer", "streams"]
    shell.app.consumer_generation_id = 5
    assert is_current(5)
    assert not is_current(4)
    revoked({PART, TP(KEYED, 0)})
    assert not is_current(5)
    assert [shell._intakes.kept(0), shell._detects.kept(0), shell._scores.kept(0)] == [None, None, "score"]
    assert sorted(kept) == [PART, TP(KEYED, 0)]
    assert shell._quiet_since == {}
    shell.app.consumer_generation_id = 6
    assert is_current(6)
    shell.app.has_failed = True
    assert not is_current(6)
