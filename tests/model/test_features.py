"""Features: always 0..1, unknown moves nothing, each does what its words say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model import FEATURES, FeatureState, observe
from monitor.model.features import SEQUEL_MS, WORDS
from tests.samples import lookup

LOOKUP = st.fixed_dictionaries(
    {"ts": st.integers(0, 2**45), "hour": st.integers(0, 23), "action": st.sampled_from(["read", "export", "follow"])},
    optional={
        "explanation": st.sampled_from([["none"], ["own-case"], ["none", "shift-area"]]),
        "purpose.status": st.sampled_from(["missing", "false", "explained", "claimed"]),
        "in_area": st.booleans(),
        "on_shift": st.booleans(),
        "relation": st.sampled_from(["none", "self"]),
        "subject.id": st.text(max_size=3),
        "client.terminal": st.text(max_size=2),
        "system": st.sampled_from(["a", "b"]),
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
