"""What a suite found: a table, goals with what was measured against each, and all of it as JSON. Pure but for :func:`write`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console, RenderableType
from rich.table import Table

from bench.report import BROKEN, MET, MISSED, Verdict

#: Told what goes on while a suite runs.
Say = Callable[[str], None]
Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Goal:
    """A promise and what was measured: ``value`` must be at least ``bound``, or at most it with ``at_most``.

    ``value`` is None when it was not measured, which is not met.
    """

    what: str
    value: float | None
    bound: float
    unit: str = ""
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether what was promised is so."""
        if self.value is None:
            return False
        return self.value <= self.bound if self.at_most else self.value >= self.bound


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one suite found: rows under ``columns``, and ``goals``; ``details`` are single runs and sizes."""

    suite: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    goals: Sequence[Goal]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """0 when every goal is met, 1 when one is missed, 2 when there was none to judge."""
        if not self.goals:
            return BROKEN
        return MET if all(goal.met for goal in self.goals) else MISSED


def goal_of(verdict: Verdict) -> Goal:
    """The goal that a target against a peer is."""
    target = verdict.target
    per = ", for a second of processor time" if target.per_core else ""
    return Goal(f"{target.ours} ÷ {target.peer}{per}", verdict.ratio, target.at_least, "×", at_most=False)


def text_of(value: Cell) -> str:
    """A cell for people: three digits are enough."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value


def tables(outcome: Outcome) -> list[RenderableType]:
    """The table of what was measured, and that of the goals."""
    found = Table(title=f"{outcome.suite}: {outcome.title}")
    for number, heading in enumerate(outcome.columns):
        found.add_column(heading, justify="right" if number else "left")
    for row in outcome.rows:
        found.add_row(*map(text_of, row))
    goals = Table("goal", title=f"{outcome.suite}: goals")
    for heading in ("measured", "wanted", "met"):
        goals.add_column(heading, justify="right")
    for goal in outcome.goals:
        measured = "not measured" if goal.value is None else f"{text_of(goal.value)} {goal.unit}".strip()
        wanted = f"{'≤' if goal.at_most else '≥'} {text_of(goal.bound)} {goal.unit}".strip()
        goals.add_row(goal.what, measured, wanted, "yes" if goal.met else "NO")
    return [found, goals]


def as_json(machine: Mapping[str, Any], outcomes: Sequence[Outcome], broken: Mapping[str, str]) -> dict[str, Any]:
    """Everything of a run, as plain JSON values; ``broken`` says why suites gave nothing."""
    return {
        "machine": dict(machine),
        "suites": {
            one.suite: {
                "title": one.title,
                "columns": list(one.columns),
                "rows": [list(row) for row in one.rows],
                "goals": [
                    {"what": goal.what, "value": goal.value, "bound": goal.bound, "unit": goal.unit,
                     "at_most": goal.at_most, "met": goal.met}
                    for goal in one.goals
                ],
                "details": dict(one.details),
            }
            for one in outcomes
        },
        "broken": dict(broken),
    }  # fmt: skip


def write(path: Path, made: Mapping[str, Any]) -> None:
    """Write a run as JSON."""
    path.write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n")


#: Where suites and the door speak.
console: Final = Console(highlight=False, width=150)


def say(words: str) -> None:
    """Tell what goes on."""
    console.print(words, style="dim", markup=False)
