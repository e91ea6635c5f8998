"""Windows of event time count what a recount from scratch counts, in whatever order lookups come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.detector import KeyState
from monitor.rules import Firing, RuleSet
from monitor.rules.kinds.kind import MAX_EVIDENCE, span_words
from tests.rules.samples import correlation, detection, report, rules
from tests.samples import lookup

HOUR = 3600_000
START = 1_790_000_000_000
BASE = detection({"action": "read"})


def lateness(span_ms: int) -> int:
    """How late a lookup may be and still count: the span, but at least 1 hour and at most 24."""
    return min(24 * HOUR, max(HOUR, span_ms))


def run(ruleset: RuleSet, lookups: list[dict[str, Any]], key: str = "actor/o-1") -> list[Firing]:
    state = KeyState()
    return [firing for one in lookups for firing in ruleset.evaluate(key, one, state)[0]]


def at(hours: float, **fields: Any) -> dict[str, Any]:
    ts = START + int(hours * HOUR)
    return lookup(ts=ts, id=f"x-{hours}-{len(fields)}", **fields)


def test_event_count_fires_at_the_bound_and_then_keeps_quiet_for_a_span() -> None:
    ruleset = rules(BASE, correlation())
    assert run(ruleset, [at(0), at(0.5)]) == []
    (firing,) = run(ruleset, [at(0), at(0.25), at(0.5), at(0.6), at(1.4)])
    assert firing.ts == START + HOUR // 2
    assert firing.count == 3
    assert firing.events == ["x-0-0", "x-0.25-0", "x-0.5-0"]
    assert firing.reasons[0] == "3 lookups within 1 hour (the rule asks for 3 or more)"
    assert len(run(ruleset, [at(0), at(0.25), at(0.5), at(1.5), at(1.6), at(1.7)])) == 2


def test_a_window_reaches_back_one_span_and_not_further() -> None:
    ruleset = rules(BASE, correlation(condition={"gte": 2}))
    assert run(ruleset, [at(0), at(1)]) == []
    assert len(run(ruleset, [at(0), at(0.9999)])) == 1


def test_value_count_counts_different_values_of_the_field() -> None:
    ruleset = rules(BASE, correlation(type="value_count", condition={"field": "subject.id", "gte": 3}))
    same = [at(n / 10, subject__id="P-1" if n % 2 else "p-1") for n in range(8)]
    assert run(ruleset, same) == []
    assert run(ruleset, [at(0), at(0.1), at(0.2)]) == []
    (firing,) = run(ruleset, [at(n / 10, subject__id=f"p-{n}") for n in range(3)])
    assert firing.subjects == ["p-0", "p-1", "p-2"]
    assert "3 different values of subject.id" in firing.reasons[0]


@pytest.mark.parametrize(
    ("condition", "fires_at"),
    [({"gt": 2}, 3), ({"gte": 2}, 2), ({"eq": 4}, 4), ({"lt": 9}, 1), ({"lte": 1}, 1), ({"neq": 1}, 2), ({"gte": 2, "lt": 9}, 2)],
)  # fmt: skip
def test_every_operator(condition: dict[str, int], fires_at: int) -> None:
    ruleset = rules(BASE, correlation(condition=condition))
    (firing,) = run(ruleset, [at(n / 10) for n in range(6)])
    assert firing.count == fires_at


def test_groups_do_not_mix() -> None:
    ruleset = rules(BASE, correlation(group_by=["actor.id", "subject.id"]))
    mixed = [at(n / 10, subject__id=f"p-{n % 2}") for n in range(4)]
    assert run(ruleset, mixed) == []
    (firing,) = run(ruleset, [*mixed, at(0.5, subject__id="p-1")])
    assert dict(firing.group) == {"actor.id": "o-1", "subject.id": "p-1"}
    assert run(ruleset, [at(n / 10) for n in range(5)]) == [], "a lookup without the field is in no group"


def test_what_joins_actors_runs_under_the_subjects_key_only() -> None:
    ruleset = rules(
        BASE,
        correlation(type="value_count", group_by=["subject.id"], condition={"field": "actor.id", "gte": 2}),
    )
    lookups = [{**at(n / 10, subject__id="p-1"), "actor.id": f"o-{n}"} for n in range(2)]
    assert ruleset.partition_keys(lookups[0]) == ["subject/p-1"]
    assert ruleset.partition_keys(at(0)) == []
    assert ruleset.partition_keys({**lookups[0], "action": "export"}) == [], "no copy unless the base matches"
    assert run(ruleset, lookups, "actor/o-1") == []
    (firing,) = run(ruleset, lookups, "subject/p-1")
    assert firing.actors == ["o-0", "o-1"]
    assert run(ruleset, lookups, "subject/p-2") == []


def test_a_late_lookup_completes_the_window_it_belongs_to() -> None:
    ruleset = rules(BASE, correlation())
    (firing,) = run(ruleset, [at(0), at(0.5), at(1.2), at(0.25)])
    assert firing.events == ["x-0-0", "x-0.25-0", "x-0.5-0"]
    assert firing.trigger == "bvi/x-0.25-0"


def test_one_later_than_the_allowed_lateness_is_in_no_window() -> None:
    ruleset = rules(BASE, correlation(condition={"gte": 2}))
    assert lateness(HOUR) == HOUR
    assert len(run(ruleset, [at(5), at(4), at(3.9999)])) == 0
    assert len(run(ruleset, [at(5), at(4), {**at(4), "id": "another"}])) == 1
    assert len(run(ruleset, [at(5), at(4.00001)])) == 1
    assert (lateness(60_000), lateness(30 * 24 * HOUR)) == (HOUR, 24 * HOUR)


def test_evidence_is_bounded() -> None:
    ruleset = rules(BASE, correlation(condition={"gte": 150}))
    (firing,) = run(ruleset, [at(n / 1000, subject__id=f"p-{n}") for n in range(150)])
    assert firing.count == 150
    assert len(firing.events) == len(firing.subjects) == MAX_EVIDENCE
    assert firing.events[-1] == "x-0.149-1"


def test_an_actor_with_ever_new_groups_keeps_a_bounded_state() -> None:
    ruleset = rules(BASE, correlation(group_by=["actor.id", "subject.id"]))
    state = KeyState()
    for n in range(3000):
        ruleset.evaluate("actor/o-1", at(n / 100, subject__id=f"p-{n}"), state)
    assert len(state.windows) <= 400
    assert any(name.endswith("p-2999") for name in state.windows)


def naive(times: list[int], span: int, bound: int) -> list[tuple[int, int]]:
    """(trigger's position, count) of every firing, recounting everything at every lookup."""
    seen: list[int] = []
    fired: list[int] = []
    found = []
    for position, ts in enumerate(times):
        if seen and ts < max(seen) - lateness(span):
            continue
        seen.append(ts)
        for end in sorted({other for other in seen if ts <= other < ts + span}):
            if any(abs(end - one) < span for one in fired):
                continue
            count = sum(end - span < other <= end for other in seen)
            if count >= bound:
                found.append((position, count))
                fired.append(end)
                break
    return found


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=60), st.sampled_from([5, 30, 90]), st.integers(2, 5), st.booleans())
def test_windows_count_what_a_recount_counts(minutes: list[int], span: int, bound: int, in_order: bool) -> None:
    ruleset = rules(BASE, correlation(timespan=f"{span}m", condition={"gte": bound}))
    times = [START + minute * 60_000 for minute in (sorted(minutes) if in_order else minutes)]
    state = KeyState()
    found = []
    for position, ts in enumerate(times):
        one = lookup(ts=ts, id=f"x-{position}")
        found += [(position, firing.count) for firing in ruleset.evaluate("actor/o-1", one, state)[0]]
    assert found == naive(times, span * 60_000, bound)
    # Without the quiet time: a burst anywhere is an alert, and without a burst there is none.
    kept = [ts for n, ts in enumerate(times) if ts >= max([ts, *times[:n]]) - lateness(span * 60_000)]
    burst = any(sum(end - span * 60_000 < ts <= end for ts in kept) >= bound for end in kept)
    assert bool(found) is burst


