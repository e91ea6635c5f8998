"""Reference data reaches all workers in one order, which lookups and alerts say; a worker that cannot follow it ends."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import orjson
from conftest import Service, wait_for

from monitor import alerts
from monitor.commands.ingest import send_events, send_reference
from monitor.stream.topics import ALERTS, ENRICHED_BY, KEYED, partition_of
from tests.live.test_pipeline import free_port, page
from tests.samples import GOOD

TOKEN = orjson.dumps({"record": "subject", "id": "p-none", "tags": ["honeytoken"]})
#: Python runs a module of this name at its start. While a file is there, the reference data does not go on; or it fails.
FAULT = """
from pathlib import Path
import asyncio
from monitor.stream.feed import ReferenceFeed
take = ReferenceFeed._take

async def faulty(self, *arguments, **named):
    if Path({fails!r}).exists():
        raise KeyError("p-none")
    while Path({holds!r}).exists():
        Path({held!r}).touch()
        await asyncio.sleep(0.05)
    await take(self, *arguments, **named)

ReferenceFeed._take = faulty
"""


class Feeds:
    """What may be done to the reference data of a worker."""

    def __init__(self, folder: Path) -> None:
        self.holds, self.held, self.fails = folder / "holds", folder / "held", folder / "fails"
        places = {"holds": str(self.holds), "held": str(self.held), "fails": str(self.fails)}
        (folder / "sitecustomize.py").write_text(FAULT.format(**places))
        self.environment = {"PYTHONPATH": str(folder)}


def actor_in(partition: int, partitions: int) -> str:
    return next(name for n in range(1000) if partition_of(name := f"o-{n}", partitions) == partition)


def look(service: Service, name: str) -> None:
    """One lookup in each source partition."""
    every = range(service.settings.partitions)
    subject = {"kind": "person", "id": "p-none"}
    raws = [
        orjson.dumps({**GOOD, "id": f"{name}-{each}", "actor": {"id": actor_in(each, len(every))}, "subject": subject})
        for each in every
    ]
    send_events(service.settings, raws)


def positions(service: Service) -> dict[str, int]:
    """By the id of each lookup that was enriched, the position of the reference data; in the order of the source partitions."""
    found: list[tuple[int, int, str, int]] = []
    records: list[Any] = service.read(KEYED)
    for record in records:
        if record.key.startswith(b"actor/"):
            lookup = orjson.loads(record.value)
            found.append((lookup["@"][1], lookup["@"][2], lookup["id"], int(dict(record.headers)[ENRICHED_BY])))
    return {name: position for _, _, name, position in sorted(found)}


def position_at(port: int) -> int:
    lines = [line for line in page(port, "/metrics")[1].splitlines() if line.startswith("lookup_monitor_reference_pos")]
    return int(float(lines[0].split()[-1])) if lines else -1


def test_workers_that_know_more_or_less_are_told_apart_and_no_partition_goes_back(service: Service) -> None:
    feeds = Feeds(service.folder)
    send_reference(service.settings, [TOKEN])
    ports = free_port(), free_port()
    quick, slow = service.start_worker(ports[0]), service.start_worker(ports[1], feeds.environment)
    for port in ports:
        wait_for(lambda port=port: page(port, "/readyz")[0] == 200, 150, "readiness")  # type: ignore[misc]
    feeds.holds.touch()
    wait_for(feeds.held.exists, 90, "the reference data to be held")
    send_reference(service.settings, [orjson.dumps({"record": "unit", "id": f"u-{n}"}) for n in range(9)])
    wait_for(lambda: position_at(ports[0]) == 10, 90, "the reference data in the worker that follows it")
    look(service, "a")
    before = wait_for(lambda: len(found := positions(service)) == 4 and found, 90, "the first lookups")
    assert set(before.values()) == {1, 10}
    behind, ahead = ([name[2:] for name, at in before.items() if at == known] for known in (1, 10))
    assert len(behind) == len(ahead) == 2
    quick.send_signal(signal.SIGKILL)
    quick.wait(10)
    look(service, "b")
    names = {f"b-{each}" for each in behind}
    wait_for(lambda: names <= positions(service).keys(), 90, "the worker to go on with what it had, and to take over")
    feeds.holds.unlink()
    after = wait_for(lambda: len(found := positions(service)) == 8 and found, 90, "what was taken over")
    assert all(after[f"b-{each}"] >= after[f"a-{each}"] for each in behind + ahead)
    assert slow.poll() is None
    raised: list[Any] = wait_for(lambda: len(found := service.read(ALERTS)) >= 4 and found, 90, "the alerts")
    for record in raised:
        # That of the lookup which raised it, the last.
        assert int(dict(record.headers)[ENRICHED_BY]) == after[alerts.decode(record.value).events[-1]]


def test_a_worker_whose_reference_data_cannot_go_on_ends(service: Service) -> None:
    feeds = Feeds(service.folder)
    port = free_port()
    worker = service.start_worker(port, feeds.environment)
    wait_for(lambda: page(port, "/readyz")[0] == 200, 150, "readiness")
    feeds.fails.touch()
    assert wait_for(lambda: worker.poll() is not None, 90, "the end of the worker")
    assert worker.returncode == 2
    said = Path(service.folder / "worker-0.log").read_text()
    assert "KeyError at sitecustomize.py:" in said
    assert "in lookup.reference.v1" in said
    assert "p-none" not in said, "a log line names somebody"
