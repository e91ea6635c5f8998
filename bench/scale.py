"""``python -m bench.scale``: how many more lookups two workers do than one, on this machine, with the broker beside them.

Every turn has a Kafka of its own, filled with the same lookups before workers start. Counted is what the workers do between a
fifth and nine tenths of the lookups, so that their start, the rebalance and the last chunks do not count. Other programs on
the machine take from both; so each turn's processor time is told too, which they take nothing from.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated, Final, NamedTuple

import orjson
import psutil
import typer
from kafka import KafkaAdminClient
from rich.console import Console

from bench.load import Load, lookups
from bench.ours.whole import reference_of
from monitor.commands.ingest import send_events, send_reference
from monitor.commands.run import spawn_worker, stop_workers
from monitor.local_kafka_folder import free_port
from monitor.settings import Settings
from monitor.stream import topics

_FIRST: Final = 0.2
_LAST: Final = 0.9
_LOOK_EVERY: Final = 0.1
_WITHIN: Final = 600.0
_COUNTED: Final = re.compile(r"^lookup_monitor_events_total\{.*\} (\S+)$", re.MULTILINE)
console = Console()


class Turn(NamedTuple):
    """What one turn gave: lookups a second, and the microseconds of processor time for a lookup, of workers and of the broker."""

    workers: int
    rate: float
    worker_us: float
    broker_us: float


class Look(NamedTuple):
    """How far the workers are: lookups counted, when, and the processor time of workers and broker so far, in seconds."""

    counted: int
    at: float
    workers: float
    broker: float


def turn_of(workers: int, first: Look, last: Look) -> Turn:
    """What happened between two looks. Raises ``ValueError`` when nothing did."""
    count = last.counted - first.counted
    if count <= 0:
        raise ValueError("nothing was counted between the two looks")
    rate = count / (last.at - first.at)
    return Turn(workers, rate, (last.workers - first.workers) / count * 1e6, (last.broker - first.broker) / count * 1e6)


def ratio_of(turns: list[Turn]) -> float:
    """How many times the lookups of one worker two do: the medians' ratio."""
    one, two = (median(turn.rate for turn in turns if turn.workers == count) for count in (1, 2))
    return two / one


@contextmanager
def _site(folder: Path, messages: list[bytes]) -> Iterator[tuple[Settings, int]]:
    """A Kafka filled with the lookups and what they need of reference data; its process id."""
    from monitor import local_kafka

    with local_kafka.start(folder / "kafka") as kafka:
        settings = Settings(bootstrap=kafka.bootstrap, pseudonyms="off")
        with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
            topics.create(admin, settings)
        send_reference(settings, map(orjson.dumps, reference_of(map(orjson.loads, messages))))
        send_events(settings, messages)
        yield settings, kafka.pid


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


def counted_by(port: int) -> int:
    """How many lookups the worker at this metrics port has counted; 0 when it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return int(sum(map(float, _COUNTED.findall(answer.read().decode()))))
    except OSError:
        return 0


def _turn(workers: int, messages: list[bytes]) -> Turn:
    with tempfile.TemporaryDirectory(prefix="lookup-monitor-") as name, ExitStack() as stack:
        folder = Path(name)
        settings, broker = stack.enter_context(_site(folder, messages))
        ports = [free_port() for _ in range(workers)]
        running: list[subprocess.Popen[bytes]] = []
        stack.callback(lambda: stop_workers(running))
        for number, port in enumerate(ports):
            own = settings.model_copy(update={"metrics_port": port})
            running.append(spawn_worker(own, folder / f"worker-{number}.log"))

        def reached(share: float) -> Look:
            deadline = time.monotonic() + _WITHIN
            while time.monotonic() < deadline:
                counts = [counted_by(port) for port in ports]
                if sum(counts) >= share * len(messages) and min(counts) > 0:
                    used = sum(cpu_of(each.pid) for each in running)
                    return Look(sum(counts), time.monotonic(), used, cpu_of(broker))
                time.sleep(_LOOK_EVERY)
            raise TimeoutError(f"{workers} workers did not come to {share:.0%} of the lookups in {_WITHIN:.0f} s")

        return turn_of(workers, reached(_FIRST), reached(_LAST))


def main(
    messages: Annotated[int, typer.Option(min=10_000, help="lookups in each turn")] = 100_000,
    repeat: Annotated[int, typer.Option(min=1, help="turns of each, one after the other in turns")] = 3,
    seed: Annotated[int, typer.Option(help="another seed gives other lookups")] = 1,
) -> None:
    """Measure one worker and two, in turns. Exit code 0: measured, 2: broken."""
    made = [each.value for each in lookups(Load(messages, actors=max(100, messages // 100), seed=seed))]
    turns: list[Turn] = []
    try:
        for _ in range(repeat):
            for workers in (1, 2):
                load = os.getloadavg()[0]
                turns.append(turn := _turn(workers, made))
                console.print(
                    f"{workers} worker{'s' * (workers > 1)}: {turn.rate:,.0f} lookups/s; a lookup takes {turn.worker_us:.0f} µs of "
                    f"processor time in workers, {turn.broker_us:.0f} in the broker (load before: {load:.1f})"
                )
    except (TimeoutError, ValueError, OSError) as error:
        console.print(f"broken: {error}", style="bold red", markup=False)
        sys.exit(2)
    console.print(f"two workers do {ratio_of(turns):.2f} times what one does, on {len(os.sched_getaffinity(0))} cores")


if __name__ == "__main__":
    typer.run(main)
