"""A query system that is killed: reports lookups into a spool, and says of each when it is taken. ``python -m tests.client.made SPOOL START [KAFKA] [MS]``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from monitor.client import LookupClient


def lookup(number: int) -> dict[str, object]:
    return {
        "id": f"x-{number}",
        "time": "2026-11-24T09:15:02+01:00",
        "system": "bvi",
        "action": "read",
        "actor": {"id": f"o-{number % 37}"},
        "subject": {"kind": "person", "id": f"p-{number}"},
    }


def main() -> None:
    spool, start = Path(sys.argv[1]), int(sys.argv[2])
    kafka = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1:1"
    client = LookupClient(spool, kafka, number=True, fsync_ms=5)
    pause = float(sys.argv[4]) / 1000 if len(sys.argv) > 4 else 0.0
    number = start
    while True:
        client.report(lookup(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        number += 1
        time.sleep(pause)


if __name__ == "__main__":
    main()
