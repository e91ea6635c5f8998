"""``python -m bench.detection``: what rules and model together find in worlds nobody tuned them on, how soon, and at what price.

Two kinds of world: ``monitor simulate``, whose authors also wrote the rules, and :mod:`bench.otherworld`, whose author knew
neither. Their figures are kept apart: the second is the one to believe. The seeds given here must be of worlds that no rule, feature
or threshold was ever looked at with; the tables of ``docs/detection.md`` name those that were used.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final, NamedTuple

import orjson
import typer
from rich.console import Console

from bench.otherworld.__main__ import main as write_other
from monitor.alerts import Alert
from monitor.backtest import Backtest
from monitor.recall import delays, false_alerts, recall_by_misuser
from monitor.reference import Reference, decode
from monitor.rules import load_texts, read_dir
from monitor.rules.model import LEVELS
from monitor.settings import Settings, pack_dir
from monitor.simulate import Settings as World
from monitor.simulate import simulate, write
from monitor.stream.topics import partition_of

#: Issue 7: recall by misuser over all and in every typology, and alerts of level medium or more per 100 innocents a week.
TARGET_OVERALL: Final = 0.95
TARGET_TYPOLOGY: Final = 0.85
TARGET_FALSE: Final = 1.0
_LEAST: Final = "medium"
_LOUD: Final = frozenset(LEVELS[LEVELS.index(_LEAST) :])
_START: Final = datetime(2026, 1, 5, tzinfo=UTC)
console = Console(width=140)


class Found(NamedTuple):
    """One world's figures. By typology: misusers, found by any alert, found by one of level medium or more."""

    seed: int
    lookups: int
    by_typology: dict[str, tuple[int, int, int]]
    by_care: dict[str, tuple[int, int, int]]
    delays: dict[str, list[int]]
    false: float
    false_by_model: float
    seconds: float


def _lines(path: Path) -> list[Any]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def run(folder: Path, seed: int, days: int) -> Found:
    """Backtest the world in ``folder`` with the pack and the model as they are delivered."""
    began = time.process_time()
    settings = Settings()
    known = Reference(decode(line) for line in (folder / "reference.jsonl").read_bytes().splitlines())
    rules = load_texts(read_dir(pack_dir()), known.lists).rules
    test = Backtest(
        rules,
        known,
        settings.partitions,
        lambda actor: partition_of(actor, settings.partitions),
        settings.quantile,
        forget_ms=settings.forget_ms,
    )
    received = int(time.time() * 1000)
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    alerts = list(test.run(lines, received))
    labels = _lines(folder / "labels.jsonl")
    actors = {orjson.loads(line)["actor"]["id"] for line in lines}
    by_model = [alert for alert in alerts if alert.kind == "model"]
    return Found(
        seed,
        len(lines),
        _split(labels, alerts, lambda label: label["typology"]),
        _split([label for label in labels if "care" in label], alerts, lambda label: label["care"]),
        delays(labels, [alert for alert in alerts if alert.rule.level in _LOUD]),
        false_alerts(labels, alerts, actors, days / 7, _LEAST) or 0.0,
        false_alerts(labels, by_model, actors, days / 7, _LEAST) or 0.0,
        time.process_time() - began,
    )


def _split(
    labels: Iterable[dict[str, Any]], alerts: Sequence[Alert], of: Callable[[dict[str, Any]], str]
) -> dict[str, tuple[int, int, int]]:
    named = [{**label, "typology": of(label)} for label in labels]
    loud = [alert for alert in alerts if alert.rule.level in _LOUD]
    any_level = {name: (there, found) for name, there, found in recall_by_misuser(named, alerts)}
    at_least = {name: found for name, _, found in recall_by_misuser(named, loud)}
    return {name: (*counts, at_least[name]) for name, counts in any_level.items()}


