"""The whole way on real Kafka: live = backtest with two workers, kill -9, bad input, metrics."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson
import psutil
from conftest import Service, encoded, wait_for

from bench.pages import page
from monitor import alerts
from monitor.backtest import Backtest, RollBack
from monitor.commands.ingest import send_chunks, send_events, send_reference
from monitor.local_kafka_folder import free_port
from monitor.reference import Reference, decode
from monitor.rules import load_texts, read_dir
from monitor.simulate import Settings as ForceSettings
from monitor.simulate import Simulation, simulate
from monitor.stream.batches import Out
from monitor.stream.topics import ALERTS, DETECT_STATE, DLQ, EVENTS, partition_of
from tests.samples import BAD, GOOD


def force_of(actors: int, days: int, seed: int = 5) -> Simulation:
    """A force whose last day was yesterday."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    return simulate(ForceSettings(seed=seed, days=days, actors=actors, start=start))


def world(actors: int, days: int, seed: int = 5) -> tuple[list[bytes], list[bytes]]:
    """Reference records and lookups."""
    force = force_of(actors, days, seed)
    return [orjson.dumps(record) for record in force.reference], [orjson.dumps(event) for event in force.events()]


#: A rule that joins actors and fires often, so that the order of what comes from several partitions is tested hard.
JOINED = """
title: Two actors, one subject
id: 0d3b5a52-5c0e-4c3e-9c56-0f0f4f6f7a11
correlation:
  type: value_count
  rules: [unexplained]
  group-by: [subject.id]
  timespan: 3d
  condition: {field: actor.id, gte: 2}
level: low
"""


def with_joined_rule(service: Service) -> None:
    folder = service.folder / "rules"
    shutil.copytree(service.settings.rules, folder)
    (folder / "joined.yml").write_text(JOINED)
    # The workers must go by what the pack declares, and not by what explains without a pack.
    (folder / "explanations" / "area-task.yml").unlink()
    service.settings = service.settings.model_copy(update={"rules": folder})


def with_signed_state_on_disk(service: Service) -> None:
    (service.folder / "keys").write_text("a key of the tests, and of nothing else")
    update = {"store": "rocksdb", "state_dir": service.folder / "state", "state_key_file": service.folder / "keys"}
    service.settings = service.settings.model_copy(update=update)


def backtest(service: Service, records: list[bytes], raws: list[bytes]) -> dict[str, bytes]:
    return backtest_of(service, records, raws)


def backtest_of(
    service: Service, records: list[bytes], raws: list[bytes], day: int | None = None, after: Sequence[bytes] = ()
) -> dict[str, bytes]:
    """The alerts of a backtest; before ``after`` the models return to a day."""
    settings = service.settings
    rules = load_texts(read_dir(settings.rules)).rules
    run = Backtest(
        rules,
        Reference(map(decode, records)),
        settings.partitions,
        lambda actor: partition_of(actor, settings.partitions),
        settings.quantile,
    )
    messages = [*raws, *([] if day is None else [RollBack(day)]), *after]
    return encoded(settings, run.run(messages, int(time.time() * 1000)))


def alerts_of(service: Service) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for record in service.read(ALERTS):
        value: bytes = record.value  # type: ignore[attr-defined]
        assert found.setdefault(alerts.decode(value).id, value) == value, "a repeated alert differs"
    return found


def wait_until_equal(service: Service, expected: dict[str, bytes], seconds: float) -> None:
    found: dict[str, bytes] = {}

    def done() -> bool:
        nonlocal found
        found = alerts_of(service)
        return len(found) >= len(expected)

    wait_for(done, seconds, f"{len(expected)} alerts")
    assert not [raw for key, raw in found.items() if key not in expected], "more alerts than of the backtest"
    assert not [raw for key, raw in expected.items() if key not in found], "fewer alerts than of the backtest"
    assert found == expected


def test_two_workers_give_the_backtests_alerts_byte_for_byte(service: Service) -> None:
    # Long enough for one group, and for the model of all groups in another partition, to be known.
    records, raws = world(actors=100, days=18)
    assert len(raws) >= 20_000
    with_joined_rule(service)
    service.settings = service.settings.model_copy(update={"quantile": 0.99})
    expected = backtest(service, records, raws)
    kinds = {alerts.decode(raw).kind for raw in expected.values()}
    entities = {alerts.decode(raw).entity.kind for raw in expected.values()}
    assert kinds == {"rule", "model"}
    assert entities == {"actor", "subject"}
    send_reference(service.settings, records)
    send_events(service.settings, raws)
    workers = [service.start_worker(), service.start_worker()]
    wait_until_equal(service, expected, 240)
    assert all(worker.poll() is None for worker in workers)


