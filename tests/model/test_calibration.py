"""Above the quantile is as much as it says: of the days of those who are alike, and the desk gets no more alerts than that."""

from __future__ import annotations

import random

import pytest

from monitor.model import FEATURES, PeerModel

DAY = 24 * 3600 * 1000
START = 1_790_000_000_000
RATE = FEATURES.index("rate_1d")
ACTORS, DAYS, LOOKUPS = 60, 60, 8


@pytest.mark.parametrize(("quantile", "seed"), [(0.99, 1), (0.995, 2)])
def test_as_much_is_above_the_quantile_as_it_says(quantile: float, seed: int) -> None:
    """Actors whose days differ and whose lookups of one day are much alike. Of the extreme only one a week and actor counts, so
    that it may be somewhat more; the lower the quantile, the more."""
    chance, model = random.Random(seed), PeerModel(quantile)
    above = every = 0.0
    alerted, days = 0, 0
    for day in range(DAYS):
        bases = {f"o-{n}": [chance.betavariate(2, 8) for _ in FEATURES] for n in range(ACTORS)}
        for number in range(LOOKUPS):
            for actor, base in bases.items():
                values = [min(1.0, max(0.0, value + chance.gauss(0, 0.01))) for value in base]
                values[RATE] = (number + 1) / (number + 121)
                is_young = model.is_young
                scored = model.learn(actor, START + day * DAY + number * 3600_000, [*values, 500.0, 0.0, 0.0, 0.0])
                if not is_young:
                    every += 1 / (number + 1)
                    above += (scored.score > scored.threshold) / (number + 1)
                    alerted += scored.alert
                    days += number == 0
    share = 1 - quantile
    assert days > 1500
    assert 0.5 * share < above / every < 2.5 * share
    # Of eight draws a day the highest counts, so that a few more days than the share have one above it.
    assert alerted / days < 5.0 * share
