"""Alerts counted, and those of two rule sets compared."""

from __future__ import annotations

import pytest

from monitor.alerts import Alert, Entity, RuleInfo
from monitor.tally import Difference, RuleChange, difference, tally, week_of
from tests.rules.samples import correlation, detection, rule_id, rules


def alert(
    name: str,
    rule: str = "r",
    *actors: str,
    level: str = "high",
    time: str = "2026-11-02T10:00:00+01:00",
    pack: str = "1",
) -> Alert:
    info = RuleInfo(rule_id(rule), rule, level, "")
    people = list(actors) or ["a"]
    return Alert(name, time, 0, info, Entity("actor", people[0]), people, [], ["e"], 0.5, ["why"], "rule", pack)


def test_counts() -> None:
    units = {"a": "north", "b": "north", "c": "south", "d": None}
    found = tally(
        [
            alert("1", "r", "a", time="2026-11-01T23:30:00-01:00"),
            alert("2", "s", "a", "b", level="low"),
            alert("3", "s", "b", "c", "x", time="2027-01-01T00:00:00Z"),
            alert("4", "s", "d", level="critical"),
        ],
        units.get,
    )
    assert found.alerts == 4
    assert found.rules == {rule_id("s"): 3, rule_id("r"): 1}
    assert list(found.rules) == [rule_id("s"), rule_id("r")]
    assert list(found.levels.items()) == [("critical", 1), ("high", 2), ("low", 1)]
    assert found.units == {"north": 3, "south": 1, "unknown": 2}
    assert list(found.weeks.items()) == [("2026-W44", 1), ("2026-W45", 2), ("2026-W53", 1)]


@pytest.mark.parametrize(
    ("time", "week"),
    [
        ("2026-01-01t00:00:00z", "2026-W01"),
        ("2027-01-03T23:59:60Z", "2026-W53"),
        ("2026-11-09T00:30:00+01:00", "2026-W46"),
    ],
)
def test_the_week_is_that_of_the_clock_it_was_written_by(time: str, week: str) -> None:
    assert week_of(time) == week


BASE = detection({"action": "export"}, name="r")


def test_the_same_twice_is_no_difference() -> None:
    both = rules(BASE)
    found = difference(both, rules(BASE), [alert("1", pack="old")], [alert("1", pack="new")])
    assert found == Difference([], [], [], [])
    assert found.is_none


def test_rules_added_removed_and_changed() -> None:
    old = rules(BASE, detection({"action": "print"}, name="gone"), detection({"action": "read"}, name="same"))
    new = rules(
        detection({"action": "list"}, name="r"),
        detection({"action": "read"}, name="same", playbook="otherwise said", level="low"),
        detection({"action": "print"}, name="new"),
    )
    found = difference(old, new, [], [])
    assert [[info.title for info in infos] for infos in (found.added, found.removed, found.changed)] == [
        ["new"],
        ["gone"],
        ["r"],
    ]
    assert not found.is_none


def test_a_rule_that_becomes_a_part_of_another_alerts_no_more_and_so_is_changed() -> None:
    counted = correlation("many", rules=["r"])
    found = difference(rules(BASE), rules(BASE, counted), [], [])
    assert [info.title for info in found.changed] == ["r"]


def test_alerts_added_lost_and_changed_by_rule() -> None:
    both = rules(BASE)
    before = [alert("1"), alert("2"), alert("3", "s"), alert("4", "s", pack="old")]
    after = [alert("2", level="low"), alert("4", "s", pack="new"), alert("5"), alert("6", "q")]
    found = difference(both, both, before, after)
    assert [(each.rule.title, each.added, each.lost, each.changed) for each in found.alerts] == [
        ("q", ["6"], [], []),
        ("r", ["5"], ["1"], ["2"]),
        ("s", [], ["3"], []),
    ]
    assert isinstance(found.alerts[0], RuleChange)
    assert not found.is_none
