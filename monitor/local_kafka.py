"""A real Apache Kafka on this machine: one node, 127.0.0.1 only, from the ``local`` extra alone.

    with start(Path("data/kafka")) as kafka:
        ...  # kafka.bootstrap

The data folder keeps everything: topics (``data/``), settings, log (``kafka.log``), and which process runs
(``state.json``). Start the same folder again and it goes on, also after a crash. Linux and macOS.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

import psutil

from monitor import local_kafka_config as config
from monitor import local_kafka_watch as watch
from monitor.local_kafka_dist import Distribution, LocalKafkaError, Say, distribution, file_lock
from monitor.local_kafka_folder import (
    State,
    bytes_on_disk,
    choose_ports,
    formatted,
    read_state,
    usable_folder,
    write_state,
)

__all__ = ["AlreadyRunning", "LocalKafka", "LocalKafkaError", "Status", "start", "status", "stop"]

MIN_FREE_BYTES: Final = 1_000_000_000
MIN_HEAP_MB: Final = 128
STOP_TIMEOUT: Final = 15.0

_MAIN: Final = "kafka.Kafka"
_PORT_TRIES: Final = 3
_LOOK_EVERY: Final = 0.1  # seconds


class AlreadyRunning(LocalKafkaError):
    """A live broker holds the data folder."""


@dataclass(frozen=True)
class Status:
    """How a data folder's broker is: ``answers`` is False for a process that does not serve clients (yet)."""

    running: bool
    answers: bool
    pid: int | None
    bootstrap: str | None
    version: str | None
    data_bytes: int
    since: datetime | None


@dataclass
class LocalKafka:
    """A running broker; as a context manager it is stopped at the end. ``pid`` is the JVM's."""

    bootstrap: str
    data_dir: Path
    pid: int
    cluster_id: str
    _process: subprocess.Popen[bytes] = field(repr=False, compare=False)

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Stop the broker in order; after ``timeout`` seconds kill it. Does nothing when it is gone."""
        if self._process.poll() is None:
            _signal_group(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """Kill the broker's whole process group at once, as a crash would."""
        if self._process.poll() is None:
            _signal_group(self._process.pid, signal.SIGKILL)
            self._process.wait()
        _wait_gone(self.pid, STOP_TIMEOUT)

    def __enter__(self) -> LocalKafka:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    data_dir: Path,
    *,
    port: int | None = None,
    heap_mb: int = 512,
    tie_to_parent: bool = True,
    timeout: float = 60,
    min_free_bytes: int = MIN_FREE_BYTES,
    say: Say = lambda _: None,
    relay: tuple[int, int] | None = None,
) -> LocalKafka:
    """Start the broker of ``data_dir`` and return when it serves clients.

    ``port`` is the broker's; without it the last one is used again when it is free, else a free one.
    ``heap_mb`` is the JVM's heap in MB. With ``tie_to_parent`` the broker ends when this process does,
    however it dies. ``timeout`` (seconds) is for the broker's start, not for the first start's download, of
    which ``say`` is told. ``relay`` is as in :func:`monitor.local_kafka_config.server_properties`.

    Raises AlreadyRunning when a live broker holds the folder, and LocalKafkaError when it cannot be started.
    """
    if heap_mb < MIN_HEAP_MB:
        raise LocalKafkaError(f"{heap_mb} MB of heap is too small for Kafka: give it at least {MIN_HEAP_MB} MB.")
    folder = usable_folder(data_dir, min_free_bytes)
    with file_lock(folder / "start.lock", timeout):
        if pid := _live_pid(folder):
            raise AlreadyRunning(
                f"A Kafka (process {pid}) already runs on {folder}. Use it, or stop it first: "
                f"monitor kafka stop --data {folder}"
            )
        kafka = distribution(say)
        deadline = time.monotonic() + timeout
        cluster_id = formatted(folder, kafka, deadline)
        return _run(folder, kafka, cluster_id, port, heap_mb, tie_to_parent, deadline, relay)


def stop(data_dir: Path, timeout: float = STOP_TIMEOUT) -> bool:
    """Stop the broker of ``data_dir``, whoever started it; after ``timeout`` seconds it is killed.

    Returns whether one was running. Raises LocalKafkaError when it may not be stopped (another user's) or
    stays.
    """
    folder = data_dir.expanduser().resolve()
    pid = _live_pid(folder)
    if pid is None:
        return False
    try:
        group = os.getpgid(pid)
        _signal_group(group, signal.SIGTERM)
        if not _wait_gone(pid, timeout):
            _signal_group(group, signal.SIGKILL)
            if not _wait_gone(pid, timeout):
                raise LocalKafkaError(f"Process {pid} (Kafka on {folder}) does not end, even when killed.")
    except ProcessLookupError:
        pass  # it ended by itself in this moment
    except PermissionError as error:
        raise LocalKafkaError(
            f"Process {pid} (Kafka on {folder}) belongs to another user, who must stop it."
        ) from error
    return True


def status(data_dir: Path) -> Status:
    """How the broker of ``data_dir`` is. Changes nothing; a folder that does not exist has no broker."""
    folder = data_dir.expanduser().resolve()
    state, pid = read_state(folder), _live_pid(folder)
    since = None
    with contextlib.suppress(psutil.Error):
        since = datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC) if pid else None
    return Status(
        running=pid is not None,
        answers=bool(pid and state and _answers(state.port)),
        pid=pid,
        bootstrap=state.bootstrap if state and pid else None,
        version=state.version if state else None,
        data_bytes=bytes_on_disk(folder),
        since=since,
    )


