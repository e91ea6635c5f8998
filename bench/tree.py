"""A checkout's monitor in a process of its own (:mod:`bench.tree_child`), and the simulated log that it is run over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

import orjson

from bench.peers.contender import ROOT, Broken
from monitor.simulate import Settings, simulate

START: Final = datetime(2025, 3, 3, tzinfo=UTC)
_CHILD: Final = Path(__file__).with_name("tree_child.py")
_PER_ACTOR_DAY: Final = 19


class Log(NamedTuple):
    """A simulated log on disk: so many lookups in ``events``, and what is known."""

    events: Path
    reference: Path
    lookups: int


class Ran(NamedTuple):
    """One run: lookups and alerts, seconds by the clock and on the processor, MB of memory at most."""

    lookups: int
    alerts: int
    seconds: float
    cpu: float
    peak_mb: float


def write_log(folder: Path, lookups: int, actors: int, seed: int = 1) -> Log:
    """Simulate a force of ``actors`` for as many days as it takes to have ``lookups`` lookups, or a few less; write them."""
    days = max(2, lookups // (actors * _PER_ACTOR_DAY) + 2)
    force = simulate(Settings(START, seed=seed, days=days, actors=actors))
    log = Log(folder / "events.jsonl", folder / "reference.jsonl", lookups)
    with log.reference.open("wb") as file:
        file.writelines(orjson.dumps(record) + b"\n" for record in force.reference)
    count = 0
    with log.events.open("wb") as file:
        for event in islice(force.events(), lookups):
            file.write(orjson.dumps(event) + b"\n")
            count += 1
    return log._replace(lookups=count)


class Tree:
    """The monitor of the checkout ``root``, ready to run over ``log``; a context manager that ends its process.

    Raises :class:`Broken` when the process fails: when it is of a time at which backtests were called otherwise, for one.
    """

    def __init__(self, root: Path, log: Log) -> None:
        self.root = root
        # The same names for the same hashes: only the code differs.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            [sys.executable, str(_CHILD), str(root), str(log.events), str(log.reference)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=root,
        )  # fmt: skip

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Broken(f"the monitor of {self.root} ended with exit code {self._process.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said

    def ready(self) -> None:
        """Wait until all is loaded."""
        self._answer()

    def run(self, alerts: Path | None = None, limit: int | None = None, jobs: int = 0) -> Ran:
        """Run once, as :mod:`bench.tree_child` says; the alerts go to a file if one is named."""
        assert self._process.stdin is not None
        asked = {"alerts": None if alerts is None else str(alerts), "limit": limit, "jobs": jobs}
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        said = self._answer()
        return Ran(said["lookups"], said["alerts"], said["seconds"], said["cpu"], said["peak_mb"])

    def __enter__(self) -> Tree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def here(log: Log) -> Tree:
    """This checkout's monitor."""
    return Tree(ROOT, log)
