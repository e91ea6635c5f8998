"""What a run of the measurement says: medians, ratios, whether each target is met, and on what machine.

All but :func:`machine` is pure.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.table import Table

MET: Final = 0
MISSED: Final = 1
BROKEN: Final = 2

PACKAGES: Final = (
    "aiokafka",
    "confluent-kafka",
    "faust-streaming",
    "mode-streaming",
    "orjson",
    "quixstreams",
    "uvloop",
)


@dataclass(frozen=True, slots=True)
class Result:
    """What one contender said of one run. ``alerts`` is None for a contender that does not count.

    ``cpu`` are the seconds of processor time in all its threads, None when it does not say.
    """

    contender: str
    lookups: int
    seconds: float
    alerts: int | None = None
    cpu: float | None = None

    @property
    def rate(self) -> float:
        """Lookups a second."""
        return self.lookups / self.seconds

    @property
    def per_core(self) -> float | None:
        """Lookups for a second of processor time: what other work on the machine takes nothing from."""
        return self.lookups / self.cpu if self.cpu else None


@dataclass(frozen=True, slots=True)
class Target:
    """A promise: ``ours`` handles at least ``at_least`` times as many lookups a second as ``peer``.

    With ``per_core`` it is lookups for a second of processor time.
    """

    ours: str
    peer: str
    at_least: float
    per_core: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """All runs of one contender, in lookups a second; ``per_core`` is the median for a second of processor time, if it was told."""

    contender: str
    runs: int
    median: float
    least: float
    most: float
    per_core: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target held against the measurement: ``ratio`` of the medians, None when a side was not measured."""

    target: Target
    ratio: float | None

    @property
    def met(self) -> bool:
        """Whether the target is met. What was not measured is not met."""
        return self.ratio is not None and self.ratio >= self.target.at_least


def summarise(results: Iterable[Result]) -> list[Summary]:
    """One summary a contender, in the order in which they first appear."""
    runs: dict[str, list[Result]] = {}
    for result in results:
        runs.setdefault(result.contender, []).append(result)
    return [_summary(name, its) for name, its in runs.items()]


def _summary(name: str, runs: Sequence[Result]) -> Summary:
    rates = [run.rate for run in runs]
    told = [run.per_core for run in runs if run.per_core is not None]
    return Summary(name, len(rates), median(rates), min(rates), max(rates), median(told) if told else None)


def judge(summaries: Iterable[Summary], targets: Iterable[Target]) -> list[Verdict]:
    """One verdict a target, from the ratio of the two medians."""
    found = {summary.contender: summary for summary in summaries}

    def value(name: str, per_core: bool) -> float | None:
        summary = found.get(name)
        if summary is None:
            return None
        return summary.per_core if per_core else summary.median

    def ratio(target: Target) -> float | None:
        ours, peer = value(target.ours, target.per_core), value(target.peer, target.per_core)
        return ours / peer if ours is not None and peer else None

    return [Verdict(target, ratio(target)) for target in targets]


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 when every target is met, 1 when one is missed, 2 when there was no target at all to judge."""
    if not verdicts:
        return BROKEN
    return MET if all(verdict.met for verdict in verdicts) else MISSED


def rates_table(summaries: Iterable[Summary], titles: Mapping[str, str]) -> Table:
    """The contenders and their lookups a second; ``titles`` says in words what each one does."""
    table = Table("contender", "what it does", title="Lookups a second")
    for heading in ("median", "min", "max", "runs", "per CPU second"):
        table.add_column(heading, justify="right")
    for one in summaries:
        per_core = "–" if one.per_core is None else f"{one.per_core:,.0f}"
        numbers = (f"{one.median:,.0f}", f"{one.least:,.0f}", f"{one.most:,.0f}", str(one.runs), per_core)
        table.add_row(one.contender, titles.get(one.contender, ""), *numbers)
    return table


def verdicts_table(verdicts: Iterable[Verdict]) -> Table:
    """The ratio of each target, and whether it is met."""
    table = Table("ours", "peer", title="Ratio of the medians, ours ÷ peer")
    for heading in ("ratio", "target", "met"):
        table.add_column(heading, justify="right")
    for verdict in verdicts:
        ratio = "not measured" if verdict.ratio is None else f"{verdict.ratio:.2f}"
        target = verdict.target
        table.add_row(target.ours, target.peer, ratio, f"≥ {target.at_least:g}", "yes" if verdict.met else "NO")
    return table


def as_json(
    machine: Mapping[str, Any],
    load: Mapping[str, Any],
    results: Sequence[Result],
    verdicts: Sequence[Verdict],
) -> dict[str, Any]:
    """Everything of the run, every single result included, as plain JSON values."""
    return {
        "machine": dict(machine),
        "load": dict(load),
        "results": [{**asdict(result), "rate": result.rate} for result in results],
        "summaries": [asdict(summary) for summary in summarise(results)],
        "verdicts": [{**asdict(verdict), "met": verdict.met} for verdict in verdicts],
    }


def machine(kafka: str) -> dict[str, Any]:
    """What the run was measured on; ``kafka`` is the broker's version."""
    return {
        "cpu": _cpu_name(Path("/proc/cpuinfo")),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kafka": kafka,
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _cpu_name(cpuinfo: Path) -> str:
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
