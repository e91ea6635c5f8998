"""A detection with a grace time matches only when no paperwork has followed, for its own alert and for all made of it."""

from __future__ import annotations

from typing import Any

from monitor.alerts import Alert
from monitor.detector import Detector, KeyState, load_state, save_state
from monitor.rules import RuleSet
from monitor.rules.ruleset import MAX_WAITING
from tests.rules.samples import correlation, detection, rules
from tests.samples import lookup

HOUR = 3600_000
DAY = 24 * HOUR
START = 1_790_000_000_000
KEY = "actor/o-1"
OPEN = {"explanation": "none"}
SLOW = detection(OPEN, grace="24h")
COUNTED = rules(SLOW, correlation(timespan="7d", condition={"gte": 2}))


def at(hours: float, subject: str = "p-1", **fields: Any) -> dict[str, Any]:
    ts = START + int(hours * HOUR)
    return lookup(ts=ts, id=f"x-{hours}-{subject}", subject__id=subject, explanation=["none"], **fields)


def run(
    ruleset: RuleSet, lookups: list[dict[str, Any]], written_up: dict[str, float], until: float, key: str = KEY
) -> list[tuple[str, list[str]]]:
    """(trigger, evidence) of the alerts; ``written_up`` says how many hours after its lookup a subject was written up."""

    def explained(actor: str, subject: str | None, ts: int, until_ms: int) -> bool:
        return subject in written_up and ts + written_up[subject] * HOUR <= until_ms

    machine, state, made = Detector(ruleset, explained), KeyState(), list[Alert]()
    for number, one in enumerate(lookups):
        made += machine.step(key, state, one, 0, number, one["ts"]).alerts
        state = load_state(save_state(state))
    made += machine.advance(key, state, 0, START + int(until * HOUR))
    return [(alert.subjects[0], alert.events) for alert in made]


def test_it_alerts_when_the_time_is_up_and_not_before() -> None:
    assert run(rules(SLOW), [at(0)], {}, 24) == []
    assert run(rules(SLOW), [at(0)], {}, 24.1) == [("p-1", ["x-0-p-1"])]


def test_what_was_written_up_in_time_is_no_match() -> None:
    assert run(rules(SLOW), [at(0), at(1, "p-2")], {"p-1": 23}, 48) == [("p-2", ["x-1-p-2"])]
    assert run(rules(SLOW), [at(0)], {"p-1": 25}, 48) == [("p-1", ["x-0-p-1"])]


def test_who_is_under_observation_does_not_wait() -> None:
    assert run(rules(SLOW), [at(0, subject__watched=True)], {"p-1": 1}, 0) == [("p-1", ["x-0-p-1"])]


def test_a_correlation_counts_only_what_stays_unresolved() -> None:
    three = [at(0), at(1, "p-2"), at(2, "p-3")]
    assert run(COUNTED, three, {}, 25.5) == [("p-1", ["x-0-p-1", "x-1-p-2"])]
    assert run(COUNTED, three, {"p-2": 2}, 30) == [("p-1", ["x-0-p-1", "x-2-p-3"])]
    assert run(COUNTED, three, {"p-2": 2, "p-3": 3}, 300) == []


def test_what_does_not_wait_and_what_does_count_together() -> None:
    """The one under observation is newer and counts at once; the older ones come a day later and still belong to it."""
    mixed = [at(0), at(20, "p-2", subject__watched=True)]
    assert run(COUNTED, mixed, {}, 23) == []
    assert run(COUNTED, mixed, {}, 24.5) == [("p-1", ["x-0-p-1", "x-20-p-2"])]


def test_a_short_window_holds_what_comes_a_day_late() -> None:
    burst = rules(SLOW, correlation(timespan="20m", condition={"gte": 3}))
    night = [at(0), at(0.1, "p-2"), at(0.2, "p-3"), at(30, "p-4")]
    assert run(burst, night, {}, 60) == [("p-1", ["x-0-p-1", "x-0.1-p-2", "x-0.2-p-3"])]


def test_suppress_counts_what_was_left_when_the_waiting_was_over() -> None:
    ruleset = rules(detection(OPEN, grace="24h", suppress="7d"))
    assert run(ruleset, [at(0), at(1, "p-2"), at(2, "p-3")], {"p-1": 1}, 100) == [("p-2", ["x-1-p-2"])]


def test_a_flood_does_not_wait_for_its_end() -> None:
    many = [at(n / 1000, f"p-{n}") for n in range(MAX_WAITING + 3)]
    assert len(run(rules(SLOW), many, {}, 0.1)) == 3
    assert len(run(rules(SLOW), many, {}, 25)) == MAX_WAITING + 3


def test_what_joins_actors_waits_under_its_own_key() -> None:
    ring = correlation(
        type="value_count", group_by=["subject.id"], timespan="5d", condition={"field": "actor.id", "gte": 2}
    )
    ruleset = rules(SLOW, ring)
    two = [{**at(n), "actor.id": f"o-{n}"} for n in range(2)]
    assert ruleset.partition_keys(two[0]) == ["subject/p-1"]

    def explained(actor: str, subject: str | None, ts: int, until: int) -> bool:
        return actor == "o-2"

    machine, state = Detector(ruleset, explained), KeyState()
    for number, one in enumerate(two):
        assert machine.step("subject/p-1", state, one, 0, number, one["ts"]).alerts == []
    (alert,) = machine.advance("subject/p-1", state, 0, START + 26 * HOUR)
    assert alert.actors == ["o-0", "o-1"]
    (third,) = [{**at(3), "actor.id": "o-2"}]
    assert machine.step("subject/p-1", state, third, 0, 9, third["ts"] + DAY).alerts == []
    assert machine.advance("subject/p-1", state, 0, START + 99 * HOUR) == []


def test_it_is_decided_by_the_rules_it_began_to_wait_under() -> None:
    old, new = rules(SLOW), rules(detection({"action": "export"}, name="other"))
    old.version, new.version = "old", "new"
    machine, state = Detector(old, rules_of={"old": old, "new": new}.__getitem__), KeyState()
    assert machine.step(KEY, state, at(0), 0, 0, START).alerts == []
    later = Detector(new, rules_of={"old": old, "new": new}.__getitem__)
    (alert,) = later.advance(KEY, state, 0, START + 2 * DAY)
    assert alert.pack == "old"
