"""``python -m bench.corpus RULES EVENTS…``: any Sigma rules over any events, measured as RSigma publishes it.

RSigma (https://github.com/timescale/rsigma, BENCHMARKS.md) takes SigmaHQ's ``rules/`` at commit 994da166 and events of its
``scripts/perf/gen_events.py``: each lane 10,000 events, read ten times over; one core; net of the time to load the rules; the
median of three runs. Give the same to this command. What is measured is ``monitor rules match`` without its processes: JSON in,
lines of matches out. The floor asks every rule about every event, and must find the same matches.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final

import orjson
from rich.table import Table

from bench.suites.outcome import console
from monitor.matching import Matcher, flat
from monitor.rules import RuleSet, load_texts, read_dir

_PIECE: Final = 1000
RUNS: Final = 3


def timed(run: Callable[[], int], runs: int = RUNS) -> tuple[float, int]:
    """The median processor time of several runs, in seconds, and what the last gave."""
    seconds = []
    for _ in range(runs):
        began = time.process_time()
        found = run()
        seconds.append(time.process_time() - began)
    return median(seconds), found


def matched(matcher: Matcher, pieces: list[bytes]) -> int:
    """How many matches there are in pieces of a log."""
    return sum(matcher.run(piece, 2).output.count(b"\n") for piece in pieces)


def asked(rules: RuleSet, lines: list[bytes]) -> int:
    """The same, by asking every rule about every line."""
    documents = [flat(orjson.loads(line)) for line in lines]
    return sum(detection.predicate(document) for document in documents for detection in rules.detections)


def main() -> int:
    """Measure every lane. Exit code 0: measured, 2: index and floor find other matches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rules", type=Path, help="folder of Sigma rules")
    parser.add_argument("events", type=Path, nargs="+", help="lanes: JSON Lines")
    parser.add_argument("--repeat", type=int, default=10, help="each lane is read so many times over")
    parser.add_argument("--floor", type=int, default=500, help="lines of each lane that every rule is asked about")
    given = parser.parse_args()
    began = time.process_time()
    loaded = load_texts(read_dir(given.rules), foreign=True)
    console.print(
        f"{len(loaded.rules.detections):,} detections loaded in {time.process_time() - began:.1f} s of CPU; "
        f"{len(loaded.problems)} refused"
    )
    if not loaded.rules.detections:
        console.print("broken: there is no rule to measure", style="bold red")
        return 2
    table = Table("lane", title=f"Events a second of processor time, one core, median of {RUNS} runs")
    for heading in ("events", "matches an event", "events/s", "asking every rule, events/s", "same matches"):
        table.add_column(heading, justify="right")
    is_right, matcher = True, Matcher(loaded.rules)
    for path in given.events:
        with path.open("rb") as file:
            lines = list(file)
        pieces = [b"".join(lines[at : at + _PIECE]) for at in range(0, len(lines), _PIECE)] * given.repeat
        seconds, found = timed(lambda pieces=pieces: matched(matcher, pieces))  # type: ignore[misc]
        few = list(islice(lines, given.floor))
        slow, wanted = timed(lambda few=few: asked(loaded.rules, few), 1)  # type: ignore[misc]
        is_same = matched(matcher, [b"".join(few)]) == wanted
        is_right = is_right and is_same
        count = len(lines) * given.repeat
        table.add_row(
            path.stem, f"{count:,}", f"{found / count:.2f}", f"{count / seconds:,.0f}", f"{len(few) / slow:,.0f}", "yes" if is_same else "NO"
        )  # fmt: skip
    console.print(table)
    return 0 if is_right else 2


if __name__ == "__main__":
    raise SystemExit(main())
