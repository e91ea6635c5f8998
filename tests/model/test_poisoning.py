"""Who tries to teach the model that what he does is usual: slowly, often, or together with others."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.model import FEATURES, FeatureState, PeerModel
from monitor.model.features import hold, measure
from tests.samples import lookup

WEEK = 7 * 24 * 3600 * 1000
START = 1_790_000_000_000
PEERS, PER_WEEK = 30, 60
#: The share of the lookups of everybody, and of the frog at his start, which nothing explains.
USUAL = 0.03
#: What the frog adds each week.
GROWTH = 1.03


def week_of(chance: random.Random, number: int, shares: dict[str, float], count: int) -> Iterator[dict[str, Any]]:
    """The lookups of a week, by time; what is unexplained leads to nothing."""
    times = sorted((chance.randrange(WEEK), actor) for actor in shares for _ in range(count))
    for at, actor in times:
        explanation = ["none"] if chance.random() < shares[actor] else ["own-case"]
        subject = f"p-{chance.randrange(10**6)}"
        ts = START + number * WEEK + at
        more = {"actor__id": actor, "subject__id": subject, "explanation": explanation}
        yield lookup(ts=ts, hour=at // 3_600_000 % 24, weekday=at // 86_400_000, **more)


def alerts_until_three_times(seed: int) -> dict[str, list[float]]:
    """By actor: at how many times his start the frog's share was at each alert about them, until it is three times."""
    chance, model = random.Random(seed), PeerModel()
    actors = [f"o-{number}" for number in range(PEERS)]
    states = {actor: FeatureState() for actor in [*actors, "frog"]}
    found: dict[str, list[float]] = {actor: [] for actor in states}
    number, times = 0, 1.0
    while times < 3.0:
        for one in week_of(chance, number, {**dict.fromkeys(actors, USUAL), "frog": USUAL * times}, PER_WEEK):
            actor = one["actor.id"]
            scored = model.learn(actor, one["ts"], measure(states[actor], one))
            if scored.alert or scored.p < 1.0:
                found[actor].append(times)
        number += 1
        times = GROWTH**number
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_a_boiling_frog_is_caught_before_three_times_his_start(seed: int) -> None:
    """3 % more each week: no week stands out from the one before, and after 37 weeks it is three times as much.

    One alert in half a year happens to the innocent; by twice and a half the frog has had more than any of them ever gets.
    """
    found = alerts_until_three_times(seed)
    frog = found.pop("frog")
    most = max(map(len, found.values()))
    assert len(frog) > most
    assert frog[most] < 2.5
    assert sum(map(len, found.values())) / (PEERS * 38) < 0.03, "alerts about an innocent in a week"


def ordinary(chance: random.Random) -> list[float]:
    made = [min(1.0, max(0.0, chance.gauss(0.2, 0.05))) for _ in FEATURES] + [500.0, 0.0, 0.0, 0.0]
    made[FEATURES.index("rate_1d")] = 0.005
    return made


def test_what_the_desk_was_alerted_about_is_not_learned() -> None:
    """A lookup a little out of the ordinary, again and again: withheld it stays so, otherwise it becomes usual."""
    chance = random.Random(5)
    model = PeerModel(0.999)
    for number in range(3000):
        model.learn(f"o-{number % 50}", START + number * 60_000, ordinary(chance))
    kept, taught = PeerModel.from_bytes(model.to_bytes()), PeerModel.from_bytes(model.to_bytes())
    state = FeatureState()
    hold(state, START)
    odd = ordinary(chance)
    odd[FEATURES.index("unexplained")] = 0.33
    for number in range(600):
        now = START + 10**9 + number * 60_000
        kept.learn("o-x", now, [*odd[:-1], 2.0])
        taught.learn("o-x", now, odd)
        kept.learn(f"o-{number % 50}", now, steady := ordinary(chance))
        taught.learn(f"o-{number % 50}", now, steady)
    assert kept.ranges.score(odd) > 1.3 * taught.ranges.score(odd)
