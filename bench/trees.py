"""River's half-space trees, laid out flat: the same trees and the same scores at a fifth of the time.

S. C. Tan, K. M. Ting, T. F. Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011. River builds the trees from the seed
(:class:`river.anomaly.HalfSpaceTrees`); what it then does node by node is done here with two observations. A lookup's path is
told by its leaf, so to learn is to count one leaf, and the inner nodes' masses are sums over leaves, made when the window
turns. Until it turns, a leaf's score does not change, so it is worked out then, once, and not for every lookup.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import getitem, sub, truediv
from typing import Any

from river import anomaly


class FlatTrees:
    """Half-space trees over vectors of numbers in 0..1; the same as River's with the same parameters."""

    def __init__(self, features: Sequence[str], n_trees: int, height: int, window_size: int, seed: int) -> None:
        self.height = height
        self.window_size = window_size
        #: The leaf of each tree that a vector falls into.
        self.leaves_of = _descent(tuple(features), n_trees, height, seed)
        leaves = 1 << height
        self._first_leaf = leaves - 1
        #: How many of the running window's vectors each leaf has got, tree by tree.
        self.counts = [[0] * leaves for _ in range(n_trees)]
        #: The same of the window before, by which is scored; ``None`` until there is one.
        self.reference: list[list[int]] | None = None
        self.counter = 0
        self._scores: list[list[int]] = []
        self._most = n_trees * window_size * ((1 << (height + 1)) - 1)

    def score(self, leaves: Sequence[int]) -> float:
        """The anomaly score, 0..1, of a vector with these leaves; 0 until the first window is full."""
        if self.reference is None:
            return 0.0
        return 1 - float(sum(map(getitem, self._scores, leaves))) / self._most

    def learn(self, leaves: Sequence[int]) -> None:
        """Count a vector with these leaves."""
        for counts, leaf in zip(self.counts, leaves, strict=True):
            counts[leaf] += 1
        self.counter += 1
        if self.counter == self.window_size:
            self.turn_to(self.counts)
            self.counts = [[0] * len(counts) for counts in self.counts]
            self.counter = 0

    def turn_to(self, reference: list[list[int]]) -> None:
        """Score by these counts from now on."""
        self.reference = reference
        self._scores = [self._scores_of(counts) for counts in reference]

    def _scores_of(self, counts: Sequence[int]) -> list[int]:
        """What every leaf scores: the masses on its path, doubled at each level, up to the first that is small."""
        limit = 0.1 * self.window_size
        masses = [0] * self._first_leaf + list(counts)
        for node in range(self._first_leaf - 1, -1, -1):
            masses[node] = masses[2 * node + 1] + masses[2 * node + 2]
        # Level by level: what the path to each node scores, and whether it ended above.
        level = [(masses[0], masses[0] < limit)]
        for depth in range(1, self.height + 1):
            below, first = [], (1 << depth) - 1
            for at, (total, is_small) in enumerate(level):
                for node in (first + 2 * at, first + 2 * at + 1):
                    mass = masses[node]
                    below.append((total, True) if is_small else (total + (mass << depth), mass < limit))
            level = below
        return [total for total, _ in level]


@lru_cache(maxsize=8)
def _descent(features: tuple[str, ...], n_trees: int, height: int, seed: int) -> Callable[[Sequence[float]], list[int]]:
    """From a vector to its leaves, as one Python function made of the trees' splits: there are some sixty for each lookup.

    Such trees are made of the seed alone, so that all models share them.
    """
    built = anomaly.HalfSpaceTrees(n_trees=n_trees, height=height, seed=seed)
    built.learn_one(dict.fromkeys(features, 0.5))
    names = {name: f"v{position}" for position, name in enumerate(features)}
    leaves = ", ".join(_splits_of(tree, names, height, 0) for tree in built.trees)
    source = f"def leaves_of(values):\n    {', '.join(names.values())}, = values\n    return [{leaves}]\n"
    made: dict[str, Any] = {}
    exec(source, made)
    return made["leaves_of"]  # type: ignore[no-any-return]


def _splits_of(node: Any, names: dict[str, str], height: int, leaf: int) -> str:
    """The number of the leaf below a node as an expression; ``leaf`` is the number of the last one before, on this level."""
    if not height:
        return str(leaf)
    left, right = (_splits_of(child, names, height - 1, 2 * leaf + n) for n, child in enumerate(node.children))
    return f"({left} if {names[node.feature]} < {float(node.threshold)!r} else {right})"


class Scale:
    """Each feature's range so far, to 0..1 (River's ``MinMaxScaler`` over lists)."""

    def __init__(self, low: list[float] | None = None, high: list[float] | None = None) -> None:
        self.low = low or []
        self.high = high or []
        self._spans = self._measured()

    def _measured(self) -> list[float]:
        # By an infinite span, whatever is divided is 0.
        return [high - low or math.inf for low, high in zip(self.low, self.high, strict=True)]

    def learn(self, values: Sequence[float]) -> None:
        """Widen the ranges so that they hold a vector."""
        if not self.low:
            self.low, self.high = list(values), list(values)
            self._spans = self._measured()
            return
        for low, value, high in zip(self.low, values, self.high, strict=True):
            if not low <= value <= high:
                self.low, self.high = list(map(min, self.low, values)), list(map(max, self.high, values))
                self._spans = self._measured()
                return

    def transform(self, values: Sequence[float]) -> list[float]:
        """The vector within the ranges; beyond them below 0 or above 1, and 0 for a range of one value."""
        if not self.low:
            return [0.0] * len(values)
        return list(map(truediv, map(sub, values, self.low), self._spans))
