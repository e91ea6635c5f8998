"""Every part of the monitor works with TLS, as its own user, with the rights of ``monitor acls`` and no others (DESIGN §6)."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import wait_for
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType
from kafka.errors import TopicAuthorizationFailedError
from secure_kafka import Authority, SecureKafka, secure_kafka
from typer.testing import CliRunner

from monitor import acls
from monitor.access.roles import Person, Role
from monitor.archive.store import Archive
from monitor.audit.event import AuditEvent
from monitor.cli import app
from monitor.commands.run import spawn_worker, stop_workers
from monitor.connection import Connection
from monitor.console.sending import KafkaCommands
from monitor.feedback.disposition import Disposition
from monitor.history.ask import History
from monitor.incidents.command import Command
from monitor.incidents.model import Incident
from monitor.incidents.model import decode as decode_incident
from monitor.privacy.desk import Stamp
from monitor.settings import Settings
from monitor.stream import topics
from monitor.stream.auditing import KafkaAudit, audited
from monitor.stream.batches import BatchWriter, Out
from monitor.stream.masking import made_key
from monitor.stream.tables import read_to_end
from monitor.stream.unmaskings import unmasking_desk
from tests.sinks.made import receiver

#: Processes; they are stopped at the end.
PROCESSES = {
    "worker": "worker",
    "canary": "canary",
    "watch": "watch",
    "rank": "rank",
    "incidents": "incidents run",
    "sinks": "sinks run",
    "relay": "audit relay",
    "archive": "archive run",
    "outcomes": "outcomes run",
    "console": "console",
}


class Force:
    """The secure broker, and the parts of the monitor as users of it."""

    def __init__(self, kafka: SecureKafka, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.running: list[subprocess.Popen[bytes]] = []

    def settings(self, role: str) -> Settings:
        kafka = self.kafka.as_user(role)
        return Settings(
            bootstrap=kafka.bootstrap,
            kafka_protocol=kafka.protocol,
            kafka_ca_file=kafka.ca_file,
            kafka_user=kafka.user,
            kafka_password_file=kafka.password_file,
            metrics_port=0,
            canary_every=1.0,
            sinks=self.folder / "sinks.toml",
            archive=self.folder / "archive",
            archive_every=0.5,
            console_store=f"sqlite:///{self.folder}/console.db",
            console_port=0,
            users_file=self.folder / "users.json",
            pseudonym_key_file=made_key(self.folder / "pseudonym.key"),
            identity_key_file=made_key(self.folder / "identity.key"),
        )

    def start(self, role: str) -> None:
        command = PROCESSES[role]
        self.running.append(spawn_worker(self.settings(role), self.folder / f"{role}.log", command=command))

    def monitor(self, role: str, *arguments: str) -> str:
        """Run a command as the user of a role; it must end well."""
        code, said = self.run(self.settings(role), *arguments)
        assert code == 0, (role, arguments, said)
        return said

    def run(self, settings: Settings, *arguments: str) -> tuple[int, str]:
        """Exit code and output of a command, in this process: starting Python takes longer than what it does."""
        values = settings.model_dump(exclude_none=True)
        environment = {"XDG_DATA_HOME": str(self.folder), "COLUMNS": "240"}
        environment |= {f"LOOKUP_MONITOR_{name.upper()}": str(value) for name, value in values.items()}
        done = CliRunner().invoke(app, list(arguments), env=environment)
        return done.exit_code, f"{done.output}{done.exception or ''}"


@pytest.fixture(scope="module")
def force(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Force]:
    """All parts have done their work, each as its own user with its own rights."""
    folder = tmp_path_factory.mktemp("secure")
    with secure_kafka(folder / "kafka", list(acls.ROLES)) as kafka:
        made = Force(kafka, folder)
        allow(kafka)
        (folder / "key").write_text("k" * 32)
        with receiver() as server:
            # Whatever it is sent is wrong, so that there is a refusal too.
            server.answer = lambda _: 400
            (folder / "sinks.toml").write_text(
                f'[[sink]]\nname = "cases"\nkind = "webhook"\nurl = "{server.url}"\nsecret_file = "{folder / "key"}"\n'
            )
            try:
                work(made)
            finally:
                stop_workers(made.running)
        yield made


def allow(kafka: SecureKafka) -> None:
    """Give each role's user what ``monitor acls`` says, and nothing else."""
    given = [
        ACL(
            f"User:{role}",
            "*",
            ACLOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", right.operation).upper()],
            ACLPermissionType.ALLOW,
            ResourcePattern(
                ResourceType[right.kind.upper()],
                right.name,
                ACLResourcePatternType.PREFIXED if right.is_prefix else ACLResourcePatternType.LITERAL,
            ),
        )
        for role in acls.ROLES
        for right in acls.rights_of(role, Settings().group)
    ]
    admin = KafkaAdminClient(**kafka.as_user().options())
    try:
        assert not admin.create_acls(given)["failed"]
    finally:
        admin.close()


