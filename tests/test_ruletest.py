"""The tests that rules carry: what they mean, and what is said of those that fail or cannot be read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from monitor.documents import Wrong
from monitor.reference import Reference
from monitor.rules import RuleSet, load_texts
from monitor.ruletest import Failure, alerts_of, cases_of, lookup_of, offset_of, offset_words
from tests.rules.samples import correlation, detection, rules

EXPORT = detection({"action": "export"}, name="export")
READ = detection({"action": "read", "explanation": "none"}, name="base")
MANY = correlation("many", condition={"gte": 3})
SEVERAL = correlation("several", type="value_count", group_by=["subject.id"], condition={"field": "actor.id", "gte": 2})
PRINT = detection({"action": "print"}, name="print")
SILENT = correlation("silent", type="absence", rules=["base", "print"], timespan="1h", condition={})
PACK = rules(EXPORT, READ, MANY, SEVERAL, PRINT, SILENT)
UNEXPLAINED = {"explanation": "none", "subject.id": "p-1"}


def fired(name: str, pack: RuleSet = PACK, **test: Any) -> list[tuple[str, list[str]]]:
    """When (time of day) and on which lookups a rule of this title fired."""
    return [(alert.time[11:19], alert.events) for alert in alerts_of(test, pack) if alert.rule.title == name]


def test_events_come_a_second_apart_from_a_fixed_morning() -> None:
    events = [{"action": "export"}, {"action": "export"}, {"action": "export", "at": "1h30m"}, {"action": "export"}]
    assert fired("export", events=events) == [
        ("09:00:00", ["1"]),
        ("09:00:01", ["2"]),
        ("10:30:00", ["3"]),
        ("10:30:01", ["4"]),
    ]
    (alert,) = alerts_of({"events": [{"action": "export"}]}, PACK)
    assert (alert.time, alert.actors) == ("2026-03-02T09:00:00+01:00", ["o-1"])


def test_an_event_can_be_repeated() -> None:
    events = [{"action": "export", "repeat": 3, "every": "10m", "id": "x"}, {"action": "export"}]
    expected = [("09:00:00", ["x"]), ("09:10:00", ["x-2"]), ("09:20:00", ["x-3"]), ("09:20:01", ["2"])]
    assert fired("export", events=events) == expected
    assert fired("export", events=[{"action": "export", "repeat": 2}]) == [("09:00:00", ["1"]), ("09:00:01", ["1-2"])]
    at = {"time": "2026-03-02T23:59:30+01:00", "action": "export", "repeat": 2, "every": "1m"}
    assert fired("export", events=[at, {"action": "export"}]) == [
        ("23:59:30", ["1"]),
        ("00:00:30", ["1-2"]),
        ("00:00:31", ["2"]),
    ]


def test_names_may_be_nested_or_dotted_and_what_the_monitor_finds_is_as_given() -> None:
    many = [{"explanation": ["none"], "subject": {"id": "p-1"}}, UNEXPLAINED, {**UNEXPLAINED, "actor": {"unit": "u"}}]
    assert fired("many", events=many) == [("09:00:02", ["1", "2", "3"])]
    assert fired("many", events=[*many[:2], {"explanation": "own-case"}]) == []
    lookup = lookup_of(
        {"purpose": {"status": "false", "case": "c"}, "on_shift": False, "x": {"y": {"z": 1}}}, Reference(), BASE
    )
    assert (lookup["purpose.status"], lookup["on_shift"], lookup["x.y.z"]) == ("false", False, 1)
    assert lookup["purpose.case"] == "c"


BASE = {"id": "1", "time": "2026-03-02T09:00:00Z", "system": "bvi", "action": "read", "actor.id": "o-1"}
ACTOR = {"record": "actor", "id": "o-1", "unit": "north", "person": "p-1", "household": [], "relatives": []}


def test_reference_records_enrich_unless_the_event_says_otherwise() -> None:
    own = rules(detection({"relation": "self"}, name="own"), detection({"relation|exists": False}, name="unknown"))
    event = {"subject.id": "p-1"}
    assert fired("own", own, reference=[ACTOR], events=[event]) == [("09:00:00", ["1"])]
    assert fired("own", own, events=[event]) == []
    assert fired("own", own, reference=[ACTOR], events=[{**event, "relation": "none"}]) == []
    assert fired("unknown", own, reference=[ACTOR], events=[{**event, "relation": None}]) == [("09:00:00", ["1"])]


def test_what_joins_actors_is_counted_too() -> None:
    events = [UNEXPLAINED, {**UNEXPLAINED, "actor.id": "o-2", "at": "10m"}, {**UNEXPLAINED, "actor.id": "o-3"}]
    assert fired("several", events=events) == [("09:10:00", ["1", "2"])]


def test_time_goes_on_at_the_end() -> None:
    for then, expected in (("1h59m59s", []), ("2h", [("09:00:00", ["1"])]), ("1d", [("09:00:00", ["1"])])):
        assert fired("silent", events=[UNEXPLAINED], then=then) == expected
    assert fired("silent", events=[UNEXPLAINED]) == []
    assert fired("silent", events=[UNEXPLAINED, {"action": "print", "at": "30m"}], then="1d") == []
    later = {"at": "3h", "actor.id": "o-2"}
    assert fired("silent", events=[UNEXPLAINED, later]) == [("09:00:00", ["1"])], "another actor's lookup moves time on"
    late = {"at": "5m", "actor.id": "o-3"}
    assert fired("silent", events=[UNEXPLAINED, later, late]) == [("09:00:00", ["1"])], "and nothing moves it back"


def test_a_late_event_comes_when_it_comes() -> None:
    events = [{**UNEXPLAINED, "at": "10m"}, {**UNEXPLAINED, "at": "20m"}, {**UNEXPLAINED, "at": "5m"}]
    assert fired("many", events=events) == [("09:05:00", ["3", "1", "2"])]


@pytest.mark.parametrize(
    ("text", "ms"), [("0", 0), (0, 0), ("0m", 0), ("90s", 90_000), ("1w1d2h3m4s", 698_584_000), ("2h", 7_200_000)]
)
def test_an_offset(text: Any, ms: int) -> None:
    assert offset_of(text, ("at",)) == ms
    assert offset_of(offset_words(ms), ("at",)) == ms


@pytest.mark.parametrize("text", ["", "5", 5, "m", "1m1h", "-5m", "1.5h", None, True, "1 h"])
def test_what_is_no_offset(text: Any) -> None:
    with pytest.raises(Wrong, match="is no time"):
        offset_of(text, ("at",))


def outcomes(tests: Any, text: str = MANY) -> list[Failure | None]:
    """What becomes of the tests of a rule, written in YAML at the end of its document."""
    document = {**yaml.safe_load(text), "tests": tests}
    written = yaml.safe_dump(document, sort_keys=False)
    loaded = load_texts({"base.yml": READ, "export.yml": EXPORT, "x.yml": written})
    assert loaded.problems == []
    return [case.run() for case in cases_of("x.yml", written, loaded.rules)]


BURST = [
    {**UNEXPLAINED, "actor.id": "o-7", "repeat": 5, "every": "1m"},
    {**UNEXPLAINED, "actor.id": "o-8", "repeat": 3},
]
SEVEN = {"at": "2m", "entity": "o-7", "count": 3, "events": ["1", "1-2", "1-3"], "reason": "3 lookups within 1 hour"}
EIGHT = {"entity": "o-8"}


@pytest.mark.parametrize("alerts", [2, [SEVEN, EIGHT], [EIGHT, SEVEN], [{}, SEVEN], [SEVEN, {}], [{}, {}]])
def test_a_test_that_holds(alerts: Any) -> None:
    assert outcomes([{"name": "a", "events": BURST, "alerts": alerts}]) == [None]


@pytest.mark.parametrize(
    ("alerts", "message", "details"),
    [
        (
            0,
            "no alerts expected, 2 came",
            ["came: at 2m, entity o-7, count 3, events 1 1-2 1-3: 3 look", "came: at 4m3s, e"],
        ),
        (1, "1 alert expected, 2 came", ["came: ", "came: "]),
        (3, "3 alerts expected, 2 came", ["came: ", "came: "]),
        ([], "no alerts expected, 2 came", ["came too: ", "came too: "]),
        ([SEVEN], "1 alert expected, 2 came", ["came too: at 4m3s, entity o-8, count 3"]),
        ([SEVEN, EIGHT, {}], "3 alerts expected, 2 came", ["expected: any alert"]),
        (
            [SEVEN, SEVEN],
            "2 alerts expected, 2 came",
            ["expected: at 2m, entity o-7, count 3, events", "came too: at 4m3s"],
        ),
        ([{**SEVEN, "at": "3m"}, EIGHT], "2 alerts", ["expected: at 3m, ", "came too: at 2m"]),
        ([{**SEVEN, "entity": "o-9"}, EIGHT], "2 alerts", ["expected: at 2m, entity o-9", "came too: at 2m"]),
        ([{**SEVEN, "count": 2}, EIGHT], "2 alerts", ["expected: at 2m, entity o-7, count 2", "came too: at 2m"]),
        ([{**SEVEN, "events": ["1", "1-2"]}, EIGHT], "2 alerts", ["expected: ", "came too: at 2m"]),
        ([{**SEVEN, "reason": "3 lookups within 2 hours"}, EIGHT], "2 alerts", ["expected: ", "came too: at 2m"]),
    ],
)
def test_a_test_that_fails_says_what_was_expected_what_came_and_where(
    alerts: Any, message: str, details: Sequence[str]
) -> None:
    (failure,) = outcomes([{"name": "a burst", "events": BURST, "alerts": alerts}])
    assert failure is not None
    assert not failure.broken
    assert str(failure.problem).startswith(
        f"x.yml:{failure.problem.line}:{failure.problem.column}: many: a burst: {message}"
    )
    assert len(failure.details) == len(details)
    assert all(said.startswith(begin) for said, begin in zip(failure.details, details, strict=True))


def test_the_place_is_that_of_the_expectation() -> None:
    written = (
        MANY.removesuffix("}")
        + ',\n"tests": [\n {"name": "a", "events": [], "alerts":\n  1},\n {"name": "b", "alerts": [\n   {"count": 1}]}\n]}'
    )
    loaded = load_texts({"base.yml": READ, "x.yml": written})
    failures = [case.run() for case in cases_of("x.yml", written, loaded.rules)]
    assert [(each.problem.line, each.problem.column) for each in failures if each is not None] == [(3, 30), (6, 4)]


@pytest.mark.parametrize(
    ("tests", "at", "message"),
    [
        ("none", ("tests",), "tests is not a list"),
        ({"name": "a"}, ("tests",), "tests is not a list"),
        (["a"], ("tests", 0), "a test is not a mapping"),
        ([{"name": "a"}], ("tests", 0), "alerts is missing"),
        ([{"alerts": -1}], ("tests", 0, "alerts"), "neither a number nor a list"),
        ([{"alerts": True}], ("tests", 0, "alerts"), "neither a number nor a list"),
        ([{"alerts": ["x"]}], ("tests", 0, "alerts", 0), "an expected alert is not a mapping"),
        ([{"alerts": [{"wen": "1m"}]}], ("tests", 0, "alerts", 0, "wen"), "an expected alert has no wen"),
        ([{"alerts": [{"count": "x"}]}], ("tests", 0, "alerts", 0, "count"), "count is not a whole number"),
        ([{"alerts": [{"at": "x"}]}], ("tests", 0, "alerts", 0, "at"), "at x is no time"),
        ([{"alerts": 0, "evnts": []}], ("tests", 0, "evnts"), "did you mean events?"),
        ([{"alerts": 0, "events": {}}], ("tests", 0, "events"), "events is not a list"),
        ([{"alerts": 0, "events": ["x"]}], ("tests", 0, "events", 0), "an event is not a mapping"),
        ([{"alerts": 0, "events": [{}, {"at": "soon"}]}], ("tests", 0, "events", 1, "at"), "at soon is no time"),
        ([{"alerts": 0, "events": [{"at": "1m", "time": "x"}]}], ("tests", 0, "events", 0, "at"), "both at and time"),
        ([{"alerts": 0, "events": [{"repeat": 0}]}], ("tests", 0, "events", 0, "repeat"), "repeat is not 1 to 20,000"),
        ([{"alerts": 0, "events": [{"repeat": 30000}]}], ("tests", 0, "events", 0, "repeat"), "20,000 events at most"),
        ([{"alerts": 0, "events": [{"every": "x"}]}], ("tests", 0, "events", 0, "every"), "every x is no time"),
        (
            [{"alerts": 0, "events": [{"action": "steal"}]}],
            ("tests", 0, "events", 0),
            "not a lookup: action is not one",
        ),
        ([{"alerts": 0, "events": [{"ts": 5}]}], ("tests", 0, "events", 0), "ts is made by the monitor"),
        ([{"alerts": 0, "events": [{"a": 1, "a.b": 2}]}], ("tests", 0, "events", 0), "which is no object"),
        ([{"alerts": 0, "events": [{"a.b": 1, "a": {"b": 2}}]}], ("tests", 0, "events", 0), "a.b is there twice"),
        ([{"alerts": 0, "reference": [{"record": "spy"}]}], ("tests", 0, "reference", 0), "not a reference record"),
        ([{"alerts": 0, "then": "later"}], ("tests", 0, "then"), "then later is no time"),
    ],
)
def test_a_test_that_cannot_be_read_is_placed(tests: Any, at: tuple[Any, ...], message: str) -> None:
    (failure,) = outcomes(tests)
    assert failure is not None
    assert failure.broken
    assert message in str(failure.problem)
    document = yaml.safe_dump({**yaml.safe_load(MANY), "tests": tests}, sort_keys=False)
    (case,) = cases_of("x.yml", document, PACK)
    assert (failure.problem.line, failure.problem.column) == case.document.place(at)


def test_only_alerts_of_the_rule_itself_count() -> None:
    exports = [{**UNEXPLAINED, "repeat": 3}, {"action": "export", "repeat": 2}]
    assert outcomes([{"name": "a", "events": exports, "alerts": 1}]) == [None]
    printed = detection({"action": "export"}, name="exports")
    assert outcomes([{"name": "a", "events": exports, "alerts": 2}], printed) == [None]


def test_tests_that_could_say_nothing_are_broken() -> None:
    test = [{"name": "a", "events": [UNEXPLAINED], "alerts": 0}]
    base = yaml.safe_dump({**yaml.safe_load(READ), "tests": test})
    anomaly = yaml.safe_dump({**yaml.safe_load(correlation("odd", type="anomaly", condition={})), "tests": test})
    gone = yaml.safe_dump({**yaml.safe_load(detection({"a|gone": 1}, name="gone")), "tests": test})
    texts = {"base.yml": base, "many.yml": MANY, "odd.yml": anomaly, "gone.yml": gone}
    loaded = load_texts(texts)
    said = {path: [case.run() for case in cases_of(path, text, loaded.rules)] for path, text in texts.items()}
    for path, message in (
        ("base", "does not alert by itself"),
        ("odd", "model does not run"),
        ("gone", "was not loaded"),
    ):
        (failure,) = said[f"{path}.yml"]
        assert failure is not None
        assert failure.broken
        assert message in failure.problem.message
    assert said["many.yml"] == []


def test_five_hundred_tests_take_seconds() -> None:
    tests = [{"name": str(n), "events": [{**UNEXPLAINED, "repeat": 20}], "alerts": 1} for n in range(500)]
    began = time.perf_counter()
    assert outcomes(tests) == [None] * 500
    assert time.perf_counter() - began < 20
