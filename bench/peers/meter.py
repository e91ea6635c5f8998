"""What every contender shares: its arguments, its clock, its deadline, and the one line it prints.

A contender calls :meth:`Meter.saw` for the lookups it has handled, and :meth:`Meter.report` when it is done.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: A contender slower than this many lookups a second is taken to hang, after START_UP_SECONDS for start-up.
SLOWEST: Final = 1_000
START_UP_SECONDS: Final = 90.0
TIMED_OUT: Final = 3


def deadline_seconds(expect: int) -> float:
    """How long a contender may take, start-up included, for ``expect`` lookups."""
    return START_UP_SECONDS + expect / SLOWEST


@dataclass(frozen=True, slots=True)
class Job:
    """What a contender does: read the ``expect`` lookups of ``topic``, keeping its files in ``workdir``."""

    bootstrap: str
    topic: str
    expect: int
    workdir: Path

    @property
    def run(self) -> str:
        """A name no other run has: for consumer groups, application ids and topics."""
        return self.workdir.name


def parse_job(description: str | None) -> Job:
    """The job on the command line. ``description`` is the help text of the contender."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bootstrap", required=True, help="Kafka, host:port")
    parser.add_argument("--topic", required=True, help="the prefilled topic to read from its beginning")
    parser.add_argument("--expect", required=True, type=int, help="lookups in the topic; stop after this many")
    parser.add_argument("--workdir", required=True, type=Path, help="an empty folder; its name must be new to Kafka")
    options = parser.parse_args()
    return Job(options.bootstrap, options.topic, options.expect, options.workdir)


class Meter:
    """Counts lookups, and takes the time from the first one to the last: by the clock, and of this process on the processor.

    ``expect`` is how many there are. From its making on, a watchdog ends the process with exit code 3
    when :func:`deadline_seconds` have passed: a contender that hangs must not hang the measurement.
    """

    def __init__(self, expect: int) -> None:
        self.expect = expect
        self.seen = 0
        self._first = 0.0
        self._last = 0.0
        self._first_cpu = self._last_cpu = 0.0
        watchdog = threading.Timer(deadline_seconds(expect), self._give_up)
        watchdog.daemon = True  # never cancelled: a contender that hangs while it stops must end too
        watchdog.start()

    def start(self) -> None:
        """Start the clock: the first lookup is here, not yet handled. Later calls change nothing."""
        if not self._first:
            self._first, self._first_cpu = time.perf_counter(), time.process_time()

    def saw(self, lookups: int = 1) -> bool:
        """Count ``lookups`` as handled; True when that were all. Starts the clock if nobody did."""
        self.start()
        self.seen += lookups
        if self.seen < self.expect:
            return False
        self._last, self._last_cpu = time.perf_counter(), time.process_time()
        return True

    def report(self, alerts: int | None) -> None:
        """Print the result as one JSON line. ``alerts`` raised, or None when the contender does not count."""
        seconds, cpu = round(self._last - self._first, 6), round(self._last_cpu - self._first_cpu, 6)
        print(json.dumps({"lookups": self.seen, "seconds": seconds, "alerts": alerts, "cpu": cpu}), flush=True)

    def _give_up(self) -> None:
        print(
            f"gave up: {self.seen:,} of {self.expect:,} lookups when the time was over",
            file=sys.stderr,
            flush=True,
        )
        os._exit(TIMED_OUT)