def work(force: Force) -> None:
    """What each role is there for."""
    force.monitor("topics", "topics")
    force.monitor("topics", "doctor")
    force.monitor("source", "simulate", str(force.folder), "--days", "6", "--actors", "50")
    force.monitor("registrar", "reference", "load", str(force.folder / "reference.jsonl"))
    force.monitor("author", "rules", "deploy", "rules")
    force.monitor("author", "rules", "versions")
    for role in PROCESSES:
        if role not in ("archive", "outcomes"):  # it looks for holds when it begins; later there are some
            force.start(role)
    force.monitor("source", "ingest", str(force.folder / "events.jsonl"))
    bad = force.folder / "bad.jsonl"
    bad.write_bytes(b'{"no": "lookup"}\n')
    force.monitor("source", "ingest", str(bad))
    desk = force.kafka.as_user("desk")
    (first, *_) = wait_for(lambda: read(desk, topics.ALERTS), 90, "an alert")
    force.monitor("desk", "dispose", orjson.loads(first)["id"], "benign", "--by", "d-1")
    force.monitor("desk", "dispose", "no-such-alert", "benign", "--by", "d-1")
    admin = force.kafka.as_user()
    (opened, *_) = wait_for(lambda: read(desk, topics.INCIDENTS), 60, "an incident")
    force.monitor("desk", "incidents", "comment", orjson.loads(opened)["id"], "seen", "--by", "d-1")
    producer = KafkaProducer(**desk.options())
    producer.send(topics.COMMANDS, b"no command")
    gone = {"verdict": "benign", "by": "d-1", "time": "2026-11-20T10:00:00Z", "alert": orjson.loads(first)["id"]}
    producer.send(topics.DISPOSITIONS, orjson.dumps({**gone, "incident": "no-such-incident"}))
    producer.close()
    for topic in (
        topics.PRIORITIES,
        topics.DLQ,
        topics.DISPOSITIONS_DLQ,
        topics.COMMANDS_DLQ,
        topics.SINKS_DLQ,
        topics.RANK_STATE,
        topics.SOURCES_STATE,
        topics.INCIDENTS_STATE,
        topics.SINKS_STATE,
    ):
        wait_for(lambda topic=topic: read(admin, topic), 60, topic)  # type: ignore[misc]
    sends(KafkaCommands(force.settings("console")), orjson.loads(opened)["id"], orjson.loads(first)["id"])
    wait_for(lambda: read(admin, topics.SCORE_STATE) and read(admin, topics.CANARIES), 60, "models and canaries")
    privacy(force, orjson.loads(opened))
    force.start("archive")
    force.start("outcomes")
    force.monitor("desk", "dlq", "list", "--of", "dispositions")
    force.monitor("desk", "dlq", "list", "--of", "commands")
    force.monitor("operator", "dlq", "list", "--of", "sinks")
    force.monitor("operator", "dlq", "list")
    force.monitor("operator", "dlq", "replay")
    force.monitor("auditor", "replay", "--from", "3d")
    force.monitor("auditor", "export", str(force.folder / "export"), "--from", "2d", "--to", "now")
    force.monitor("auditor", "model", "show")
    force.monitor("author", "model", "versions")
    force.monitor("auditor", "report", "fairness")
    for role in ("audit", "console"):
        looked = AuditEvent(
            id=f"looked-{role}", time="2026-11-27T10:00:00Z", by="d-1", what="search", subjects=("AB-12-CD",)
        )
        asyncio.run(audited(force.settings(role), looked))
    assert "no break" in force.monitor("auditor", "audit", "verify")
    # What they looked at is a lookup now.
    wait_for(
        lambda: any(b"looked-console" in each for each in read(admin, topics.EVENTS)), 60, "the lookup of a search"
    )
    investigate(force)


