"""Features: always 0..1, unknown moves nothing, each does what its words say."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model import FEATURES, FeatureState, observe
from monitor.model.catalogue import CATALOGUE, EXPLAINED, SIZE, WITHHELD, WORDS, markdown
from monitor.model.features import HELD_MS, SEQUEL_MS, hold, measure
from tests.samples import lookup

LOOKUP = st.fixed_dictionaries(
    {
        "ts": st.integers(0, 2**45),
        "hour": st.integers(0, 23),
        "weekday": st.none() | st.integers(0, 6),
        "action": st.sampled_from(["read", "export", "follow", "search", "list", "print"]),
    },
    optional={
        "explanation": st.sampled_from([["none"], ["own-case"], ["none", "shift-area"]]),
        "purpose.status": st.sampled_from(["missing", "false", "explained", "claimed"]),
        "in_area": st.booleans(),
        "on_shift": st.booleans(),
        "relation": st.sampled_from(["none", "self"]),
        "subject.id": st.text(max_size=3),
        "client.terminal": st.text(max_size=2),
        "system": st.sampled_from(["a", "b"]) | st.text(max_size=3),
        "purpose.case": st.text(max_size=2),
    },
)
MINUTE = 60_000
DAY = 24 * 60 * MINUTE


@given(st.lists(LOOKUP, max_size=60))
def test_every_feature_stays_between_0_and_1_and_the_state_small(lookups: list[dict[str, Any]]) -> None:
    state = FeatureState()
    for fields in lookups:
        vector = observe(state, {**lookup(), **fields})
        assert set(vector) == set(FEATURES) == set(WORDS)
        assert all(0.0 <= value <= 1.0 for value in vector.values())
    assert len(state.subjects) <= 24
    assert len(state.terminals) <= 4
    assert len(state.hours) == 24
    assert len(state.awaited) == len(state.since) <= 48
    assert len(state.polled) == len(state.polled_at) == len(state.polled_times) <= 16
    assert len(state.claimed) == len(state.claimed_times) <= 8
    assert len(state.known) <= 12


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32))
def test_the_state_stays_within_its_bytes_whatever_is_done(seed: int) -> None:
    """Every list full and every number large: 4,000 lookups at random, of other subjects, systems, terminals and cases."""
    chance, state, ts = random.Random(seed), FeatureState(), 1_790_000_000_000
    for number in range(4000):
        ts += chance.randrange(20 * MINUTE)
        one = lookup(
            ts=ts,
            hour=chance.randrange(24),
            weekday=chance.randrange(7),
            action=chance.choice(["read", "export", "list"]),
            system=f"s-{chance.randrange(40)}",
            subject__id=f"p-{chance.randrange(20 if number % 2 else 10**6)}",
            client__terminal=f"t-{number}",
            purpose__case=f"c-{chance.randrange(20)}",
            purpose__status="false",
            explanation=["none"],
            relation="self",
        )
        vector = measure(state, one)
    assert len(vector) == SIZE
    assert len(msgspec.msgpack.encode(state)) <= 2500


def after(count: int, every: Any = MINUTE, **fields: Any) -> dict[str, float]:
    """The vector after so many lookups, one ``every`` so many milliseconds (or a function of its number)."""
    state, vector, ts = FeatureState(), {}, 1_790_000_000_000
    for number in range(count):
        ts += every(number) if callable(every) else every
        more = {name: value(number) if callable(value) else value for name, value in fields.items()}
        vector = observe(state, lookup(ts=ts, **more))
    return vector


def test_each_feature_rises_with_what_it_names() -> None:
    plain = after(600, every=DAY // 20, subject__id="p", client__terminal="t")
    risen = {
        "rate_10m": after(60, every=1000, subject__id="p"),
        "rate_1h": after(60, every=1000, subject__id="p"),
        "rate_1d": after(300, subject__id="p"),
        "surge": after(700, every=lambda n: DAY // 20 if n < 600 else 1000),
        "unexplained": after(60, explanation=["none"]),
        "bad_purpose": after(60, purpose__status="false"),
        "out_of_area": after(60, in_area=False),
        "off_shift": after(60, on_shift=False),
        "sensitive": after(60, action="export"),
        "related": after(60, relation="self"),
        "new_subjects": after(60, subject__id=lambda n: f"p-{n}"),
        "systems": after(60, system=lambda n: "ab"[n % 2]),
        "odd_hour": after(61, hour=lambda n: 3 if n == 60 else 14),
        "new_terminal": after(60, client__terminal=lambda n: f"t-{n}"),
        "no_sequel": after(60, every=DAY, explanation=["none"], subject__id="p"),
        "rate_30d": after(900, every=20 * MINUTE, subject__id="p"),
        "switches_1d": after(100, subject__id=lambda n: f"p-{n}"),
        "unexplained_1d": after(20, explanation=["none"]),
        "unexplained_30d": after(20, every=DAY, explanation=["none"]),
        "new_in_month": after(60, subject__id=lambda n: f"p-{n}"),
        "new_system": after(60, system=lambda n: f"s-{n}"),
        "odd_action": after(100, action=lambda n: "read" if n < 80 else "export" if n % 2 else "print"),
        "odd_week_hour": after(61, hour=14, weekday=lambda n: 6 if n == 60 else n % 5),
        "burstiness": after(200, every=lambda n: 5 * 3600_000 if n % 20 == 0 else 1000),
        "polling": after(5, every=DAY, explanation=["none"], subject__id="p"),
        "case_reuse": after(9, purpose__case="c", purpose__status="false"),
        "dormant": after(61, every=lambda n: 90 * DAY if n == 60 else DAY // 20),
        "change": after(230, explanation=lambda n: ["none"] if n > 200 and n % 2 else ["own-case"]),
        "nothing_ever": after(60, every=DAY, explanation=["none"], subject__id="p"),
    }
    assert set(risen) == set(FEATURES)
    for name, vector in risen.items():
        assert vector[name] > plain[name] + 0.1, name


def test_unknown_moves_nothing() -> None:
    state = FeatureState()
    for _ in range(20):
        vector = observe(state, lookup(explanation=["none"], in_area=False, on_shift=False, relation="self"))
    for _ in range(20):
        later = observe(state, lookup())
        for name in ("unexplained", "out_of_area", "off_shift", "related"):
            assert later[name] == vector[name] > 0


def test_old_lookups_fade_and_a_late_one_does_not_turn_time_back() -> None:
    state = FeatureState()
    for number in range(50):
        busy = observe(state, lookup(ts=1_790_000_000_000 + number))
    late = observe(state, lookup(ts=1_780_000_000_000))
    assert late["rate_10m"] >= busy["rate_10m"]
    quiet = observe(state, lookup(ts=1_790_000_000_000 + 3 * 3600_000))
    assert quiet["rate_10m"] < 0.1


def test_an_explanation_that_is_too_weak_is_none() -> None:
    assert (
        after(5, explanation=["none", "shift-area"])["unexplained"] == after(5, explanation=["none"])["unexplained"] > 0
    )
    assert after(5, explanation=["own-case"])["unexplained"] == 0


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2 * DAY) | st.sampled_from([SEQUEL_MS - 1, SEQUEL_MS, -DAY]),
        st.sampled_from(["p-1", "p-2", "p-3", None]),
        st.sampled_from([["none"], ["own-case"], ["area-task", "none"], None]),
    ),
    max_size=60,
)


def slow_share(steps: list[tuple[int, str, list[str] | None]]) -> float:
    """The share without a sequel, from the whole history: each fate in the order in which it became known."""
    fates: list[tuple[int, int, float]] = []
    for at, (ts, subject, explanation) in enumerate(steps):
        if explanation is None or "none" not in explanation or subject is None:
            continue
        for later, (then, other, found) in enumerate(steps[at + 1 :], at + 1):
            if then >= ts + SEQUEL_MS:
                fates.append((later, at, 1.0))
                break
            if other == subject and found is not None and "none" not in found:
                fates.append((later, at, 0.0))
                break
    share = 0.0
    for _, _, fate in sorted(fates):
        share += (fate - share) / 40
    return share


@given(STEPS)
def test_no_sequel_is_the_share_that_led_to_nothing(steps: list[Any]) -> None:
    state, vector, ts, newest = FeatureState(), {"no_sequel": 0.0}, 1_790_000_000_000, 0
    history = []
    for passed, subject, explanation in steps:
        ts += passed
        newest = max(newest, ts)
        fields = {"ts": ts, "subject.id": subject, "explanation": explanation}
        vector = observe(state, {**lookup(), **{name: value for name, value in fields.items() if value is not None}})
        # A lookup that comes late counts as if it had come with the newest.
        history.append((newest, subject, explanation))
        # Whatever waits has no sequel so far, and not for long.
        assert all(newest - since < SEQUEL_MS for since in state.since)
        assert state.since == sorted(state.since)
    if len(history) <= 48:
        assert vector["no_sequel"] == pytest.approx(slow_share(history))


def test_whoever_makes_more_than_are_followed_up_still_has_no_sequel() -> None:
    many = after(2000, every=DAY // 100, explanation=["none"], subject__id=lambda n: f"p-{n}")
    assert many["no_sequel"] > 0.9


def test_a_week_after_an_alert_the_model_shall_not_learn_the_actor() -> None:
    state, start = FeatureState(), 1_790_000_000_000
    assert measure(state, lookup(ts=start))[-1] == 0.0
    hold(state, start)
    assert measure(state, lookup(ts=start + 1))[-1] == WITHHELD
    hold(state, start - DAY)
    assert measure(state, lookup(ts=start + HELD_MS - 1, explanation=["own-case"]))[-1] == WITHHELD + EXPLAINED
    assert measure(state, lookup(ts=start + HELD_MS))[-1] == 0.0


def test_a_change_is_one_against_the_actors_own_share_and_is_not_learned() -> None:
    """Four in ten from the start is nobody's change; from one in fifty it is, and stays one."""
    always = after(400, explanation=lambda n: ["none"] if n % 5 < 2 else ["own-case"])
    rising = after(600, explanation=lambda n: ["none"] if n % (50 if n < 300 else 5) == 0 else ["own-case"])
    once = after(302, explanation=lambda n: ["none"] if n % 50 == 0 else ["own-case"])
    assert always["change"] < 0.5
    assert once["change"] < 0.5
    assert rising["change"] > 0.8


