"""What was found of what was hidden, how soon, and at what price: on a few alerts that can be counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.alerts import Alert, Entity, RuleInfo
from monitor.recall import (
    Score,
    delays,
    false_alerts,
    is_true,
    median_delay,
    recall_by_misuser,
    recall_by_typology,
    scores_by_rule,
    scores_by_typology,
)

HOUR = 3_600_000
START = "2026-11-02T10:00:00+01:00"
START_MS = 1_793_610_000_000


def alert(
    rule: str, events: list[str], *actors: str, level: str = "medium", typology: str = "curiosity", at: int = 0
) -> Alert:
    return Alert(
        id=f"{rule}/{events}",
        time="",
        ts=START_MS + at,
        rule=RuleInfo(rule, rule, level, typology),
        entity=Entity("actor", actors[0]),
        actors=list(actors),
        subjects=[],
        events=events,
        score=0.5,
        reasons=[],
        kind="rule",
    )


def label(typology: str, events: list[str], *actors: str, start: str = START) -> dict[str, Any]:
    return {"typology": typology, "actors": list(actors), "events": events, "from": start}


LABELS = [
    label("curiosity", ["a1", "a2"], "a"),
    label("curiosity", ["b1"], "b"),
    label("shared-interest", ["c1", "d1", "d2"], "c", "d"),
    label("curiosity", ["a9"], "a", start="2026-11-02T09:00:00Z"),
]
ALERTS = [
    alert("r1", ["a2", "x"], "a", at=3 * HOUR),
    alert("r1", ["a1"], "a", at=2 * HOUR),
    alert("r1", ["y"], "y", level="high"),
    alert("r2", ["d1"], "d", level="low", typology="shared-interest", at=8 * HOUR),
    alert("r2", ["z"], "z", level="low", typology="shared-interest"),
    alert("r3", ["a5"], "a", level="critical", typology=""),
    alert("r4", ["a9", "c7"], "a", "c", typology="sleeper", at=HOUR),
]


def test_recall_by_typology() -> None:
    assert recall_by_typology(LABELS, ALERTS) == [("curiosity", 3, 2), ("shared-interest", 1, 1)]
    assert recall_by_typology(LABELS, []) == [("curiosity", 3, 0), ("shared-interest", 1, 0)]


def test_recall_by_misuser_asks_for_the_actors_own_misuse() -> None:
    assert recall_by_misuser(LABELS, ALERTS) == [("curiosity", 2, 1), ("shared-interest", 2, 1)]
    ring = alert("r", ["c1", "d2"], "c", "d", "e")
    assert recall_by_misuser(LABELS, [ring]) == [("curiosity", 2, 0), ("shared-interest", 2, 2)]
    other_label_of_the_same_actor = [label("curiosity", ["a1"], "a"), label("sleeper", ["a2"], "a")]
    assert recall_by_misuser(other_label_of_the_same_actor, [alert("r", ["a1"], "a")]) == [
        ("curiosity", 1, 1),
        ("sleeper", 1, 0),
    ]
    about_a_colleague = alert("r", ["a1"], "q")
    assert recall_by_misuser(LABELS, [about_a_colleague]) == [("curiosity", 2, 0), ("shared-interest", 2, 0)]


def test_an_alert_is_true_when_it_holds_a_labelled_lookup() -> None:
    assert is_true(LABELS, ALERTS) == [True, True, False, True, False, False, True]


ACTORS = ["a", "b", "c", "d", "w", "x", "y", "z"]


@pytest.mark.parametrize(
    ("least", "weeks", "rate"),
    [("medium", 1, 50.0), ("medium", 4, 12.5), ("low", 1, 75.0), ("high", 1, 50.0), ("critical", 0.5, 50.0)],
)
def test_false_alerts_a_week_for_every_hundred_innocents(least: str, weeks: float, rate: float) -> None:
    """Four of eight actors are innocent; an alert about a misuser's honest lookups is false too."""
    assert false_alerts(LABELS, ALERTS, ACTORS, weeks, least) == rate


def test_without_innocents_or_time_there_is_no_rate() -> None:
    assert false_alerts(LABELS, ALERTS, ["a", "b"], 1) is None
    assert false_alerts(LABELS, ALERTS, [], 1) is None
    assert false_alerts(LABELS, ALERTS, ACTORS, 0) is None
    assert false_alerts([], [], ACTORS, 1) == 0


def test_the_time_to_the_first_alert() -> None:
    assert delays(LABELS, ALERTS) == {"curiosity": [2 * HOUR, HOUR], "shared-interest": [8 * HOUR]}
    assert median_delay(LABELS, ALERTS) == 2 * HOUR
    assert median_delay(LABELS, []) is None
    assert median_delay(LABELS[:1], [alert("r", ["a2"], "a", at=hours * HOUR) for hours in (2, 1, 3)]) == HOUR
    assert median_delay(LABELS[:1], [alert("r", ["a2"], "a", at=-5)]) == 0, (
        "the lookups came in another order than their times"
    )


def test_scores_by_typology() -> None:
    assert scores_by_typology(LABELS, ALERTS) == {
        "curiosity": Score(alerts=3, true=2, scenarios=3, found=2),
        "shared-interest": Score(alerts=2, true=1, scenarios=1, found=1),
        "sleeper": Score(alerts=1, true=1, scenarios=0, found=0),
    }


def test_scores_by_rule_are_what_it_found_by_itself() -> None:
    assert scores_by_rule(LABELS, ALERTS) == {
        "r1": Score(3, 2, 3, 1),
        "r2": Score(2, 1, 1, 1),
        "r3": Score(1, 0, 0, 0),
        "r4": Score(1, 1, 0, 0),
    }


def test_precision_and_recall() -> None:
    assert (Score(4, 1, 5, 2).precision, Score(4, 1, 5, 2).recall) == (0.25, 0.4)
    assert (Score(0, 0, 0, 0).precision, Score(0, 0, 0, 0).recall) == (None, None)
