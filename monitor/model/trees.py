"""River's half-space trees, laid out flat: the same trees and the same scores at a fifth of the time.

S. C. Tan, K. M. Ting, T. F. Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011. River builds the trees from the seed
(:class:`river.anomaly.HalfSpaceTrees`); what it then does node by node is done here with two observations. A lookup's path is
told by its leaf, so to learn is to count one leaf, and the inner nodes' masses are sums over leaves, made when the window
turns. Until it turns, a leaf's score does not change, so it is worked out then, once, and not for every lookup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from river import anomaly


class FlatTrees:
    """Half-space trees over vectors of numbers in 0..1; the same as River's with the same parameters."""

    def __init__(self, features: Sequence[str], n_trees: int, height: int, window_size: int, seed: int) -> None:
        built = anomaly.HalfSpaceTrees(n_trees=n_trees, height=height, window_size=window_size, seed=seed)
        built.learn_one(dict.fromkeys(features, 0.5))
        place = {name: position for position, name in enumerate(features)}
        self.height = height
        self.window_size = window_size
        self._splits = [_flatten(tree, place, height) for tree in built.trees]
        leaves = 1 << height
        self._first_leaf = leaves - 1
        #: How many of the running window's vectors each leaf has got, tree by tree.
        self.counts = [[0] * leaves for _ in range(n_trees)]
        #: The same of the window before, by which is scored; ``None`` until there is one.
        self.reference: list[list[int]] | None = None
        self.counter = 0
        self._scores: list[list[int]] = []
        self._most = n_trees * window_size * ((1 << (height + 1)) - 1)

    def leaves_of(self, values: Sequence[float]) -> list[int]:
        """The leaf of each tree that a vector falls into."""
        found, steps, first = [], range(self.height), self._first_leaf
        for features, thresholds in self._splits:
            at = 0
            for _ in steps:
                at = 2 * at + 1 if values[features[at]] < thresholds[at] else 2 * at + 2
            found.append(at - first)
        return found

    def score(self, leaves: Sequence[int]) -> float:
        """The anomaly score, 0..1, of a vector with these leaves; 0 until the first window is full."""
        if self.reference is None:
            return 0.0
        total = 0
        for scores, leaf in zip(self._scores, leaves, strict=True):
            total += scores[leaf]
        return 1 - float(total) / self._most

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
        scores = []
        for leaf in range(len(counts)):
            total = 0
            for depth in range(self.height + 1):
                node = ((leaf + self._first_leaf + 1) >> (self.height - depth)) - 1
                total += masses[node] << depth
                if depth < self.height and masses[node] < limit:
                    break
            scores.append(total)
        return scores


def _flatten(tree: Any, place: dict[str, int], height: int) -> tuple[list[int], list[float]]:
    """The splits of a tree level by level: node ``n`` has the children ``2n + 1`` (below the threshold) and ``2n + 2``."""
    features, thresholds, level = [], [], [tree]
    for _ in range(height):
        features += [place[node.feature] for node in level]
        thresholds += [float(node.threshold) for node in level]
        level = [child for node in level for child in node.children]
    return features, thresholds


class Scale:
    """Each feature's range so far, to 0..1 (River's ``MinMaxScaler`` over lists)."""

    def __init__(self, low: list[float] | None = None, high: list[float] | None = None) -> None:
        self.low = low or []
        self.high = high or []

    def learn(self, values: Sequence[float]) -> None:
        """Widen the ranges so that they hold a vector."""
        if not self.low:
            self.low, self.high = list(values), list(values)
            return
        low, high = self.low, self.high
        for position, value in enumerate(values):
            if value < low[position]:
                low[position] = value
            elif value > high[position]:
                high[position] = value

    def transform(self, values: Sequence[float]) -> list[float]:
        """The vector within the ranges; beyond them below 0 or above 1, and 0 for a range of one value."""
        if not self.low:
            return [0.0] * len(values)
        return [
            (value - low) / (high - low) if high != low else 0.0
            for value, low, high in zip(values, self.low, self.high, strict=True)
        ]
