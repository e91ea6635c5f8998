"""Incidents through real Kafka: nothing lost and nobody told twice, whenever the process is killed; and the desk's commands."""

from __future__ import annotations

import json
import random
import signal
import time
import zlib
from collections import Counter

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
from monitor.incidents.model import NOTICE_KINDS, Incident, decode
from monitor.review import Sampler
from monitor.sinks.plan import Mark, pending
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
    SINKS_DLQ,
)
from tests.incidents.made import alert, log
from tests.sinks.made import Got, Receiver, receiver

KILLS = 2


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


def configured(service: Service, server: Receiver) -> None:
    """Two sinks, one that is to get everything and one that calls people."""
    (service.folder / "key").write_text("k" * 32)
    shared = f'secret_file = "{service.folder / "key"}"\nrate = 100000\n'
    (service.folder / "sinks.toml").write_text(
        f'[[sink]]\nname = "cases"\nkind = "webhook"\nurl = "{server.url}/cases"\nnotices = {list(NOTICE_KINDS)}\n{shared}'
        f'[[sink]]\nname = "pager"\nkind = "pagerduty"\nurl = "{server.url}/pager"\n{shared}'
    )
    service.settings = service.settings.model_copy(update={"sinks": service.folder / "sinks.toml"})


def as_records(entries: list[journal.Entry]) -> list[tuple[str, int, bytes]]:
    """Entries as they come to be in Kafka before there is a journal: topic, partition, message."""
    out = []
    for entry in entries:
        if isinstance(entry, Raised):
            out.append((ALERTS, zlib.crc32(entry.alert.entity.id.encode()) % 4, alerts.encode(entry.alert)))
        elif isinstance(entry, Judged):
            out.append((DISPOSITIONS, 0, disposition.encode(entry.disposition)))
        elif isinstance(entry, Asked):
            out.append((COMMANDS, 0, command.encode(entry.command)))
    return out


def test_both_processes_are_killed_again_and_again_and_nothing_is_lost_or_told_twice(service: Service) -> None:
    made = [entry for entry, _ in log(17, 500, actors=40)]
    alert_ids = {entry.alert.id for entry in made if isinstance(entry, Raised)}
    out, chance, at, down_until = as_records(made), random.Random(6), 0, 0.0
    said: list[tuple[Got, int]] = []
    poison: set[str] = set()

    def answer(got: Got) -> int:
        is_bad = any(name in str(got) for name in poison)
        said.append((got, 400 if is_bad else 503 if time.monotonic() < down_until else 202))
        return said[-1][1]

    def delivered() -> int:
        return sum(status == 202 for _, status in list(said))

    with receiver() as server:
        server.answer = answer
        configured(service, server)
        producer = KafkaProducer(bootstrap_servers=service.settings.bootstrap, acks="all")
        for _ in range(KILLS):
            process, told = service.start("incidents run", port := free_port()), service.start("sinks run", free_port())
            ready(port)
            until = time.monotonic() + 0.3 + chance.random()
            down_until = time.monotonic() + chance.random()
            while time.monotonic() < until:
                size = chance.randrange(1, 20)
                send(producer, out[at : at + size])
                at = min(len(out), at + size)
            so_far = delivered()
            wait_for(lambda so_far=so_far: delivered() >= so_far + 10, 30, "some to be told before the kill")  # type: ignore[misc]
            for each in (process, told):
                each.send_signal(signal.SIGKILL)
                each.wait(10)
        send(producer, out[at:])
        process, told = (
            service.start("incidents run", port := free_port()),
            service.start("sinks run", shown := free_port()),
        )
        wait_for(lambda: counted(service) == len(alert_ids), 60, "every alert to be in an incident")
        last = alert("poison", "critical", ("o-poison",))
        poison.add("o-poison")
        send(producer, [(ALERTS, 0, alerts.encode(last))])
        producer.close()
        wait_for(lambda: len(service.read(SINKS_DLQ, 1)) == 2, 60, "the refusals")
        wait_for(lambda: page(shown, "/readyz")[0] == 200 and not waiting(shown), 60, "everybody to be told")
        for each in (process, told):
            each.send_signal(signal.SIGTERM)
            assert each.wait(20) == 0

    expected, entries = again(service)
    assert incidents(service) == expected, "byte for byte what the journal gives"
    sources = [entry.source for entry in entries if not isinstance(entry, journal.Tick)]
    assert len(set(sources)) == len(out) + 1, "each record is in the journal"
    assert {entry.alert.id for entry in entries if isinstance(entry, Raised)} == alert_ids | {last.id}
    assert service.read(INCIDENTS_STATE, 1)

    found = [decode(raw) for raw in expected.values()]
    good = [each for each in found if each.group.id != "o-poison"]
    taken = [got for got, status in said if status == 202]
    keys = Counter(got.headers["webhook-id"] for got in taken if got.path == "/cases")
    assert set(keys) == {f"{each.id}/{notice.number}" for each in good for notice in each.notices}
    assert sum(count - 1 for count in keys.values()) <= KILLS, "at most what was on its way when it was killed"
    calls = {got.body["dedup_key"] for got in taken if got.path == "/pager" and got.body["event_action"] == "trigger"}
    assert {each.id for each in good if pending(each, Mark(), {"page", "escalation"}, is_record=False)} <= calls
    refused = {(dict(each.headers)["sink"], dict(each.headers)["detail"]) for each in service.read(SINKS_DLQ, 1)}  # type: ignore[attr-defined]
    assert refused == {(b"cases", b"HTTP 400"), (b"pager", b"HTTP 400")}
    logged = (service.folder / "incidents run.log").read_text() + (service.folder / "sinks run.log").read_text()
    assert not [name for name in ("o-1", "p-1", "desk-1", "o-poison") if name in logged], "a log line names somebody"


def counted(service: Service) -> int:
    return sum(decode(raw).alert_count for raw in incidents(service).values())


def waiting(port: int) -> float:
    return sum(value_of(port, f'lookup_monitor_sink_pending{{sink="{name}"}}') for name in ("cases", "pager"))


def test_the_desk_works_on_incidents_by_hand(service: Service) -> None:
    watched = {"record": "watch", "id": "w", "subjects": ["p-9"], "may_know": ["o-3"], "from": "2020-01-01T00:00:00Z"}
    actor = {"record": "actor", "id": "o-1", "unit": "limburg"}
    send_reference(service.settings, [orjson.dumps(watched), orjson.dumps(actor)])
    service.start("incidents run", port := free_port())
    service.start("sinks run", idle := free_port())
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
    ready(idle)  # without a file of sinks it runs and tells nobody
