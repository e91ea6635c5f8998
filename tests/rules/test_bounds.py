"""State stays bounded, whatever comes: years of lookups, floods of them, endless groups, long texts, alerts that wait."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from monitor.detector import KeyState, load_state, save_state
from monitor.rules import RuleSet
from monitor.rules.budget import MAX_WEIGHT, MAX_WINDOWS
from monitor.rules.kinds import KINDS
from monitor.rules.kinds.chance import chance_of
from monitor.rules.kinds.kind import MAX_LOOKED_AT
from monitor.rules.ruleset import MAX_WAITING
from monitor.rules.state import Log
from monitor.rules.windows import MAX_ENTRIES
from tests.rules.naive import DAY, HOUR, MINUTE, chance, iso
from tests.rules.samples import correlation, detection, rules

START = 1_600_000_000_000
BASE = detection({"action": "read"})
KEY = "actor/o-1"
#: A record of the changelog may have a mebibyte.
MOST = 900_000


def lookup(number: int, ts: int, **fields: Any) -> dict[str, Any]:
    """A lookup as an enriched one is, with ids as long as they usually are."""
    made = {
        "id": f"bvi-2026-11-24-{number:06}",
        "system": "bvi",
        "action": "read",
        "time": iso(ts),
        "ts": ts,
        "actor.id": "o-10293",
    }
    return {**made, "actor.unit": "u-1", "subject.id": f"p{number:07}", **fields}


def run(
    ruleset: RuleSet, stream: Iterator[dict[str, Any]], key: str = KEY, every: int = 200
) -> tuple[KeyState, int, int]:
    """The state after a stream, the largest it has been, and how often something fired."""
    state, largest, fired = KeyState(), 0, 0
    for number, one in enumerate(stream):
        fired += len(ruleset.decide(key, state, 0, one["ts"], lambda *_: False))
        fired += len(ruleset.evaluate(key, one, state)[0])
        if number % every == 0:
            largest = max(largest, size_of(state))
    return state, max(largest, size_of(state)), fired


def size_of(state: KeyState) -> int:
    """What rules add to the saved state of a key."""
    return len(save_state(state)) - len(save_state(KeyState()))


@pytest.mark.parametrize(
    "condition",
    [{"type": "event_count", "condition": {"gte": 40}}, {"type": "value_count", "condition": {"field": "subject.id", "gte": 40}}],
    ids=lambda body: str(body["type"]),
)  # fmt: skip
def test_low_and_slow_over_a_year_costs_little(condition: dict[str, Any]) -> None:
    ruleset = rules(BASE, correlation(timespan="365d", **condition))
    daily = (lookup(day, START + day * DAY + day * 7919 % HOUR) for day in range(5 * 365))
    state, largest, fired = run(ruleset, daily, every=10)
    assert largest <= 2_000
    assert fired == 5, "once a year, as one is quiet for a span"
    assert load_state(save_state(state)).windows == state.windows


BODIES: dict[str, dict[str, Any]] = {
    "event_count": {"condition": {"gte": 5_000}},
    "value_count": {"condition": {"field": "subject.id", "gte": 900}},
    "value_sum": {"condition": {"field": "results", "gte": 10**9}},
    "value_avg": {"condition": {"field": "results", "gte": 10**9}},
    "value_percentile": {"condition": {"field": "results", "gte": 10**9}},
    "value_median": {"condition": {"field": "results", "gte": 10**9}},
    "temporal": {"rules": ["base", "never"], "condition": "base and never"},
    "temporal_ordered": {"rules": ["base", "never"]},
    "new_value": {"condition": {"field": "subject.id", "learning": "300d"}},
    "rate_change": {"condition": {"factor": 10**6, "baseline": 366}},
    "peer_deviation": {"peer": "actor.unit", "condition": {"factor": 10**6}, "group_by": ["subject.id"]},
    "share": {"rules": ["never", "base"], "condition": {"gte": 0.5}},
    "absence": {"rules": ["base", "never"], "condition": {}},
    "sequence_run": {"condition": {"field": "subject.id", "gte": 4_000}},
    "anomaly": {"condition": {}},
}
NEVER = detection({"action": "never"}, name="never")


def test_every_type_is_tried_here() -> None:
    assert BODIES.keys() == KINDS.keys()


def flood(size: int, chance: random.Random, late: int) -> Iterator[dict[str, Any]]:
    """A lookup every five seconds, each of which is up to so much late."""
    for number in range(size):
        yield lookup(number, START + number * 5_000 - chance.randrange(late + 1), results=number % 50)


@pytest.mark.parametrize("kind", sorted(BODIES))
@pytest.mark.parametrize("late", [0, HOUR])
def test_a_flood_of_lookups_leaves_a_bounded_state(kind: str, late: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.rules.windows.MAX_ENTRIES", 300)
    body = {"type": kind, "timespan": "24h", **BODIES[kind]}
    ruleset = rules(BASE, NEVER, correlation("it", **body), correlation("waits", grace="2d", **body))
    key = "actor.unit/u-1" if kind == "peer_deviation" else KEY
    state, largest, _ = run(ruleset, flood(1_500, random.Random(1), late), key, every=50)
    logs = [len(each.entries) for each in state.windows.values() if isinstance(each, Log)]
    assert all(size <= 600 for size in logs), "an absence keeps 200 that wait and 400 that may follow"
    assert largest < 150_000
    assert state.windows or kind == "anomaly", "it was counted"
    assert load_state(save_state(state)) == state


def test_the_longest_log_fits_into_a_record() -> None:
    ruleset = rules(
        BASE, correlation("it", timespan="24h", type="value_sum", condition={"field": "results", "gte": 10**9})
    )
    state, largest, _ = run(ruleset, flood(MAX_ENTRIES + 500, random.Random(1), 0), every=500)
    (log,) = state.windows.values()
    assert isinstance(log, Log)
    assert len(log.entries) == MAX_ENTRIES
    assert 200_000 < largest < MOST


def test_many_rules_in_a_flood_leave_a_bounded_state() -> None:
    many = [correlation(f"it-{number}", timespan="24h", type="value_sum", condition={"field": "results", "gte": 10**9 + number}) for number in range(40)]  # fmt: skip
    _, largest, _ = run(rules(BASE, *many), (lookup(n, START + n * 5_000, results=1) for n in range(1_500)), every=100)
    assert MAX_WEIGHT < 2 * largest < 2 * MOST, "the bound was met, and kept"


def test_endless_groups_leave_a_bounded_state() -> None:
    grouped = correlation("by subject", group_by=["actor.id", "subject.id"], timespan="30d")
    short = correlation("burst", timespan="10m", condition={"gte": 50})
    state, largest, _ = run(rules(BASE, grouped, short), (lookup(n, START + n * MINUTE) for n in range(3_000)))
    assert len(state.windows) <= MAX_WINDOWS
    assert largest < 100_000
    burst = [state for name, state in state.windows.items() if "\x1f" not in name]
    assert len(burst) == 1, "the window that was in use all the time stays"


def test_windows_that_no_rule_asks_for_any_more_are_dropped_first() -> None:
    grouped = correlation("by subject", group_by=["actor.id", "subject.id"], timespan="30d")
    short = correlation("by subject, short", group_by=["actor.id", "subject.id"], timespan="10m")
    ruleset = rules(BASE, grouped, short)
    state, _, _ = run(ruleset, (lookup(n, START + n * 3 * HOUR) for n in range(250)))
    (long,) = (rule.fingerprint for rule in ruleset.correlations if rule.title == "by subject")
    kept = sorted(name.partition("\x1f")[2] for name in state.windows if name.startswith(long))
    assert kept[-1] == "p0000249"
    assert len(kept) > 240, "thirty days of groups; those of the short rule are worth nothing after an hour"


def test_groups_that_no_rule_asks_for_any_more_are_dropped_before_there_are_many() -> None:
    """Most of an actor's groups are of a subject that he has looked at once."""
    grouped = correlation("by subject", group_by=["actor.id", "subject.id"], timespan="1h")
    state, _, _ = run(rules(BASE, grouped), (lookup(n, START + n * HOUR) for n in range(MAX_WINDOWS - 1)))
    # Those of the last 26 hours may be asked for (span, lateness, and how late a lookup may be); one lookup in 32 looks.
    assert 26 <= len(state.windows) < 26 + 200


