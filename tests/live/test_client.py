"""The client and ``monitor ship`` against a real broker that is killed, in a process that is killed: all comes, in each actor's order."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
from conftest import Service, wait_for
from test_pipeline import free_port

from monitor import local_kafka
from monitor.client import LookupClient
from monitor.client.spool import state_of
from monitor.commands.run import ensure_topics
from monitor.settings import Settings
from monitor.stream.topics import EVENTS, partition_of


def deduplicated(records: list[Any]) -> dict[str, list[int]]:
    """The numbers of each actor's lookups in their order, without those that come again within 256, as the monitor leaves them out."""
    found: dict[str, list[int]] = {}
    for record in records:
        event = orjson.loads(record.value)
        actor = event["actor"]["id"]
        assert record.key == actor.encode()
        assert record.partition == partition_of(actor, 4)
        seen = found.setdefault(actor, [])
        if event["seq"] not in seen[-256:]:
            seen.append(event["seq"])
    return found


def test_nothing_is_lost_or_reordered_when_broker_and_client_are_killed(tmp_path: Path) -> None:
    rng, folder, spool, port = random.Random(3), tmp_path / "kafka", tmp_path / "spool", free_port()
    settings = Settings(bootstrap=f"127.0.0.1:{port}")
    kafka = local_kafka.start(folder, port=port)
    running: list[subprocess.Popen[str]] = []
    try:
        ensure_topics(settings)
        told = 0

        def begin() -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "tests.client.made", str(spool), str(told), settings.bootstrap, "2"]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            return running[-1]

        def read(process: subprocess.Popen[str], count: int) -> int:
            assert process.stdout is not None
            return [int(process.stdout.readline()) for _ in range(count)][-1] + 1

        def kill(process: subprocess.Popen[str]) -> int:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            # What it took and could not say any more: the numbers tell.
            return state_of(spool)[0].seq

        process = begin()
        told = read(process, rng.randrange(300, 600))
        told = kill(process)
        process = begin()
        told = read(process, 400)
        kafka.kill()
        told = read(process, 300)
        told = kill(process)  # with all of it in the spool
        assert state_of(spool)[0].waiting >= 300
        process = begin()
        told = read(process, 200)
        kafka = local_kafka.start(folder, port=port)
        told = read(process, 300)
        told = kill(process)
        with LookupClient(spool, settings.bootstrap) as client:
            assert client.flush(60), client.stats()
        assert state_of(spool)[0].waiting == 0
        service = Service(settings, tmp_path)
        found = deduplicated(service.read(EVENTS))
        assert all(numbers == sorted(set(numbers)) for numbers in found.values())
        assert sorted(each for numbers in found.values() for each in numbers) == list(range(1, told + 1))
        ships(service)
    finally:
        for each in running:
            each.kill()
            each.wait(10)
        kafka.stop()


CSV = "ID;AT;WHO;WHAT\n" + "".join(f"s-{n};2026-11-20T09:15:{n:02}+01:00;o-{n % 7};p-{n}\n" for n in range(40))
MAPPING = """
format: csv
delimiter: ";"
fields: {id: ID, time: AT, system: {constant: bvi}, action: {constant: read}, actor.id: WHO, subject.id: WHAT}
"""


def ships(service: Service) -> None:
    """``monitor ship`` sends what ``monitor ingest`` does, to the same partitions; and goes on when more is there."""
    log, mapping, spool = service.folder / "log.csv", service.folder / "map.yml", str(service.folder / "shipped")
    log.write_text(CSV)
    mapping.write_text(MAPPING)

    def sent(*command: str) -> list[tuple[int, bytes, bytes]]:
        since = service.ends(EVENTS)
        done = service.monitor(*command, str(log), "--mapping", str(mapping))
        assert done.returncode == 0, done.stderr
        found: list[Any] = service.read(EVENTS, since=since)
        return [(each.partition, each.key, each.value) for each in found]

    assert sorted(sent("ship", "--once", "--spool", spool)) == sorted(sent("ingest"))
    assert sent("ship", "--once", "--spool", spool) == [], "it goes on after the last line"
    with log.open("a") as file:
        file.write("s-x;2026-11-20T10:00:00+01:00;o-1;p-1\nno lookup\n")
    more = sent("ship", "--once", "--spool", spool)
    assert [key for _, key, _ in sorted(more, key=lambda each: each[1] or b"")] == [None, b"o-1"]
    done = service.monitor("ship", "--spool", spool, "--status")
    assert (done.returncode, "waiting: 0 messages" in done.stdout) == (0, True), done.stdout
    process = service.start(f"ship {log} --mapping {mapping} --spool {spool} --number", 0)
    with log.open("a") as file:
        file.write("s-y;2026-11-20T10:00:00+01:00;o-1;p-1\n")
    wait_for(
        lambda: any(orjson.loads(each.value).get("seq") == 1 for each in service.read(EVENTS) if b"s-y" in each.value),  # type: ignore[attr-defined]
        30,
        "the line that was added",
    )
    process.terminate()
    assert process.wait(15) == 0
