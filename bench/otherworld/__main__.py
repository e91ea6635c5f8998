"""``python -m bench.otherworld OUT --seed S --days D --actors N``: a world as three files, as ``monitor simulate`` writes them.

Exit codes: 0 written, 2 used wrongly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from bench.otherworld.habits import Settings
from bench.otherworld.log import line
from bench.otherworld.world import World


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(line(row))
            count += 1
    return count


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the world and write it; return the exit code."""
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m bench.otherworld", description="Another made-up force and its lookups."
    )
    parser.add_argument("out", type=Path, help="folder for events.jsonl, reference.jsonl and labels.jsonl")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="same seed, same world")
    parser.add_argument("--days", type=int, default=defaults.days)
    parser.add_argument("--actors", type=int, default=defaults.actors)
    parser.add_argument("--start", type=date.fromisoformat, default=defaults.start, help="first day, YYYY-MM-DD")
    given = parser.parse_args(arguments)
    try:
        world = World(Settings(given.seed, given.days, given.actors, given.start))
    except ValueError as error:
        parser.error(str(error))
    given.out.mkdir(parents=True, exist_ok=True)
    events = _write(given.out / "events.jsonl", world.events())
    records = _write(given.out / "reference.jsonl", world.reference())
    labels = _write(given.out / "labels.jsonl", world.labels())
    print(f"{given.out}: {events:,} lookups, {records:,} reference records, {labels} scenarios")
    return 0


if __name__ == "__main__":
    sys.exit(main())
