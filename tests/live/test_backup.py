"""Backup and restore on real Kafka: after everything is gone, the same alerts and incidents go on under the same ids."""

from __future__ import annotations

import asyncio
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from conftest import Service, wait_for
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from test_incidents import again, incidents, monitor
from test_pipeline import alerts_of, backtest, wait_until_equal, with_joined_rule, world

from monitor import local_kafka
from monitor.archive.store import Archive
from monitor.backup.format import MANIFEST, Manifest, Record, encode, load, read_part, write_part
from monitor.backup.put import fill, finish, prepare
from monitor.backup.take import patiently
from monitor.commands.ingest import event_out, send_chunks, send_events, send_reference
from monitor.commands.run import stop_workers
from monitor.evidence import Unusable
from monitor.history.ask import History
from monitor.incidents.model import decode
from monitor.settings import Settings
from monitor.stream.topics import ALERTS, DETECT_STATE, EVENTS, INCIDENTS, REFERENCE, check


@contextmanager
def admin_of(settings: Settings) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    try:
        yield admin
    finally:
        admin.close()


def committed(service: Service) -> list[int]:
    with admin_of(service.settings) as admin:
        found = patiently(lambda: admin.list_group_offsets({service.settings.group: None}))[service.settings.group]
    return [
        found[part].offset if (part := TopicPartition(EVENTS, number)) in found else 0
        for number in range(service.settings.partitions)
    ]


def started(service: Service, *commands: str) -> None:
    for command in commands:
        service.start(command, 0)


def killed(service: Service) -> None:
    """All processes at once, as when a machine loses its power."""
    for process in service.workers:
        process.send_signal(signal.SIGKILL)
    for process in service.workers:
        process.wait(30)
    service.workers.clear()


def archived(folder: Path) -> int:
    there = Archive(folder)
    return sum(History(there).days().values()) if there.exists else 0


