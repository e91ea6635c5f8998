"""`python -m tests.torture --seed S --minutes M`: exit code 0 when all is as in the backtest, 1 when not, 2 when broken."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.torture.run import Broken, torture
from tests.torture.traffic import RATE

_MOST_LINES = 200


def main() -> int:
    """Run once and say what came of it."""
    parser = argparse.ArgumentParser(prog="tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, required=True, help="everything random comes from it")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long lookups are sent")
    parser.add_argument("--keep", type=Path, help="a new folder for data and logs, kept; else a temporary one")
    parser.add_argument(
        "--only",
        help="the faults to draw from, with commas between them, one that is to come often several times; else all",
    )
    parser.add_argument("--rate", type=int, default=RATE, help="lookups a second; fewer on a machine that is busy")
    asked = parser.parse_args()
    only = None if asked.only is None else asked.only.split(",")
    if asked.minutes <= 0 or asked.rate <= 0:
        parser.error("--minutes and --rate must be more than 0")
    # Clients say a lot about a broker that is away; that it is, the faults say.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        if asked.keep is not None:
            asked.keep.mkdir(parents=True)
            report = torture(asked.seed, asked.minutes, asked.keep, _say, only, asked.rate)
        else:
            with tempfile.TemporaryDirectory(prefix="lookup-monitor-torture-") as folder:
                report = torture(asked.seed, asked.minutes, Path(folder), _say, only, asked.rate)
    except (Broken, OSError) as error:
        print(f"broken: {error}", file=sys.stderr)
        return 2
    if report.differences:
        print("\n".join(report.differences[:_MOST_LINES]))
        print(f"seed {report.seed}; faults:\n" + "\n".join(report.log))
    print(report.summary())
    return 1 if report.differences else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
