"""An outside check of the detectors: public data, streamed, against a batch isolation forest that sees everything first.

`uv run --group bench python -m bench.outside`. Data sets come with River (shuttle) and scikit-learn (breast cancer, digits): nothing is
downloaded. Rare classes are the anomalies. A stream detector scores each row before it learns it; the forest (100 trees) is
fitted on all rows. Our tails are of one side, as features of behaviour are; here every number is given from both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from river import anomaly, datasets, preprocessing
from sklearn import datasets as packaged
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from monitor.model.quantile import DAY
from monitor.model.ranges import Ranges, bins_of

SEED = 20261127
#: Rows that the stream detectors are not judged on: they know nothing yet. Neither is the forest.
WARM_UP = 100


class Data(NamedTuple):
    """Rows of numbers in 0..1, in a random order, and which are anomalies."""

    name: str
    rows: list[list[float]]
    odd: list[bool]


def _made(name: str, rows: Sequence[Sequence[float]], odd: Sequence[bool], most: int = 6000) -> Data:
    order = list(range(len(rows)))
    random.Random(SEED).shuffle(order)
    order = order[:most]
    low = [min(column) for column in zip(*rows, strict=True)]
    span = [max(column) - least or 1.0 for column, least in zip(zip(*rows, strict=True), low, strict=True)]
    scaled = [[(v - a) / s for v, a, s in zip(rows[at], low, span, strict=True)] for at in order]
    return Data(name, scaled, [odd[at] for at in order])


def _rare(target: Sequence[int], rare: int, share: float) -> list[int]:
    """The rows of every other class, and so many of the rare one that they are ``share`` of all."""
    others = [at for at, label in enumerate(target) if label != rare]
    wanted = int(share * len(others) / (1 - share))
    return others + [at for at, label in enumerate(target) if label == rare][:wanted]


def every() -> list[Data]:
    """The data sets."""
    cancer, digits = packaged.load_breast_cancer(), packaged.load_digits()
    found = []
    for name, data, rare, share in (("breast cancer", cancer, 0, 0.05), ("digits (0 is rare)", digits, 0, 0.03)):
        kept = _rare(list(data.target), rare, share)
        rows = [[float(value) for value in data.data[at]] for at in kept]
        found.append(_made(name, rows, [data.target[at] == rare for at in kept]))
    shuttle = [(list(map(float, x.values())), bool(y)) for x, y in datasets.Shuttle()]
    found.append(_made("shuttle", [row for row, _ in shuttle], [odd for _, odd in shuttle]))
    return found


def batch_forest(data: Data) -> list[float]:
    """Scores of the batch isolation forest."""
    forest = IsolationForest(n_estimators=100, random_state=1).fit(data.rows)
    return [-float(score) for score in forest.score_samples(data.rows)]


def stream_tails(data: Data) -> list[float]:
    """Scores of our tails, each before it is learned."""
    ranges, scores = Ranges(2 * len(data.rows[0])), []
    for number, row in enumerate(data.rows):
        both = row + [1.0 - value for value in row]
        bins = bins_of(both, len(both))
        scores.append(ranges.score_of(bins))
        ranges.count(bins, DAY)
        if number < 1000 and number % 20 == 0:
            ranges.refresh()
    return scores


def stream_river(make: Callable[[], Any]) -> Callable[[Data], list[float]]:
    """Scores of a River detector, each before it is learned."""

    def run(data: Data) -> list[float]:
        model, scores = make(), []
        for row in data.rows:
            x = dict(enumerate(row))
            scores.append(float(model.score_one(x)))
            model.learn_one(x)
        return scores

    return run


DETECTORS: dict[str, Callable[[Data], list[float]]] = {
    "batch IsolationForest": batch_forest,
    "tails (ours)": stream_tails,
    "HalfSpaceTrees (River)": stream_river(
        lambda: anomaly.HalfSpaceTrees(n_trees=25, height=6, window_size=100, seed=1)
    ),
    "OneClassSVM (River)": stream_river(lambda: preprocessing.StandardScaler() | anomaly.OneClassSVM(nu=0.05)),
}


def main() -> None:
    """Print the average precision of each detector on each data set, and its ratio to the batch forest's."""
    print("| data | rows | odd | " + " | ".join(DETECTORS) + " |")
    print("|---|---|---|" + "---|" * len(DETECTORS))
    for data in every():
        found = [float(average_precision_score(data.odd[WARM_UP:], run(data)[WARM_UP:])) for run in DETECTORS.values()]
        cells = [f"{found[0]:.3f}"] + [f"{each:.3f} ({each / found[0]:.2f}×)" for each in found[1:]]
        print(f"| {data.name} | {len(data.rows)} | {sum(data.odd)} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