def investigate(force: Force) -> None:
    """Trace what somebody looked at and no record explains, as if it had leaked."""
    archive = Archive(force.folder / "archive")

    def most() -> tuple[str, list[str]] | None:
        if not archive.exists:
            return None
        found = History(archive).db.execute(
            "SELECT actor, list(DISTINCT subject) FROM lookups WHERE subject IS NOT NULL AND explanation <> 'record'"
            " GROUP BY actor HAVING count(DISTINCT subject) >= 5 ORDER BY count(*) LIMIT 1"
        )
        return found.fetchone()

    _, subjects = wait_for(most, 60, "lookups in the archive")
    leaks = force.folder / "leaks.csv"
    leaks.write_text("subject,date\n" + "".join(f"{subject},2030-01-01\n" for subject in subjects))
    code, said = force.run(
        force.settings("investigator"), "trace", "--subjects", str(leaks), "--within", "5000", "--incident"
    )
    assert (code, "alerts raised" in said) == (1, True), said
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    happened = [part for each in subjects for part in ("--subject", f"{each}@{tomorrow}")]
    force.monitor("investigator", "outcomes", "add", "--kind", "failed-raid", "--source", "i-1", *happened)
    assert "1 outcomes" in force.monitor("investigator", "outcomes", "list")
    before = len(read(force.kafka.as_user(), topics.ALERTS))
    KafkaProducer(**force.kafka.as_user("investigator").options()).send(topics.OUTCOMES, b"no outcome").get(30)
    wait_for(lambda: read(force.kafka.as_user(), topics.OUTCOMES_DLQ), 60, "what was no outcome, after the trace")
    assert len(read(force.kafka.as_user(), topics.ALERTS)) > before
    force.monitor("investigator", "dlq", "list", "--of", "outcomes")
    folder, about = force.folder / "leaked", ("--kind", "subject", "--by", "po-1", "--reason", "r")
    assert f"{topics.OUTCOMES}.jsonl: " in force.monitor(
        "privacy", "privacy", "export", str(folder), subjects[0], *about
    )


def sends(commands: KafkaCommands, incident: str, alert: str) -> None:
    """What the console sends, as its own user."""

    async def send() -> None:
        time = "2026-11-20T10:00:00Z"
        await commands.command(Command(command="comment", incident=incident, by="d-2", time=time, reason="seen too"))
        await commands.dispose(Disposition(verdict="benign", by="d-2", time=time, alert=alert))

    asyncio.run(send())


async def asks(settings: Settings, incident: Incident, name: str) -> None:
    """Somebody at the console asks for an identity."""
    mark = Stamp("asked-1", datetime.now(UTC).isoformat(timespec="milliseconds"))
    person = Person("d-2", frozenset({Role.DESK}))
    async with KafkaAudit(settings) as audit, unmasking_desk(settings, audit) as desk:
        assert (await desk.ask(person, incident, [name], "a tip", mark)).status == "open"


def privacy(force: Force, incident: dict[str, Any]) -> None:
    """An identity is shown, and what is held of somebody is held, exported and erased."""
    name, shared = incident["actors"][0]["actor"], ("--reason", "r")
    asked = force.monitor("desk", "privacy", "ask", incident["id"], name, "--by", "d-1", *shared)
    request = asked.split()[1]
    force.monitor("privacy", "privacy", "approve", request, "--by", "po-1", *shared)
    (shown, actor) = force.monitor("desk", "privacy", "show", request, "--by", "d-1").split()
    assert shown == name
    asyncio.run(asks(force.settings("console"), decode_incident(orjson.dumps(incident)), name))
    held = force.monitor("privacy", "privacy", "hold", incident["id"], "--by", "po-1", *shared).split()[1]
    assert held in force.monitor("privacy", "privacy", "holds").replace("\n", "")
    force.monitor("privacy", "privacy", "lift", held, "--by", "po-1", *shared)
    folder = force.folder / "access"
    done = force.monitor("privacy", "privacy", "export", str(folder), actor, "--by", "po-1", *shared)
    for topic in (topics.EVENTS, topics.KEYED, topics.ALERTS, topics.INCIDENTS, topics.REFERENCE):
        assert f"{topic}.jsonl: " in done
    assert "state.jsonl: 1 records" in done
    told = force.monitor(
        "privacy", "privacy", "erase", actor, "--kind", "actor", "--reference", "--by", "po-1", *shared
    )
    assert re.search(r"\d+ incidents are forgotten", told)


def read(kafka: Connection, topic: str) -> list[bytes]:
    """The values in a topic."""
    consumer = KafkaConsumer(**kafka.options(), enable_auto_commit=False)
    try:
        parts = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        ends = consumer.end_offsets(parts)
        found: list[bytes] = []
        while any(consumer.position(part) < ends[part] for part in parts):
            found += [
                each.value for records in consumer.poll(timeout_ms=500).values() for each in records if each.value
            ]
        return found
    finally:
        consumer.close()


def test_nobody_was_refused_anything(force: Force) -> None:
    assert not {each for each in force.kafka.asked() if not each.allowed}


@pytest.mark.parametrize("role", acls.ROLES)
def test_every_right_is_needed(force: Force, role: str) -> None:
    """Least privilege: what nothing asked for is not given."""
    used = {(each.operation, each.kind.lower(), each.name) for each in force.kafka.asked() if each.user == role}
    for right in acls.rights_of(role, Settings().group):
        operation = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", right.operation).upper()
        names = {name for what, kind, name in used if (what, kind) == (operation, right.kind)}
        assert any(name.startswith(right.name) if right.is_prefix else name == right.name for name in names), right


