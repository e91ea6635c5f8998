"""Real Kafka for the tests in this folder, and waiting for conditions with a deadline."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pytest
from kafka import KafkaConsumer, TopicPartition

from monitor import alerts, local_kafka
from monitor.alerts import Alert
from monitor.commands.run import ensure_topics, spawn_worker, stop_workers
from monitor.settings import Settings
from monitor.stream.masking import mask_of, with_local_keys

T = TypeVar("T")


def wait_for(condition: Callable[[], T | None], seconds: float, what: str) -> T:
    """The condition's first true value; fails when the deadline passes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


def encoded(settings: Settings, found: Iterable[Alert]) -> dict[str, bytes]:
    """Alerts by id, in the form in which workers with these settings write them."""
    mask = mask_of(settings)
    masked = found if mask is None else map(mask.alert, found)
    return {alert.id: alerts.encode(alert) for alert in masked}


class Service:
    """Kafka with the monitor's topics, and workers as processes of their own."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(self, metrics_port: int = 0, more: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a worker, with ``more`` in its environment; its output goes to ``worker-N.log``."""
        settings = self.settings.model_copy(update={"metrics_port": metrics_port})
        process = spawn_worker(settings, self.folder / f"worker-{len(self.workers)}.log", more)
        self.workers.append(process)
        return process

    def start(self, command: str, metrics_port: int) -> subprocess.Popen[bytes]:
        """Start another process of the monitor, which is stopped with the workers; its output goes to ``<command>.log``."""
        settings = self.settings.model_copy(update={"metrics_port": metrics_port})
        process = spawn_worker(settings, self.folder / f"{command}.log", command=command)
        self.workers.append(process)
        return process

    def monitor(
        self, *arguments: str, stdin: bytes | None = None, more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a user would, with ``more`` in its environment."""
        environment = {
            **os.environ,
            "LOOKUP_MONITOR_BOOTSTRAP": self.settings.bootstrap,
            "COLUMNS": "240",
            "LOOKUP_MONITOR_PARTITIONS": str(self.settings.partitions),
            "XDG_DATA_HOME": str(self.folder),
            **(more or {}),
        }
        done = subprocess.run(
            [sys.executable, "-m", "monitor", *arguments],
            env=environment,
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def ends(self, topic: str) -> list[int]:
        """The end of each of a topic's partitions now."""
        consumer = KafkaConsumer(bootstrap_servers=self.settings.bootstrap, enable_auto_commit=False)
        try:
            parts = [TopicPartition(topic, number) for number in range(self.settings.partitions)]
            ends = consumer.end_offsets(parts)
            return [ends[part] for part in parts]
        finally:
            consumer.close()

    def read(self, topic: str, partitions: int | None = None, since: list[int] | None = None) -> list[object]:
        """Everything in a topic now, from the offsets ``since`` (by partition) on."""
        count = partitions or self.settings.partitions
        consumer = KafkaConsumer(bootstrap_servers=self.settings.bootstrap, enable_auto_commit=False)
        try:
            parts = [TopicPartition(topic, number) for number in range(count)]
            consumer.assign(parts)
            for part, start in zip(parts, since or [0] * count, strict=True):
                consumer.seek(part, start)
            ends = consumer.end_offsets(parts)
            found: list[object] = []
            while any(consumer.position(part) < ends[part] for part in parts):
                for records in consumer.poll(timeout_ms=500).values():
                    found += records
            return found
        finally:
            consumer.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A fresh Kafka with the topics; workers that a test started are stopped after it."""
    with local_kafka.start(tmp_path / "kafka") as kafka:
        settings = with_local_keys(Settings(bootstrap=kafka.bootstrap), tmp_path / "lookup-monitor" / "keys")
        ensure_topics(settings)
        running = Service(settings, tmp_path)
        try:
            yield running
        finally:
            stop_workers(running.workers)
