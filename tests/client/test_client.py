"""The client: what it refuses, what a kill leaves, and the order in which Kafka gets what it did not take at first."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from monitor.client import BadEvent, LookupClient, SpoolError, SpoolFull, SpoolLocked
from monitor.client.spool import Spool
from tests.client.made import lookup

NOWHERE = "127.0.0.1:1"


class Faulty:
    """A log that takes a batch a partition or none of it, by chance, and may not say that it did; it speaks kafka-python's protocol."""

    def __init__(self, rng: random.Random, partitions: int = 3) -> None:
        self.rng, self.logs = rng, [[] for _ in range(partitions)]  # type: ignore[var-annotated]
        self.waiting: list[tuple[bytes, bytes, Any]] = []
        self.open = 0

    def __call__(self) -> Faulty:
        if self.rng.random() < 0.3:
            raise OSError("no broker")
        return self

    def send(self, topic: str, key: bytes, value: bytes) -> Any:
        from types import SimpleNamespace

        future = SimpleNamespace(is_ok=False, exception=TimeoutError())
        future.succeeded = lambda: future.is_ok
        self.waiting.append((key, value, future))
        return future

    def flush(self, timeout: float) -> None:
        waiting, self.waiting = self.waiting, []
        for number, log in enumerate(self.logs):
            fate = self.rng.random()
            mine = [each for each in waiting if sum(each[0]) % len(self.logs) == number]
            if fate < 0.75:
                log += [value for _, value, _ in mine]
            for _, _, future in mine:
                future.is_ok = fate < 0.6

    def close(self, timeout: float) -> None:
        self.waiting = []