@pytest.mark.parametrize(
    ("role", "topic"),
    [
        ("worker", topics.EVENTS),
        ("worker", topics.REFERENCE),
        ("worker", topics.RULES),
        ("worker", topics.DISPOSITIONS),
        ("source", topics.REFERENCE),
        ("source", topics.RULES),
        ("source", topics.ALERTS),
        ("registrar", topics.EVENTS),
        ("rank", topics.ALERTS),
        ("desk", topics.ALERTS),
        ("desk", topics.INCIDENTS),
        ("console", topics.ALERTS),
        ("console", topics.INCIDENTS),
        ("console", topics.RULES),
        ("console", topics.EVENTS),
        ("sinks", topics.INCIDENTS),
        ("incidents", topics.ALERTS),
        ("auditor", topics.ALERTS),
        ("auditor", topics.EVENTS),
        ("auditor", topics.AUDIT),
        ("relay", topics.AUDIT),
        ("audit", topics.EVENTS),
        ("privacy", topics.INCIDENTS),
        ("privacy", topics.EVENTS),
        ("desk", topics.HOLDS),
        ("incidents", topics.HOLDS),
        ("worker", topics.UNMASKINGS),
        ("worker", topics.OUTCOMES),
        ("outcomes", topics.OUTCOMES),
        ("outcomes", topics.EVENTS),
    ],
)
def test_a_role_does_not_write_what_is_not_its_own(force: Force, role: str, topic: str) -> None:
    producer = KafkaProducer(**force.kafka.as_user(role).options(), enable_idempotence=False)
    try:
        with pytest.raises(TopicAuthorizationFailedError):
            producer.send(topic, b"{}").get(timeout=30)
    finally:
        producer.close()


@pytest.mark.parametrize(
    ("role", "topic"),
    [
        ("worker", topics.DISPOSITIONS),
        ("source", topics.EVENTS),
        ("source", topics.ALERTS),
        ("canary", topics.EVENTS),
        ("watch", topics.ALERTS),
        ("watch", topics.EVENTS),
        ("rank", topics.EVENTS),
        ("incidents", topics.EVENTS),
        ("sinks", topics.ALERTS),
        ("topics", topics.EVENTS),
        ("author", topics.EVENTS),
        ("registrar", topics.REFERENCE),
        ("desk", topics.EVENTS),
        ("desk", topics.KEYED),
        ("console", topics.EVENTS),
        ("console", topics.KEYED),
        ("console", topics.REFERENCE),
        ("operator", topics.EVENTS),
        ("worker", topics.AUDIT),
        ("audit", topics.EVENTS),
        ("worker", topics.UNMASKINGS),
        ("rank", topics.UNMASKINGS),
        ("desk", topics.HOLDS),
    ],
)
def test_a_role_does_not_read_what_is_not_its_own(force: Force, role: str, topic: str) -> None:
    consumer = KafkaConsumer(**force.kafka.as_user(role).options(), enable_auto_commit=False)
    try:
        if not consumer.partitions_for_topic(topic):
            return  # that there is such a topic is not even told
        part = TopicPartition(topic, 0)
        consumer.assign([part])
        consumer.seek(part, 0)
        with pytest.raises(TopicAuthorizationFailedError):
            consumer.poll(timeout_ms=30_000)
    finally:
        consumer.close()


def test_who_shows_a_certificate_is_known_by_its_name(force: Force) -> None:
    """Both kinds of client, and mutual TLS: the certificate of ``worker`` gives the rights of that user."""
    kafka = force.kafka.by_certificate("worker")
    assert read(kafka, topics.REFERENCE)

    async def write() -> int:
        writer = BatchWriter(kafka)
        await writer.start()
        try:
            await writer.write([Out(topics.REVIEW, 0, b"k", b"v", None)])
        finally:
            await writer.stop()
        return len([record async for record in read_to_end(kafka, topics.REFERENCE, 0)])

    assert asyncio.run(write()) > 0
    consumer = KafkaConsumer(**force.kafka.by_certificate("source").options(), enable_auto_commit=False)
    try:
        assert not consumer.partitions_for_topic(topics.REFERENCE)
        assert consumer.partitions_for_topic(topics.EVENTS)
    finally:
        consumer.close()


def test_a_wrong_password_and_an_authority_nobody_knows_are_said(
    force: Force, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.commands.common.KAFKA_ANSWERS_WITHIN_MS", 2000)
    wrong, other = tmp_path / "password", Authority(tmp_path / "other", "another authority")
    wrong.write_text("guessed")
    for setting, file in (("kafka_password_file", wrong), ("kafka_ca_file", other.file)):
        code, said = force.run(force.settings("worker").model_copy(update={setting: file}), "topics", "--check")
        assert code == 2
        assert f"LOOKUP_MONITOR_{setting.upper()}" in said
        assert "guessed" not in said
