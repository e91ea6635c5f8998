"""The comparison of detectors: on a world small enough to count by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.detectors import (
    DAY_MS,
    DETECTORS,
    Tails,
    average_precision,
    compare,
    first_of,
    misusers_found,
    scores_of,
)
from bench.vectors import Seen, World, world_of
from monitor.model.catalogue import SIZE


def seen(actor: str, day: int, value: float, is_misuse: bool = False, group: str = "g") -> Seen:
    return Seen(group, actor, "u", day * DAY_MS, [value] * (SIZE - 4) + [500.0, 0.0, 0.0, 0.0], is_misuse)


class Itself:
    """Scores a vector by its first number."""

    def step(self, values: Sequence[float], ts: int) -> float:
        return values[0]


def world() -> World:
    """Ten innocents with a lookup on each of two days, and a misuser between the highest and the second of them."""
    made = [seen(f"o-{n}", day, n / 20 + day / 100) for day in (0, 1) for n in range(10)]
    return World(
        [*made, seen("bad", 1, 0.455, True)], {"curiosity": {"bad"}}, {f"o-{n}" for n in range(10)} | {"bad"}, 1.0
    )


def test_the_average_precision() -> None:
    assert average_precision([True, False, True]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([False]) == 0.0


def test_misusers_are_found_within_the_budget_of_alerts_about_innocents() -> None:
    ranks, _ = scores_of(world(), Itself, lambda one: one.group)
    assert misusers_found(world(), ranks, budget=9.0) == 0.0, "the first alert is about an innocent and one too many"
    assert misusers_found(world(), ranks, budget=10.0) == 1.0


def test_groups_are_ranked_by_themselves() -> None:
    low, high = seen("a", 0, 0.1, group="low"), seen("b", 0, 0.9, group="high")
    ranks, _ = scores_of(World([low, high], {}, {"a", "b"}, 1.0), Itself, lambda one: one.group)
    assert ranks == [1.0, 1.0]


@pytest.mark.parametrize("name", [name for name in DETECTORS if "Factor" not in name])
def test_every_detector_runs_and_gives_the_same_scores_again(name: str) -> None:
    made = [seen(f"o-{n % 7}", n // 50, (n % 10) / 50) for n in range(700)]
    there = World([*made, seen("bad", 30, 0.95, True)], {"x": {"bad"}}, {"bad", "o-1"}, 4.0)
    first, again = (compare(there, DETECTORS[name], lambda one: one.group) for _ in range(2))
    assert first[:3] == again[:3]
    assert first.precision > 0
    assert first.cost > 0


def test_a_part_of_a_world() -> None:
    part = first_of(world(), 10)
    assert (len(part.seen), part.misusers, part.weeks) == (10, {"curiosity": set()}, pytest.approx(10 / 21))


def test_no_seed_is_looked_at_but_those_for_tuning() -> None:
    with pytest.raises(ValueError, match="8001 is not one of 101 to 112"):
        world_of(8001)


def test_the_vectors_of_a_world_are_those_of_the_monitor() -> None:
    made = world_of(101, actors=20, days=2)
    assert {len(one.values) for one in made.seen} == {SIZE}
    assert any(one.is_misuse for one in made.seen)
    assert compare(made, Tails, lambda one: one.group).precision > 0