def test_a_group_about_which_an_alert_waits_is_kept() -> None:
    waits = correlation("waits", group_by=["actor.id", "subject.id"], timespan="1h", condition={"gte": 2}, grace="30d")
    ruleset, state = rules(BASE, waits), KeyState()
    for number in range(2):
        ruleset.evaluate(KEY, lookup(number, START + number, **{"subject.id": "p-1"}), state)
    for number in range(2, 1_500):
        ruleset.evaluate(KEY, lookup(number, START + number * MINUTE), state)
    assert len(state.windows) <= MAX_WINDOWS
    (firing,) = ruleset.decide(KEY, state, 0, START + 31 * DAY, lambda *_: False)
    assert (dict(firing.group)["subject.id"], firing.count) == ("p-1", 2)


def test_an_alert_whose_lookups_were_lost_in_a_flood_is_raised_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.rules.windows.MAX_ENTRIES", 30)
    ruleset, state = rules(BASE, correlation(timespan="10m", condition={"gte": 3}, grace="1d")), KeyState()
    for number in range(3):
        ruleset.evaluate(KEY, lookup(number, START + number), state)
    for number in range(100):
        ruleset.evaluate(KEY, lookup(10 + number, START + HOUR + number), state)
    explained = {START + 1}
    found = ruleset.decide(KEY, state, 0, START + 2 * DAY, lambda actor, subject, ts, until: ts in explained)
    assert [(firing.trigger[-6:], firing.count) for firing in found] == [("000002", 3), ("000012", 3)]
    assert [name[-6:] for name in found[0].events] == ["000000", "000002"], "what is explained is no evidence"


