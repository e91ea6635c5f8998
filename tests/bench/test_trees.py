"""Our flat trees are River's: the same scores for the same stream, to the last bit."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from river import anomaly, preprocessing

from bench.trees import FlatTrees, Scale

NAMES = ("a", "b", "c", "d")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 12), st.integers(5, 60))
def test_flat_trees_score_as_rivers_do(seed: int, height: int, trees: int, window: int) -> None:
    chance = random.Random(seed)
    theirs = anomaly.HalfSpaceTrees(n_trees=trees, height=height, window_size=window, seed=seed)
    ours = FlatTrees(NAMES, n_trees=trees, height=height, window_size=window, seed=seed)
    told = 0
    for _ in range(4 * window):
        values = [chance.choice((chance.random(), -0.5, 0.0, 0.5, 1.0, 1.7)) for _ in NAMES]
        named = dict(zip(NAMES, values, strict=True))
        leaves = ours.leaves_of(values)
        assert ours.score(leaves) == theirs.score_one(named)
        told += theirs.score_one(named) > 0
        if chance.random() < 0.9:
            theirs.learn_one(named)
            ours.learn(leaves)
    assert told > 0


@given(st.lists(st.lists(st.floats(-5, 5), min_size=4, max_size=4), min_size=1, max_size=30))
def test_scale_is_rivers(vectors: list[list[float]]) -> None:
    theirs, ours = preprocessing.MinMaxScaler(), Scale()
    for values in vectors:
        named = dict(zip(NAMES, values, strict=True))
        theirs.learn_one(named)
        ours.learn(values)
        assert ours.transform(values) == list(theirs.transform_one(named).values())
