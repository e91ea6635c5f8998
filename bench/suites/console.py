"""The console's pages over a store of many alerts (:mod:`bench.console`)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.console import filled, took_of
from bench.peers.contender import Broken
from bench.suites.outcome import Cell, Goal, Outcome, Say

#: What docs/console.md says of pages, as the median over a page's requests.
TARGET_MS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Size:
    """How many alerts are in the store, and how often each page is asked for."""

    alerts: int = 1_000_000
    times: int = 100


QUICK = Size(3_000, 3)


def run(size: Size, say: Say) -> Outcome:
    """Measure every page. Raises :class:`Broken` when one is not answered."""
    with (
        tempfile.TemporaryDirectory(prefix="lookup-monitor-") as name,
        filled(f"sqlite:///{Path(name) / 'console.db'}", size.alerts, say) as engine,
    ):
        try:
            found = took_of(engine, size.times)
        except SystemExit as error:
            raise Broken(f"a page was not answered: {error}") from None
    rows: list[list[Cell]] = [[page, *map(float, took)] for page, took in found.items()]
    slowest = max(found, key=lambda page: found[page].p50)
    goals = [Goal(f"p50 of the slowest page ({slowest})", found[slowest].p50, TARGET_MS, "ms")]
    columns = ("page", "p50 ms", "p99 ms", "processor p50 ms", "kB")
    return Outcome("console", f"{size.alerts:,} alerts, {size.times} requests of each page", columns, rows, goals)
