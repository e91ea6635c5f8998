"""The broker and the workers as processes, and the faults that can be done to them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import psutil

from monitor import local_kafka
from monitor.commands.run import ensure_topics, spawn_worker, stop_workers
from monitor.settings import ENV_PREFIX, Settings
from tests.torture.disk import Disk
from tests.torture.link import Link

FEWEST, MOST = 2, 3
_STOP_WITHIN = 30.0
_DEPLOY_TRIES = 3
#: The time of day as the workers see it: the seconds in a file are added to it.
_CLOCK = """
import os, time
_now = time.time
def _shifted():
    try:
        with open(os.environ["TORTURE_CLOCK"]) as file:
            return _now() + float(file.read())
    except OSError:
        return _now()
time.time = _shifted
from monitor.model import scorer
scorer.WARM_UP, scorer.WARM_DAYS, scorer.SETTLED = %r
"""
#: After how many lookups, actor-days, and lookups of an actor the model judges here: the traffic is too short for the usual.
SOONER = 300, 20, 40
#: Longer than a session: by then somebody else has taken over what a killed worker had.
_FULL_FOR = 15.0
#: Below the ports that clients are given: one that looks for a dead broker must not get the broker's port for itself.
_PORTS = range(19092, 19292)


def free_port(taken: tuple[int, ...] = ()) -> int:
    """A port that nobody has, nor any client may be given. Raises ``OSError``."""
    # Not all from the first one on: a broker that is away for a while must find its port free when it comes back.
    first = os.getpid() % len(_PORTS)
    for port in (*_PORTS[first:], *_PORTS[:first]):
        if port in taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port for Kafka")


class Fleet:
    """A real Kafka and worker processes. As a context manager it leaves nothing running.

    Every fault is a method named in :attr:`faults`; it returns what it did, in words. ``rule_folders`` are deployed in turn.
    ``ended`` counts workers that ended although nobody ended them: like `monitor up`, :meth:`mend` starts them again.
    Workers speak with the broker through a :class:`Link`, the rest directly. Two workers in three keep state in RocksDB, on a small
    :class:`Disk`, the others in memory.
    """

    def __init__(self, folder: Path, settings: Settings, rule_folders: list[Path], rng: Random) -> None:
        self.folder = folder
        self._rng = rng
        self._rule_folders = rule_folders
        self._deployed = 0
        self._started = 0
        self.ended = 0
        self.workers: list[subprocess.Popen[bytes]] = []
        self._port = free_port()
        before = free_port((self._port,))
        behind = free_port((self._port, before))
        self._relay = before, behind
        self.link = Link(*self._relay)
        self._kafka = self._start_broker()
        self._disk = Disk(folder / "disk")
        self._on_disk: set[int] = set()
        self.settings = settings.model_copy(update={"bootstrap": self._kafka.bootstrap, "metrics_port": 0})
        self.faults: dict[str, Callable[[], str]] = {
            "kill": self.kill,
            "freeze": self.freeze,
            "terminate": self.terminate,
            "resize": self.resize,
            "broker": self.restart_broker,
            "deploy": self.deploy,
            "slow": self.slow_broker,
            "line": self.slow_line,
            "cut": self.cut_line,
            "disk": self.fill_disk,
            "clock": self.turn_clock,
        }
        #: The names of the faults to come, each as often as it is to come in a round.
        self.draw = list(self.faults)
        self._clocks = folder / "clocks"
        self._clocks.mkdir(parents=True)
        (self._clocks / "sitecustomize.py").write_text(_CLOCK % (SOONER,))

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
        stop_workers(self.workers)
        self._kafka.stop()
        self.link.stop()
        self._disk.unmount()

    def begin(self) -> None:
        """Create the topics."""
        ensure_topics(self.settings)

    def add(self) -> None:
        """Start one more worker."""
        self._started += 1
        # A Python that finds this module in its path runs it at its start.
        more = {"PYTHONPATH": str(self._clocks), "TORTURE_CLOCK": str(self._clocks / "offset")}
        on_disk = self._started % 3 != 0
        wanted = {
            "bootstrap": f"127.0.0.1:{self.link.port}",
            "store": "rocksdb" if on_disk else "memory",
            "state_dir": self._disk.folder / "state",
        }
        settings = self.settings.model_copy(update=wanted)
        worker = spawn_worker(settings, self.folder / f"worker-{self._started}.log", more)
        self.workers.append(worker)
        if on_disk:
            self._on_disk.add(worker.pid)

    def mend(self) -> list[str]:
        """Start again what ended by itself; say of each what it was."""
        dead = [worker for worker in self.workers if worker.poll() is not None]
        for worker in dead:
            self.workers.remove(worker)
            self.add()
        self.ended += len(dead)
        return [f"worker {each.pid} had ended by itself with code {each.returncode}; started again" for each in dead]

    def kill(self) -> str:
        """kill -9 of a worker, and a new one in its place."""
        worker = self._take()
        worker.kill()
        worker.wait()
        self.add()
        return f"kill -9 of worker {worker.pid}"

    def freeze(self) -> str:
        """SIGSTOP of a worker until the group has given its partitions away, then SIGCONT."""
        worker = self._rng.choice(self.workers)
        seconds = self.settings.session_timeout + self._rng.uniform(1.0, 2.5)
        worker.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        worker.send_signal(signal.SIGCONT)
        return f"worker {worker.pid} frozen for {seconds:.1f} s"

    def terminate(self) -> str:
        """SIGTERM of a worker, and a new one in its place."""
        worker = self._take()
        said = self._end(worker)
        self.add()
        return f"SIGTERM of worker {worker.pid}: {said}"

    def resize(self) -> str:
        """One worker more, or one less."""
        if len(self.workers) < MOST:
            self.add()
            return f"worker {self.workers[-1].pid} added"
        worker = self._take()
        return f"worker {worker.pid} removed: {self._end(worker)}"

    def restart_broker(self) -> str:
        """kill -9 of the broker; it comes back on the same data folder and port."""
        self._kafka.kill()
        seconds = self._rng.uniform(0.0, 2.0)
        time.sleep(seconds)
        self._kafka = self._start_broker()
        return f"kill -9 of the broker, down for {seconds:.1f} s and its start"

    def _start_broker(self) -> local_kafka.LocalKafka:
        return local_kafka.start(self.folder / "kafka", port=self._port, relay=self._relay)

    def slow_line(self) -> str:
        """Everything between workers and broker takes its time, on a thin line, for longer than a session."""
        self.link.delay = self._rng.uniform(0.05, 0.4)
        self.link.rate = self._rng.uniform(100_000, 1_000_000)
        seconds = self.settings.session_timeout + self._rng.uniform(0.0, 6.0)
        said = f"line of {self.link.rate / 1000:.0f} kB/s with {self.link.delay:.2f} s each way, for {seconds:.1f} s"
        time.sleep(seconds)
        self.mend_line()
        return said

    def mend_line(self) -> None:
        """The line is as fast as the machine."""
        self.link.delay, self.link.rate = 0.0, None

    def cut_line(self) -> str:
        """All connections of the workers end at once, whatever was on its way."""
        return f"{self.link.cut()} connections cut"

    def fill_disk(self) -> str:
        """The disk of the state is full for some seconds, and a worker is killed meanwhile: whoever takes its partitions over, or
        writes much, ends. Then the disk is empty again."""
        victim = self._take()
        if all(worker.pid not in self._on_disk for worker in self.workers):
            self._started += self._started % 3 == 2
            self.add()
        using = [worker for worker in self.workers if worker.pid in self._on_disk]
        pids = [worker.pid for worker in using]
        free = self._disk.free()
        self._disk.fill(pids)
        try:
            began = time.monotonic()
            victim.kill()
            victim.wait()
            self.add()
            while time.monotonic() < began + _FULL_FOR and any(worker.poll() is None for worker in using):
                time.sleep(0.1)
            seconds = time.monotonic() - began
        finally:
            self._disk.empty(pids)
        ended = sum(worker.poll() is not None for worker in using)
        how = f"{free / 1e6:.0f} MB filled" if self._disk.is_mounted else "files may not grow"
        return (
            f"disk of the state full ({how}) for {seconds:.1f} s, kill -9 of worker {victim.pid}: "
            f"{ended} of {len(using)} workers that use it ended"
        )

    def slow_broker(self) -> str:
        """SIGSTOP and SIGCONT of the broker, a few times: it answers, but late."""
        stops = [self._rng.uniform(0.3, 2.5) for _ in range(4)]
        broker = psutil.Process(self._kafka.pid)
        for seconds in stops:
            broker.suspend()
            time.sleep(seconds)
            broker.resume()
            time.sleep(0.3)
        return "broker stopped for " + ", ".join(f"{seconds:.1f}" for seconds in stops) + " s"

    def turn_clock(self) -> str:
        """The clocks of all workers jump, by up to three hours, until the next time."""
        seconds = self._rng.uniform(-10_800, 10_800)
        self._set_clock(seconds)
        return f"clocks of the workers are {seconds / 60:+.0f} minutes off"

    def mend_clock(self) -> None:
        """The clocks of all workers are right again."""
        self._set_clock(0)

    def _set_clock(self, seconds: float) -> None:
        fresh = self._clocks / "offset.new"
        fresh.write_text(str(seconds))
        fresh.replace(self._clocks / "offset")

    def deploy(self) -> str:
        """Other rules, as a user deploys them."""
        self._deployed += 1
        folder = self._rule_folders[self._deployed % len(self._rule_folders)]
        environment = {
            **os.environ,
            f"{ENV_PREFIX}BOOTSTRAP": self.settings.bootstrap,
            f"{ENV_PREFIX}PARTITIONS": str(self.settings.partitions),
        }
        command = [sys.executable, "-m", "monitor", "rules", "deploy", str(folder)]
        for _ in range(_DEPLOY_TRIES):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
            if done.returncode == 0:
                return done.stdout.strip()
        raise OSError(f"monitor rules deploy failed: {done.stderr.strip()}")

    def stop_workers(self) -> None:
        """End all workers in order."""
        stop_workers(self.workers, _STOP_WITHIN)
        self.workers.clear()

    def _take(self) -> subprocess.Popen[bytes]:
        worker = self._rng.choice(self.workers)
        self.workers.remove(worker)
        return worker

    @staticmethod
    def _end(worker: subprocess.Popen[bytes]) -> str:
        worker.terminate()
        try:
            return f"ended with code {worker.wait(_STOP_WITHIN)}"
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
            return f"did not end within {_STOP_WITHIN:.0f} s, killed"
