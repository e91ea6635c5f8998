"""The audit log on real Kafka: what is acknowledged is there for good and chained; what somebody changes is found; nothing looked at is lost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import orjson
import pytest
from conftest import Service, wait_for
from kafka import KafkaAdminClient, KafkaProducer
from test_pipeline import free_port, page
from typer.testing import CliRunner

from monitor import local_kafka
from monitor.audit.chain import Chain, Seen, link_of
from monitor.audit.event import AuditUnavailable
from monitor.cli import app
from monitor.commands.ingest import send_chunks, send_events
from monitor.commands.run import ensure_topics, stop_workers
from monitor.rules.load import version_of
from monitor.secret_files import write_secret
from monitor.settings import Settings
from monitor.stream.auditing import KafkaAudit
from monitor.stream.folder import RuleFolder
from monitor.stream.masking import with_local_keys
from monitor.stream.topics import AUDIT, DLQ, EVENTS
from monitor.stream.versions import pack_records, switch_records
from tests.access.made import cheap_passwords
from tests.audit.made import event, signer


class Signed:
    """The keys of the audit log in files, and commands that know them, in this process: starting Python takes longer than what they do."""

    def __init__(self, service: Service, kafka: int) -> None:
        self.service, self.folder, self.kafka = service, service.folder, kafka
        self.private, self.public = self.folder / "audit.key", self.folder / "audit.pem"
        write_secret(self.private, signer().private_pem())
        self.public.write_bytes(signer().public_pem())
        self.settings = service.settings.model_copy(update={"audit_key_file": self.private, "audit_within": 5.0})

    def run(self, *arguments: str, **more: str) -> tuple[int, str]:
        environment = {
            "LOOKUP_MONITOR_BOOTSTRAP": self.settings.bootstrap,
            "LOOKUP_MONITOR_AUDIT_KEYS": str(self.public),
            "LOOKUP_MONITOR_AUDIT_KEY_FILE": str(self.private),
            "LOOKUP_MONITOR_USERS_FILE": str(self.folder / "users.json"),
            **more,
        }
        done = CliRunner().invoke(app, list(arguments), env=environment)
        broke = "" if isinstance(done.exception, SystemExit | None) else repr(done.exception)
        return done.exit_code, done.output + broke

    def audit(self, *arguments: str) -> tuple[int, str]:
        return self.run("audit", *arguments)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    """One broker for all of it: it takes longer to start than what is done with it."""
    folder = tmp_path_factory.mktemp("audit")
    with local_kafka.start(folder / "kafka") as kafka:
        settings = with_local_keys(Settings(bootstrap=kafka.bootstrap), folder / "keys")
        ensure_topics(settings)
        service = Service(settings, folder)
        try:
            yield Signed(service, kafka.pid)
        finally:
            stop_workers(service.workers)


def test_every_change_of_a_user_is_in_the_log(signed: Signed) -> None:
    assert signed.audit("verify")[0] == 0, "an empty log"
    password, told = signed.folder / "password", signed.folder / "told"
    write_secret(password, b"correct horse battery")
    given = ["--password-file", str(password), "--secrets-to", str(told)]
    with cheap_passwords():
        for arguments in (
            ["add", "anna", "--role", "desk", *given],
            ["roles", "anna", "--role", "supervisor", "--unit", "north"],
            ["disable", "anna"],
            ["enable", "anna"],
        ):
            code, said = signed.run("users", *arguments)
            assert code == 0, said
            assert "otpauth" not in said
    assert told.read_text().startswith("otpauth://totp/")
    assert told.stat().st_mode & 0o777 == 0o600
    assert "supervisor" in signed.run("users", "list")[1]
    events = [orjson.loads(line) for line in signed.audit("list", "--what", "user-change", "--json")[1].splitlines()]
    assert [each["reason"].split()[0] for each in events] == ["add", "roles", "disable", "enable"]
    assert all(each["by"].startswith("os:") for each in events)


def test_the_audit_log(signed: Signed) -> None:
    service = signed.service
    asyncio.run(several_write(signed))
    records = service.read(AUDIT, 1)
    assert len({link_of(each.value).event.id for each in records}) == 65
    assert len({link_of(each.value).writer for each in records}) == 7
    code, said = signed.audit("verify")
    assert (code, "65 records by 7 writers, 65 of them signed: no break" in said) == (0, True), said
    head = signed.folder / "head.json"
    assert signed.audit("head", "--to", str(head))[0] == 0
    assert signed.audit("head", "--to", str(head))[0] == 2, "a head is never written over"
    assert signed.audit("verify", "--from-head", str(head))[0] == 0
    listed = signed.audit("list", "--by", "d-1", "--json")[1].splitlines()
    assert {orjson.loads(line)["by"] for line in listed} == {"d-1"}
    assert len(listed) == 20
    assert '"id": "e-0"' in signed.audit("show", "e-0")[1]
    assert signed.audit("show", "nothing")[0] == 1
    the_relay_is_killed_and_passes_on_everything(service)
    somebody_writes_to_the_topic(signed)
    the_topic_is_written_anew_without_one(signed, records, head)
    asyncio.run(kafka_goes_away(signed))


async def several_write(signed: Signed) -> None:
    """Three processes' writers at once; the third begins when the others have written."""
    writers = [KafkaAudit(signed.settings) for _ in range(3)]
    try:
        for part in (range(0, 20), range(20, 60)):
            busy = writers[:2] if part.start == 0 else writers
            await asyncio.gather(*(busy[number % len(busy)].write(event(number)) for number in part))
        # Who asked has gone away; the chain goes on all the same.
        gone = asyncio.create_task(writers[0].write(event(60)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    finally:
        for writer in writers:
            await writer.stop()


def the_relay_is_killed_and_passes_on_everything(service: Service) -> None:
    since = service.ends(EVENTS)

    async def look(numbers: range) -> None:
        async with KafkaAudit(service.settings.model_copy(update={"audit_key_file": None})) as audit:
            for number in numbers:
                await audit.write(msgspec.structs.replace(event(number), subjects=(f"p-{number}",)))

    for times in range(2):
        relay = service.start("audit relay", port := free_port())
        wait_for(lambda port=port: page(port, "/readyz")[0] == 200, 60, "readiness")
        asyncio.run(look(range(1000 + 50 * times, 1050 + 50 * times)))
        relay.send_signal(signal.SIGKILL)
        relay.wait(10)
    service.start("audit relay", free_port())
    wanted = {f"e-{number}" for number in range(1000, 1100)}

    def ids() -> set[str]:
        return {orjson.loads(each.value)["id"] for each in service.read(EVENTS, since=since)}

    wait_for(lambda: ids() >= wanted, 60, "every lookup")
    found = {orjson.loads(each.value)["id"]: each for each in service.read(EVENTS, since=since)}
    # Those before were searches too, of nobody that they name.
    assert {each for each in found if each not in {event(number).id for number in range(100)}} == wanted
    lookup = orjson.loads(found["e-1001"].value)
    assert (lookup["system"], lookup["action"], lookup["subject"]["id"]) == ("lookup-monitor", "search", "p-1001")
    assert found["e-1001"].key == lookup["actor"]["id"].encode()


def somebody_writes_to_the_topic(signed: Signed) -> None:
    code, said = signed.audit("verify")
    assert (code, "signature" in said) == (1, True), "the relay's test wrote without a signature"
    records = signed.service.read(AUDIT, 1)
    producer = KafkaProducer(bootstrap_servers=signed.service.settings.bootstrap)
    made = Chain("intruder").make(event(7), Seen(0, 3, bytes(32)))
    producer.send(AUDIT, made.value, key=made.key, partition=0).get(30)
    producer.close()
    said = signed.audit("verify", "--json")[1]
    breaks = orjson.loads(said)["breaks"]
    assert {"altered", "signature"} <= {each["kind"] for each in breaks if each["offset"] == len(records)}
    assert {each["writer"] for each in breaks if each["offset"] == len(records)} == {"intruder"}


def the_topic_is_written_anew_without_one(signed: Signed, records: list[object], head: Path) -> None:
    admin = KafkaAdminClient(bootstrap_servers=signed.service.settings.bootstrap)
    try:
        for name, changed in (("removed", records[:30] + records[31:]), ("no break", records)):
            anew(signed.service, admin, changed)
            code, said = signed.audit("verify", "--from-head", str(head))
            assert (code, name in said) == (int(name == "removed"), True), said
    finally:
        admin.close()


def anew(service: Service, admin: KafkaAdminClient, records: list[object]) -> None:
    admin.delete_topics([AUDIT])
    wait_for(lambda: AUDIT not in admin.list_topics(), 30, "the end of the topic")
    ensure_topics(service.settings)
    producer = KafkaProducer(bootstrap_servers=service.settings.bootstrap)
    for each in records:
        producer.send(AUDIT, each.value, key=each.key, headers=list(each.headers), partition=0).get(30)
    producer.close()


async def kafka_goes_away(signed: Signed) -> None:
    """When Kafka does not take it, it is said in time; nothing else is."""
    settings = signed.settings.model_copy(update={"bootstrap": f"127.0.0.1:{free_port()}", "audit_within": 1.0})
    audit = KafkaAudit(settings)
    began = asyncio.get_running_loop().time()
    with pytest.raises(AuditUnavailable):
        await audit.write(event(1))
    assert asyncio.get_running_loop().time() - began < 3
    await audit.stop()


def test_an_event_of_which_kafka_says_nothing_is_not_taken_to_be_there(signed: Signed) -> None:
    """A broker that hangs: it is said in time; the record may come all the same, and breaks no chain; it goes on by itself."""
    asyncio.run(frozen(signed))
    code, said = signed.audit("verify")
    assert (code, "no break" in said) == (0, True), said


async def frozen(signed: Signed) -> None:
    async with KafkaAudit(signed.settings.model_copy(update={"audit_within": 2.0})) as audit:
        await audit.write(event(2000))
        os.kill(signed.kafka, signal.SIGSTOP)
        try:
            began = asyncio.get_running_loop().time()
            with pytest.raises(AuditUnavailable):
                await audit.write(event(2001))
            assert asyncio.get_running_loop().time() - began < 4
        finally:
            os.kill(signed.kafka, signal.SIGCONT)
        deadline = asyncio.get_running_loop().time() + 30
        while True:
            try:
                await audit.write(event(2002))
                break
            except AuditUnavailable:
                assert asyncio.get_running_loop().time() < deadline
    found = {each.event.id: each for each in map(link_of, (each.value for each in signed.service.read(AUDIT, 1)))}
    assert {"e-2000", "e-2002"} <= found.keys()
    assert (found["e-2002"].writer != found["e-2000"].writer, found["e-2002"].n) == (True, 0), "a new chain"


def test_workers_take_no_rules_that_nobody_has_signed(signed: Signed) -> None:
    """Whoever may write the topics of rules and lookups deploys nothing; nor does a changed pack; a signed one is taken."""
    folder, key, port = signed.folder / "pack", signed.folder / "rules.key", free_port()
    folder.mkdir()
    (folder / "some.yml").write_text(
        FORGED.replace("Nothing", "Print").replace("nothing", "print").replace("2e30", "2e31")
    )
    for arguments in (["keygen", str(key)], ["sign", str(folder), "--key-file", str(key)]):
        code, said = signed.run("rules", *arguments)
        assert code == 0, said
    service = signed.service
    service.settings = signed.settings.model_copy(update={"rules": folder, "rules_keys": Path(f"{key}.pem")})
    first = version_of(RuleFolder(folder).read())
    service.start_worker(port)
    wait_for(lambda: f"rules: {first}" in page(port, "/readyz")[1], 60, "the signed rules")
    # Nobody's rules, as if by somebody who may write all of Kafka.
    forged, pack = pack_records({"one.yml": FORGED})
    for records in (pack, switch_records(forged, service.settings.partitions)):
        for _ in send_chunks(service.settings, records):
            pass
    send_events(service.settings, [b"{}"])
    wait_for(lambda: refused(service, "unknown-rules") == service.settings.partitions, 60, "the refusals")
    assert f"rules: {first}" in page(port, "/readyz")[1]
    # The pack, and what names it.
    assert "lookup_monitor_rules_refused_total 2.0" in page(port, "/metrics")[1]
    assert "rule pack refused" in (service.folder / f"worker-{len(service.workers) - 1}.log").read_text()
    # A pack that was changed after it was signed is not sent at all; signed again, it counts.
    (folder / "one.yml").write_text(FORGED)
    with_keys = {"LOOKUP_MONITOR_RULES_KEYS": f"{key}.pem"}
    code, said = signed.run("rules", "deploy", str(folder), **with_keys)
    assert (code, "changed after it was signed" in said) == (1, True), said
    assert signed.run("rules", "sign", str(folder), "--key-file", str(key))[0] == 0
    code, said = signed.run("rules", "deploy", str(folder), **with_keys)
    assert (code, "signed by" in said) == (0, True), said
    second = version_of(RuleFolder(folder).read())
    wait_for(lambda: f"rules: {second}" in page(port, "/readyz")[1], 60, "the rules signed again")


def refused(service: Service, reason: str) -> int:
    return [dict(each.headers).get("reason") for each in service.read(DLQ)].count(reason.encode())


FORGED = """
title: Nothing at all
id: 5f6c9d4e-3b0a-4a57-9f5c-0d8a5b1c2e30
logsource: {category: lookup}
detection: {s: {action: nothing}, condition: s}
level: low
"""
