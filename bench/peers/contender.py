"""Runs one contender as a process of its own, and believes it only when its numbers are right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.peers.meter import deadline_seconds
from bench.report import Result

ROOT: Final = Path(__file__).resolve().parents[2]
#: A contender stops itself at its deadline; it is killed when it is still there this much later.
MERCY_SECONDS: Final = 30.0
STDERR_LINES: Final = 15


class Broken(Exception):
    """The measurement says nothing: a contender failed, hung, or counted wrongly."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that can be measured: a Python module that does a :class:`~bench.peers.meter.Job`.

    ``name`` is short and unique; ``title`` says what it does. ``module`` takes ``--bootstrap --topic
    --expect --workdir``, and ``options`` on top, and prints one JSON line of ``lookups, seconds, alerts`` and, if it can, ``cpu``.
    ``counts`` tells whether it does the counting job, so that its alerts can be checked.
    """

    name: str
    title: str
    module: str
    counts: bool = True
    options: tuple[str, ...] = ()

    def argv(self, bootstrap: str, topic: str, expect: int, workdir: Path) -> list[str]:
        """The command that runs it."""
        job = ["--bootstrap", bootstrap, "--topic", topic, "--expect", str(expect), "--workdir", str(workdir)]
        return [sys.executable, "-m", self.module, *job, *self.options]


def measure(
    contender: Contender, bootstrap: str, topic: str, expect: int, alerts: int, workdir: Path, root: Path = ROOT
) -> Result:
    """Run ``contender`` once over the ``expect`` lookups of ``topic``; ``workdir`` is made. ``root`` is the checkout that it is of.

    Raises :class:`Broken` when it fails, when it has not handled every lookup, or when it is a counting
    contender and raised another number of alerts than ``alerts``.
    """
    workdir.mkdir(parents=True)
    timeout = deadline_seconds(expect) + MERCY_SECONDS
    said = _run(contender.name, contender.argv(bootstrap, topic, expect, workdir), timeout, root)
    result = read_line(contender.name, said)
    check(result, expect, alerts if contender.counts else None)
    return result


def read_line(name: str, stdout: str) -> Result:
    """The result a contender printed, its last JSON line. Raises :class:`Broken` when there is none."""
    lines = [line for line in stdout.splitlines() if line.startswith("{")]
    try:
        said: dict[str, Any] = json.loads(lines[-1])
        result = Result(name, int(said["lookups"]), float(said["seconds"]), said["alerts"], said.get("cpu"))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise Broken(f'{name} printed no line {{"lookups", "seconds", "alerts"}}, but {stdout[-500:]!r}') from error
    if result.seconds <= 0:
        raise Broken(f"{name} says it took {result.seconds} seconds: its clock is wrong")
    return result


def check(result: Result, expect: int, alerts: int | None) -> None:
    """Raise :class:`Broken` unless ``result`` has ``expect`` lookups and ``alerts`` alerts (None: any)."""
    if result.lookups != expect:
        raise Broken(f"{result.contender} handled {result.lookups:,} of {expect:,} lookups: lost or counted twice")
    if alerts is not None and result.alerts != alerts:
        raise Broken(f"{result.contender} raised {result.alerts} alerts where a right count gives {alerts}")


def _run(name: str, argv: list[str], timeout: float, root: Path) -> str:
    process = subprocess.Popen(
        argv, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{name} did not end within {timeout:.0f} s, nor stop itself before that") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        tail = "\n".join(stderr.splitlines()[-STDERR_LINES:])
        raise Broken(f"{name} ended with exit code {process.returncode}:\n{tail}")
    return stdout