@pytest.mark.parametrize("suppress", [None, "1h"])
def test_so_many_alerts_wait_and_no_more(suppress: str | None) -> None:
    more = {} if suppress is None else {"suppress": suppress}
    ruleset = rules(detection({"action": "read"}, grace="30d", **more))
    state, largest, fired = run(ruleset, (lookup(n, START + n * 1000) for n in range(MAX_WAITING + 100)))
    assert len(state.waiting) == MAX_WAITING
    assert fired == (100 if suppress is None else 1), "in a flood an alert does not wait"
    assert largest < 200_000
    assert len(ruleset.decide(KEY, state, 0, START + 31 * DAY, lambda *_: False)) == (
        MAX_WAITING if suppress is None else 0
    )


def test_long_texts_are_kept_short() -> None:
    by_text = correlation("by text", group_by=["actor.id", "query.text"], condition={"gte": 2})
    of_text = correlation("of text", type="value_count", condition={"field": ["query.text", "query.fields"], "gte": 3})
    waits = correlation("waits", type="event_count", group_by=["query.text"], condition={"gte": 2}, grace="1d")
    ruleset = rules(BASE, by_text, of_text, waits)

    def long(number: int, letter: str) -> dict[str, Any]:
        more = {"query.text": letter * 60_000, "query.fields": ["f" * 30_000, letter]}
        return lookup(number, START + number, **more)

    state, largest, fired = run(ruleset, (long(n, "abC"[n % 3]) for n in range(50)), every=1)
    assert largest < 20_000
    assert fired == 3 + 1, "each text twice, and three different values"
    (key,) = ruleset.partition_keys(long(0, "a"))
    assert len(key) < 100
    state, largest, _ = run(ruleset, (long(n, "a") for n in range(5)), key, every=1)
    assert largest < 10_000
    (firing,) = ruleset.decide(key, state, 0, START + 2 * DAY, lambda *_: False)
    assert firing.count == 2


