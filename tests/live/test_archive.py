"""Every lookup through real Kafka into the archive, once, whenever the process is killed."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import orjson
from conftest import Service, wait_for
from kafka import KafkaProducer
from test_pipeline import free_port, page

from monitor.archive.store import Archive
from monitor.history.ask import History
from monitor.stream.topics import CANARY, KEYED, TICK
from tests.archive.made import lookup

LOOKUPS = 3000
KILLS = 3


def test_every_lookup_is_archived_once_whenever_the_process_is_killed(service: Service, tmp_path: Path) -> None:
    folder, rng, port = tmp_path / "archive", random.Random(1), free_port()
    service.settings = service.settings.model_copy(update={"archive": folder, "archive_every": 0.2})
    partitions = service.settings.partitions
    producer = KafkaProducer(bootstrap_servers=service.settings.bootstrap, acks="all")
    sent = 0

    def send(upto: int) -> None:
        nonlocal sent
        while sent < upto:
            # A chunk that is repeated, copies for subjects, ticks and canaries: as workers write them.
            value = orjson.dumps(lookup(sent, actor__id=f"o-{sent % 50}", subject__id=f"p-{sent % 70}"))
            part = sent % 50 % partitions
            for key in (f"actor/o-{sent % 50}", f"subject/p-{sent % 70}"):
                producer.send(KEYED, key=key.encode(), value=value, partition=part)
            if rng.random() < 0.2:
                producer.send(KEYED, key=f"actor/o-{sent % 50}".encode(), value=value, partition=part)
            if rng.random() < 0.05:
                producer.send(KEYED, key=TICK, value=orjson.dumps((0, 1)), partition=part)
                producer.send(KEYED, key=CANARY, value=b"{}", partition=part)
            sent += 1
        producer.flush(30)

    def archived() -> int:
        there = Archive(folder)
        return sum(History(there).days().values()) if there.exists else 0

    send(100)
    for number in range(KILLS):
        process = service.start("archive run", port)
        send(sent + LOOKUPS // KILLS)
        before = archived()
        wait_for(lambda before=before: archived() > before, 60, "lookups in the archive")  # type: ignore[misc]
        process.send_signal(signal.SIGKILL if number < KILLS - 1 else signal.SIGTERM)
        process.wait(30)
    process = service.start("archive run", port)
    wait_for(lambda: archived() >= sent, 60, "all lookups in the archive")
    wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness")
    wait_for(lambda: "lookup_monitor_archive_waiting 0.0" in page(port, "/metrics")[1], 60, "nothing that waits")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    db = History(Archive(folder)).db
    found = [name for (name,) in db.execute("SELECT id FROM lookups").fetchall()]
    assert sorted(found) == sorted(f"x-{number}" for number in range(sent))
    # A Kafka that was restored from before what the archive has: by offsets, new lookups would be left out without a word.
    Archive(folder).append([], {f"{KEYED}/0": 10**9})
    assert service.start("archive run", port).wait(30) == 2
