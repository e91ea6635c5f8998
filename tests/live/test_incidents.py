"""Incidents through real Kafka: nothing lost and nobody told twice, whenever the process is killed; and the desk's commands."""

from __future__ import annotations

import json
import random
import signal
import time

import orjson
from conftest import Service, wait_for
from kafka import KafkaProducer
from test_feedback import sent, value_of
from test_pipeline import free_port, page
from typer.testing import CliRunner

from monitor import alerts
from monitor.cli import app
from monitor.commands.ingest import send_reference
from monitor.feedback import disposition
from monitor.feedback.message import BadMessage
from monitor.incidents import command, journal
from monitor.incidents.book import Book
from monitor.incidents.journal import Asked, Judged, Raised
from monitor.incidents.model import Incident, decode
from monitor.review import Sampler
from monitor.stream.incidents import policy_of
from monitor.stream.topics import (
    ALERTS,
    COMMANDS,
    COMMANDS_DLQ,
    DISPOSITIONS,
    DISPOSITIONS_DLQ,
    INCIDENTS,
    INCIDENTS_STATE,
    JOURNAL,
)
from tests.incidents.made import alert, log


def incidents(service: Service) -> dict[str, bytes]:
    return {each.key.decode(): each.value for each in service.read(INCIDENTS, 1)}  # type: ignore[attr-defined]


def again(service: Service) -> tuple[dict[str, bytes], list[journal.Entry]]:
    """What one book that nobody disturbs makes of the journal that is in Kafka."""
    book, found, entries = Book({}, policy_of(service.settings), Sampler(service.settings.page_share)), {}, []
    for record in service.read(JOURNAL, 1):
        entries.append(journal.decode(record.value))  # type: ignore[attr-defined]
        try:
            book.take(entries[-1], record.timestamp, record.offset)  # type: ignore[attr-defined]
        except BadMessage:
            pass
        found.update(book.changed())
    return found, entries


def send(producer: KafkaProducer, records: list[tuple[str, int, bytes]]) -> None:
    for topic, partition, raw in records:
        producer.send(topic, value=raw, partition=partition)
    producer.flush(30)