@pytest.mark.parametrize("seed", range(3))
def test_within_an_actor_nothing_is_lost_or_reordered_whatever_kafka_takes(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitor.client import sending

    monkeypatch.setattr(sending, "_PAUSE_MIN", 0.001)
    monkeypatch.setattr(sending, "_PAUSE_MAX", 0.002)
    log = Faulty(random.Random(seed))
    with LookupClient(tmp_path, NOWHERE, connect=log, fsync_ms=50, number=True) as client:
        for number in range(1500):
            client.report(lookup(number))
        assert client.flush(60)
        assert client.stats().retries > 0
    for part in log.logs:
        by_actor: dict[str, list[int]] = {}
        for value in part:
            found = orjson.loads(value)
            seen = by_actor.setdefault(found["actor"]["id"], [])
            if found["seq"] not in seen[-256:]:  # as the monitor does
                seen.append(found["seq"])
        assert all(seen == sorted(set(seen)) for seen in by_actor.values())
    assert {orjson.loads(value)["seq"] for part in log.logs for value in part} == set(range(1, 1501))


def test_killed_at_any_moment_it_has_all_that_it_took_and_no_number_twice(tmp_path: Path) -> None:
    rng, said = random.Random(5), 0
    for _ in range(4):
        command = [sys.executable, "-m", "tests.client.made", str(tmp_path), str(said)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(rng.randrange(1, 400)):
                said = int(process.stdout.readline()) + 1
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
        # The last line may be half of one.
        said = int(rest[-2]) + 1 if len(rest) > 1 else said
        kept = reported(tmp_path)
        assert kept >= said, "what was said to be taken is there"
        said = kept
    spool = Spool(tmp_path)
    found = []
    while records := spool.peek(500, 10**6):
        found += [orjson.loads(each.value) for each in records]
    assert [each["seq"] for each in found] == list(range(1, len(found) + 1))
    assert [each["id"] for each in found] == [f"x-{number}" for number in range(len(found))]
    spool.close()


def reported(folder: Path) -> int:
    """How many lookups are in a spool of which Kafka has none; none that was said to be taken may be missing."""
    spool = Spool(folder)
    spool.close()
    return spool.end


def test_what_is_no_lookup_is_refused_where_it_is_made(tmp_path: Path) -> None:
    with LookupClient(tmp_path, NOWHERE) as client:
        for bad, reason in (
            ({**lookup(1), "action": "delete"}, "wrong-field"),
            ({**lookup(1), "time": "2026-11-24T09:15:02"}, "time-without-offset"),
            ({"id": "1"}, "missing-field"),
            ({**lookup(1), "time": object()}, "not-json"),
            (b"{", "not-json"),
            (b"x" * 600_000, "too-large"),
        ):
            with pytest.raises(BadEvent) as refused:
                client.report(bad)  # type: ignore[arg-type]
            assert refused.value.reason == reason
        assert client.stats()[:2] == (0, 6)
        client.report(lookup(1))
        assert client.stats().waiting == 1
        client.close(0)


def test_it_may_be_sent_nevertheless_so_that_it_lies_in_the_dlq(tmp_path: Path) -> None:
    with LookupClient(tmp_path, NOWHERE, invalid="dlq", number=True) as client:
        client.report(b"{")
        client.report({"id": "1", "actor": {"id": "o-1"}})
        client.report(b'{"actor": {"id": "\\ud800"}}')
        client.close(0)
    spool = Spool(tmp_path)
    assert [(each.key, each.value[:8]) for each in spool.peek(9, 10**6)] == [
        (None, b"{"),
        (b"o-1", b'{"id":"1'),
        (None, b'{"actor"'),
    ]
    spool.close()


def test_a_number_that_is_there_already_is_not_written_over(tmp_path: Path) -> None:
    with LookupClient(tmp_path, NOWHERE, number=True) as client:
        with pytest.raises(BadEvent, match="numbers lookups itself"):
            client.report({**lookup(1), "seq": 9})
        client.close(0)


def test_numbers_go_on_after_a_restart_and_heartbeats_say_the_last(tmp_path: Path) -> None:
    log = Faulty(random.Random(1), partitions=1)
    log.rng.random = lambda: 0.5  # type: ignore[method-assign]
    for start in (0, 5):
        with LookupClient(
            tmp_path, NOWHERE, connect=log, number=True, system="bvi", source="m1", fsync_ms=20
        ) as client:
            for number in range(start, start + 5):
                client.report(lookup(number))
            assert client.beat()
            assert client.flush(20)
    found = [orjson.loads(value) for value in log.logs[0]]
    assert [each["seq"] for each in found] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10]
    assert [each.get("kind") for each in found[5::6]] == ["heartbeat", "heartbeat"]
    assert {each["source"] for each in found} == {"m1"}


def test_heartbeats_come_by_themselves_and_do_not_pile_up(tmp_path: Path) -> None:
    with LookupClient(tmp_path, NOWHERE, system="bvi", heartbeat_s=0.02, fsync_ms=20) as client:
        deadline = threading.Event()
        while client.stats().waiting < 1:
            deadline.wait(0.01)
        deadline.wait(0.2)
        assert client.stats().waiting == 1
        assert not client.beat()
        client.close(0)


def test_many_threads_report_and_each_gets_its_number(tmp_path: Path) -> None:
    with LookupClient(tmp_path, NOWHERE, number=True, fsync_ms=50) as client, ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda number: client.report(lookup(number)), range(400)))
        client.close(0)
    assert sorted(numbers) == list(range(400))


def test_beyond_the_limit_the_caller_is_told(tmp_path: Path) -> None:
    with LookupClient(tmp_path, NOWHERE, limit_bytes=100_000, fsync_ms=50) as client:
        while client.stats().bytes < 99_500:
            client.report(lookup(1))
        with pytest.raises(SpoolFull, match="messages wait for Kafka"):
            client.report({**lookup(1), "more": "x" * 600})
        assert client.stats().waiting == client.stats().reported > 100
        client.close(0)


def test_two_of_a_folder_and_a_child_after_a_fork_are_refused(tmp_path: Path) -> None:
    with LookupClient(tmp_path, NOWHERE) as client:
        with pytest.raises(SpoolLocked):
            LookupClient(tmp_path, NOWHERE)
        client._pid += 1
        with pytest.raises(SpoolError, match="fork"):
            client.report(lookup(1))
        client._pid = os.getpid()
        client.close(0)


def test_metrics_name_nobody(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    with LookupClient(tmp_path, NOWHERE) as client:
        client.register(registry)
        client.report(lookup(1))
        text = generate_latest(registry).decode()
        client.close(0)
    assert "lookup_client_reported_total 1.0" in text
    assert "lookup_client_waiting 1.0" in text
    assert "{" not in text


def test_importing_it_is_light() -> None:
    code = (
        "import sys, monitor.client; "
        "heavy = {'faust', 'aiokafka', 'river', 'pydantic', 'prometheus_client', 'numpy', 'sigma', 'typer', 'rich', 'msgspec', 'kafka'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
