"""Seeded chance: a random stream for each part of the simulation, and small draws from it."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")
_MASK = (1 << 64) - 1


def stream(seed: int, *parts: object) -> Random:
    """A random stream of its own for (`seed`, `parts`): adding draws to one part changes no other part."""
    return Random(f"{seed}/" + "/".join(map(str, parts)))


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of `items` (not empty), each as likely as the other; quicker than Random.choice."""
    return items[int(rng.random() * len(items))]


def some(rng: Random, items: Sequence[T], low: int, high: int) -> list[T]:
    """Between `low` and `high` different ones of `items`, or all when there are fewer."""
    return rng.sample(items, min(len(items), rng.randint(low, high)))


def coin(seed: int, salt: int, actor: int, day: int) -> float:
    """A number in [0, 1) fixed by its arguments: the same question always has the same answer."""
    x = (
        seed * 0x9E3779B97F4A7C15 + salt * 0xBF58476D1CE4E5B9 + actor * 0x94D049BB133111EB + day * 0x2545F4914F6CDD1D
    ) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((x ^ (x >> 31)) >> 11) / (1 << 53)