def monitor(service: Service, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command, in this process: starting Python takes longer than what it does."""
    environment = {"LOOKUP_MONITOR_BOOTSTRAP": service.settings.bootstrap, "COLUMNS": "240"}
    done = CliRunner().invoke(app, list(arguments), env=environment)
    return done.exit_code, done.output


def ready(port: int) -> None:
    wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness")


def test_the_process_is_killed_again_and_again_and_every_incident_is_as_in_the_journal(service: Service) -> None:
    made = [entry for entry, _ in log(17, 500, actors=40)]
    out = []
    for entry in made:
        if isinstance(entry, Raised):
            out.append((ALERTS, hash(entry.alert.entity.id) % 4, alerts.encode(entry.alert)))
        elif isinstance(entry, Judged):
            out.append((DISPOSITIONS, 0, disposition.encode(entry.disposition)))
        elif isinstance(entry, Asked):
            out.append((COMMANDS, 0, command.encode(entry.command)))
    producer = KafkaProducer(bootstrap_servers=service.settings.bootstrap, acks="all")
    chance, at = random.Random(6), 0
    for _ in range(3):
        process = service.start("incidents run", port := free_port())
        ready(port)
        until = time.monotonic() + 0.3 + 1.5 * chance.random()
        while time.monotonic() < until:
            size = chance.randrange(1, 40)
            send(producer, out[at : at + size])
            at = min(len(out), at + size)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    send(producer, out[at:])
    producer.close()
    process = service.start("incidents run", port := free_port())
    ready(port)
    expected_ids = {entry.alert.id for entry in made if isinstance(entry, Raised)}

    def is_done() -> bool:
        found = [decode(raw) for raw in incidents(service).values()]
        return sum(each.alert_count for each in found) == len(expected_ids)

    wait_for(is_done, 60, "every alert to be in an incident")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    expected, entries = again(service)
    assert incidents(service) == expected
    sources = [entry.source for entry in entries if not isinstance(entry, journal.Tick)]
    assert len(set(sources)) == len(out), "each record is in the journal"
    assert {entry.alert.id for entry in entries if isinstance(entry, Raised)} == expected_ids
    assert len(service.read(INCIDENTS_STATE, 1)) > 5
    logged = (service.folder / "incidents run.log").read_text()
    assert not [name for name in ("o-1", "p-1", "desk-1") if name in logged], "a log line names somebody"


def test_the_desk_works_on_incidents_by_hand(service: Service) -> None:
    watched = {"record": "watch", "id": "w", "subjects": ["p-9"], "may_know": ["o-3"], "from": "2020-01-01T00:00:00Z"}
    actor = {"record": "actor", "id": "o-1", "unit": "limburg"}
    send_reference(service.settings, [orjson.dumps(watched), orjson.dumps(actor)])
    service.start("incidents run", port := free_port())
    ready(port)
    low, knows = alert("low", "low"), alert("knows", "low", ("o-3",), ("p-9",))
    spied = alert("spied", "low", ("o-2",), ("p-9",))
    sent(service, ALERTS, [(0, alerts.encode(low)), (1, alerts.encode(knows)), (2, alerts.encode(spied))])
    wait_for(lambda: len(incidents(service)) == 3, 30, "three incidents")
    by_alert: dict[str, Incident] = {}
    for raw in incidents(service).values():
        one = decode(raw)
        by_alert[one.alerts[0].alert] = one
    assert [by_alert[each.id].queue for each in (low, knows, spied)] == [
        "supervisor/limburg",
        "supervisor/unknown",
        "pager",
    ]
    assert value_of(port, 'lookup_monitor_incidents_pages_total{why="must"}') == 1
    assert value_of(port, 'lookup_monitor_incidents_open{level="low"}') == 3

    name, paged = by_alert[low.id].id, by_alert[spied.id].id
    listed = monitor(service, "incidents", "list", "--queue", "pager", "--format", "json")
    assert [json.loads(line)["id"] for line in listed[1].splitlines()] == [paged]
    assert monitor(service, "incidents", "ack", paged[:13], "--by", "desk-1")[0] == 0
    assert monitor(service, "incidents", "comment", name, "he was asked to", "--by", "chief")[0] == 0
    assert monitor(service, "incidents", "escalate", name, "--by", "chief", "--reason", "I do not believe it")[0] == 0
    wait_for(lambda: decode(incidents(service)[name]).queue == "desk", 20, "the desk to have it")
    done = monitor(service, "incidents", "close", name, "explained", "--by", "desk-1", "--note", "a task")
    assert done[0] == 0, done[1]
    wait_for(lambda: not decode(incidents(service)[name]).is_open, 20, "it to be closed")
    closed = decode(incidents(service)[name])
    assert [(each.by, each.what, each.reason) for each in closed.history if each.by != "monitor"] == [
        ("chief", "comment", "he was asked to"),
        ("chief", "escalate", "I do not believe it"),
        ("desk-1", "closed", "explained. a task"),
    ]
    assert decode(incidents(service)[paged]).status == "acknowledged"
    shown = monitor(service, "incidents", "show", name)
    assert "he was asked to" in shown[1]
    assert "0 of 10" in shown[1]
    assert "1 incidents" in monitor(service, "incidents", "list", "--status", "closed")[1]

    for arguments in (["ack", name, "--by", "x"], ["ack", "none", "--by", "x"], ["show", ""]):
        assert monitor(service, "incidents", *arguments)[0] == 1, arguments
    assert monitor(service, "incidents", "ack", paged, "--by", "monitor")[0] == 2
    assert monitor(service, "incidents", "close", paged, "guilty", "--by", "x")[0] == 2
    unknown = {"command": "comment", "incident": "x", "by": "y", "reason": "z", "time": "2026-09-22T12:00:00Z"}
    said = {"verdict": "benign", "alert": low.id, "incident": "x", "by": "y", "time": "2026-09-22T12:00:00Z"}
    sent(service, COMMANDS, [(0, b"{"), (0, orjson.dumps(unknown))])
    sent(service, DISPOSITIONS, [(0, orjson.dumps(said))])
    wait_for(lambda: len(service.read(COMMANDS_DLQ, 1)) == 2 and service.read(DISPOSITIONS_DLQ, 1), 20, "the refusals")
    listed = monitor(service, "dlq", "list", "--of", "commands")
    assert "not-json" in listed[1]
    assert "unknown-incident" in listed[1]
