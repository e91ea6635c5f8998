"""A span of real Kafka, run again, exported and checked: what live raised is what the log gives, and what is tampered with is seen."""

from __future__ import annotations

from pathlib import Path

import orjson
from conftest import Service, wait_for
from test_pipeline import free_port, page, with_joined_rule, world
from test_reload import copied

from monitor import alerts
from monitor.commands.ingest import send_chunks, send_events, send_reference
from monitor.stream.batches import Out
from monitor.stream.folder import RuleFolder
from monitor.stream.topics import ALERTS, EVENTS
from monitor.stream.versions import pack_records, switch_records
from tests.samples import BAD


def deploy(service: Service, folder: Path) -> str:
    version, pack = pack_records(RuleFolder(folder).read())
    for records in (pack, switch_records(version, service.settings.partitions)):
        list(send_chunks(service.settings, records))
    return version


def run(service: Service) -> None:
    """A worker, then a day and a half of a force with a change of rules and messages that are none in the middle."""
    records, raws = world(actors=60, days=3, seed=4)
    with_joined_rule(service)
    port = free_port()
    service.start_worker(port)
    send_reference(service.settings, records)
    known = f"lookup_monitor_reference_records {float(len(records))}"
    wait_for(lambda: known in page(port, "/metrics")[1], 60, "the worker to know the reference data")
    changed, half = copied(service, "changed"), len(raws) // 2
    send_events(service.settings, raws[:half])
    deploy(service, changed)
    list(
        send_chunks(
            service.settings, [Out(EVENTS, 1, None, value, None) for _, value in BAD if value and len(value) < 65_536]
        )
    )
    send_events(service.settings, raws[half:])


def change(path: Path, old: bytes, new: bytes) -> None:
    text = path.read_bytes()
    assert old in text
    path.write_bytes(text.replace(old, new, 1))


def test_a_span_is_run_again_exported_and_checked(service: Service) -> None:
    run(service)
    done = service.monitor("replay", "--from", "7d", "--to", "now")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 differ" in done.stdout
    packs = {alerts.decode(record.value).pack for record in service.read(ALERTS)}  # type: ignore[attr-defined]
    assert len(packs) == 2

    out = service.folder / "evidence"
    made = service.monitor("export", str(out), "--from", "7d", "--to", "now")
    assert made.returncode == 0, made.stdout + made.stderr
    checked = service.monitor("verify", str(out))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert service.monitor("export", str(out), "--from", "7d", "--to", "now").returncode == 2

    lines = (out / "alerts.jsonl").read_bytes().splitlines(keepends=True)
    (out / "alerts.jsonl").write_bytes(b"".join(lines[1:]))
    gone = orjson.loads(orjson.loads(lines[0])["value"]["text"])
    missed = service.monitor("replay", "--export", str(out))
    assert missed.returncode == 1
    assert f"only-replay  {gone['time']} " in " ".join(missed.stdout.split(" ")) or gone["id"] in missed.stdout
    assert service.monitor("verify", str(out)).returncode == 1

    forged = {**gone, "id": "00000000-0000-5000-8000-000000000000"}
    list(send_chunks(service.settings, [Out(ALERTS, 0, b"actor/o-1", orjson.dumps(forged), None)]))
    seen = service.monitor("replay", "--from", "7d")
    assert seen.returncode == 1, seen.stdout + seen.stderr
    assert [line.split()[0] for line in seen.stdout.splitlines() if forged["id"] in line] == ["only-live"]
    assert gone["actors"][0] not in seen.stdout