def test_a_change_that_lasts_does_not_become_the_baseline() -> None:
    state, ts = FeatureState(), 1_790_000_000_000
    for number in range(1500):
        ts += MINUTE
        is_odd = number % (50 if number < 300 else 4) == 0
        last = observe(state, lookup(ts=ts, explanation=["none"] if is_odd else ["own-case"]))
    lookups, unexplained = state.sums[6:8]
    assert unexplained / lookups < 0.05
    assert last["change"] > 0.85


def test_a_dispatch_of_one_subject_again_and_again_is_no_polling() -> None:
    assert after(20, every=DAY, explanation=["dispatch"], subject__id="p")["polling"] == 0.0
    assert after(20, every=MINUTE, explanation=["none"], subject__id="p")["polling"] == 0.0, "one occasion"


def test_subjects_of_two_months_ago_are_new_again() -> None:
    state, start = FeatureState(), 1_790_000_000_000
    first = observe(state, lookup(ts=start, subject__id="p"))["new_in_month"]
    again = observe(state, lookup(ts=start + DAY, subject__id="p"))["new_in_month"]
    later = observe(state, lookup(ts=start + 20 * DAY, subject__id="p"))["new_in_month"]
    assert first > again > later, "known: the share falls"
    assert observe(state, lookup(ts=start + 80 * DAY, subject__id="p"))["new_in_month"] > later


def test_the_numbers_behind_the_values() -> None:
    by_name = {feature.name: feature for feature in CATALOGUE}
    vector = after(30, every=1000, explanation=["none"])
    assert by_name["rate_10m"].natural(vector["rate_10m"]) == pytest.approx(30, rel=0.05)
    assert by_name["unexplained_1d"].told(vector["unexplained_1d"]) == "30"
    assert by_name["unexplained"].told(0.25) == "25 %"
    assert by_name["nothing_ever"].natural(0.02 / (0.02 + 0.05)) == pytest.approx(2.0)


def test_the_documentation_has_the_table_of_the_code() -> None:
    assert markdown() in (Path(__file__).parents[2] / "docs" / "model.md").read_text()
