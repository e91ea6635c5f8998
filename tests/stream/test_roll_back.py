"""Models return to an earlier day at one point of the log: live as in a backtest and a replay, through crashes, and no lookup is lost."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import alerts
from monitor.backtest import Backtest, RollBack
from monitor.events import parse_ms
from monitor.model import PeerModel
from monitor.model.versions import DAY_MS, decode, encode, named
from monitor.rerun import Message, Rerun
from monitor.stream.batches import Out
from monitor.stream.score import VERSIONS_OF, GroupState
from monitor.stream.topics import DLQ, EVENTS, SCORE_STATE, partition_of
from monitor.stream.versions import roll_back_records
from tests.stream.test_crash import NOW, PARTITIONS, QUANTILE, Crash, Log, Process, alerts_in, early_model, lookups

__all__ = ["early_model"]  # a fixture


def days() -> tuple[int, int]:
    """The second day of the world, and after how many lookups the models return to its beginning."""
    _, _, raws = lookups()
    times = [parse_ms(orjson.loads(raw)["time"]) // DAY_MS for raw in raws]
    assert times[-1] - times[0] >= 2, "the world must have days to return to"
    return times[0] + 1, int(len(raws) * 0.85)


@lru_cache(maxsize=1)
def expected() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Alerts, and models with their versions, of a backtest."""
    rules, reference, raws = lookups()
    day, at = days()
    return ran(Backtest(rules, reference, PARTITIONS, source_of, QUANTILE), [*raws[:at], RollBack(day), *raws[at:]])