def test_spans_in_words() -> None:
    assert [span_words(ms) for ms in (1000, 60_000, 90_000, 7_200_000, 86_400_000, 604_800_000, 1500)] == [
        "1 second",
        "1 minute",
        "90 seconds",
        "2 hours",
        "1 day",
        "7 days",
        "1500 ms",
    ]


OTHER = detection({"action": "list"}, name="other")
WAITS = correlation("waits", grace="1h")
ANOMALY = correlation("odd", type="anomaly", condition={})
PEERS = correlation("peers", type="peer_deviation", peer="actor.unit", condition={"factor": 2})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"window": "tumbling", "condition": {"gte": 4_001}}, "above 4,000"),
        ({"type": "sequence_run", "condition": {"field": "x", "gte": 5_000}}, "above 4,000"),
        ({"type": "share", "rules": ["waits", "base"], "condition": {"gte": 0.5}}, "share asks about one lookup"),
        ({"type": "rate_change", "rules": ["base", "waits"], "condition": {"factor": 2}}, "would count twice"),
        ({"rules": ["base", "waits"], "timespan": "60d"}, "would count twice"),
        ({"rules": ["odd"]}, "told by the model"),
        ({"rules": ["peers"]}, "compares peers"),
        ({"rules": ["waits"], "group_by": ["subject.id"]}, "waits must be grouped by subject.id"),
        ({"aliases": {"actor.id": {"base": "subject.id"}}}, "who looked"),
        ({"group_by": ["who"], "rules": ["aliased"], "aliases": {"who": {"aliased": "y"}}}, "stands for another field"),
        ({"grace": "32d"}, "grace 32d is too long"),
        ({"type": "rate_change", "condition": {"factor": 2, "baseline": 367}}, "baseline is above 366"),
        (
            {"type": "temporal_ordered", "rules": [f"d{n}" for n in range(14)],
             "condition": " and ".join(f"(d{n} or d{n + 1})" for n in range(0, 14, 2))},
            "more than 64 ways",
        ),
    ],
)  # fmt: skip
def test_what_could_never_be_right_is_refused(body: dict[str, Any], message: str) -> None:
    aliased = correlation("aliased", group_by=["who"], aliases={"who": {"base": "x"}})
    many = [detection({"x": n}, name=f"d{n}") for n in range(14)]
    loaded = report(BASE, OTHER, WAITS, ANOMALY, PEERS, aliased, *many, correlation("it", **body))
    (problem,) = loaded.problems
    assert message in problem.message
    assert "not understood" not in problem.message


