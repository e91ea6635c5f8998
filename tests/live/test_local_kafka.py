"""The local Kafka for real: a broker on this machine that is killed, orphaned, frozen, and taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

from monitor import local_kafka
from monitor.local_kafka import LocalKafka, LocalKafkaError
from monitor.local_kafka_dist import MAVEN_ENV

TOPIC = "lookup.events.v1"
DEADLINE = 20.0


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose name is a trap for settings files; no broker outlives the test."""
    path = tmp_path / "kafka, été"
    yield path
    local_kafka.stop(path, timeout=1)


def gone(pid: int) -> bool:
    """Whether the process ends before the deadline."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def produce(kafka: LocalKafka, value: bytes) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    producer.send(TOPIC, value).get(timeout=DEADLINE)
    producer.close()


def first_value(kafka: LocalKafka) -> bytes:
    consumer = KafkaConsumer(
        TOPIC,
        bootstrap_servers=kafka.bootstrap,
        group_id="desk",
        auto_offset_reset="earliest",
        consumer_timeout_ms=int(DEADLINE * 1000),
    )
    try:
        return next(consumer).value
    finally:
        consumer.close()


def cli(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitor.cli_kafka", *arguments],
        env={**os.environ, "COLUMNS": "200", **env},
        capture_output=True,
        text=True,
        timeout=90,
    )


def test_what_was_acknowledged_survives_a_crash_and_needs_no_network(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = local_kafka.start(folder)
    produce(kafka, b"looked up")
    with pytest.raises(local_kafka.AlreadyRunning, match=f"process {kafka.pid}"):
        local_kafka.start(folder)
    kafka.kill()
    assert not psutil.pid_exists(kafka.pid) or gone(kafka.pid)
    assert local_kafka.status(folder).running is False

    monkeypatch.setenv(MAVEN_ENV, "http://127.0.0.1:1")
    with local_kafka.start(folder) as again:
        assert (again.bootstrap, again.cluster_id) == (kafka.bootstrap, kafka.cluster_id)
        assert again.pid != kafka.pid
        assert first_value(again) == b"looked up"
        found = local_kafka.status(folder)
        assert (found.answers, found.pid, found.bootstrap) == (True, again.pid, again.bootstrap)
    assert local_kafka.status(folder).running is False
    assert (folder / "data" / ".kafka_cleanshutdown").exists()


PARENT = """
import sys, threading, time
from pathlib import Path
from monitor import local_kafka
kafka = []
thread = threading.Thread(target=lambda: kafka.append(local_kafka.start(Path(sys.argv[1]))))
thread.start(); thread.join()
print(kafka[0].pid, flush=True)
time.sleep(600)
"""


def test_a_tied_broker_ends_with_its_parent_even_by_kill_9_and_whatever_thread_started_it(folder: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    assert local_kafka.status(folder).answers
    watcher = psutil.Process(pid).ppid()
    parent.kill()
    parent.wait()
    assert gone(pid)
    assert gone(watcher)
    assert local_kafka.status(folder).running is False


def test_a_crash_while_formatting_and_a_stale_state_are_taken_over(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").write_text("version=1\n")
    (folder / "data.formatting").mkdir()
    (folder / "data.formatting" / "meta.properties").write_text("cluster.id=half\n")
    (folder / "state.json").write_text(f'{{"pid": {os.getpid()}, "port": 1, "controller_port": 2, "version": "4"}}')
    with local_kafka.start(folder) as kafka:
        produce(kafka, b"looked up")
        (folder / "state.json").unlink()
        assert local_kafka.status(folder).pid == kafka.pid


def test_a_broker_that_cannot_start_says_why_and_leaves_nothing(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").write_text("version=1\ncluster.id=LabcdefghijklmnopqrstA\nnode.id=7\n")
    with pytest.raises(LocalKafkaError, match="did not start: the Java process ended") as refused:
        local_kafka.start(folder)
    assert "node.id" in str(refused.value)
    assert local_kafka.status(folder).running is False


def test_the_command_line_starts_a_daemon_and_stops_it(folder: Path) -> None:
    data = ("--data", str(folder))
    assert cli("status", *data).returncode == 1

    started = cli("start", *data)
    assert started.returncode == 0, started.stderr
    found = local_kafka.status(folder)
    assert found.answers, "the daemon ended with the command"
    assert found.bootstrap is not None
    assert found.bootstrap in started.stdout

    again = cli("start", *data)
    assert again.returncode == 0
    assert "already running" in again.stdout
    assert found.bootstrap in again.stdout

    told = cli("status", *data)
    assert told.returncode == 0
    assert str(found.pid) in told.stdout

    assert cli("stop", *data).returncode == 0
    assert found.pid is not None
    assert gone(found.pid)
    assert cli("status", *data).returncode == 1
    assert "No Kafka was running" in cli("stop", *data).stdout

    taken = local_kafka.start(folder.with_name("other"))
    try:
        refused = cli("start", *data, "--port", taken.bootstrap.rpartition(":")[2])
        assert refused.returncode == 2
        assert f"is taken by process {taken.pid} (java)" in refused.stderr
    finally:
        taken.kill()


def test_a_frozen_broker_is_told_from_a_running_one_and_is_killed_by_stop(folder: Path) -> None:
    kafka = local_kafka.start(folder, tie_to_parent=False)
    os.kill(kafka.pid, signal.SIGSTOP)
    told = cli("status", "--data", str(folder))
    assert told.returncode == 2
    assert "does not answer" in told.stdout
    assert local_kafka.stop(folder, timeout=0.5) is True
    assert gone(kafka.pid)
    kafka.stop()  # gone already: does nothing
