"""Drift: nothing changes and nothing is said; something changes and the feature is named; the same from saved state."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model import FEATURES, PeerModel
from monitor.model.drift import drift_of, psi
from monitor.model.scorer import SETTLED
from monitor.model.versions import DAY_MS, Group, Versions, day_of, decode, encode

START = day_of("2026-11-02")
RATE = FEATURES.index("rate_1d")
CHANGED = FEATURES.index("bad_purpose")
rows = st.lists(st.integers(0, 10**6), min_size=1, max_size=41)


@given(row=rows)
def test_what_is_alike_has_no_drift(row: list[int]) -> None:
    assert psi(row, row) == pytest.approx(0.0, abs=1e-9)


@given(pair=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=41))
def test_drift_is_never_less_than_nothing_and_always_a_number(pair: list[tuple[int, int]]) -> None:
    found = psi([one for one, _ in pair], [two for _, two in pair])
    assert 0.0 <= found < 100.0


def test_drift_is_the_index_of_the_literature() -> None:
    """Ten bins of a tenth each, as many actor-days that half a one more makes no difference: Σ (a − e)·ln(a / e)."""
    expected, actual = [10**9] * 10, [2 * 10**9] * 5 + [10**8] * 5
    shares = [(0.1, a / sum(actual)) for a in actual]
    assert psi(expected, actual) == pytest.approx(sum((a - e) * math.log(a / e) for e, a in shares), rel=1e-5)


def lived(days: int, changes_on: int | None = None, quiet: bool = False, by: float = 0.4) -> Group:
    """A group of 40 actors, ten lookups a day; from a day on one feature is higher for all."""
    group, chance = Group(PeerModel(), Versions()), random.Random(5)
    for day in range(days):
        for number in range(40 * 10):
            actor = number % 40
            values = [min(1.0, max(0.0, chance.gauss(0.3, 0.05))) for _ in FEATURES]
            values[RATE] = (number // 40 + 1) / (number // 40 + 121)
            if changes_on is not None and day >= changes_on:
                values[CHANGED] = min(1.0, values[CHANGED] + by)
            ts = (START + day) * DAY_MS + number * 1000
            group.turn(ts)
            if not (quiet and day >= days - 8 and actor > 1):
                group.model.learn(f"o-{actor}", ts, [*values, float(SETTLED), 0.0, 0.0, 0.0])
    group.turn((START + days) * DAY_MS)
    return group


def test_where_nothing_changes_nothing_drifts() -> None:
    found = drift_of(lived(21).versions)
    assert found.keys() == set(FEATURES)
    assert max(found.values()) < 0.1


def test_what_has_faded_since_is_not_taken_for_what_was_never_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two months a group forgets in a week nearly all that it learns in one; it has learned it all the same (some 800 actor-days,
    as the weights of ten lookups a day add up to three)."""
    monkeypatch.setattr("monitor.model.drift.LEAST_DAYS", 400)
    assert drift_of(lived(60).versions).keys() == set(FEATURES)


def test_the_feature_that_changes_is_the_one_that_drifts_and_no_other() -> None:
    group = lived(21, changes_on=15)
    found = drift_of(group.versions)
    assert found.pop(FEATURES[CHANGED]) > 1.0
    assert max(found.values()) < 0.1
    assert drift_of(decode(encode(group.versions))) == drift_of(group.versions)


@pytest.mark.parametrize(
    "group",
    [Group(PeerModel(), Versions()), lived(5), lived(21, quiet=True)],
    ids=["new", "younger than a week", "hardly a lookup this week"],
)
def test_of_what_is_not_known_nothing_is_said(group: Group) -> None:
    assert drift_of(group.versions) == {}


def test_a_week_after_a_roll_back_nothing_is_said_as_the_versions_are_of_two_lines() -> None:
    group = lived(21, changes_on=15)
    assert group.roll_back(START + 15)
    assert drift_of(group.versions) == {}
    group.turn((START + 22) * DAY_MS)
    assert drift_of(group.versions) == {}
