"""Backtests over a long simulated log on two cores: rules and model in one process, and the rules alone in one and in two."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.peers.contender import Broken
from bench.suites.outcome import Cell, Goal, Outcome, Say
from bench.tree import Ran, here, write_log

#: Issue 10: lookups a second on two cores.
TARGET: Final = 40_000
COLUMNS: Final = ("backtest", "lookups/s", "s", "µs CPU a lookup", "alerts", "peak MB of a process")


@dataclass(frozen=True, slots=True)
class Size:
    """How many lookups of how many actors."""

    lookups: int = 10_000_000
    actors: int = 2_000


QUICK = Size(10_000, 60)


def _row(name: str, ran: Ran) -> list[Cell]:
    return [name, ran.lookups / ran.seconds, ran.seconds, ran.cpu / ran.lookups * 1e6, ran.alerts, ran.peak_mb]


def run(size: Size, say: Say) -> Outcome:
    """Measure. Raises :class:`Broken` when the alerts of rules differ between ways to run them, or lookups are missing."""
    with tempfile.TemporaryDirectory(prefix="lookup-monitor-") as name:
        folder = Path(name)
        say(f"simulating {size.actors:,} actors …")
        log = write_log(folder, size.lookups, size.actors)
        say(
            f"{log.lookups:,} lookups, {log.events.stat().st_size / 1e6:,.0f} MB, and {log.reference.stat().st_size / 1e6:,.0f} MB of reference data"
        )
        with here(log) as tree:
            tree.ready()
            whole = tree.run(folder / "whole")
            alone = tree.run(folder / "alone", jobs=1)
            both = tree.run(folder / "both", jobs=2)
        if (folder / "alone").read_bytes() != (folder / "both").read_bytes():
            raise Broken("two processes find other alerts than one")
        by_rules = set((folder / "whole").read_bytes().splitlines())
        if missing := set((folder / "alone").read_bytes().splitlines()) - by_rules:
            raise Broken(f"{len(missing)} alerts of the rules are missing from the backtest with the model")
        for ran in (whole, alone, both):
            if ran.lookups != log.lookups:
                raise Broken(f"{ran.lookups:,} of {log.lookups:,} lookups were taken")
    rows = [
        _row("rules and model, 1 process (monitor backtest)", whole),
        _row("rules, 1 process (monitor rules backtest --jobs 1)", alone),
        _row("rules, 2 processes (monitor rules backtest --jobs 2)", both),
    ]
    goals = [Goal("lookups/s, rules and model", whole.lookups / whole.seconds, TARGET, "/s", at_most=False)]
    return Outcome("backtest", f"{log.lookups:,} simulated lookups of {size.actors:,} actors", COLUMNS, rows, goals)