def test_after_everything_is_lost_all_goes_on_as_if_nothing_had_been(service: Service, tmp_path: Path) -> None:
    records, raws = world(actors=60, days=2, seed=6)
    with_joined_rule(service)
    # What is sent in two parts must not make a source look idle in between: by the clock, an idle source loses its place.
    lost, update = tmp_path / "lost", {"archive": tmp_path / "archive", "archive_every": 0.3, "idle_after": 60.0}
    service.settings = service.settings.model_copy(update=update)
    expected = backtest(service, records, raws)
    lookups = len({(each["system"], each["id"]) for each in map(orjson.loads, raws)})
    half = len(raws) // 2
    send_reference(service.settings, records)
    send_events(service.settings, raws[:half])
    started(service, "worker", "incidents run", "archive run")
    wait_for(lambda: min(committed(service)) > 30 and archived(tmp_path / "archive") > 30, 60, "work that is done")
    wait_for(lambda: incidents(service), 30, "incidents")
    first = next(iter(incidents(service).values()))
    assert monitor(service, "incidents", "ack", decode(first).id, "--by", "desk-1")[0] == 0
    wait_for(lambda: decode(incidents(service)[decode(first).id]).status == "acknowledged", 30, "the acknowledgement")
    # The front of a log goes as time goes on.
    fronts = [offset // 2 for offset in committed(service)]
    with admin_of(service.settings) as admin:
        admin.delete_records({TopicPartition(EVENTS, number): front for number, front in enumerate(fronts)})
    # The registers and all processes go on while the backup is made.
    outs = [event_out(raw, service.settings.partitions, 0) for raw in raws]
    sent = threading.Thread(target=lambda: list(send_chunks(service.settings, outs[half : half + half // 2], 40)))
    sent.start()
    # First the archive, as docs/operations.md says: what it has must be in the backup too. In it first what says which files count.
    shutil.copytree(tmp_path / "archive/_delta_log", lost / "archive/_delta_log")
    shutil.copytree(
        tmp_path / "archive", lost / "archive", ignore=shutil.ignore_patterns("_delta_log"), dirs_exist_ok=True
    )
    code, said = monitor(service, "backup", str(tmp_path / "backup"))
    assert code == 0, said
    sent.join(60)
    killed(service)
    raised = alerts_of(service)
    manifest, digest = load(tmp_path / "backup")
    (part,) = [part for part in manifest.parts if part.topic == INCIDENTS]
    known = {record.key.decode() for record in read_part(tmp_path / "backup", part) if record.key is not None}
    assert decode(first).id in known
    assert digest in said
    assert [part.first for part in manifest.parts if part.topic == EVENTS] == fronts
    shutil.rmtree(tmp_path / "archive")
    shutil.move(lost / "archive", tmp_path / "archive")

    with local_kafka.start(tmp_path / "another") as kafka:
        service.settings = service.settings.model_copy(update={"bootstrap": kafka.bootstrap, "idle_after": 2.0})
        code, text = monitor(service, "restore", str(tmp_path / "backup"))
        assert code == 0, text
        with admin_of(service.settings) as admin:
            assert check(admin, service.settings) == []
        try:
            # The registers send again what came after the backup.
            ends = service.ends(EVENTS)
            seen = [0] * service.settings.partitions
            left = []
            for out in outs:
                if seen[out.partition] >= ends[out.partition]:
                    left.append(out)
                seen[out.partition] += 1
            assert len(raws) - half >= len(left) > 0
            list(send_chunks(service.settings, left))
            started(service, "worker", "incidents run", "archive run")
            wait_for(lambda: sum(service.ends(ALERTS)) >= len(expected), 90, "as many alerts")
            wait_until_equal(service, expected, 30)
            assert raised.items() <= alerts_of(service).items(), "an alert that was raised is another now"
            wait_for(lambda: archived(tmp_path / "archive") == lookups, 30, "every lookup in the archive, once")

            def as_made() -> bool:
                made, _ = again(service)
                return known <= made.keys() and incidents(service) == made

            wait_for(as_made, 30, "incidents, under the ids they had")
            # A graver alert that comes later calls somebody again; that it was acknowledged stays.
            steps = decode(incidents(service)[decode(first).id]).history
            assert ("desk-1", "acknowledge") in {(each.by, each.what) for each in steps}
        finally:
            stop_workers(service.workers)
            service.workers.clear()


def test_what_compaction_removed_is_filled_and_nothing_starts_on_half_a_restore(
    service: Service, tmp_path: Path
) -> None:
    settings, folder = service.settings, tmp_path / "backup"
    folder.mkdir()
    facts = [
        Record(offset, 1_700_000_000_000 + offset, b"unit/u", b'{"record":"unit","id":"u"}') for offset in (7, 8, 4000)
    ]
    state = [Record(offset, 1_700_000_000_000, b"k", b"\0" * 8 + b"v", (("h", b"1"),)) for offset in (12, 700)]
    events = [Record(offset, 1_700_000_000_000, None, b"{}") for offset in (300, 301)]
    parts = [
        write_part(folder, REFERENCE, 0, (0, 4005), facts),
        write_part(folder, DETECT_STATE, 1, (0, 701), state),
        write_part(folder, EVENTS, 2, (500_000, 500_000), []),
        write_part(folder, EVENTS, 3, (300, 302), events),
    ]
    manifest = Manifest(program="0", made="now", partitions=4, parts=parts, groups={settings.group: {EVENTS: {3: 301}}})
    (folder / MANIFEST).write_bytes(encode(manifest))
    load(folder)
    with admin_of(settings) as admin:
        prepare(settings, admin, manifest)
        asyncio.run(fill(settings, folder, manifest))
        refused = service.monitor("worker", more={"LOOKUP_MONITOR_METRICS_PORT": "0"})
        assert (refused.returncode, "retention.ms is -1" in refused.stderr) == (2, True)
        finish(settings, admin, manifest)
        assert check(admin, settings) == []
        offsets = patiently(lambda: admin.list_group_offsets({settings.group: None}))[settings.group]
        with pytest.raises(Unusable, match="is not empty"):
            prepare(settings, admin, manifest)
    assert [(part.topic, part.partition, at.offset) for part, at in offsets.items()] == [(EVENTS, 3, 301)]
    found = [each for each in service.read(REFERENCE, 1) if each.value is not None]  # type: ignore[attr-defined]
    assert [(each.offset, each.timestamp) for each in found] == [(each.offset, each.time_ms) for each in facts]  # type: ignore[attr-defined]
    (kept,) = {(each.key, each.value, tuple(each.headers)) for each in service.read(DETECT_STATE)}  # type: ignore[attr-defined]
    assert kept == (b"k", b"\0" * 8 + b"v", (("h", b"1"),))
    # Kafka stamps lookups itself; these have the time at which they were received all the same.
    (one, other) = service.read(EVENTS, since=[0, 0, 500_000, 300])
    assert {one.timestamp, other.timestamp} == {1_700_000_000_000}  # type: ignore[attr-defined]
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap)
    two, three = TopicPartition(EVENTS, 2), TopicPartition(EVENTS, 3)
    assert consumer.beginning_offsets([two, three]) == {two: 500_000, three: 300}
    assert consumer.end_offsets([two, three]) == {two: 500_000, three: 302}
    consumer.close()
