"""``python -m bench.calibration --seeds 101,102``: how much lies above the threshold that 0.1 % should be above, and whose days those are.

By actor-days, over tuning worlds of ``monitor simulate``: of everybody, and of those who misuse nothing. ``--conformal`` takes the quantile with
the correction of split conformal prediction for a finite sample (V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World",
2005): of n earlier days and the new one, at most a share of 1 − q may be above.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import typer

from bench.vectors import World, world_of
from monitor.model import PeerModel, family
from monitor.model.catalogue import FEATURES
from monitor.model.quantile import BANDS, DAY, ScoreQuantile
from monitor.model.scorer import SETTLED

QUANTILE = 0.999
PARTITIONS = 4


class Above(NamedTuple):
    """Shares above the threshold, in percent of the actor-days judged; alerts, and misusers about whom one was raised."""

    everybody: float
    innocents: float
    alerts: int
    found: int


class Conformal(ScoreQuantile):
    """The quantile, corrected for a finite sample."""

    @staticmethod
    def _at(above: list[int], q: float) -> float:
        allowed = max(0.0, (1.0 - q) * (above[-1] + DAY) - DAY) / max(1, above[-1])
        # As the quantile above which no more than that lies.
        return ScoreQuantile._at(above, 1.0 - allowed)


def measure(world: World, conformal: bool) -> Above:
    """Run the models over a world."""
    models: dict[str, PeerModel] = {}
    misusers = set().union(*world.misusers.values())
    days = {True: [0, 0], False: [0, 0]}
    alerted: list[str] = []

    def model(name: str) -> PeerModel:
        if name not in models:
            models[name] = PeerModel(QUANTILE)
            if conformal:
                models[name].quantile = Conformal(QUANTILE)
        return models[name]

    for one in world.seen:
        parent = model(family.parent_of(family.partition_of_group(one.group, PARTITIONS)))
        scored = family.learn(model(one.group), parent, one.actor, one.ts, one.values)
        if scored.weight and one.values[len(FEATURES)] >= SETTLED:
            counts = days[one.actor in misusers]
            counts[0] += scored.weight
            counts[1] += scored.weight * (scored.band > len(BANDS))
        if scored.alert:
            alerted.append(one.actor)
    every, above = (sum(each) for each in zip(*days.values(), strict=True))
    innocent = days[False]
    return Above(
        100 * above / max(1, every), 100 * innocent[1] / max(1, innocent[0]), len(alerted), len(misusers & set(alerted))
    )


def main(
    seeds: Annotated[str, typer.Option(help="tuning seeds, comma-separated")] = "101,102,103,104,112",
    conformal: Annotated[bool, typer.Option(help="with the correction for a finite sample")] = False,
) -> None:
    """Print a Markdown table."""
    typer.echo(
        "| seed | above, everybody | above, innocents | alerts | misusers among them |\n|---|---:|---:|---:|---:|"
    )
    for seed in map(int, seeds.split(",")):
        found = measure(world_of(seed), conformal)
        typer.echo(f"| {seed} | {found.everybody:.3f} % | {found.innocents:.3f} % | {found.alerts} | {found.found} |")


if __name__ == "__main__":
    typer.run(main)