class _Failed(Exception):
    def __init__(self, what: str, output: str) -> None:
        super().__init__(what)
        self.output = output


def _run(
    folder: Path,
    kafka: Distribution,
    cluster_id: str,
    port: int | None,
    heap_mb: int,
    tie_to_parent: bool,
    deadline: float,
    relay: tuple[int, int] | None,
) -> LocalKafka:
    """Launch the broker and wait until it serves clients; nothing is left running when that fails."""
    for attempt in range(1, _PORT_TRIES + 1):
        run = _launch(folder, kafka, choose_ports(folder, port), heap_mb, tie_to_parent, cluster_id, relay)
        try:
            return _ready(run, deadline)
        except _Failed as failed:
            run.kill()
            # Between our look at the port and Kafka's bind, another process may take it.
            if attempt == _PORT_TRIES or not config.bind_failed(failed.output):
                reason = config.explain_failure(failed.output, str(folder), heap_mb)
                raise LocalKafkaError(f"Kafka did not start: {failed}. {reason}") from failed
        except BaseException:
            run.kill()  # an interrupt leaves nothing behind
            raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def _launch(
    folder: Path,
    kafka: Distribution,
    ports: tuple[int, int],
    heap_mb: int,
    tie_to_parent: bool,
    cluster_id: str,
    relay: tuple[int, int] | None,
) -> LocalKafka:
    """Start the JVM in its own session and note it in the state file; it need not be ready yet."""
    (folder / config.SERVER_FILE).write_text(config.server_properties(*ports, relay=relay))
    (folder / "log4j2.xml").write_text(config.LOG4J2)
    with contextlib.suppress(FileNotFoundError):  # each run has its own log, and the last run's is kept
        (folder / config.LOG_FILE).replace(folder / "kafka.previous.log")
    options = [
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:ErrorFile=jvm-crash.log",
    ]
    options += [f"-Dlog4j2.configurationFile={(folder / 'log4j2.xml').as_uri()}", "-Djava.awt.headless=true"]
    # The absolute path is what tells this broker from any other: see _is_ours.
    command = [*kafka.command(_MAIN, *options), str(folder / config.SERVER_FILE)]
    if tie_to_parent:
        command = [
            sys.executable,
            "-I",
            "-S",
            str(Path(watch.__file__).resolve()),
            str(os.getpid()),
            *command,
        ]
    with (folder / "console.log").open("wb") as console:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if tie_to_parent else console,
            stderr=console,
            start_new_session=True,
        )
    pid = process.pid
    if process.stdout is not None:
        with process.stdout as line:
            pid = int(line.readline() or process.pid)
    state = State(pid, *ports, kafka.version)
    write_state(folder, state)
    return LocalKafka(state.bootstrap, folder, pid, cluster_id, process)


def _ready(run: LocalKafka, deadline: float) -> LocalKafka:
    """Wait until the broker answers a client. Raises _Failed when its process ends or the time is up."""
    port = int(run.bootstrap.rpartition(":")[2])
    while time.monotonic() < deadline:
        if (code := run._process.poll()) is not None:
            raise _Failed(f"the Java process ended with code {code}", _output(run.data_dir))
        if _answers(port):
            return run
        time.sleep(_LOOK_EVERY)
    raise _Failed("it did not answer in time", _output(run.data_dir))


def _output(folder: Path) -> str:
    texts = []
    for name in (config.LOG_FILE, "console.log"):
        with contextlib.suppress(OSError):
            texts.append((folder / name).read_text(errors="replace"))
    return "\n".join(texts)


def _answers(port: int) -> bool:
    """Whether a broker that serves clients is on the port: it answers a real request, and lists itself."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as link:
            link.sendall(config.metadata_request())
            with link.makefile("rb") as stream:
                length = int.from_bytes(stream.read(4), "big")
                return ("127.0.0.1", port) in config.brokers_in(stream.read(min(length, 65536)))
    except (OSError, ValueError):
        return False


def _live_pid(folder: Path) -> int | None:
    """The pid of this folder's live broker: the noted one when it is that, else found by its command."""
    state = read_state(folder)
    if state and _is_ours(state.pid, folder):
        return state.pid
    if (folder / config.SERVER_FILE).exists():
        # A start that was killed before it noted the pid, or a lost state file.
        return next((pid for pid in psutil.pids() if _is_ours(pid, folder)), None)
    return None


def _is_ours(pid: int, folder: Path) -> bool:
    """Whether ``pid`` lives and is this folder's broker, and not a later process with the same number."""
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        alive = process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False
    # The watcher's command ends in the broker's own, which it started.
    is_watcher = str(Path(watch.__file__).resolve()) in command
    return alive and not is_watcher and command[-2:] == [_MAIN, str(folder / config.SERVER_FILE)]


def _wait_gone(pid: int, timeout: float) -> bool:
    """Wait until the process is gone; a zombie counts as gone, since in a container nobody may collect it."""
    deadline = time.monotonic() + timeout
    for state in _states(pid):
        if state is None or state == psutil.STATUS_ZOMBIE:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _states(pid: int) -> Iterator[str | None]:
    while True:
        try:
            yield psutil.Process(pid).status()
        except psutil.NoSuchProcess:
            yield None


def _signal_group(group: int, number: signal.Signals) -> None:
    if group == os.getpgrp():
        raise LocalKafkaError("The broker is in this process's own group, which a signal to it would end too.")
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
