"""How often `monitor report fairness` cries wrongly and finds a true disparity: ``uv run python -m tests.fairness.power``.

Worlds of :mod:`tests.fairness.made`: twelve units of a size, two roles, five sites, three shifts, four weeks, two episodes an actor.
"""

from __future__ import annotations

import sys

from monitor.fairness.assess import assess, shifts
from tests.fairness.made import cells, thinned

WORLDS = 100
DIFFER = {"do not differ": 1e6, "differ (gamma, shape 1)": 1.0, "differ much (gamma, shape 0.3)": 0.3}


def main() -> None:
    """Print a line for every force and how much its actors differ."""
    print(
        "actors | they | cries where there is nothing | finds twice as many | cries of a shift | finds a shift to half"
    )
    for actors in (120, 400):
        for words, heavy in DIFFER.items():
            cries = finds = moves = halves = 0
            for seed in range(WORLDS):
                fair, biased = cells(seed, actors, heavy=heavy), cells(seed + 10_000, actors, 2.0, heavy)
                cries += any(row.is_found for row in assess(fair))
                finds += any(row.is_found and row.group == "u3" for row in assess(biased))
                moves += any(each.test.is_found for each in shifts(fair, thinned(fair, seed, 0.8)))
                half = shifts(fair, thinned(fair, seed, 0.8, "u3", 0.5))
                halves += any(each.test.is_found and each.group == "u3" for each in half)
            shares = (f"{count / WORLDS:.1%}" for count in (cries, finds, moves, halves))
            print(actors, words, *shares, sep=" | ")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
