"""One key's state and one lookup: duplicates, repeats, lateness, and state that can be saved anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.detector import (
    ALLOWED_LATENESS_MS,
    REMEMBERED,
    BadState,
    Detector,
    KeyState,
    is_waiting,
    load_state,
    peer_group_of,
    save_state,
)
from monitor.rules import Waiting
from tests.rules.samples import correlation, rules
from tests.rules.samples import detection as rule
from tests.samples import lookup

RULES = rules(
    rule({"action": "export"}, name="stateless"),
    rule({"action": "read"}),
    correlation(),
    correlation("values", type="value_count", condition={"field": "subject.id", "gte": 2}),
)
START = 1_790_000_000_000
KEY = "actor/o-1"
GOLDEN = Path(__file__).parent / "golden"


def one(number: int, ts: int | None = None, **fields: Any) -> dict[str, Any]:
    return lookup(id=f"x-{number}", ts=START + number if ts is None else ts, **fields)


def test_a_repeat_by_kafka_and_a_duplicate_by_the_sender_count_once() -> None:
    machine, state = Detector(RULES), KeyState()
    assert machine.step(KEY, state, one(1), 0, 10).fate == "counted"
    assert machine.step(KEY, state, one(1), 0, 10).fate == "repeated"
    assert machine.step(KEY, state, one(2), 0, 9).fate == "repeated"
    assert machine.step(KEY, state, one(1), 0, 11).fate == "duplicate"
    assert machine.step(KEY, state, {**one(1), "system": "brp"}, 0, 12).fate == "counted"
    assert machine.step(KEY, state, one(3), 1, 0).fate == "counted", "another source partition has its own offsets"


def test_a_duplicate_is_known_among_the_last_so_many() -> None:
    machine, state = Detector(RULES), KeyState()
    for number in range(REMEMBERED):
        assert machine.step(KEY, state, one(number), 0, number).fate == "counted"
    assert machine.step(KEY, state, one(0), 0, 1000).fate == "duplicate"
    assert machine.step(KEY, state, one(REMEMBERED), 0, 1001).fate == "counted"
    assert machine.step(KEY, state, one(0), 0, 1002).fate == "counted"
    assert len(state.fingerprints) == REMEMBERED * 8


def test_a_late_lookup_meets_only_the_stateless_rules() -> None:
    machine, state = Detector(RULES), KeyState()
    machine.step(KEY, state, one(1), 0, 0)
    edge = machine.step(KEY, state, one(2, START + 1 - ALLOWED_LATENESS_MS, action="export"), 0, 1)
    assert (edge.fate, edge.features is not None) == ("counted", True)
    before = save_state(state)
    late = machine.step(KEY, state, one(3, START - ALLOWED_LATENESS_MS, action="export"), 0, 2)
    assert (late.fate, late.features) == ("late", None)
    assert [alert.rule.title for alert in late.alerts] == ["stateless"]
    quiet = machine.step(KEY, state, one(4, START - ALLOWED_LATENESS_MS), 0, 3)
    assert (quiet.fate, quiet.alerts) == ("late", [])
    assert load_state(before).windows == state.windows


LOOKUPS = st.lists(
    st.tuples(
        st.integers(0, 20),
        st.integers(0, 40) | st.just(10_000),
        st.sampled_from(["read", "export"]),
        st.sampled_from(["p-1", "p-2"]),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(LOOKUPS)
def test_saving_and_loading_anywhere_changes_nothing(given_lookups: list[Any]) -> None:
    machine, kept, saved = Detector(RULES), KeyState(), KeyState()
    for off, (number, minutes, action, subject, save) in enumerate(given_lookups):
        event = one(number, START + minutes * 60_000, action=action, subject__id=subject)
        if save:
            saved = load_state(save_state(saved))
        assert machine.step(KEY, kept, dict(event), 0, off) == machine.step(KEY, saved, dict(event), 0, off)
    assert save_state(kept) == save_state(saved)


@given(st.binary(max_size=40))
@example(b"\x03\0\0\0\0\0\0\0\0\x94\x80\0\xc4\0\x81\xa2\xff\xff\0")
@example(b"\x96\x01\x80\0\xc4\0\x81\xa2\xff\xff\0\x90")
def test_a_state_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(BadState):
        load_state(data)


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(BadState, match="version 99"):
        load_state(bytes((99,)) + save_state(KeyState())[1:])
    assert load_state(None) == KeyState()


def test_a_state_of_version_1_goes_on() -> None:
    """Written by the version before: two lookups counted, offsets 0 and 1 of source 0."""
    state = load_state(bytes.fromhex((GOLDEN / "state-v1.hex").read_text()))
    assert (state.at, state.newest, state.waiting) == ({0: 1}, START + 1, [])
    assert sum(state.features.hours) == 2
    machine = Detector(RULES)
    assert machine.step(KEY, state, one(1), 0, 1).fate == "repeated"
    assert machine.step(KEY, state, one(1), 0, 2).fate == "duplicate"
    assert machine.step(KEY, state, one(5), 0, 3).fate == "counted"
    assert load_state(save_state(state)) == state


def test_a_state_of_version_2_goes_on() -> None:
    """Written before the feature no_sequel: two lookups counted, and something waits."""
    raw = bytes.fromhex((GOLDEN / "state-v2.hex").read_text())
    assert is_waiting(raw)
    state = load_state(raw)
    assert (state.at, state.newest, [each.due for each in state.waiting]) == ({0: 1}, START + 1, [START + 5])
    assert state.features.shares[0] > 0
    assert (state.features.shares[9:], state.features.awaited) == ([0.0] * 4, [])
    state.waiting = []
    assert Detector(RULES).step(KEY, state, one(5, explanation=["none"], subject__id="p"), 0, 3).features is not None
    assert load_state(save_state(state)) == state


def test_a_state_of_version_3_goes_on() -> None:
    """Written before the features were 29: two lookups counted, both unexplained, and something waits."""
    raw = bytes.fromhex((GOLDEN / "state-v3.hex").read_text())
    assert is_waiting(raw)
    state = load_state(raw)
    assert (state.at, state.newest, [each.due for each in state.waiting]) == ({0: 1}, START + 1, [START + 5])
    assert (len(state.features.awaited), sum(state.features.hours)) == (2, 2)
    assert state.features.shares[0] > 0
    assert state.features.shares[10:] == [0.0, 0.0, 0.0]
    state.waiting = []
    assert Detector(RULES).step(KEY, state, one(5, explanation=["none"], subject__id="p"), 0, 3).features is not None
    assert load_state(save_state(state)) == state


def test_the_model_shall_not_learn_what_the_desk_is_alerted_about() -> None:
    """Whether a lookup alerts at once, or what waited is decided by a tick or by the next lookup."""
    loud, low = rules(rule({"action": "export"}, level="high")), rules(rule({"action": "export"}, level="low"))
    for made, withheld in ((loud, 2.0), (low, 0.0)):
        machine, state = Detector(made), KeyState()
        vectors = [
            machine.step(KEY, state, one(n, action=action), 0, n).features
            for n, action in enumerate(["read", "export", "read"])
        ]
        assert [vector[-1] for vector in vectors if vector is not None] == [0.0, withheld, withheld]
    hour = 3_600_000
    waits = Detector(rules(rule({"action": "export"}, level="high", grace="1h")))
    by_tick, by_lookup = KeyState(), KeyState()
    for state in (by_tick, by_lookup):
        assert waits.step(KEY, state, one(1, action="export"), 0, 1, START).alerts == []
    assert waits.advance(KEY, by_tick, 0, START + 2 * hour)
    for state in (by_tick, by_lookup):
        vector = waits.step(KEY, state, one(2, START + 2 * hour), 0, 2, START + 2 * hour).features
        assert vector is not None
        assert vector[-1] == 2.0
    assert by_tick == by_lookup


def test_a_state_says_whether_something_waits_in_it() -> None:
    state = KeyState()
    assert not is_waiting(save_state(state))
    state.waiting = [Waiting(5, 0, "r", [], {"id": "x"})]
    assert is_waiting(save_state(state))
    assert load_state(save_state(state)) == state


def test_only_an_actors_key_makes_features_and_stateless_alerts() -> None:
    machine = Detector(RULES)
    assert machine.step(KEY, KeyState(), one(1, action="export"), 0, 0).features is not None
    outcome = machine.step("subject/p-1", KeyState(), one(1, action="export"), 0, 0)
    assert (outcome.features, outcome.alerts) == (None, [])


@pytest.mark.parametrize(
    ("fields", "group"),
    [
        ({"actor__peer_group": "g", "actor__role": "r"}, "g"),
        ({"actor__peer_group": "", "actor__role": "r"}, "role:r"),
        ({"actor__role": "r"}, "role:r"),
        ({}, "unknown"),
    ],
)
def test_the_peer_group(fields: dict[str, str], group: str) -> None:
    assert peer_group_of(lookup(**fields)) == group


@pytest.mark.parametrize("is_swapped", [False, True])
def test_what_waits_under_two_versions_is_decided_in_the_order_it_is_due(is_swapped: bool) -> None:
    """Whatever the names of the versions, and whether event time moves on in one step or in many."""
    waits = rule({"action": "read"}, suppress="1d", grace="1h")
    first, second = rules(waits), rules(waits, rule({"action": "list"}, name="other"))
    first, second = (second, first) if is_swapped else (first, second)
    versions = {first.version: first, second.version: second}
    hour = 3_600_000

    def told(steps: list[int]) -> list[tuple[str, list[str]]]:
        state, found = KeyState(), []
        for number, ruleset in enumerate((first, second)):
            Detector(ruleset).step(KEY, state, one(number), 0, number)
        for reached in steps:
            found += Detector(second, rules_of=versions.__getitem__).advance(KEY, state, 0, START + reached)
        return [(alert.pack, alert.events) for alert in found]

    assert told([2 * hour]) == told([hour + 1, 2 * hour]) == [(first.version, ["x-0"])]
