"""A log run again as it lies in Kafka: the alerts of the backtest, to the byte, however its partitions were read; rules change and
reference data comes at their own places in it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import alerts
from monitor.backtest import Backtest
from monitor.events import BadEvent, parse_time
from monitor.reach import longest_wait, reaches_of
from monitor.reference import BadRecord, Reference
from monitor.rerun import CONTROL, Fact, Message, Raised, Rerun, UnknownPack, put
from monitor.rules import RuleSet, load_texts, read_dir
from monitor.settings import pack_dir
from tests.rules.samples import correlation, detection, rules
from tests.test_replay import NOW, SOURCES, log, source_of

QUANTILE = 0.9
HOUR = 3600 * 1000
T0 = 1_790_000_000_000


def packs(*made: RuleSet) -> Any:
    known = {each.version: each for each in made}

    def rules_of(version: str) -> RuleSet:
        if version not in known:
            raise UnknownPack(version)
        return known[version]

    return rules_of


def messages(lines: Iterable[bytes], gap: int = 1, first: int = 0) -> list[Message]:
    """The log of these lines, keyed by actor as a producer does; offsets have gaps."""
    ends, made = [first] * SOURCES, []
    for number, line in enumerate(lines):
        try:
            src = source_of(orjson.loads(line)["actor"]["id"])
        except (orjson.JSONDecodeError, KeyError):
            src = 0
        made.append(Message(src, ends[src], NOW + number, None, line))
        ends[src] += gap
    return made


def rerun(
    made: RuleSet, reference: Reference, entries: Iterable[Message | Fact], idle_ms: int = 10**15
) -> list[Raised]:
    run = Rerun(packs(made), [made.version] * SOURCES, reference, QUANTILE, idle_ms)
    return list(run.play(entries))


def raws(found: Iterable[Raised], decided: bool = True) -> list[bytes]:
    return sorted(alerts.encode(each.alert) for each in found if each.decided is decided)


def models(run: Backtest) -> dict[str, bytes]:
    return {group: model.to_bytes() for group, model in run.models.items()}


@cache
def of_backtest() -> tuple[list[bytes], dict[str, bytes]]:
    """The alerts of a backtest, and its models."""
    lines, reference, made = log()
    run = Backtest(made, reference, SOURCES, source_of, QUANTILE)
    return sorted(map(alerts.encode, run.run(lines, NOW))), models(run)


def expected() -> list[bytes]:
    return of_backtest()[0]


@pytest.mark.parametrize("gap", [1, 3])
def test_the_alerts_are_those_of_the_backtest(gap: int) -> None:
    lines, reference, made = log()
    run = Rerun(packs(made), [made.version] * SOURCES, reference, QUANTILE, 10**15)
    found = list(run.play(messages(lines, gap)))
    assert raws(found) == expected()
    assert models(run) == of_backtest()[1] != {}
    assert raws(found, decided=False), "something waits at the end of the log"


@pytest.mark.parametrize("seed", [1, 2])
def test_it_does_not_matter_in_which_order_partitions_are_read(seed: int) -> None:
    lines, reference, made = log()
    chance, lanes = (
        random.Random(seed),
        [[each for each in messages(lines) if each.partition == src] for src in range(SOURCES)],
    )
    mixed = []
    while any(lanes):
        lane = chance.choice([each for each in lanes if each])
        mixed += lane[: chance.randrange(1, 400)]
        del lane[: len([each for each in mixed if each.partition == lane[0].partition]) - lane[0].offset]
    assert sorted(mixed) == sorted(messages(lines))
    assert raws(rerun(made, reference, mixed)) == expected()


def test_rules_change_where_the_control_records_stand() -> None:
    lines, reference, old = log()
    new = rules(detection({"action": "print"}, name="any-print"), detection({"action": "export"}, name="any-export"))
    half = len(lines) // 2
    run = Backtest(old, reference, SOURCES, source_of, QUANTILE)
    wanted = sorted(map(alerts.encode, run.run([*lines[:half], new, *lines[half:]], NOW)))

    before, after = messages(lines[:half]), messages(lines[half:], first=10**6)
    switch = [Message(src, 10**5, NOW + half, None, b"", ((CONTROL, new.version.encode()),)) for src in range(SOURCES)]
    unknown = [Message(src, 10**5 + 1, NOW + half, None, b"", ((CONTROL, b"feedfeed"),)) for src in range(SOURCES)]
    again = Rerun(packs(old, new), [old.version] * SOURCES, reference, QUANTILE, 10**15)
    found = list(again.play([*before, *switch, *unknown, *after]))
    assert raws(found) == wanted
    assert {alerts.decode(raw).pack for raw in wanted} == {old.version, new.version}
    assert again.refused["unknown-rules"] == SOURCES


def test_a_partition_changes_by_its_own_control_record() -> None:
    old, new = rules(detection({"action": "read"}, name="old")), rules(detection({"action": "read"}, name="new"))
    switch = Message(1, 5, T0, None, b"", ((CONTROL, new.version.encode()),))
    entries = [lookup_of(0, 0, 0), lookup_of(1, 4, 0), switch, lookup_of(0, 1, 1), lookup_of(1, 6, 1)]
    run = Rerun(packs(old, new), [old.version] * 2, Reference(), QUANTILE, 10**9)
    found = [each.alert for each in run.play(entries) if each.alert.kind == "rule"]
    assert [each.rule.title for each in found] == ["old", "old", "old", "new"]


def lookup_of(src: int, offset: int, ts: int, received: int | None = None, **more: Any) -> Message:
    """A lookup ``ts`` milliseconds after the beginning."""
    event = {
        "id": f"x-{src}-{offset}",
        "time": _time(T0 + ts),
        "system": "bvi",
        "action": "read",
        "actor": {"id": f"o-{src}"},
        "subject": {"kind": "person", "id": "p-1"},
        **more,
    }
    return Message(src, offset, T0 + (ts if received is None else received), None, orjson.dumps(event))


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


CASE = {"record": "case", "id": "c-1", "actors": ["o-0"], "subjects": ["p-1"]}


def paperwork(written: int) -> Fact:
    """A case that was opened an hour after the lookup, and written to the topic so long after it."""
    return Fact(1, T0 + written, b"case/c-1", orjson.dumps({**CASE, "opened": _time(T0 + HOUR)}))


@pytest.mark.parametrize(("written", "raised"), [(HOUR, 0), (3 * HOUR, 1)])
def test_paperwork_counts_as_it_was_known_when_the_alert_was_decided(written: int, raised: int) -> None:
    """The alert waits for two hours. Paperwork that comes to light later does not undo it, though it says it was there before."""
    made = rules(detection({"action": "read"}, name="graced", grace="2h"))
    others = [
        lookup_of(0, number, number * HOUR // 2, actor={"id": "o-9"}, subject={"id": "p-9"}) for number in range(1, 12)
    ]
    actor = Fact(0, T0 - 1, b"actor/o-0", b'{"record": "actor", "id": "o-0"}')
    entries: list[Message | Fact] = [actor, lookup_of(0, 0, 0), *others, paperwork(written)]
    entries.sort(key=lambda each: each.received_ms)
    run = Rerun(packs(made), [made.version], Reference(), QUANTILE, 10**9)
    found = [each for each in run.play(entries) if each.alert.actors == ["o-0"] and each.alert.kind == "rule"]
    assert len(found) == raised


def test_what_was_due_is_decided_before_what_is_written_next() -> None:
    made = rules(detection({"action": "read"}, name="graced", grace="2h"))
    more = {"actor": {"id": "o-9"}, "subject": {"id": "p-9"}}
    others = [lookup_of(0, number, 2 * HOUR + ts, **more) for number, ts in ((1, -1), (2, 1))]
    actor = Fact(0, T0 - 1, b"actor/o-0", b'{"record": "actor", "id": "o-0"}')
    run = Rerun(packs(made), [made.version], Reference(), QUANTILE, 10**9)
    found = run.play([actor, lookup_of(0, 0, 0), *others, paperwork(2 * HOUR + 2)])
    assert [each.alert.events for each in found if each.alert.actors == ["o-0"]] == [["x-0-0"]]


def test_the_future_is_judged_by_when_a_lookup_was_received() -> None:
    made = rules(detection({"action": "read"}, name="base"))
    run = Rerun(packs(made), [made.version], Reference(), QUANTILE, 10**9)
    assert list(run.play([lookup_of(0, 0, 25 * HOUR, received=0)])) == []
    assert run.refused == {"time-in-future": 1}


def test_reference_data_counts_from_when_it_came() -> None:
    made = rules(detection({"actor.unit": "north"}, name="north"))
    actor = {"record": "actor", "id": "o-0"}
    facts = [
        Fact(0, T0 + 10, b"actor/o-0", orjson.dumps({**actor, "unit": "north"})),
        Fact(1, T0 + 20, b"actor/o-0", orjson.dumps({**actor, "unit": "south"})),
        Fact(2, T0 + 25, b"actor/o-1", orjson.dumps({**actor, "unit": "south"})),
        Fact(3, T0 + 30, b"actor/o-0", None),
        Fact(4, T0 + 31, b"\xff", None),
    ]
    entries: list[Any] = [*facts, *(lookup_of(0, number, 10 * number + 5) for number in range(4))]
    entries.sort(key=lambda each: each.received_ms)
    run = Rerun(packs(made), [made.version], Reference(), QUANTILE, 10**9)
    assert [each.alert.events for each in run.play(entries) if each.alert.kind == "rule"] == [["x-0-1"]]
    assert run.bad_facts == 2


def test_a_record_under_a_wrong_key_is_refused() -> None:
    with pytest.raises(BadRecord, match="the key is not"):
        put(Reference(), Fact(0, 0, b"case/c-2", orjson.dumps(CASE)))


def test_a_source_that_sleeps_holds_nobody_back() -> None:
    """Otherwise all that joins actors would be held in memory to the end of the log."""
    made = rules(
        detection({"action": "read"}, name="base"),
        correlation("both", type="value_count", group_by=["subject.id"], condition={"field": "actor.id", "gte": 2}),
    )
    many = [lookup_of(1, number, 100 + number * 1000, actor={"id": f"o-{number % 3}"}) for number in range(20)]
    run = Rerun(packs(made), [made.version] * 3, Reference(), QUANTILE, 2_500)
    heard = 0

    def told() -> Iterable[Message]:
        nonlocal heard
        for message in (lookup_of(0, 0, 0), *many):
            heard += 1
            yield message

    first = next(each for each in run.play(told()) if each.alert.rule.title == "both")
    assert first.decided
    assert heard < 10


def test_what_there_is_no_answer_for_is_refused_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rules(detection({"action": "read"}, name="base"))

    def broken(lookup: dict[str, Any], *_: Any) -> dict[str, Any]:
        if lookup["id"] == "x-0-0":
            raise ZeroDivisionError
        return lookup

    monkeypatch.setattr("monitor.rerun.enrich", broken)
    run = Rerun(packs(made), [made.version], Reference(), QUANTILE, 10**9)
    found = list(run.play([lookup_of(0, 0, 0), Message(0, 1, T0, None, b"{"), lookup_of(0, 2, 1)]))
    assert [each.alert.events for each in found if each.alert.kind == "rule"] == [["x-0-2"]]
    assert run.refused == {"internal": 1, "not-json": 1}


def test_cloudevents_headers_count() -> None:
    made = rules(detection({"action": "read"}, name="base"))
    event = {"action": "read", "actor": {"id": "o-1"}, "time": _time(T0)}
    headers = (("ce_id", b"x-7"), ("ce_source", b"bvi"))
    run = Rerun(packs(made), [made.version], Reference(), QUANTILE, 10**9)
    found = list(run.play([Message(0, 0, T0, None, orjson.dumps(event), headers)]))
    assert [each.alert.events for each in found if each.alert.kind == "rule"] == [["x-7"]]


def test_what_still_waits_is_told_apart() -> None:
    made = rules(detection({"action": "read"}, name="graced", grace="2h"))
    run = Rerun(packs(made), [made.version] * 2, Reference(), QUANTILE, 10**9)
    entries = [lookup_of(0, 0, 0), lookup_of(1, 0, 0), lookup_of(0, 1, 3 * HOUR, actor={"id": "o-9"})]
    found = [(each.alert.events, each.decided) for each in run.play(entries) if each.alert.kind == "rule"]
    assert found == [(["x-0-0"], True), (["x-0-1"], False), (["x-1-0"], False)]


@settings(max_examples=4, deadline=None)
@given(st.floats(0.05, 0.6))
def test_what_a_rule_reaches_back_is_enough(part: float) -> None:
    """A log whose beginning is gone gives the alerts of rules that do not reach back so far."""
    lines, reference, made = log()
    reaches, entries = reaches_of(made), messages(lines)
    cut = int(len(lines) * part)
    since = max(_ts(line) for line in lines[:cut])
    short = rerun(made, reference, entries[cut:])

    def is_certain(alert: alerts.Alert) -> bool:
        reach = None if alert.kind == "model" else reaches[alert.rule.id]
        return reach is not None and alert.ts - reach >= since

    certain = [raw for raw in expected() if is_certain(alerts.decode(raw))]
    assert certain
    assert raws(each for each in short if is_certain(each.alert)) == certain


def _ts(line: bytes) -> int:
    try:
        return parse_time(orjson.loads(line)["time"])[0]
    except (orjson.JSONDecodeError, KeyError, BadEvent):
        return 0


def test_how_far_rules_reach_back_and_wait() -> None:
    made = rules(
        detection({"action": "read"}, name="base"),
        detection({"action": "print"}, name="print", suppress="1h", grace="3h"),
        correlation("many", timespan="2h", generate=True),
        correlation("often", rules=["many"], timespan="3d"),
        correlation("odd", type="anomaly", condition={"quantile": 0.9}),
        correlation("silent", type="absence", rules=["base", "print"], timespan="2d", condition={}),
    )
    reaches = {rule.title: reaches_of(made)[rule.id] for rule in made.by_id.values()}
    assert reaches["base"] == 0
    assert reaches["print"] == 28 * HOUR
    many, often = reaches["many"], reaches["often"]
    assert many is not None
    assert often is not None
    assert many >= 4 * HOUR
    assert often >= 6 * 24 * HOUR + many
    assert reaches["odd"] is None
    assert longest_wait(made) >= 2 * 24 * HOUR + HOUR
    assert longest_wait(RuleSet()) == 0


def test_the_pack_can_be_asked() -> None:
    made = load_texts(read_dir(pack_dir())).rules
    assert reaches_of(made).keys() == made.by_id.keys()
