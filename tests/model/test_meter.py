"""The leak meter: its false alarms stay below what it promises however often it is looked at, and it finds who leaks."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.meter import ALPHA, TIMES, p_value


def least_p(chance: random.Random, share: float, lookups: int, tolerated: float) -> float:
    """The least p-value ever seen when one looks after every lookup that led to nothing."""
    nothing, least = 0, 1.0
    for number in range(1, lookups + 1):
        if chance.random() < share:
            nothing += 1
            least = min(least, p_value(number, nothing, tolerated))
    return least


@pytest.mark.parametrize("tolerated", [0.02, 0.1])
def test_of_those_at_the_bound_no_more_are_ever_accused_than_was_promised(tolerated: float) -> None:
    """1,500 actors who are exactly at the bound, over 2,000 lookups each, looked at all the time."""
    chance = random.Random(20261127)
    least = [least_p(chance, tolerated, 2000, tolerated) for _ in range(1500)]
    for alpha in (0.2, 0.05, 0.01):
        bound = alpha + 3 * math.sqrt(alpha * (1 - alpha) / len(least))
        assert sum(p <= alpha for p in least) / len(least) <= bound, alpha
    # A test that never said anything would pass, too.
    assert sum(p <= 0.2 for p in least) > 0


def test_who_leads_to_nothing_three_times_as_often_is_found_within_a_year() -> None:
    chance = random.Random(20261128)
    found = [least_p(chance, 0.06, 4000, 0.02) <= ALPHA for _ in range(100)]
    assert sum(found) >= 99


@given(st.integers(0, 5000), st.integers(0, 5000), st.floats(0, 1))
def test_a_p_value_is_one(lookups: int, nothing: int, tolerated: float) -> None:
    p = p_value(lookups, min(nothing, lookups), tolerated)
    assert 0.0 <= p <= 1.0
    if nothing <= tolerated * lookups:
        assert p == 1.0


def test_it_is_the_mean_of_the_likelihood_ratios() -> None:
    ratios = [(times**30) * ((1 - times * 0.02) / 0.98) ** 470 for times in TIMES]
    assert p_value(500, 30, 0.02) == pytest.approx(len(TIMES) / sum(ratios), rel=1e-9)