def test_kill_9_loses_nothing_and_repeats_nothing_different(service: Service) -> None:
    records, raws = world(actors=120, days=4, seed=6)
    with_joined_rule(service)
    with_signed_state_on_disk(service)
    expected = backtest(service, records, raws)
    send_reference(service.settings, records)
    send_events(service.settings, raws)
    for share in (0.1, 0.4, 0.7):
        worker = service.start_worker()
        wanted = int(share * len(expected))
        wait_for(lambda wanted=wanted: len(alerts_of(service)) > wanted, 60, "some alerts")  # type: ignore[misc]
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
    service.start_worker()
    wait_until_equal(service, expected, 90)
    signed = [record.value[0] for record in service.read(DETECT_STATE)]  # type: ignore[attr-defined]
    assert signed
    assert min(signed) >= 0x80, "the first bit says that a record is signed"
    assert len(list((service.folder / "state").iterdir())) == 1, "what the killed ones left is removed"


def test_bad_input_goes_to_the_dlq_and_the_partition_goes_on(service: Service) -> None:
    settings = service.settings
    token = orjson.dumps({"record": "subject", "id": "p-none", "tags": ["honeytoken"]})
    send_reference(settings, [token])
    now = int(time.time() * 1000)
    out = [Out(EVENTS, 0, b"k", raw, now, (("trace", b"t-1"),)) for _, raw in BAD]
    last = {**GOOD, "id": "after-all", "subject": {"kind": "person", "id": "p-none"}}
    out.append(Out(EVENTS, 0, b"o-1", orjson.dumps(last), now))
    assert sum(send_chunks(settings, out)) == len(BAD) + 1
    port = free_port()
    service.start_worker(port)
    found = wait_for(lambda: alerts_of(service), 60, "the alert of the lookup after the bad ones")
    assert [alerts.decode(raw).events for raw in found.values()] == [["after-all"]]
    refused: list[Any] = sorted(service.read(DLQ), key=lambda record: int(dict(record.headers)["offset"]))  # type: ignore[attr-defined]
    headers = [dict(record.headers) for record in refused]
    assert [one["reason"].decode() for one in headers] == [reason for reason, _ in BAD]
    assert [record.value for record in refused] == [raw for _, raw in BAD]
    assert [(one["topic"], one["partition"], one["offset"]) for one in headers] == [
        (EVENTS.encode(), b"0", str(n).encode()) for n in range(len(BAD))
    ]
    check_pages(port)
    check_dlq_commands(service)
    log = (service.folder / "worker-0.log").read_text()
    assert not [secret for secret in ("o-1", "p-none", "after-all") if secret in log], "a log line names somebody"


def check_pages(port: int) -> None:
    assert page(port, "/healthz")[0] == 200
    wait_for(lambda: page(port, "/readyz")[0] == 200, 20, "readiness")
    text = page(port, "/metrics")[1]
    assert f'lookup_monitor_events_total{{fate="refused"}} {len(BAD)}.0' in text
    assert 'lookup_monitor_dlq_total{reason="empty"} 2.0' in text
    assert 'lookup_monitor_events_total{fate="counted"} 1.0' in text
    assert "lookup_monitor_end_to_end_seconds_count 1.0" in text
    for secret in ("o-1", "p-none", "after-all"):
        assert f'"{secret}"' not in text


def check_dlq_commands(service: Service) -> None:
    listed = service.monitor("dlq", "list", "--reason", "empty")
    assert listed.returncode == 0
    assert "2 refused messages" in listed.stdout
    shown = service.monitor("dlq", "show", "0/1")
    assert "reason: not-json" in shown.stdout
    assert '{"id":' in shown.stdout
    assert service.monitor("dlq", "show", "0/999").returncode == 1
    replayed = service.monitor("dlq", "replay", "--only", "0/1")
    assert "1 messages sent" in replayed.stdout
    again: Any = wait_for(lambda: [r for r in service.read(DLQ) if r.offset == len(BAD)], 30, "the refusal again")  # type: ignore[attr-defined]
    assert dict(again[0].headers)["original.trace"] == b"t-1"


LOOKUPS = 120_000


def test_ten_thousand_actors_fit_in_400_megabytes(service: Service) -> None:
    force = force_of(actors=10_000, days=1)
    actors: set[str] = set()

    def first() -> Iterator[bytes]:
        for event in islice(force.events(), LOOKUPS):
            actors.add(event["actor"]["id"])
            yield orjson.dumps(event)

    # One after the other, and not kept: all reference records and lookups at once are gigabytes, as objects of this process.
    assert send_events(service.settings, first()) == LOOKUPS
    assert len(actors) > 5_000
    assert send_reference(service.settings, map(orjson.dumps, force.reference)) > 1_000_000
    port = free_port()
    worker = service.start_worker(port)

    def counted() -> bool:
        lines = page(port, "/metrics")[1].splitlines()
        values = [float(line.split()[-1]) for line in lines if line.startswith("lookup_monitor_events_total")]
        return sum(values) >= LOOKUPS

    wait_for(counted, 300, "all lookups to be counted")
    assert psutil.Process(worker.pid).memory_info().rss < 400 * 1024 * 1024
