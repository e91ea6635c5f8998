"""A register that stops is told from one that is quiet, by time alone, and never before enough is known."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from math import exp, lgamma, log

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.events import parse_time
from monitor.silence import DAY, FALSE_ALARM, HOUR, WEEK_HOURS, Register, surprise
from monitor.simulate import Settings, simulate

#: A Monday, in minutes since the epoch.
MONDAY = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) // 60
WEEK = 7 * DAY


def usual(minute: int, busy: float) -> float:
    """Lookups a minute: in office hours ``busy``, some in the evening, none at night and at weekends."""
    day, hour = divmod((minute - MONDAY) % WEEK // HOUR, 24)
    return 0.0 if day >= 5 or not 8 <= hour < 20 else busy if hour < 17 else busy / 10


def poisson(chance: random.Random, mean: float) -> int:
    left, number = exp(-mean), -1
    product = 1.0
    while product > left:
        product *= chance.random()
        number += 1
    return max(0, number)


def run(register: Register, begin: int, end: int, busy: float, chance: random.Random) -> list[int]:
    """Live from ``begin`` to ``end`` (minutes after Monday); when it was said to be silent."""
    silent = []
    for minute in range(MONDAY + begin, MONDAY + end):
        number = poisson(chance, usual(minute, busy)) if busy else 0
        if number:
            register.count(minute, number)
        register.advance(minute + 1)
        if register.judge((minute + 1) * 60_000):
            silent.append(minute - MONDAY)
    return silent


@lru_cache(maxsize=4)
def grown(busy: float, weeks: int = 3) -> bytes:
    """A register after some weeks, saved."""
    register = Register()
    assert run(register, 0, weeks * WEEK, busy, random.Random(1)) == []
    return msgspec.msgpack.encode(register)


def known(busy: float, weeks: int = 3) -> Register:
    return msgspec.msgpack.decode(grown(busy, weeks), type=Register)


@pytest.mark.parametrize(("busy", "within"), [(10.0, 5), (2.0, 60), (0.5, 240)])
def test_a_register_that_stops_is_silent_soon_though_nothing_comes_any_more(busy: float, within: int) -> None:
    register = known(busy)
    assert run(register, 3 * WEEK, 3 * WEEK + 10 * HOUR, busy, random.Random(2)) == []
    silent = run(register, 3 * WEEK + 10 * HOUR, 3 * WEEK + 15 * HOUR, 0, random.Random(2))
    assert silent
    assert silent[0] - (3 * WEEK + 10 * HOUR) <= within


def test_nothing_at_night_and_at_the_weekend_is_never_silence() -> None:
    register = known(2.0)
    assert run(register, 3 * WEEK, 5 * WEEK, 2.0, random.Random(3)) == []
    friday = 5 * WEEK + 4 * DAY + 20 * HOUR
    assert run(register, 5 * WEEK, friday, 2.0, random.Random(4)) == []
    assert run(register, friday, 6 * WEEK + 8 * HOUR, 0, random.Random(4)) == []


def test_before_enough_is_known_nothing_is_silent() -> None:
    register = Register()
    assert run(register, 0, WEEK + 10 * HOUR, 10.0, random.Random(5)) == []
    assert run(register, WEEK + 10 * HOUR, 2 * WEEK, 0, random.Random(5)) == []


def test_it_is_heard_again_when_lookups_come_again() -> None:
    register = known(2.0)
    run(register, 3 * WEEK, 3 * WEEK + 10 * HOUR, 2.0, random.Random(6))
    assert run(register, 3 * WEEK + 10 * HOUR, 3 * WEEK + 14 * HOUR, 0, random.Random(6))
    again = run(register, 3 * WEEK + 14 * HOUR, 3 * WEEK + 17 * HOUR, 2.0, random.Random(6))
    assert len(again) < 30
    assert not register.is_silent


def test_one_outage_is_not_learned() -> None:
    register = known(2.0)
    before = list(register.means)
    run(register, 3 * WEEK, 3 * WEEK + DAY, 0, random.Random(7))
    run(register, 3 * WEEK + DAY, 4 * WEEK, 2.0, random.Random(7))
    assert all(now >= 0.85 * then - 8 for now, then in zip(register.means, before, strict=True))
    run(register, 4 * WEEK, 4 * WEEK + 10 * HOUR, 2.0, random.Random(8))
    assert run(register, 4 * WEEK + 10 * HOUR, 4 * WEEK + 11 * HOUR, 0, random.Random(8))


def test_after_a_pause_of_the_whole_log_nothing_is_silent_at_once() -> None:
    register = known(10.0)
    weeks = list(register.weeks)
    register.advance(MONDAY + 5 * WEEK + 10 * HOUR)
    assert not register.judge((MONDAY + 5 * WEEK + 10 * HOUR) * 60_000)
    assert register.weeks == weeks, "the hours between were not seen"


def test_saved_and_loaded_it_goes_on_the_same_and_is_small() -> None:
    one, other = known(2.0), known(2.0)
    for day in range(3):
        for register in (one, other):
            run(register, 3 * WEEK + day * DAY, 3 * WEEK + (day + 1) * DAY, 2.0, random.Random(9))
        other = msgspec.msgpack.decode(msgspec.msgpack.encode(other), type=Register)
    assert one == other
    assert len(msgspec.msgpack.encode(one)) < 12_000


def test_heartbeats_that_stop_are_silence_at_night_too() -> None:
    register, night = known(2.0), (MONDAY + 3 * WEEK + 2 * HOUR) * 60_000
    for number in range(20):
        register.beat(night + number * 30_000)
    last = night + 19 * 30_000
    assert not register.is_overdue(last + 80_000)
    assert register.is_overdue(last + 100_000)
    assert register.judge(last + 100_000)
    assert not register.is_overdue(last + 8 * DAY * 60_000), "given up"
    assert not Register(beats=4, last_beat=1).is_overdue(last)


def exact(count: int, mean: float, k: float) -> float:
    """P(N <= count) of the negative binomial distribution of that mean, and variance mean + mean² / k."""
    p = mean / (mean + k)
    logs = [lgamma(n + k) - lgamma(n + 1) - lgamma(k) + n * log(p) + k * log(1 - p) for n in range(count + 1)]
    return sum(map(exp, logs))


@given(count=st.integers(0, 60), mean=st.floats(0.1, 200), spread=st.floats(0.05, 2))
def test_the_bound_is_never_below_the_probability(count: int, mean: float, spread: float) -> None:
    bound = exp(-surprise(count, mean, 1.0, spread))
    assert bound >= exact(count, mean, 1 / spread) * (1 - 1e-9) or count >= mean
    if count == 0:
        assert bound == pytest.approx(exact(0, mean, 1 / spread))
    assert surprise(count, mean, 2.0, spread) <= surprise(count, mean, 1.0, spread) + 1e-9, "clusters surprise less"


def test_chance_alone_seldom_makes_a_register_silent() -> None:
    """One false alarm is less likely than one in a hundred for all of these weeks together."""
    assert FALSE_ALARM * 150_000 * (3 + 5) / 52 < 0.01
    for seed in range(3):
        register = known(0.5)
        assert run(register, 3 * WEEK, 5 * WEEK, 0.5, random.Random(seed)) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-5000, 50_000), st.integers(0, 10**6)), max_size=40))
def test_any_counts_at_any_time_are_taken(counts: list[tuple[int, int]]) -> None:
    register = Register()
    for after, number in counts:
        register.count(MONDAY + after, number)
        register.advance(MONDAY + after)
        register.judge((MONDAY + after) * 60_000)
    assert len(register.means) == WEEK_HOURS
    assert all(mean >= 0 for mean in register.means)


def test_the_ordinary_work_of_a_force_is_not_silence_and_a_stop_is() -> None:
    force = simulate(Settings(seed=4, days=26, actors=100, start=datetime(2026, 3, 2, tzinfo=UTC)))
    reached, counts = 0, Counter[int]()
    for event in force.events():
        if event["system"] == "bvi":
            reached = max(reached, parse_time(event["time"])[0])
            counts[reached // 60_000] += 1
    register, stop = Register(), MONDAY + 24 * DAY + 10 * HOUR  # a Thursday
    silent = []
    for minute in range(MONDAY, MONDAY + 26 * DAY):
        if minute < stop and counts[minute]:
            register.count(minute, counts[minute])
        register.advance(minute + 1)
        if register.judge((minute + 1) * 60_000):
            silent.append(minute - stop)
    assert silent
    assert 0 < silent[0] <= 8 * HOUR
