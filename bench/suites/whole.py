"""The whole pipeline in one worker: intake, all rules, the model, state; against a stock Faust agent that does nothing.

Also with 1, 2, 4 and 8 partitions in that one worker: what a lookup costs on the processor must not grow with them. How much more
several workers do is measured by :mod:`bench.scale`, for which a machine needs more cores than workers.
"""

from __future__ import annotations

from typing import Final

from bench.peers.contender import Contender
from bench.report import Result, Target, summarise
from bench.suites.outcome import Goal, Outcome, Say
from bench.suites.turns import QUICK, Entry, Size, outcome_of, take_turns

__all__ = ["QUICK", "Size", "growth", "run"]

PARTITIONS: Final = (1, 2, 4, 8)
#: A lookup may cost so many times more in eight partitions than in one.
GROWTH: Final = 1.25
_IDLE: Final = Entry(
    Contender("faust-idle", "stock Faust agent that does nothing", "bench.peers.faust_idle", counts=False)
)


def _ours(partitions: int) -> Entry:
    title = f"all rules, the model, state; {partitions} partition{'s' * (partitions > 1)}"
    return Entry(Contender(f"ours-whole-{partitions}", title, "bench.ours.whole", counts=False), partitions)


def growth(results: list[Result]) -> float | None:
    """How many times the processor time of a lookup in one partition it takes in the most partitions that were measured."""
    per_core = {one.contender: one.per_core for one in summarise(results)}
    measured = [value for count in PARTITIONS if (value := per_core.get(f"ours-whole-{count}"))]
    return measured[0] / measured[-1] if len(measured) > 1 else None


def run(size: Size, say: Say, partitions: tuple[int, ...] = PARTITIONS, peers: tuple[Entry, ...] = (_IDLE,)) -> Outcome:
    """Measure in turns. Raises :class:`bench.peers.contender.Broken`."""
    entries = [*map(_ours, partitions), *peers]
    results, details = take_turns(entries, size, say)
    made = outcome_of(
        "whole",
        f"{size.messages:,} lookups, one process each",
        entries,
        results,
        [Target("ours-whole-4", "faust-idle", at_least=1)],
        details,
    )
    goals = [
        *made.goals,
        Goal(f"CPU of a lookup, {partitions[-1]} partitions ÷ {partitions[0]}", growth(results), GROWTH, "×"),
    ]
    return Outcome(made.suite, made.title, made.columns, made.rows, goals, made.details)
