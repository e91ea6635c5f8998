"""What is usual in a group: robust to bad members, of late, and the same when saved."""

from __future__ import annotations

import random

import pytest

from monitor.model.catalogue import FEATURES, SIZE
from monitor.model.ranges import HALF_LIFE_MS, Ranges, bins_of

RATE, SHARE = FEATURES.index("rate_1d"), FEATURES.index("unexplained")
DAY = 24 * 3600 * 1000


def vector(rate: float, share: float) -> list[float]:
    values = [0.1] * len(FEATURES) + [100.0, 0.0, 7.0, 0.0]
    values[RATE], values[SHARE] = rate / (rate + 120), share
    assert len(values) == SIZE
    return values


def learn(ranges: Ranges, values: list[float], ts: int) -> None:
    ranges.learn(values, ts, bins_of(values))


def group(bad: int, seed: int = 1) -> Ranges:
    """100 members over 30 days with 15 lookups a day; the bad ones make 150, half of them unexplained."""
    chance, ranges = random.Random(seed), Ranges()
    for day in range(30):
        for member in range(100):
            is_bad = member < bad
            for number in range(150 if is_bad else 15):
                share = 0.5 if is_bad else min(1.0, max(0.0, chance.gauss(0.2, 0.05)))
                learn(ranges, vector(number + 1.0, share), 1_790_000_000_000 + day * DAY)
    ranges.refresh()
    return ranges


def test_five_bad_members_of_a_hundred_hardly_move_what_is_usual() -> None:
    """They make a third of all lookups. A mean over lookups would be at 0.30; the median stays, and they stay far out."""
    clean, dirty = group(0), group(5)
    for q, most in ((0.1, 0.01), (0.5, 0.01), (0.9, 0.05)):
        assert dirty.at(SHARE, q) == pytest.approx(clean.at(SHARE, q), abs=most), q
    assert dirty.at(SHARE, 0.5) == pytest.approx(0.2, abs=0.01)
    assert clean.at(SHARE, 0.9) == pytest.approx(0.2 + 1.28 * 0.05, abs=0.02)
    usual, bad = vector(8.0, 0.2), vector(8.0, 0.5)
    assert dirty.score(bad) > 2 * dirty.score(usual)


def test_an_actor_day_weighs_about_one_however_many_lookups_it_has() -> None:
    few, many = Ranges(), Ranges()
    for number in range(10):
        learn(few, vector(number + 1.0, 0.2), DAY)
    for number in range(1000):
        learn(many, vector(number + 1.0, 0.2), DAY)
    assert sum(many.masses[0]) < 3 * sum(few.masses[0])


def test_what_was_usual_long_ago_fades() -> None:
    ranges = Ranges()
    for number in range(2000):
        learn(ranges, vector(1.0, 0.9), DAY + number)
    for number in range(2000):
        learn(ranges, vector(1.0, 0.1), DAY + 5 * HALF_LIFE_MS + number)
    assert ranges.at(SHARE, 0.9) < 0.2


def test_of_how_rare_something_is_no_more_is_believed_than_was_seen() -> None:
    young, old = Ranges(), Ranges()
    for number in range(10_000):
        if number < 20:
            learn(young, vector(1.0, 0.1), DAY)
        learn(old, vector(1.0, 0.1), DAY)
    young.refresh()
    old.refresh()
    extreme = vector(1.0, 1.0)
    assert young.score(extreme) < old.score(extreme)
    assert Ranges().score(extreme) == 0.0


def test_the_share_of_a_kind() -> None:
    ranges = Ranges()
    assert ranges.share_of(7) == 0.0
    for _ in range(10):
        learn(ranges, vector(1.0, 0.1), DAY)
    assert ranges.share_of(7) == 1.0
    assert ranges.share_of(8) == 0.0