def test_late_lookups_in_a_flood_are_asked_about_in_few_windows() -> None:
    """Else one late lookup would cost the square of what is kept: minutes."""
    sums = correlation("sum", type="value_sum", timespan="24h", condition={"field": "results", "gte": 10**9})
    ruleset, state = rules(BASE, sums), KeyState()
    run_of = [lookup(n, START + n * 10_000, results=1) for n in range(MAX_ENTRIES)]
    for one in run_of[:-1]:
        ruleset.evaluate(KEY, one, state)
    asked = 0
    kind = KINDS["value_sum"]
    measure = type(kind).measure

    def counting(self: Any, rule: Any, inside: Any) -> float:
        nonlocal asked
        asked += len(inside)
        return measure(self, rule, inside)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(kind), "measure", counting)
        ruleset.evaluate(KEY, lookup(10**5, START + 10 * HOUR, results=1), state)
    assert MAX_ENTRIES // 2 < asked <= MAX_LOOKED_AT + MAX_ENTRIES


@pytest.mark.parametrize("bound", [300, 900])
def test_many_values_over_a_long_span_are_sampled(bound: int) -> None:
    ruleset = rules(
        BASE, correlation(type="value_count", timespan="365d", condition={"field": "subject.id", "gte": bound})
    )
    counted = []
    for seed in range(12):
        chance, state, number = random.Random(seed), KeyState(), 0
        while not ruleset.evaluate(
            KEY, lookup(number, START + number * HOUR, **{"subject.id": f"p{chance.random()}"}), state
        )[0]:
            number += 1
        counted.append(number + 1)
        assert size_of(state) < 4_000
    assert 0.7 * bound < min(counted), counted
    assert max(counted) < 1.5 * bound, counted
    assert abs(sum(counted) / len(counted) - bound) < 0.12 * bound, counted


def test_after_a_time_of_many_more_values_a_sample_becomes_fine_again() -> None:
    ruleset = rules(
        BASE, correlation(type="value_count", timespan="40d", condition={"field": "subject.id", "gte": 300})
    )
    burst = (lookup(n, START + n * MINUTE) for n in range(20_000))
    state, _, _ = run(ruleset, burst, every=10**9)
    fired: list[Any] = []
    for number in range(2_000):
        one = lookup(10**6 + number, START + 100 * DAY + number * 3 * HOUR)
        fired += [(number, firing.count) for firing in ruleset.evaluate(KEY, one, state)[0]]
    assert fired, "320 different values in every forty days"


@pytest.mark.parametrize("before", [[0, 0, 0], [1, 2, 3], [5] * 8, [100, 120, 90, 110], [0, 0, 1, 0, 0, 0, 0, 0]])
def test_the_chance_of_a_count_is_that_of_its_distribution(before: list[int]) -> None:
    for count in (0, 1, 2, 5, 10, 40, 150):
        assert chance_of(count, before) == pytest.approx(chance(count, before), abs=1e-9)
    assert chance_of(10**6, before) < 1e-100
    assert chance_of(10**5, [10**5] * 8) == pytest.approx(0.5, abs=0.01)


def test_sums_of_great_numbers_can_be_saved() -> None:
    for timespan in ("1d", "365d"):
        ruleset = rules(BASE, correlation(type="value_sum", timespan=timespan, condition={"field": "n", "gte": 1}))
        values: list[Any] = [2**64 - 1, 10**18, 10**18, "1e300", "1e18", -(10**18), [10**18] * 30, "9" * 60]
        state, _, _ = run(ruleset, (lookup(n, START + n, n=value) for n, value in enumerate(values * 30)), every=1)
        assert msgspec.msgpack.decode(save_state(state)[9:])
