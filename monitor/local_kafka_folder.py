"""The local broker's data folder: its state file, its format, its size, and the ports it may use."""

from __future__ import annotations

import base64
import contextlib
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

import msgspec
import psutil

from monitor import local_kafka_config as config
from monitor.local_kafka_dist import Distribution, LocalKafkaError


class State(msgspec.Struct, frozen=True):
    """What ``state.json`` keeps of the last start, to find its process and to use its ports again."""

    pid: int
    port: int
    controller_port: int
    version: str

    @property
    def bootstrap(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"


def usable_folder(data_dir: Path, min_free_bytes: int) -> Path:
    """The data folder as an absolute path, made when it is missing.

    Raises LocalKafkaError when it cannot be written to, or its disk has fewer than ``min_free_bytes`` free.
    """
    folder = data_dir.expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / "start.lock"
        probe.touch()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise LocalKafkaError(
            f"The data folder {folder} cannot be used: {error.strerror}. Choose one you may write to, with --data."
        ) from error
    if free < min_free_bytes:
        raise LocalKafkaError(
            f"The disk of {folder} is nearly full: {free / 1e6:,.0f} MB are free, Kafka needs at least "
            f"{min_free_bytes / 1e6:,.0f} MB. Free some space, or choose a folder on another disk (--data)."
        )
    return folder


def formatted(folder: Path, kafka: Distribution, deadline: float) -> str:
    """Format the storage unless it is; returns its cluster id. ``deadline`` is in monotonic seconds.

    It is formatted beside its place and then renamed, so a crash on the way leaves nothing that looks
    formatted. Raises LocalKafkaError when formatting fails, and when there are topics whose
    ``meta.properties`` is gone.
    """
    target, fresh = folder / config.LOG_DIR, folder / f"{config.LOG_DIR}.formatting"
    with contextlib.suppress(OSError):
        if cluster_id := config.cluster_id_of((target / "meta.properties").read_text()):
            return cluster_id
    if any(not log.parent.name.startswith("__cluster_metadata") for log in target.glob("*-*/*.log")):
        raise LocalKafkaError(
            f"{target} holds topics, but its meta.properties is missing or broken, so Kafka cannot use them. "
            "Put that file back, or move the folder away and start anew."
        )
    shutil.rmtree(target, ignore_errors=True)
    shutil.rmtree(fresh, ignore_errors=True)
    # The letter first: an id that began with a dash would be taken for an option.
    cluster_id = "L" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
    (folder / "format.properties").write_text(config.server_properties(9092, 9093, fresh.name))
    command = kafka.command("kafka.tools.StorageTool", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    command += ["format", "--cluster-id", cluster_id, "--config", "format.properties"]
    try:
        result = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=max(deadline - time.monotonic(), 1),
        )
    except subprocess.TimeoutExpired as error:
        raise LocalKafkaError(f"Formatting {folder} took too long. Is the machine very busy? Start again.") from error
    if result.returncode:
        output = result.stdout.decode(errors="replace")
        reason = config.explain_failure(output, str(folder), 128)
        raise LocalKafkaError(f"Kafka could not format {folder}. {reason}")
    fresh.rename(target)
    return cluster_id


def read_state(folder: Path) -> State | None:
    """What the last start noted, or None when there is nothing readable."""
    try:
        return msgspec.json.decode((folder / "state.json").read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):
        return None


def write_state(folder: Path, state: State) -> None:
    """Note a start, whole or not at all."""
    fresh = folder / "state.json.new"
    fresh.write_bytes(msgspec.json.encode(state))
    fresh.replace(folder / "state.json")


def bytes_on_disk(folder: Path) -> int:
    """Bytes the folder's files take on disk (Kafka's index files are mostly holes)."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # Kafka removes files as we look
            total += path.lstat().st_blocks * 512
    return total


def choose_ports(folder: Path, port: int | None) -> tuple[int, int]:
    """The broker's and the controller's port. Raises LocalKafkaError when the asked one is taken."""
    if port is not None and not _is_free(port):
        raise LocalKafkaError(f"Port {port} is taken{_holder(port)}. Stop that, or choose another port with --port.")
    last = read_state(folder)
    broker = port if port is not None else last.port if last and _is_free(last.port) else free_port()
    controller = last.controller_port if last and _is_free(last.controller_port) else free_port()
    while controller == broker:
        controller = free_port()
    return broker, controller


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As Java binds: connections of an earlier run that linger in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OverflowError as error:
            raise LocalKafkaError(f"{port} is not a port: choose one from 1 to 65535.") from error
        except PermissionError as error:
            raise LocalKafkaError(f"Port {port} needs special rights: choose one above 1023.") from error
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _holder(port: int) -> str:
    """Which process listens on the port, as words to append; nothing when the system does not tell."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            taken = connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
            if taken and connection.pid:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""
