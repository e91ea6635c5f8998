"""How long a worker that is alone needs for the state of all keys, from the changelog of a real Kafka (:mod:`bench.recovery`)."""

from __future__ import annotations

from dataclasses import dataclass

from bench.peers.contender import Broken
from bench.recovery import KEYS, TARGET_SECONDS, measure, states_of
from bench.suites.outcome import Goal, Outcome, Say


@dataclass(frozen=True, slots=True)
class Size:
    """How many keys, and of what the states are made: so many actors after so many simulated days."""

    keys: int = KEYS
    actors: int = 40
    days: int = 365


QUICK = Size(2_000, 20, 10)


def run(size: Size, say: Say) -> Outcome:
    """Measure both stores. Raises :class:`Broken` when keys are missing after recovery."""
    say(f"making {size.actors} actors' states of {size.days} days …")
    states = states_of(size.actors, size.days)
    found = measure(states, size.keys)
    for one in found:
        if one.keys != size.keys:
            raise Broken(f"{one.keys:,} of {size.keys:,} keys came back from {one.store}")
    mean = sum(map(len, states)) / len(states)
    return Outcome(
        "recovery",
        f"{size.keys:,} keys of {mean:,.0f} bytes in 4 partitions of a changelog",
        ("store", "keys", "s", "peak MB"),
        [[one.store, one.keys, one.seconds, one.peak_mb] for one in found],
        [Goal(f"s until all state is there, {one.store}", one.seconds, TARGET_SECONDS, "s") for one in found],
    )