@pytest.mark.parametrize("deep", [8, 9])
def test_rules_of_rules_go_so_deep_and_no_deeper(deep: int) -> None:
    chain = [correlation(f"c{n}", rules=[f"c{n - 1}" if n else "base"]) for n in range(deep)]
    problems = report(BASE, *chain).problems
    assert [problem.message for problem in problems] == (
        [] if deep == 8 else ["correlations of correlations go deeper than 8, or in a circle"]
    )


def test_a_wide_net_of_rules_is_read_at_once() -> None:
    """Each of six layers is made of all twenty of the one below: as many ways through it as grains of sand on a beach."""
    layers = [[f"c{layer}-{n}" for n in range(20)] for layer in range(6)]
    made = [
        correlation(name, rules=["base"] if not layer else layers[layer - 1])
        for layer, names in enumerate(layers)
        for name in names
    ]
    loaded = report(BASE, *made)
    assert loaded.problems == []
    assert len(loaded.rules.correlations) == 120


def test_an_alert_waits_for_its_own_rule_only() -> None:
    """Two detections that ask the same are two rules, each with its own quiet time and its own alerts that wait."""
    twins = [detection({"action": "read"}, name=name, suppress="1h", grace="1h") for name in ("one", "two")]
    ruleset, state = rules(*twins), KeyState()
    assert ruleset.evaluate("actor/o-1", at(0), state)[0] == []
    found = ruleset.decide("actor/o-1", state, 0, START + 2 * HOUR, lambda *_: False)
    assert sorted(str(firing.rule.name) for firing in found) == ["one", "two"]


def test_a_rule_that_has_changed_leaves_what_waited_to_the_one_before() -> None:
    before = rules(detection({"action": "read"}, grace="1h"))
    after = rules(detection({"action": ["read", "list"]}, grace="1h"))
    state = KeyState()
    before.evaluate("actor/o-1", at(0), state)
    assert after.decide("actor/o-1", state, 0, START + 2 * HOUR, lambda *_: False) == []
    assert len(state.waiting) == 1
    assert len(before.decide("actor/o-1", state, 0, START + 2 * HOUR, lambda *_: False)) == 1
    assert state.waiting == []
