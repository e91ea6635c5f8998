"""Each type of correlation by an example that can be read: a story of a few lookups, and what is raised."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.rules import Firing
from tests.rules.driver import by_engine, by_naive, differences
from tests.rules.naive import DAY, HOUR, MINUTE, Explained, Lookup, Spec, iso

START = 1_790_000_000_000 // DAY * DAY
A, B, C = (Spec(name, "detection") for name in "abc")


def at(time: float, matches: str = "a", **fields: Any) -> Lookup:
    """A lookup so many hours after midnight that matches the rules named; dots are written as two underscores."""
    ts = START + int(time * HOUR)
    one = {"id": f"{matches}@{time:g}", "system": "bvi", "action": "read", "time": iso(ts), "ts": ts, "actor.id": "o-1"}
    return {**one, "m": list(matches), **{name.replace("__", "."): value for name, value in fields.items()}}


def nothing(actor: str, subject: str | None, ts: int, until: int) -> bool:
    return False


def raised(spec: Spec | tuple[Spec, ...], *lookups: Lookup, explained: Explained = nothing) -> list[Firing]:
    """What is raised, about which the naive evaluator agrees."""
    specs = (A, B, C, *(spec if isinstance(spec, tuple) else (spec,)))
    engine = by_engine(specs, lookups, explained)
    assert differences(engine, by_naive(specs, lookups, explained), exact=False) == []
    alone = {"a", "b", "c"}
    return [firing for firings in engine for firing in firings if firing.rule.name not in alone]


def told(firings: list[Firing]) -> list[tuple[str, float, list[str]]]:
    """The lookup that made each fire, its number, its evidence."""
    return [(firing.trigger.removeprefix("bvi/"), firing.count, firing.events) for firing in firings]


def test_event_count_and_a_burst_is_one_alert() -> None:
    rule = Spec("it", bounds=(("gte", 3),))
    found = raised(rule, at(0), at(0.5), at(0.75), at(0.8), at(1.6), at(1.7), at(1.75), at(3))
    assert told(found) == [
        ("a@0.75", 3, ["a@0", "a@0.5", "a@0.75"]),
        ("a@1.75", 4, ["a@0.8", "a@1.6", "a@1.7", "a@1.75"]),
    ]
    assert found[0].reasons == ["3 lookups within 1 hour (the rule asks for 3 or more)", "it"]


def test_value_count_of_one_field_and_of_several() -> None:
    one = Spec("it", "value_count", fields=("subject.id",), bounds=(("gte", 3),))
    same = [at(n / 10, subject__id=name) for n, name in enumerate(["p-1", "P-1", "p-1", "p-2"])]
    assert raised(one, *same) == []
    assert told(raised(one, *same, at(0.9, subject__id="p-3")))[0][:2] == ("a@0.9", 3)
    pairs = Spec("it", "value_count", fields=("subject.id", "system"), bounds=(("gte", 3),))
    assert len(raised(pairs, *same, at(0.9, subject__id="p-1", system="obs"))) == 1
    assert raised(pairs, *same, at(0.9, system="obs")) == [], "a lookup that lacks one of the fields is not counted"


def test_a_tumbling_window_begins_anew() -> None:
    rule = Spec("it", window="tumbling", bounds=(("gte", 3),))
    assert raised(rule, at(0.5), at(0.9), at(1.1), at(1.2)) == []
    assert [name for name, _, _ in told(raised(rule, at(1), at(1.1), at(1.2), at(1.99), at(2), at(2.1), at(2.2)))] == [
        "a@1.2",
        "a@2.2",
    ]


def test_a_session_ends_with_a_pause() -> None:
    rule = Spec("it", window="session", gap=10 * MINUTE, span=5 * HOUR, bounds=(("gte", 4),))
    assert raised(rule, at(0), at(0.1), at(0.2), at(0.5), at(0.6), at(0.7)) == []
    assert told(raised(rule, at(0), at(0.1), at(0.2), at(0.3), at(0.4), at(1), at(1.1)))[0][1:] == (
        4,
        ["a@0", "a@0.1", "a@0.2", "a@0.3"],
    )


def test_temporal_wants_all_rules_in_any_order() -> None:
    rule = Spec("it", "temporal", rules=("a", "b", "c"))
    assert told(raised(rule, at(0, "c"), at(0.2, "a"), at(0.4, "b"))) == [("b@0.4", 3, ["c@0", "a@0.2", "b@0.4"])]
    assert raised(rule, at(0, "c"), at(0.2, "a"), at(1.1, "b")) == []
    assert len(raised(rule, at(0, "abc"))) == 1


def test_temporal_wants_so_many_rules() -> None:
    rule = Spec("it", "temporal", rules=("a", "b", "c"), bounds=(("gte", 2),))
    assert raised(rule, at(0, "c"), at(0.2, "c")) == []
    assert told(raised(rule, at(0, "c"), at(0.2, "b")))[0][1] == 2


@pytest.mark.parametrize(
    ("condition", "stories"),
    [
        ("a and b", {"ab": True, "ba": True, "a": False}),
        ("a or b", {"a": True, "b": True, "c": False}),
        ("a and not c", {"a": True, "ca": False, "ac": True}),
        ("(a or b) and not c", {"b": True, "cb": False}),
        ("a and (b or not c)", {"a": True, "ca": False, "cab": True}),
    ],
)
def test_temporal_with_an_extended_condition(condition: str, stories: dict[str, bool]) -> None:
    rule = Spec("it", "temporal", rules=("a", "b", "c"), condition=condition)
    for story, fires in stories.items():
        assert bool(raised(rule, *(at(n / 10, letter) for n, letter in enumerate(story)))) is fires, story


@pytest.mark.parametrize(
    ("more", "stories"),
    [
        ({}, {"abc": True, "acb": False, "cbabc": True, "bca": False}),
        ({"bounds": (("gte", 2),)}, {"ab": True, "bc": True, "ac": True, "cb": False, "ba": False}),
        ({"condition": "(a or b) and c"}, {"bc": True, "cb": False, "bac": True, "ca": False}),
        ({"condition": "a and c and not b"}, {"ac": True, "abc": False, "ca": False}),
    ],
)
def test_temporal_ordered_wants_the_order_given(more: dict[str, Any], stories: dict[str, bool]) -> None:
    rule = Spec("it", "temporal_ordered", rules=("a", "b", "c"), **more)
    for story, fires in stories.items():
        assert bool(raised(rule, *(at(n / 10, letter) for n, letter in enumerate(story)))) is fires, story


def test_one_lookup_stands_for_one_rule_of_an_order() -> None:
    rule = Spec("it", "temporal_ordered", rules=("a", "b"))
    assert raised(rule, at(0, "ab")) == []
    assert told(raised(rule, at(0, "ab"), at(0.1, "ab"))) == [("ab@0.1", 2, ["ab@0", "ab@0.1"])]


def test_numbers_of_a_field() -> None:
    values: list[Any] = [1, "2", "many", None, True, [3, "4", None], 10.5]
    lookups = [at(n / 10, n=value) for n, value in enumerate(values) if value is not None]

    def number(kind: str, **more: Any) -> float:
        (*_, last) = raised(Spec("it", kind, fields=("n",), bounds=(("gt", 0),), suppress=1000, **more), *lookups)
        return last.count

    assert number("value_sum") == 1 + 2 + 7 + 10.5
    assert number("value_avg") == (1 + 2 + 7 + 10.5) / 4
    assert number("value_median") == (2 + 7) / 2
    assert number("value_percentile") == 2, "the nearest rank: two of four do not exceed it"
    assert number("value_percentile", options=(("percentile", 76),)) == 10.5


def test_new_value_once_the_group_is_known() -> None:
    rule = Spec("it", "new_value", fields=("x",), span=30 * DAY, options=(("learning", DAY),))
    seen = [at(0, x="u"), at(10, x="v"), at(25, x="u"), at(26, x="W"), at(27, x="w"), at(28), at(24 * 30 + 11, x="v")]
    assert [name for name, _, _ in told(raised(rule, *seen))] == ["a@26", "a@731"]


def test_rate_change_against_the_own_past() -> None:
    rule = Spec("it", "rate_change", span=DAY, options=(("factor", 3.0), ("minimum", 5)))
    usual = [at(24 * day + hour) for day in range(5) for hour in (9, 13)]
    assert raised(rule, *usual, *(at(24 * 5 + hour) for hour in range(5))) == []
    (firing,) = raised(rule, *usual, *(at(24 * 5 + hour) for hour in range(9)))
    assert firing.reasons[0] == "6 lookups within 1 day, where 2 were usual"
    likely = Spec("it", "rate_change", span=DAY, options=(("p", 0.001),))
    assert raised(likely, *usual, *(at(24 * 5 + hour) for hour in range(7))) == []
    assert len(raised(likely, *usual, *(at(24 * 5 + hour) for hour in range(16)))) == 1


def test_peer_deviation_against_colleagues() -> None:
    rule = Spec("it", "peer_deviation", span=DAY, peer="actor.unit", options=(("factor", 3.0), ("minimum", 6)))
    usual = [at(hour + n / 10, actor__id=f"o-{n}", actor__unit="u") for n in range(7) for hour in (8, 9)]
    busy = [at(25 + n, actor__id="o-3", actor__unit="u") for n in range(8)]
    (firing,) = raised(rule, *usual, *busy)
    assert (firing.group, firing.count) == ((("actor.id", "o-3"),), 6)
    assert firing.reasons[0] == "6 lookups within 1 day, where peers have 2"
    few = [one for one in usual if one["actor.id"] in ("o-1", "o-2", "o-3", "o-4", "o-5")]
    assert raised(rule, *few, *busy) == [], "four peers say nothing"
    other = [{**one, "actor.unit": "v"} for one in busy]
    assert raised(rule, *usual, *other) == [], "the peers are those of the own unit"


def test_share_of_unexplained_lookups() -> None:
    rule = Spec("it", "share", rules=("b", "a"), span=DAY, bounds=(("gte", 0.5),), options=(("minimum", 4),))
    assert told(raised(rule, at(0, "ab"), at(1, "a"), at(2, "a"), at(3, "ab"), at(4, "ab"))) == [
        ("ab@3", 0.5, ["ab@0", "ab@3"])
    ]
    assert raised(rule, at(0, "ab"), at(1, "b"), at(2, "b"), at(3, "b")) == [], (
        "what only matches the first is no part of them"
    )


def test_absence_of_what_should_have_followed() -> None:
    rule = Spec("it", "absence", rules=("a", "b"), span=2 * HOUR)
    assert told(raised(rule, at(0, "a"), at(0.5, "b"), at(1, "a"), at(9, "c"))) == [("a@1", 1, ["a@1"])]
    assert raised(rule, at(0, "a"), at(2, "b")) == []
    assert told(raised(rule, at(0, "a"), at(2.9, "c"), at(1.9, "b"))) == [], "it came late, but it had followed"
    assert told(raised(rule, at(0, "ab"))) == [("ab@0", 1, ["ab@0"])], "a lookup does not follow itself"


def test_sequence_run_of_plates() -> None:
    rule = Spec("it", "sequence_run", fields=("plate",), bounds=(("gte", 4),))
    plates = ["AB-12-CD", "ab-14-cd", "AB-13-CD", "AB-99-CD", "XY-15-CD", "AB-15-CD"]
    assert [
        name for name, _, _ in told(raised(rule, *(at(n / 10, plate=plate) for n, plate in enumerate(plates))))
    ] == ["a@0.5"]
    houses = Spec("it", "sequence_run", fields=("plate",), bounds=(("gte", 4),), options=(("gap", 2),))
    assert len(raised(houses, *(at(n / 10, plate=f"Dorpsstraat {n * 2 + 1}, 1234 AB") for n in range(4)))) == 1


def test_a_long_span_is_counted_in_slots() -> None:
    rule = Spec("it", span=64 * DAY, bounds=(("gte", 3),))
    assert told(raised(rule, at(0), at(24 * 30), at(24 * 63)))[0][:2] == ("a@1512", 3)
    assert raised(rule, at(23), at(24 * 30), at(24 * 64 - 0.5)) != []
    assert raised(rule, at(23), at(24 * 30), at(24 * 64)) == [], (
        "the first day's slot has gone, though an hour of it is within"
    )


def test_suppress_counts_what_would_have_been_raised() -> None:
    rule = Spec("it", bounds=(("gte", 2),), suppress=5 * HOUR)
    found = raised(rule, *(at(n) for n in (0, 0.5, 1, 1.5, 2, 5, 5.4, 5.6)))
    assert [(firing.trigger, firing.suppressed) for firing in found] == [("bvi/a@0.5", 0), ("bvi/a@5.6", 4)]


def test_groups_and_aliases() -> None:
    rule = Spec(
        "it",
        "temporal",
        rules=("a", "b"),
        group_by=("actor.id", "who"),
        aliases=(("who", "a", "x"), ("who", "b", "subject.id")),
    )
    assert raised(rule, at(0, "a", x="p-1"), at(0.1, "b", subject__id="p-2")) == []
    (firing,) = raised(rule, at(0, "a", x="p-1"), at(0.1, "b", subject__id="p-1"))
    assert firing.group == (("actor.id", "o-1"), ("who", "p-1"))


def test_several_actors_and_one_subject() -> None:
    rule = Spec("it", "value_count", fields=("actor.id",), group_by=("subject.id",), bounds=(("gte", 3),))
    ring = [at(n / 10, actor__id=f"o-{n}", subject__id="p-1") for n in range(3)]
    (firing,) = raised(rule, *ring)
    assert firing.actors == ["o-0", "o-1", "o-2"]


def test_exceptions_hold_until_they_expire() -> None:
    known = Spec("a", "detection", filters=(("test", START + 2 * HOUR),))
    specs = (known, B, C, Spec("it", bounds=(("gte", 2),)))
    lookups = [at(0, x="test"), at(1.8, x="test"), at(1.9), at(2, x="test")]
    engine = by_engine(specs, lookups)
    assert differences(engine, by_naive(specs, lookups)) == []
    assert [firing.events for firings in engine for firing in firings] == [["a@1.9", "a@2"]]


def test_folded_lookups_are_not_counted() -> None:
    rule = Spec("it", bounds=(("gte", 2),))
    assert raised(rule, at(0), at(0.1, act__folded=True)) == []


def test_rules_made_of_rules() -> None:
    """A burst on three days of a week."""
    burst = Spec("burst", bounds=(("gte", 3),))
    again = Spec("again", rules=("burst",), span=7 * DAY, bounds=(("gte", 3),))
    days = [at(24 * day + n / 10) for day in (0, 2, 5) for n in range(4)]
    assert told(raised((burst, again), *days)) == [("a@120.2", 3, ["a@0.2", "a@48.2", "a@120.2"])]
    then = Spec("then", "temporal_ordered", rules=("burst", "b"), span=DAY)
    assert told(raised((burst, then), at(0), at(0.1), at(0.2), at(5, "b")))[0][2] == ["a@0.2", "b@5"]
    assert raised((burst, then), at(0), at(0.1), at(0.15, "b"), at(0.2)) == []


# Waiting for paperwork


def paper(*ids: str, late: float = 0) -> Explained:
    """These lookups are explained by paperwork that began so many hours after them."""
    times = {START + int(float(name.partition("@")[2]) * HOUR) for name in ids}
    return lambda actor, subject, ts, until: ts in times and ts + late * HOUR <= until


def test_an_alert_waits_and_is_dropped_when_paperwork_explains_it() -> None:
    rule = Spec("it", bounds=(("gte", 3),), grace=2 * HOUR)
    story = [at(0), at(0.1), at(0.2), at(2.1, "c"), at(2.3, "c")]
    assert len(raised(rule, *story)) == 1
    assert raised(rule, *story, explained=paper("a@0.1")) == []
    assert len(raised(rule, *story, explained=paper("a@0.2", late=2.5))) == 1, "the paperwork came too late"
    engine = by_engine((A, rule), story)
    assert [len(firings) for firings in engine] == [0, 0, 0, 0, 1, 0], "it is told when it is due"


def test_what_came_while_an_alert_waited_is_not_lost_when_it_is_dropped() -> None:
    rule = Spec("it", bounds=(("gte", 3),), grace=2 * HOUR)
    story = [at(0), at(0.1), at(0.2), at(0.3), at(9, "c")]
    (firing,) = raised(rule, *story, explained=paper("a@0"))
    assert told([firing]) == [("a@0.3", 3, ["a@0.1", "a@0.2", "a@0.3"])]


def test_a_number_is_that_without_what_is_explained() -> None:
    rule = Spec("it", "value_sum", fields=("n",), bounds=(("gte", 10),), grace=2 * HOUR)
    (firing,) = raised(rule, at(0, n=4), at(0.1, n=8), at(0.2, n=5), at(9, "c"), explained=paper("a@0"))
    assert (firing.count, firing.events) == (13, ["a@0.1", "a@0.2"])
    assert "13 in sum" in firing.reasons[0]


@pytest.mark.parametrize(
    ("kind", "more", "whole", "without"),
    [
        ("event_count", {}, ("a@0.2", 4), ("a@0.2", 3)),
        ("value_count", {"fields": ("x",)}, ("a@0.2", 3), ("a@0.3", 3)),
        ("value_sum", {"fields": ("n",)}, ("a@0.2", 5), ("a@0.2", 4)),
        ("value_avg", {"fields": ("n",), "bounds": (("gt", 1.2),)}, ("a@0.3", 1.25), ("a@0.3", 4 / 3)),
        (
            "value_percentile",
            {"fields": ("n",), "bounds": (("eq", 1),), "options": (("percentile", 70),)},
            ("a@0", 1),
            None,
        ),
        ("value_median", {"fields": ("n",), "bounds": (("lt", 2),)}, ("a@0", 1), ("a@0", 1)),
    ],
)
def test_a_long_span_is_asked_again_without_what_is_explained(
    kind: str, more: dict[str, Any], whole: tuple[str, float], without: tuple[str, float] | None
) -> None:
    """With what has come by then into the slots of the window, but for the number of values."""
    rule = Spec("it", kind, span=64 * DAY, grace=2 * HOUR, **{"bounds": (("gte", 3),), **more})
    story = [at(n / 10, x=f"v{n}", n=1 + n // 3) for n in range(4)]
    found = [told(raised(rule, *story, at(9, "c"), explained=paper(*ids))) for ids in ((), ("a@0",))]
    assert [(name, number) for name, number, _ in found[0]] == [whole]
    assert [(name, number) for name, number, _ in found[1]] == ([] if without is None else [without])


def test_a_subject_who_is_observed_does_not_wait() -> None:
    rule = Spec("it", bounds=(("gte", 2),), grace=2 * HOUR)
    engine = by_engine((A, B, C, rule), [at(0), at(0.1, subject__watched=True)])
    assert [len(firings) for firings in engine] == [0, 1, 0]


def test_an_alert_about_many_lookups_waits_too() -> None:
    rule = Spec("it", bounds=(("gte", 150),), grace=HOUR)
    lookups = [at(n / 1000) for n in range(160)] + [at(5, "c")]
    assert len(raised(rule, *lookups)) == 1
    assert raised(rule, *lookups, explained=paper(*(f"a@{n / 1000:g}" for n in range(11)))) == []
    (firing,) = raised(rule, *lookups, explained=paper("a@0.003"))
    assert (firing.count, firing.trigger) == (150, "bvi/a@0.15")


def test_a_rule_made_of_one_that_waits_counts_it() -> None:
    """What is told a day later counts at its own time, although it is later than lateness allows."""
    burst = Spec("burst", bounds=(("gte", 2),), grace=30 * HOUR)
    again = Spec("again", rules=("burst",), span=2 * HOUR, bounds=(("gte", 2),))
    found = raised((burst, again), at(0), at(0.1), at(1.5), at(1.6), at(40, "c"))
    assert [(firing.rule.name, firing.trigger) for firing in found] == [("again", "bvi/a@1.6")]


def test_a_rule_made_of_one_that_waits_still_knows_what_came_around_it() -> None:
    """Also when lookups far newer were counted before the part is told."""
    burst = Spec("burst", bounds=(("gte", 2),), grace=30 * HOUR)
    then = Spec("then", "temporal_ordered", rules=("burst", "b"), span=3 * HOUR)
    found = raised((burst, then), at(0), at(0.1), at(1, "b"), at(20, "b"), at(29, "b"), at(40, "c"))
    assert told(found) == [("a@0.1", 2, ["a@0.1", "b@1"])]


def test_what_an_alert_waits_for_is_known_until_it_is_decided() -> None:
    rule = Spec("it", bounds=(("gte", 3),), grace=9 * HOUR)
    (firing,) = raised(rule, at(0), at(0.1), at(0.2), at(8), explained=paper("a@0.5"))
    assert firing.events == ["a@0", "a@0.1", "a@0.2"]


# What was wrong once


def test_rules_that_are_alike_do_not_share_what_they_remember() -> None:
    first, second = (Spec(name, bounds=(("gte", 2),), suppress=HOUR) for name in ("first", "second"))
    found = raised((first, second), at(0), at(0.1))
    assert sorted((firing.rule.name, firing.count) for firing in found) == [("first", 2), ("second", 2)]


def test_two_bursts_told_in_turns_are_two_alerts() -> None:
    rule = Spec("it", span=10 * MINUTE, bounds=(("gte", 2),))
    turns = [at(minute / 60 + late) for minute in range(5) for late in (0.5, 0)]
    assert len(raised(rule, *turns)) == 2


@pytest.mark.parametrize(("one", "other"), [(("x|y", "z"), ("x", "y|z")), (("x%7Cy", "z"), ("x|y", "z"))])
def test_the_values_of_several_fields_name_one_group_only(one: tuple[str, str], other: tuple[str, str]) -> None:
    rule = Spec("it", group_by=("x", "subject.id"), bounds=(("gte", 2),))
    assert raised(rule, at(0, x=one[0], subject__id=one[1]), at(0.1, x=other[0], subject__id=other[1])) == []


def test_values_with_control_characters_name_one_window_only() -> None:
    rule = Spec("it", group_by=("actor.id", "x", "subject.id"), bounds=(("gte", 2),))
    assert raised(rule, at(0, x="a\x1fb", subject__id="c"), at(0.1, x="a", subject__id="b\x1fc")) == []
    assert raised(rule, at(0, x="a\x1a", subject__id="c"), at(0.1, x="a\x1a\x1a", subject__id="c")) == []


def test_a_part_that_alerts_too_does_so_under_its_own_key_only() -> None:
    each = Spec("each", group_by=("actor.id", "subject.id"), bounds=(("gte", 2),))
    ring = Spec("ring", rules=("each",), group_by=("subject.id",), bounds=(("gte", 2),), generate=True)
    pairs = [at(n / 10, actor__id=f"o-{n // 2}", subject__id="p-1") for n in range(4)]
    found = raised((each, ring), *pairs)
    assert [(firing.rule.name, dict(firing.group).get("actor.id")) for firing in found] == [
        ("each", "o-0"), ("each", "o-1"), ("ring", None)]  # fmt: skip


def test_evidence_of_a_late_new_value_is_the_lookup_itself() -> None:
    rule = Spec("it", "new_value", fields=("x",), span=30 * DAY, options=(("learning", HOUR),))
    assert told(raised(rule, at(0, x="u"), at(5, x="u"), at(4, x="v"))) == [("a@4", 1, ["a@4"])]


def test_a_late_lookup_meets_the_whole_baseline() -> None:
    """The periods before it are not forgotten when newer ones have come."""
    rule = Spec("it", "rate_change", span=HOUR, options=(("factor", 2.0), ("minimum", 4), ("baseline", 3)))
    usual = [at(hour + n / 10) for hour in range(5) for n in range(4)]
    assert raised(rule, *usual, at(5.1), at(4.5)) == []
