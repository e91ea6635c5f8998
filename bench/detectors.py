"""Which detector finds the misuse of simulated worlds: `python -m bench.detectors [--seeds 101,102] [--lookups N] [--only NAME]`.

Every detector sees the same vectors, one model a peer group, each lookup scored before it is learned, nothing else known of it.
A score is ranked within its group over the whole world, so that groups compare whatever the detector's scale. Printed are
the average precision over lookups, the precision of the top 0.1 %, the misusers found when the threshold is where one alert a week for 100
innocent actors is raised (an actor alerts once a day at most), and microseconds of CPU a lookup.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from river import anomaly, compose, preprocessing

from bench.trees import FlatTrees, Scale
from bench.vectors import Seen, World, world_of
from monitor.model.catalogue import FEATURES
from monitor.model.ranges import Ranges, bins_of
from monitor.recall import average_precision

DAY_MS = 24 * 3600 * 1000


class Detector(Protocol):
    """What scores a vector and then learns it."""

    def step(self, values: Sequence[float], ts: int) -> float:
        """The score, then learn."""


class Pipeline:
    """A River pipeline. ``every`` > 1 learns only every so many vectors, where each costs more than the last."""

    def __init__(self, scaler: Any, detector: Any, every: int = 1) -> None:
        self._pipeline = compose.Pipeline(scaler, detector)
        self._every = every
        self._count = 0

    def step(self, values: Sequence[float], ts: int) -> float:
        """Score, then learn."""
        x = dict(zip(FEATURES, values, strict=False))
        score = float(self._pipeline.score_one(x)) if self._count else 0.0
        if self._count % self._every == 0:
            self._pipeline.learn_one(x)
        self._count += 1
        return score


class Gaussians:
    """A `GaussianScorer` a feature (it is one of a single number); how far out they are together."""

    def __init__(self) -> None:
        self._scorers = [anomaly.GaussianScorer(grace_period=100) for _ in FEATURES]

    def step(self, values: Sequence[float], ts: int) -> float:
        """Score, then learn."""
        total = 0.0
        for scorer, value in zip(self._scorers, values, strict=False):
            total -= math.log(max(1.0 - float(scorer.score_one(None, value)), 1e-9))
            scorer.learn_one(None, value)
        return total


class Trees:
    """The half-space trees as they run here: River's, laid out flat."""

    def __init__(self, trees: int = 10) -> None:
        self._trees = FlatTrees(FEATURES, n_trees=trees, height=6, window_size=500, seed=20261124)
        self._scale = Scale()

    def step(self, values: Sequence[float], ts: int) -> float:
        """Score, then learn."""
        values = values[: len(FEATURES)]
        leaves = self._trees.leaves_of(self._scale.transform(values))
        score = self._trees.score(leaves)
        self._scale.learn(values)
        self._trees.learn(leaves)
        return score


class Tails:
    """The robust tails of :class:`monitor.model.ranges.Ranges`."""

    def __init__(self) -> None:
        self._ranges = Ranges()

    def step(self, values: Sequence[float], ts: int) -> float:
        """Score, then learn."""
        bins = bins_of(values)
        score = self._ranges.score_of(bins)
        self._ranges.learn(values, ts, bins)
        return score


class Ensemble:
    """The mean of the ranks that a few detectors give among their own last scores."""

    def __init__(self, *members: Detector) -> None:
        self._members = members
        self._scores: list[list[float]] = [[] for _ in members]

    def step(self, values: Sequence[float], ts: int) -> float:
        """Score, then learn."""
        total = 0.0
        for member, scores in zip(self._members, self._scores, strict=True):
            score = member.step(values, ts)
            total += -math.log10((sum(other >= score for other in scores[-1000::5]) + 1) / 201)
            scores.append(score)
        return total


DETECTORS: dict[str, Callable[[], Detector]] = {
    "HalfSpaceTrees (River, 25 trees)": lambda: Pipeline(
        preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(n_trees=25, height=6, window_size=500, seed=1)
    ),
    "half-space trees, flat, 10 trees": Trees,
    "LODA (River)": lambda: Pipeline(preprocessing.StandardScaler(), anomaly.LODA(seed=1)),
    "OneClassSVM (River)": lambda: Pipeline(preprocessing.StandardScaler(), anomaly.OneClassSVM(nu=0.01)),
    "GaussianScorer (River), one a feature": Gaussians,
    "LocalOutlierFactor (River), learns 1 in 200": lambda: Pipeline(
        preprocessing.StandardScaler(), anomaly.LocalOutlierFactor(n_neighbors=20), every=200
    ),
    "tails (HBOS, robust)": Tails,
    "ensemble: trees + tails": lambda: Ensemble(Trees(), Tails()),
}
GROUPINGS: dict[str, Callable[[Seen], str]] = {
    "all": lambda one: "",
    "role": lambda one: one.group,
    "unit and role": lambda one: f"{one.group}/{one.unit}",
}


