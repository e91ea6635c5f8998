"""Lookups through real Kafka into the archive; raids fail, and the leaker's incident is there, though the process is killed in between."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from conftest import Service, wait_for
from test_pipeline import free_port, page

from monitor.archive.store import Archive
from monitor.commands.ingest import send_events
from monitor.history.ask import History
from monitor.stream.topics import ALERTS, INCIDENTS, OUTCOMES, OUTCOMES_DLQ
from monitor.trace.alert import RULE_ID

#: Past midnight, so that what leaks on a day had been looked up before it.
NOW = datetime.now(UTC).replace(microsecond=0)


def lookups(first: int, count: int, actor: str | None = None, subject: str = "p") -> list[bytes]:
    found = []
    for n in range(first, first + count):
        at = NOW - timedelta(days=6) + timedelta(seconds=n * 10)
        who, what = actor or f"o-{n % 60}", f"p-{n * 7 % 331}" if actor is None else f"{subject}-{n}"
        found.append(
            orjson.dumps(
                {
                    "id": f"x-{n}",
                    "time": at.isoformat(),
                    "system": "bvi",
                    "action": "read",
                    "actor": {"id": who},
                    "subject": {"kind": "person", "id": what},
                }
            )
        )
    return found


def test_failed_raids_lead_to_the_leakers_incident_and_a_kill_changes_nothing(service: Service, tmp_path: Path) -> None:
    folder, port = tmp_path / "archive", free_port()
    service.settings = service.settings.model_copy(update={"archive": folder, "archive_every": 0.2})
    send_events(service.settings, [*lookups(0, 600), *lookups(5000, 4, "o-bad", "secret")])
    service.start_worker()
    service.start("archive run", 0)
    service.start("incidents run", 0)
    keys = {"LOOKUP_MONITOR_ARCHIVE": str(folder)}

    def add(number: int) -> None:
        day = (NOW - timedelta(days=1)).date().isoformat()
        done = service.monitor(
            *(
                "outcomes",
                "add",
                "--kind",
                "failed-raid",
                "--case",
                "op-1",
                "--source",
                "team-3",
                "--id",
                f"out-{number}",
            ),
            *("--subject", f"secret-{number}@{day}"),
            more=keys,
        )
        assert done.returncode == 0, done.stderr

    def raised() -> list[Any]:
        found = [orjson.loads(each.value) for each in service.read(ALERTS)]  # type: ignore[attr-defined]
        return [each for each in found if each["rule"]["id"] == RULE_ID]

    process = service.start("outcomes run", port)
    wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness")
    for number in range(5000, 5003):
        add(number)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    # What was received before the last one counts: the archive has not got it yet.
    send_events(service.settings, lookups(2000, 200))
    add(5003)
    process = service.start("outcomes run", port)

    def traced() -> bool:
        code, text = page(port, "/metrics")
        return code == 200 and "lookup_monitor_outcomes_oldest_seconds 0.0" in text and bool(raised())

    wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness again")
    wait_for(traced, 90, "the trace")
    wait_for(lambda: committed(service) == 4, 90, "all four")
    there = History(Archive(folder)).db.execute("SELECT count(*) FROM lookups").fetchone()
    assert there == (804,), "it waited until the archive had all that came before"
    by_hand(service, keys, {each["id"] for each in raised()})
    (incident,) = wait_for(lambda: incidents(service), 60, "the incident")
    assert len(incident["actors"]) == 1
    assert all("o-bad" not in orjson.dumps(each).decode() for each in raised()), "alerts name pseudonyms"
    # Killed after the alerts and before the offset: it traces again, and the alerts are the same.
    before = {each["id"] for each in raised()}
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    back(service)
    count = len(raised())
    process = service.start("outcomes run", port)
    wait_for(lambda: committed(service) == 4 and len(raised()) > count, 60, "the trace once more")
    assert {each["id"] for each in raised()} == before
    # What is none lies in the DLQ, and what adds nothing raises nothing.
    count = len(raised())
    add(5003)
    service.monitor("outcomes", "list", more=keys)
    send_raw(service, b"no outcome")
    wait_for(lambda: len(service.read(OUTCOMES_DLQ, 1)) == 2, 30, "what was refused")
    assert len(raised()) == count
    process.terminate()
    assert process.wait(15) == 0


def by_hand(service: Service, keys: dict[str, str], automatic: set[str]) -> None:
    """``monitor trace`` over the whole list raises the alert that was raised already."""
    day = (NOW - timedelta(days=1)).date().isoformat()
    leaked = service.folder / "leaked.csv"
    leaked.write_text("subject,date\n" + "".join(f"secret-{n},{day}\n" for n in range(5000, 5004)))
    since = service.ends(ALERTS)
    done = service.monitor("trace", "--subjects", str(leaked), "--incident", more=keys)
    assert done.returncode == 1, done.stderr
    (record,) = service.read(ALERTS, since=since)
    assert orjson.loads(record.value)["id"] in automatic  # type: ignore[attr-defined]


def incidents(service: Service) -> list[dict[str, Any]]:
    found = {each.key: orjson.loads(each.value) for each in service.read(INCIDENTS, 1) if each.value}  # type: ignore[attr-defined]
    return [each for each in found.values() if "Had looked at what leaked" in orjson.dumps(each).decode()]


def _consumer(service: Service) -> Any:
    from kafka import KafkaConsumer

    group = f"{service.settings.group}-outcomes"
    return KafkaConsumer(bootstrap_servers=service.settings.bootstrap, group_id=group, enable_auto_commit=False)


def committed(service: Service) -> int | None:
    from kafka import TopicPartition

    consumer = _consumer(service)
    try:
        found: int | None = consumer.committed(TopicPartition(OUTCOMES, 0))
        return found
    finally:
        consumer.close()


def back(service: Service) -> None:
    """As if the last offset had not been committed before the kill."""
    from kafka import OffsetAndMetadata, TopicPartition

    consumer, part = _consumer(service), TopicPartition(OUTCOMES, 0)
    consumer.assign([part])
    consumer.commit({part: OffsetAndMetadata(3, "", -1)})
    consumer.close()


def send_raw(service: Service, raw: bytes) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=service.settings.bootstrap)
    producer.send(OUTCOMES, raw).get(30)
    producer.close()
