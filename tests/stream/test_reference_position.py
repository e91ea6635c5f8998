"""By which reference data a lookup was enriched and an alert decided is said beside them, and never changes them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.alerts import decode as alert_of
from monitor.reference import BadRecord, Reference, decode, key_of
from monitor.rerun import Fact, put
from monitor.stream.batches import Out
from monitor.stream.intake import Intake, IntakeState, load_state
from monitor.stream.tables import Table
from monitor.stream.topics import ALERTS, DECIDED_BY, ENRICHED_BY, EVENTS, INTAKE_STATE, KEYED, partition_of
from monitor.stream.versions import Pinned
from tests.stream.test_crash import NOW, PARTITIONS, Log, Process, early_model, lookups, world

__all__ = ["early_model"]  # it counts here too: the model alerts early

#: What version 1 wrote before it kept the position of the reference data: version, position, reached, rules, acts.
WITHOUT_POSITION = bytes.fromhex("9501cd01f4cf0000018bcfe56800a7") + b"abc1234" + bytes.fromhex("c0")


def reference_at(position: int) -> Reference:
    """The reference data of the tests' world, as if it had been taken in up to this position."""
    made = Reference()
    made.__dict__.update(lookups()[1].__dict__)
    made.position = position
    return made


def run_at(positions: list[int]) -> Log:
    """The whole log done by workers, one after the other, each with reference data of its position."""
    rules, _, raws = lookups()
    log = Log()
    share = -(-len(raws) // len(positions))
    for number, position in enumerate(positions):
        for raw in raws[number * share : (number + 1) * share]:
            actor = orjson.loads(raw)["actor"]["id"]
            log.write([Out(EVENTS, partition_of(actor, PARTITIONS), actor.encode(), raw, NOW)])
        made = reference_at(position)
        process = Process(log, made, rules)
        for detect in process.detects:
            detect._position = lambda made=made: made.position  # type: ignore[misc]
        process.run(size=97) if number == len(positions) - 1 else process.drain(97)
    return log


def of(record: Any, name: str) -> int | None:
    found = dict(record.headers).get(name)
    return None if found is None else int(found)


def records_of(log: Log, topic: str) -> list[Any]:
    return [record for partition in range(PARTITIONS) for record in log.records[topic, partition]]


def test_two_workers_that_enrich_by_different_reference_data_are_told_apart_and_nothing_else_differs() -> None:
    one, other = run_at([7]), run_at([7, 1009])
    looked = [[each for each in records_of(log, KEYED) if each.key.startswith(b"actor/")] for log in (one, other)]
    assert {of(each, ENRICHED_BY) for each in looked[0]} == {7}
    assert {of(each, ENRICHED_BY) for each in looked[1]} == {7, 1009}
    assert sorted(each.value for each in looked[0]) == sorted(each.value for each in looked[1])
    found = [{alert_of(each.value).id: each.value for each in records_of(log, ALERTS)} for log in (one, other)]
    assert found[0] == found[1] == world()[3], "alerts are those of the backtest, which knows no position"


def test_an_alert_says_by_which_reference_data_its_lookup_was_enriched_and_by_which_it_was_decided() -> None:
    log = run_at([7])
    alerts = records_of(log, ALERTS)
    kinds = {alert_of(each.value).kind: set[tuple[int | None, int | None]]() for each in alerts}
    for each in alerts:
        kinds[alert_of(each.value).kind].add((of(each, ENRICHED_BY), of(each, DECIDED_BY)))
    # What waited until its time came has no lookup that raised it; a model asks no reference data.
    assert kinds["rule"] <= {(7, 7), (None, 7)}
    assert (7, 7) in kinds["rule"]
    assert kinds["model"] == {(7, None)}


def test_lookups_of_a_version_that_did_not_say_are_judged_all_the_same() -> None:
    log = run_at([7])
    for record in records_of(log, KEYED):
        record.headers = ()
    again = Log()
    for partition in range(PARTITIONS):
        again.records[KEYED, partition] = log.records[KEYED, partition]
    Process(again, reference_at(7), lookups()[0]).drain(97)
    found = {alert_of(each.value).id: each.value for each in records_of(again, ALERTS)}
    assert found == world()[3]
    assert {of(each, ENRICHED_BY) for each in records_of(again, ALERTS)} == {None}


def intake(log: Log, position: int) -> Intake:
    return Intake(0, PARTITIONS, log.table(INTAKE_STATE, 0), reference_at(position), Pinned(lookups()[0]))


def test_whoever_takes_a_partition_over_knows_what_its_last_lookups_were_enriched_by() -> None:
    log = Log()
    log.write([Out(EVENTS, 0, b"o-1", lookups()[2][0], NOW)])
    first = intake(log, 41)
    assert first.enriched_by == 0
    out, state = first.process(log.records[EVENTS, 0])
    log.write(out)
    log.write(state)
    assert intake(log, 5).enriched_by == 41


def test_state_without_a_position_is_read_and_one_with_it_by_the_version_before() -> None:
    old = load_state(WITHOUT_POSITION)
    assert (old.position, old.reached, old.rules, old.reference) == (500, 1_700_000_000_000, "abc1234", 0)

    class Before(msgspec.Struct, array_like=True):
        version: int
        position: int
        reached: int
        rules: str | None
        acts: bytes | None

    raw = msgspec.msgpack.encode(IntakeState(position=3, reached=4, rules="r", reference=5))
    assert msgspec.msgpack.decode(raw, type=Before) == Before(1, 3, 4, "r", None)
    assert Table(INTAKE_STATE, 0).get("reached") is None


FACTS = [
    Fact(number, 0, key_of(decode(raw)).encode(), raw)
    for number, raw in enumerate(
        [
            b'{"record": "actor", "id": "o-1", "unit": "u-1", "person": "p-1", "household": ["p-2"], "relatives": []}',
            b'{"record": "subject", "id": "p-2", "area": "a-1"}',
            b'{"record": "unit", "id": "u-1", "area": "a-1"}',
            b'{"record": "case", "id": "c-1", "actors": ["o-1"], "subjects": ["p-2"], "opened": "2026-01-01T00:00:00Z"}',
            b'{"record": "subject", "id": "p-2", "area": "a-2"}',
        ]
    )
]
LOOKUP = {"id": "x", "time": "2026-11-10T09:00:00Z", "system": "bvi", "action": "read", "actor": {"id": "o-1"},
          "subject": {"kind": "person", "id": "p-2"}, "purpose": {"case": "c-1"}}  # fmt: skip


def enriched(reference: Reference) -> Any:
    """The value and the position of the lookup as an intake with this reference data writes it."""
    made = Intake(0, 1, Table(INTAKE_STATE, 0), reference, Pinned(lookups()[0]))
    raw = orjson.dumps(LOOKUP)
    record = SimpleNamespace(topic=EVENTS, partition=0, offset=0, key=b"o-1", value=raw, timestamp=NOW, headers=())
    out, _ = made.process([record])
    (written,) = [each for each in out if each.key == b"actor/o-1"]
    return written.value, dict(written.headers)[ENRICHED_BY]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(FACTS)), st.lists(st.integers(0, len(FACTS)), max_size=3))
def test_by_the_same_position_every_worker_enriches_alike(upto: int, looks: list[int]) -> None:
    """Whether it took the records in at once or looked something up in between."""
    at_once, step_by_step = Reference(), Reference()
    for fact in FACTS[:upto]:
        put(at_once, fact)
        put(step_by_step, fact)
        if fact.offset in looks:
            enriched(step_by_step)
    assert enriched(at_once) == enriched(step_by_step)
    assert int(enriched(at_once)[1]) == upto


def test_a_record_that_is_refused_moves_the_position_too() -> None:
    reference = Reference()
    try:
        put(reference, Fact(8, 0, b"actor/o-1", b"{}"))
    except BadRecord:
        pass
    assert reference.position == 9
    put(reference, Fact(9, 0, b"actor/o-1", None))
    assert reference.position == 10
