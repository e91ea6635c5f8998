"""Chance with a name: every part of the world draws from a stream of its own, so that a change in one moves no other.

A stream is :class:`random.Random` seeded with a text; Python seeds it with SHA-512 of that text, so the numbers are the same
on every machine and whatever ``PYTHONHASHSEED`` is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from random import Random
from typing import TypeVar

T = TypeVar("T")
#: Above this mean a Poisson number is drawn from its normal approximation.
_LARGE = 60.0


def stream(seed: int, *name: object) -> Random:
    """The stream of this name in the world of this seed."""
    return Random(f"otherworld {seed} " + " ".join(map(str, name)))


def poisson(rng: Random, mean: float) -> int:
    """How often something happens that happens ``mean`` times on average."""
    if mean <= 0:
        return 0
    if mean > _LARGE:
        return max(0, round(rng.gauss(mean, mean**0.5)))
    floor, product, count = exp(-mean), rng.random(), 0
    while product > floor:
        product *= rng.random()
        count += 1
    return count


def some(rng: Random, items: Sequence[T], least: int, most: int) -> list[T]:
    """Between ``least`` and ``most`` different ones of ``items``, or all when there are not so many."""
    count = min(len(items), rng.randint(least, most))
    return rng.sample(items, count) if count else []
