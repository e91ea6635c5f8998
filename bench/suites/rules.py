"""What rules cost: 50, 500, 1,000 and 3,000 of them, and asking every one of them about every lookup (:mod:`bench.rules`)."""

from __future__ import annotations

from dataclasses import dataclass

from bench.peers.contender import Broken
from bench.rules import LOOKUPS, SIZES, TARGET, Cost, lookups_of, measure, ratio
from bench.suites.outcome import Cell, Goal, Outcome, Say


@dataclass(frozen=True, slots=True)
class Size:
    """How many lookups at most, of so many actors in so many days, and the numbers of rules; the goal holds two of these against each other."""

    lookups: int = LOOKUPS
    actors: int = 200
    days: int = 30
    sizes: tuple[int, ...] = SIZES
    goal: tuple[int, int] = (1_000, 50)


QUICK = Size(2_000, 50, 10, (50, 1_000))


def run(size: Size, say: Say) -> Outcome:
    """Measure each number of rules. Raises :class:`Broken` when index and floor find other matches."""
    lookups = lookups_of(size.lookups, size.actors, size.days)
    say(f"{len(lookups):,} simulated lookups")
    costs = list(measure(size.sizes, lookups))
    if wrong := [cost.rules for cost in costs if not cost.right]:
        raise Broken(f"with {wrong[0]:,} rules the index finds other matches than asking every rule")
    many, few = size.goal
    rows = [_row(cost, len(lookups)) for cost in costs]
    columns = (
        "rules",
        "matches a lookup",
        "alerts",
        "matching µs",
        "matching + correlating µs",
        "asking every rule µs",
        "floor ÷ matching",
    )
    goal = Goal(f"CPU of a lookup, {many:,} rules ÷ {few}", ratio(costs, many, few), TARGET, "×")
    return Outcome("rules", f"CPU time of {len(lookups):,} lookups", columns, rows, [goal])


def _row(cost: Cost, lookups: int) -> list[Cell]:
    micros = [seconds / lookups * 1e6 for seconds in (cost.match_seconds, cost.whole_seconds, cost.floor_seconds)]
    return [f"{cost.rules:,}", cost.matches / lookups, cost.firings, *micros, cost.floor_seconds / cost.match_seconds]
