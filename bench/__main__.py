"""``python -m bench``: every measurement of speed, held against what was promised; ``--suite`` picks some.

Exit code 0: every goal is met. 1: one is missed. 2: a measurement is broken and says nothing.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bench import report
from bench.peers.contender import Broken
from bench.suites import backtest, count, curves, latency, memory, recovery, rules, whole
from bench.suites import console as pages
from bench.suites.outcome import Outcome, as_json, console, say, tables, write

#: In the order in which they run. Those that start a Kafka and measure by the clock want a machine with nothing else to do.
SUITES: Final[dict[str, Any]] = {
    "count": count,
    "whole": whole,
    "rules": rules,
    "backtest": backtest,
    "recovery": recovery,
    "latency": latency,
    "memory": memory,
    "console": pages,
    "curves": curves,
}


def sized(name: str, quick: bool, given: dict[str, Any]) -> Any:
    """The size at which a suite runs: its own, or its quick one, with what was given on top as far as it knows of it."""
    module = SUITES[name]
    size = module.QUICK if quick else module.Size()
    known = {key: value for key, value in given.items() if value is not None and key in type(size).__slots__}
    return replace(size, **known)


def run(names: list[str], quick: bool, given: dict[str, Any]) -> tuple[list[Outcome], dict[str, str]]:
    """Run suites one after the other; what they found, and why some found nothing."""
    outcomes: list[Outcome] = []
    broken: dict[str, str] = {}
    for name in names:
        say(f"--- {name}")
        try:
            outcomes.append(SUITES[name].run(sized(name, quick, given), say))
        except Broken as error:
            broken[name] = str(error)
            console.print(f"{name} is broken: {error}", style="bold red", markup=False)
        except Exception as error:  # an uncaught one would end in exit code 1, which says that a goal was missed
            broken[name] = repr(error)
            console.print_exception()
        else:
            for table in tables(outcomes[-1]):
                console.print(table)
    return outcomes, broken


def main(
    suite: Annotated[
        list[str] | None, typer.Option(help=f"one of {', '.join(SUITES)}; again for more; default: all")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="small sizes: shows that it works, measures nothing")] = False,
    json: Annotated[Path | None, typer.Option(help="write everything to this file")] = None,
    messages: Annotated[int | None, typer.Option(min=1_000, help="count and whole: lookups in the topic")] = None,
    lookups: Annotated[
        int | None, typer.Option(min=1_000, help="rules, backtest and curves: lookups in the log")
    ] = None,
    repeat: Annotated[
        int | None, typer.Option(min=1, help="count, whole and curves: runs of each, taken in turns")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="count, whole and latency: another seed gives other lookups")] = None,
    bootstrap: Annotated[
        str | None, typer.Option(help="count and whole: a Kafka that runs; else one is started")
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="curves: folder for a picture of each")] = None,
) -> None:
    """Measure, and hold what was measured against what was promised."""
    names = list(dict.fromkeys(suite or SUITES))
    if unknown := [name for name in names if name not in SUITES]:
        console.print(
            f"there is no suite {unknown[0]!r}; there are {', '.join(SUITES)}", style="bold red", markup=False
        )
        sys.exit(report.BROKEN)
    given = {
        "messages": messages,
        "lookups": lookups,
        "repeat": repeat,
        "seed": seed,
        "bootstrap": bootstrap,
        "plots": plots,
    }
    machine = report.machine("of each suite")
    outcomes, broken = run(names, quick, given)
    for name, value in machine.items():
        console.print(f"{name}: {value}", style="dim", highlight=False)
    if json is not None:
        write(json, as_json({**machine, "quick": quick}, outcomes, broken))
    sys.exit(report.BROKEN if broken else max(outcome.code for outcome in outcomes))


if __name__ == "__main__":
    typer.run(main)