def ran(run: Backtest, messages: list[Any]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    found = {alert.id: alerts.encode(alert) for alert in run.run(messages, NOW)}
    return found, state_of(run)


def state_of(run: Backtest) -> dict[str, bytes]:
    models = {name: group.model.to_bytes() for name, group in run.groups.items()}
    return models | {VERSIONS_OF + name: encode(group.versions) for name, group in run.groups.items()}


def source_of(actor: str) -> int:
    return partition_of(actor, PARTITIONS)


def log_of(text: str | None = None) -> Log:
    _, _, raws = lookups()
    day, at = days()
    log = Log()
    for number, raw in enumerate(raws):
        if number == at:
            log.write(roll_back_records(text or named(day), PARTITIONS))
        actor = orjson.loads(raw)["actor"]["id"]
        log.write([Out(EVENTS, source_of(actor), actor.encode(), raw, NOW)])
    return log


def saved_in(log: Log) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for partition in range(PARTITIONS):
        for name, raw in log.table(SCORE_STATE, partition).values.items():
            found[name] = raw if name.startswith(VERSIONS_OF) else msgspec.msgpack.decode(raw, type=GroupState).model
    return found


@lru_cache(maxsize=1)
def plain() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The same without a roll back."""
    rules, reference, raws = lookups()
    return ran(Backtest(rules, reference, PARTITIONS, source_of, QUANTILE), list(raws))


def test_it_makes_a_difference() -> None:
    assert plain()[0] != expected()[0], "other alerts"
    assert plain()[1] != expected()[1]


def test_live_is_backtest_is_replay() -> None:
    rules, reference, _ = lookups()
    log = log_of()
    Process(log, reference, rules).run(size=97)
    assert alerts_in(log) == expected()[0]
    assert saved_in(log) == expected()[1]
    again = Rerun(lambda _: rules, [rules.version] * PARTITIONS, reference, QUANTILE, 10**15)
    entries = [
        Message(record.partition, record.offset, NOW, record.key, record.value, record.headers)
        for partition in range(PARTITIONS)
        for record in log.records[EVENTS, partition]
    ]
    found = {one.alert.id: alerts.encode(one.alert) for one in again.play(entries) if one.decided}
    assert found == expected()[0]
    assert state_of(again) == expected()[1]


@settings(max_examples=4, deadline=None)
@given(crashes=st.lists(st.integers(0, 6000), min_size=1, max_size=3), size=st.sampled_from([50, 400]))
def test_a_crash_after_any_write_changes_nothing(crashes: list[int], size: int) -> None:
    rules, reference, _ = lookups()
    log = log_of()
    for budget in crashes:
        log.budget = budget
        try:
            Process(log, reference, rules).run(size)
        except Crash:
            continue
    log.budget = None
    Process(log, reference, rules).run(size)
    assert alerts_in(log) == expected()[0]
    assert saved_in(log) == expected()[1]


@pytest.mark.parametrize("cut", [1, -1])
def test_a_crash_between_the_versions_and_the_models_changes_nothing(cut: int) -> None:
    """The first record of the snapshot in which a day begins is in Kafka and the others are not; or all but the last."""
    rules, reference, _ = lookups()
    log = log_of()
    process = Process(log, reference, rules)

    def cut_off(score: Any) -> None:
        save = score.snapshot

        def snapshot(*arguments: Any) -> list[Out]:
            out: list[Out] = save(*arguments)
            names = [(record.key or b"").decode() for record in out]
            if any(name.startswith(VERSIONS_OF) and decode(score.table.get(name)).day > days()[0] for name in names):
                log.write(out[:cut])
                raise Crash
            return out

        score.snapshot = snapshot

    for score in process.scores:
        cut_off(score)
    with pytest.raises(Crash):
        process.run(size=100)
    Process(log, reference, rules).run(size=100)
    assert alerts_in(log) == expected()[0]
    assert saved_in(log) == expected()[1]


def test_after_it_a_model_is_what_it_was_and_goes_on_from_there() -> None:
    """The next version after the roll back has what was learned until the day, and since, but nothing in between."""
    rules, reference, raws = lookups()
    day, at = days()
    run = Backtest(rules, reference, PARTITIONS, source_of, QUANTILE)
    list(run.run(raws[:at], NOW))
    group = max(run.groups.values(), key=lambda each: each.model.seen)
    then, before = group.versions.model(day, QUANTILE), group.model.seen
    assert then is not None
    assert 0 < then.seen < before
    assert group.roll_back(day)
    assert group.model.learned() == then.learned()
    assert group.model.seen == then.seen


def test_a_day_that_is_none_is_refused_and_stops_nothing() -> None:
    rules, reference, _ = lookups()
    log = log_of("soon")
    Process(log, reference, rules).run(size=300)
    refused = [record for partition in range(PARTITIONS) for record in log.records[DLQ, partition]]
    assert [dict(record.headers)["reason"] for record in refused] == [b"unknown-model"] * PARTITIONS
    assert alerts_in(log) == plain()[0]


@pytest.mark.parametrize("spoil", ["versions", "learned"])
def test_versions_that_cannot_be_read_are_counted_and_the_model_goes_on(spoil: str) -> None:
    rules, reference, _ = lookups()
    log = log_of()
    process = Process(log, reference, rules)
    process.run(size=300)
    name, partition = next(
        (name, partition)
        for partition in range(PARTITIONS)
        for name in log.table(SCORE_STATE, partition).values
        if name.startswith(VERSIONS_OF)
    )
    table = log.table(SCORE_STATE, partition)
    bad = b"what"
    if spoil == "learned":
        versions = decode(table.values[name])
        versions.kept = [msgspec.structs.replace(each, learned=b"what") for each in versions.kept]
        bad = encode(versions)
    log.write(table.change(10**9, [(name, bad)], NOW))
    log.write(roll_back_records(named(days()[0]), PARTITIONS))
    again = Process(log, reference, rules)
    score = again.scores[partition]
    seen: list[int] = []
    process_it = score.process

    def counted(*arguments: Any) -> Any:
        written = process_it(*arguments)
        seen.append(written.bad_states)
        return written

    score.process = counted  # type: ignore[method-assign]
    again.run(size=300)
    assert sum(seen) == {"versions": 1, "learned": PARTITIONS}[spoil]
    model = msgspec.msgpack.decode(
        log.table(SCORE_STATE, partition).values[name.removeprefix(VERSIONS_OF)], type=GroupState
    ).model
    assert PeerModel.from_bytes(model).seen > 0