def report(title: str, worlds: Sequence[Found]) -> bool:
    """Print the tables of one kind of world as Markdown; whether all targets are met."""
    console.print(f"\n### {title}\n")
    total = _sum(each.by_typology for each in worlds)
    waited: dict[str, list[int]] = {}
    for each in worlds:
        for name, values in each.delays.items():
            waited.setdefault(name, []).extend(values)
    console.print("| typology | misusers | found | by medium or more | median time to that |")
    console.print("|---|---:|---:|---:|---:|")
    for name, counts in total.items():
        console.print(f"| {name} | {_cells(counts)} | {_hours(waited.get(name))} |")
    everyone = _add(total.values())
    console.print(f"| **all** | {_cells(everyone)} | {_hours([each for some in waited.values() for each in some])} |")
    if care := _sum(each.by_care for each in worlds):
        console.print("\n| care of the misuser | misusers | found | by medium or more |\n|---|---:|---:|---:|")
        for name, counts in care.items():
            console.print(f"| {name} | {_cells(counts)} |")
    console.print(
        "\n| seed | lookups | medium or more per 100 innocents a week | of them by the model |\n|---|---:|---:|---:|"
    )
    for world in worlds:
        console.print(f"| {world.seed} | {world.lookups:,} | {world.false:.2f} | {world.false_by_model:.2f} |")
    lowest = min(found / there for there, found, _ in total.values())
    overall = everyone[1] / everyone[0]
    return (
        overall >= TARGET_OVERALL and lowest >= TARGET_TYPOLOGY and max(each.false for each in worlds) <= TARGET_FALSE
    )


def _sum(parts: Iterable[dict[str, tuple[int, int, int]]]) -> dict[str, tuple[int, int, int]]:
    every: dict[str, list[tuple[int, int, int]]] = {}
    for part in parts:
        for name, counts in part.items():
            every.setdefault(name, []).append(counts)
    return {name: _add(every[name]) for name in sorted(every)}


def _add(counts: Iterable[tuple[int, int, int]]) -> tuple[int, int, int]:
    there, found, loud = (sum(each) for each in zip(*counts, strict=True))
    return there, found, loud


def _cells(counts: tuple[int, int, int]) -> str:
    there, found, loud = counts
    return f"{there} | {found / there:.2f} | {loud / there:.2f}"


def _hours(waited: Sequence[int] | None) -> str:
    if not waited:
        return "–"
    hours = median(waited) / 3_600_000
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def _seeds(text: str) -> list[int]:
    return [int(each) for each in text.split(",") if each]


def main(
    seeds: Annotated[str, typer.Option(help="seeds of monitor simulate, comma-separated")] = "",
    other: Annotated[str, typer.Option(help="seeds of bench.otherworld, comma-separated")] = "",
    days: Annotated[int, typer.Option(min=20)] = 60,
    actors: Annotated[int, typer.Option(min=80)] = 300,
) -> None:
    """Print the tables of docs/detection.md. Exit code 0: all targets are met, 1: one is missed."""
    is_met = True

    def make_own(seed: int, to: Path) -> None:
        write(simulate(World(seed=seed, days=days, actors=actors, start=_START)), to)

    def make_other(seed: int, to: Path) -> None:
        write_other([str(to), "--seed", str(seed), "--days", str(days), "--actors", str(actors)])

    for title, chosen, make in (
        ("monitor simulate", _seeds(seeds), make_own),
        ("bench.otherworld", _seeds(other), make_other),
    ):
        worlds = []
        for seed in chosen:
            with tempfile.TemporaryDirectory(prefix="lookup-monitor-") as folder:
                make(seed, Path(folder))
                worlds.append(run(Path(folder), seed, days))
        if worlds:
            is_met = report(f"{title}, {len(worlds)} worlds of {days} days and {actors} actors", worlds) and is_met
    console.print(f"\ntargets {'met' if is_met else 'missed'}")
    raise typer.Exit(0 if is_met else 1)


if __name__ == "__main__":
    typer.run(main)
