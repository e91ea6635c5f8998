"""What an actor takes of a worker's memory, with all rules of the pack and all features.

The states are those of some actors after simulated weeks and after a year, each copied to many keys, and held as a worker holds
them: in the tables of all partitions and the stages on top. The process is a new one, and what it has before is taken off.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
import psutil

from bench.peers.contender import Broken
from bench.recovery import KEYS, states_of
from bench.suites.outcome import Cell, Goal, Outcome, Say
from monitor.detector import Detector, load_state
from monitor.rules import RuleSet
from monitor.stream import tables, topics
from monitor.stream.detect import Detect

#: Issue 10: bytes an actor, all rules and features.
TARGET: Final = 6_000
PARTITIONS: Final = 4
COLUMNS: Final = (
    "days of work",
    "state",
    "most",
    "windows",
    "features",
    "fingerprints",
    "process, an actor",
    "process, MB in all",
)


@dataclass(frozen=True, slots=True)
class Size:
    """How many keys; the states are those of ``actors`` after each number of days."""

    keys: int = KEYS
    actors: int = 40
    days: tuple[int, ...] = (28, 365)


QUICK = Size(2_000, 20, (7, 14))


def parts_of(states: Sequence[bytes]) -> dict[str, float]:
    """The mean bytes of what a saved state is made of."""
    encode = msgspec.msgpack.Encoder().encode
    found = {"windows": 0, "features": 0, "fingerprints": 0}
    for saved in states:
        state = load_state(saved)
        for name in found:
            found[name] += len(encode(getattr(state, name)))
    return {name: total / len(states) for name, total in found.items()}


def held(states: Sequence[bytes], keys: int) -> int:
    """Bytes that this process grows by when it holds the states of so many keys, as a worker does."""
    detector = Detector(RuleSet())
    gc.collect()
    before = psutil.Process().memory_info().rss
    made = [tables.Table(topics.DETECT_STATE, partition) for partition in range(PARTITIONS)]
    for number in range(keys):
        key = f"actor/o-{number}"
        # A copy of its own: what comes from Kafka is one.
        state = bytes(bytearray(states[number % len(states)]))
        made[topics.partition_of(key, PARTITIONS)].change(number, [(key, state)], 0)
    stages = [Detect(number, PARTITIONS, table, lambda _: detector) for number, table in enumerate(made)]
    gc.collect()
    grown = psutil.Process().memory_info().rss - before
    assert sum(len(stage.table.values) for stage in stages) == keys
    return int(grown)


def _measured(states: list[bytes], keys: int) -> int:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(msgspec.msgpack.encode(states))
        command = [sys.executable, "-m", "bench.suites.memory", file.name, str(keys)]
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise Broken(f"the process that holds the states ended with {done.returncode}: {done.stderr.decode()[-500:]}")
    said: dict[str, Any] = orjson.loads(done.stdout)
    return int(said["grown"])


def run(size: Size, say: Say) -> Outcome:
    """Measure after each number of days; the last is held against the target. Raises :class:`Broken` when the process fails."""
    rows: list[list[Cell]] = []
    goals: list[Goal] = []
    for days in size.days:
        say(f"making {size.actors} actors' states of {days} days …")
        states = states_of(size.actors, days)
        mean = sum(map(len, states)) / len(states)
        parts = parts_of(states)
        grown = _measured(states, size.keys)
        if grown < 0.8 * mean * size.keys:
            raise Broken(
                f"{size.keys:,} states of {mean:,.0f} bytes took {grown:,} bytes of memory: too few to be all there"
            )
        rows.append([days, mean, max(map(len, states)), *parts.values(), grown / size.keys, grown / 1e6])
        goals.append(Goal(f"bytes an actor in the process, after {days} days", grown / size.keys, TARGET, "bytes"))
    title = f"bytes an actor, {size.keys:,} actors in one worker, store in memory"
    return Outcome("memory", title, COLUMNS, rows, goals)


if __name__ == "__main__":
    _states: list[bytes] = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes())
    print(orjson.dumps({"grown": held(_states, int(sys.argv[2]))}).decode())