class Found(NamedTuple):
    """How a detector did on one world."""

    precision: float
    top: float
    misusers: float
    cost: float


def scores_of(world: World, make: Callable[[], Detector], group_of: Callable[[Seen], str]) -> tuple[list[float], float]:
    """The rank of each lookup's score in its group, 0..1, and the seconds of CPU of all."""
    models: dict[str, Detector] = {}
    scores: list[float] = []
    began = time.process_time()
    for one in world.seen:
        name = group_of(one)
        model = models.get(name)
        if model is None:
            model = models[name] = make()
        scores.append(model.step(one.values, one.ts))
    spent = time.process_time() - began
    members: defaultdict[str, list[int]] = defaultdict(list)
    for position, one in enumerate(world.seen):
        members[one.group].append(position)
    ranks = [0.0] * len(scores)
    for positions in members.values():
        for rank, position in enumerate(sorted(positions, key=scores.__getitem__), 1):
            ranks[position] = rank / len(positions)
    return ranks, spent


def misusers_found(world: World, ranks: Sequence[float], budget: float = 1.0) -> float:
    """The share of misusers with an alert on their misuse, at ``budget`` alerts a week for 100 innocent actors."""
    bad = set().union(*world.misusers.values())
    allowed = budget * (len(world.actors) - len(bad)) / 100 * world.weeks
    order = sorted(range(len(ranks)), key=lambda position: -ranks[position])
    raised: set[tuple[str, int]] = set()
    found: set[str] = set()
    for position in order:
        one = world.seen[position]
        if one.actor not in bad:
            raised.add((one.actor, one.ts // DAY_MS))
            if len(raised) > allowed:
                break
        elif one.is_misuse:
            found.add(one.actor)
    return len(found) / len(bad)


def compare(world: World, make: Callable[[], Detector], group_of: Callable[[Seen], str]) -> Found:
    """Run a detector over a world."""
    ranks, spent = scores_of(world, make, group_of)
    order = sorted(range(len(ranks)), key=lambda position: -ranks[position])
    hits = [world.seen[position].is_misuse for position in order]
    top = hits[: max(1, len(hits) // 1000)]
    return Found(
        average_precision(hits), sum(top) / len(top), misusers_found(world, ranks), spent / len(world.seen) * 1e6
    )


def first_of(world: World, lookups: int | None) -> World:
    """The first so many lookups of a world, with those who misused in them."""
    seen = world.seen[:lookups]
    bad = {one.actor for one in seen if one.is_misuse}
    misusers = {typology: actors & bad for typology, actors in world.misusers.items()}
    return World(seen, misusers, {one.actor for one in seen}, world.weeks * len(seen) / len(world.seen))


def table(worlds: Sequence[World], only: str = "") -> Iterable[str]:
    """The rows of the table in docs/model.md, each when it is known."""
    yield "| detector | peers | average precision | precision of the top 0.1 % | misusers found | µs a lookup |"
    yield "|---|---|---|---|---|---|"
    jobs = [(name, "role") for name in DETECTORS] + [
        ("tails (HBOS, robust)", each) for each in ("all", "unit and role")
    ]
    for name, grouping in jobs:
        if only in name:
            every = [compare(world, DETECTORS[name], GROUPINGS[grouping]) for world in worlds]
            ap, top, found, cost = (sum(each) / len(every) for each in zip(*every, strict=True))
            yield f"| {name} | {grouping} | {ap:.3f} | {top:.2f} | {found:.2f} | {cost:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="101,102", help="tuning seeds, 101 to 112")
    parser.add_argument("--only", default="", help="only detectors whose name holds this")
    parser.add_argument("--lookups", type=int, default=None, help="only the first so many lookups of each world")
    given = parser.parse_args()
    worlds = [first_of(world_of(int(seed)), given.lookups) for seed in given.seeds.split(",")]
    for row in table(worlds, given.only):
        print(row, flush=True)


if __name__ == "__main__":
    main()
