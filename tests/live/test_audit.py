"""The audit log on real Kafka: what is acknowledged is there for good and chained; what somebody changes is found; nothing looked at is lost."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import msgspec
import orjson
import pytest
from conftest import Service, wait_for
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from test_pipeline import free_port, page

from monitor.audit.chain import Chain, Seen, link_of
from monitor.audit.event import AuditUnavailable
from monitor.secret_files import write_secret
from monitor.signing import Signer
from monitor.stream.auditing import KafkaAudit
from monitor.stream.topics import AUDIT, EVENTS
from tests.audit.made import event, signer


class Signed:
    """The keys of the audit log in files, and commands that know them."""

    def __init__(self, service: Service, folder: Path, made: Signer) -> None:
        self.service = service
        self.private, self.public = folder / "audit.key", folder / "audit.pem"
        write_secret(self.private, made.private_pem())
        self.public.write_bytes(made.public_pem())
        self.settings = service.settings.model_copy(update={"audit_key_file": self.private, "audit_within": 5.0})

    def audit(self, *arguments: str) -> tuple[int, str]:
        done = self.service.monitor("audit", *arguments, more={"LOOKUP_MONITOR_AUDIT_KEYS": str(self.public)})
        return done.returncode, done.stdout + done.stderr


def test_the_audit_log(service: Service, tmp_path: Path) -> None:
    """One broker for all of it: they take longer to start than what is done with them."""
    signed = Signed(service, tmp_path, signer())
    assert signed.audit("verify")[0] == 0, "an empty log"
    asyncio.run(several_write(signed))
    records = service.read(AUDIT, 1)
    assert len({link_of(each.value).event.id for each in records}) == 61
    assert len({link_of(each.value).writer for each in records}) == 3
    code, said = signed.audit("verify")
    assert (code, "61 records by 3 writers, 61 of them signed: no break" in said) == (0, True), said
    head = tmp_path / "head.json"
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

    for times in range(3):
        relay = service.start("audit relay", port := free_port())
        wait_for(lambda port=port: page(port, "/readyz")[0] == 200, 60, "readiness")
        asyncio.run(look(range(1000 + 50 * times, 1050 + 50 * times)))
        relay.send_signal(signal.SIGKILL)
        relay.wait(10)
    service.start("audit relay", free_port())
    wanted = {f"e-{number}" for number in range(1000, 1150)}

    def ids() -> set[str]:
        return {orjson.loads(each.value)["id"] for each in service.read(EVENTS, since=since)}

    wait_for(lambda: ids() >= wanted, 60, "every lookup")
    found = {orjson.loads(each.value)["id"]: each for each in service.read(EVENTS, since=since)}
    assert found.keys() == wanted
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
        for name, changed in (("removed", records[:30] + records[31:]), ("truncated", records[:50]), ("none", records)):
            anew(signed.service, admin, changed)
            code, said = signed.audit("verify", "--from-head", str(head))
            assert (code, name in said or name == "none") == (int(name != "none"), True), said
    finally:
        admin.close()


def anew(service: Service, admin: KafkaAdminClient, records: list[object]) -> None:
    admin.delete_topics([AUDIT])
    wait_for(lambda: AUDIT not in admin.list_topics(), 30, "the end of the topic")
    admin.create_topics([NewTopic(AUDIT, 1, 1)])
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
