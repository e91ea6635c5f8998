"""The console's store through real Kafka: killed in the middle and made anew it has the same rows; what people do comes back."""

from __future__ import annotations

import asyncio
import re
import socket
import time
import zlib
from pathlib import Path

import httpx
import orjson
import pyotp
from conftest import Service, wait_for
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from sqlalchemy import Engine
from test_incidents import ready
from test_pipeline import free_port, page
from typer.testing import CliRunner

from monitor import alerts
from monitor.cli import app
from monitor.commands.console import open_engine, serve
from monitor.commands.ingest import send_chunks
from monitor.commands.run import spawn_worker
from monitor.console.app import console
from monitor.console.filler import Filler
from monitor.console.health import Endpoints
from monitor.console.reading import Reader
from monitor.console.rulehealth import rules_health
from monitor.console.sending import KafkaCommands
from monitor.incidents.journal import Raised
from monitor.metrics_console import ConsoleMetrics
from monitor.secret_files import write_secret
from monitor.settings import Settings
from monitor.stream.masking import mask_of
from monitor.stream.topics import ALERTS, INCIDENTS
from monitor.stream.versions import pack_records, switch_records
from tests.access.made import PASSWORD, field_of
from tests.console.harness import CSRF, Guard, Logged
from tests.console.made import rows_of
from tests.incidents.made import alert, log

#: Somebody whose id is in no alert as it is.
HIDDEN = "o-771239"


def said(service: Service, producer: KafkaProducer, made: list[Raised]) -> None:
    for each in made:
        producer.send(ALERTS, value=alerts.encode(each.alert), partition=zlib.crc32(each.alert.id.encode()) % 4)
    producer.flush(30)


def rebuilt(service: Service, store: Path) -> str:
    environment = {
        "LOOKUP_MONITOR_BOOTSTRAP": service.settings.bootstrap,
        "LOOKUP_MONITOR_CONSOLE_STORE": f"sqlite:///{store}",
        "COLUMNS": "240",
    }
    done = CliRunner().invoke(app, ["console", "rebuild"], env=environment)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_filler_is_killed_in_the_middle_the_store_is_made_anew_and_an_action_comes_back(service: Service) -> None:
    settings = service.settings = service.settings.model_copy(
        update={"console_store": f"sqlite:///{service.folder}/killed.db"}
    )
    rule = (
        "title: A token\nid: 8f0b8d0e-5d3f-4a55-9a0c-0f7c2f4f5a11\nstatus: test\nlogsource: {category: lookup}\n"
        "detection:\n  s:\n    subject.tags: honeytoken\n  condition: s\nlevel: critical\ntypology: honeytoken\nplaybook: Do not warn them.\n"
    )
    version, pack = pack_records({"token.yml": rule})
    for records in (pack, switch_records(version, settings.partitions)):
        for _ in send_chunks(settings, records):
            pass
    port = free_port()
    service.start("incidents run", port)
    made = [entry for entry, _ in log(23, 400, actors=40) if isinstance(entry, Raised)]
    ids = {each.alert.id for each in made}
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap)
    try:
        for part in range(2):
            metrics = free_port()
            filler = service.start("console fill", metrics)
            ready(metrics)
            said(service, producer, made[part::2])
            time.sleep((0.25, 0.05)[part])
            filler.kill()
            filler.wait(30)
        ready(port)
        wait_for(lambda: counted(service) == len(ids), 90, "all alerts in incidents")
        last = free_port()
        filler = service.start("console fill", last)
        ready(last)
        wait_for(lambda: is_filled(settings), 60, "the store")
        assert "lookup_monitor_console_behind 0.0" in page(last, "/metrics")[1]
        filler.terminate()
        assert filler.wait(30) == 0
        killed = open_engine(settings)
        before = rows_of(killed)
        assert {each[0] for each in before["alerts"]} == ids
        assert before["rules"][0][:2] == ("8f0b8d0e-5d3f-4a55-9a0c-0f7c2f4f5a11", version)
        assert "the store was filled anew" in rebuilt(service, service.folder / "anew.db")
        anew = open_engine(settings.model_copy(update={"console_store": f"sqlite:///{service.folder}/anew.db"}))
        assert rows_of(anew) == before
        assert rules_health(anew, 0, 90)[0] == version
        acts(service, anew)
        logs_in(service)
    finally:
        producer.close()


def counted(service: Service) -> int:
    """How many alerts are in incidents."""
    last = {each.key: orjson.loads(each.value) for each in service.read(INCIDENTS, 1)}  # type: ignore[attr-defined]
    return sum(each["alert_count"] for each in last.values())


def is_filled(settings: Settings) -> bool:
    """Whether the store is where the topics end."""
    engine = open_engine(settings)
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    try:
        ends = {TopicPartition(topic, part): at for topic, part, at in rows_of(engine)["offsets"]}
        return all(ends[part] >= end for part, end in consumer.end_offsets(list(ends)).items())
    finally:
        consumer.close()
        engine.dispose()


def acts(service: Service, engine: Engine) -> None:
    """The pages over the store, with the filler in the same process: a verdict goes through Kafka and comes back."""
    settings, metrics, audit = service.settings, ConsoleMetrics(), Logged()
    filler = Filler(settings, engine, metrics)
    made = console(
        engine,
        audit,
        KafkaCommands(settings),
        Endpoints([f"http://127.0.0.1:{free_port()}/metrics"]),
        metrics,
        behind=lambda: filler.behind,
    )
    incident = Reader(engine).queue({"status": "unclosed"}).rows[0].id

    async def go() -> str:
        stop, listening = asyncio.Event(), socket.create_server(("127.0.0.1", 0))
        running = asyncio.create_task(serve(Guard(made), listening, filler, stop))
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", follow_redirects=True, timeout=30
        ) as client:
            form = {"csrf": CSRF, "what": "close", "verdict": "explained", "reason": "asked the unit"}
            text = (await client.post(f"/incidents/{incident}/act", data=form)).text
            deadline = time.monotonic() + 60
            while "closed · explained" not in text:
                assert time.monotonic() < deadline, "the verdict did not come back"
                await asyncio.sleep(0.2)
                text = (await client.get(f"/incidents/{incident}")).text
            live = (await client.get("/live")).text
        stop.set()
        assert await asyncio.wait_for(running, 30) == 0
        return live

    live = asyncio.run(go())
    assert "does not answer" in live
    assert [each.what for each in audit.events][:1] == ["dispose"]
    assert Reader(engine).dispositions().rows[0][0].note == "asked the unit"


def logs_in(service: Service) -> None:
    """The whole of it as a process: nobody sees a page who is not logged in, and what is looked at and done is in the audit log."""
    metrics, port, folder = free_port(), free_port(), service.folder
    service.settings = service.settings.model_copy(
        update={"users_file": folder / "users.json", "console_port": port, "metrics_port": metrics}
    )
    write_secret(folder / "password", PASSWORD.encode())
    for name, role in (("anna", "desk"), ("piet", "privacy-officer")):
        added = service.monitor(
            "users", "add", name, "--role", role,
            "--password-file", str(folder / "password"), "--secrets-to", str(folder / f"told-{name}"),
            more={"LOOKUP_MONITOR_USERS_FILE": str(folder / "users.json")},
        )  # fmt: skip
        assert added.returncode == 0, added.stderr
    process = spawn_worker(service.settings, folder / "console.log", command="console")
    service.workers.append(process)
    ready(metrics)
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, timeout=30) as client:
        for path in ("/", "/static/console.css", "/live", "/incidents/x"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")
        ours = {"Origin": base, "Sec-Fetch-Site": "same-origin"}
        log_in(service, client, ours, "anna")
        queue = client.get("/")
        assert queue.status_code == 200
        assert 'href="/logout"' in queue.text
        incident = re.findall(r'href="(/incidents/[^"?/]+)"', queue.text)[0]
        shown = client.get(incident)
        assert shown.status_code == 200
        assert client.get("/static/console.css").headers["cache-control"].startswith("private")
        act = {"csrf": field_of(shown), "what": "comment", "reason": "asked the unit"}
        assert client.post(f"{incident}/act", data=act).status_code == 403, "sent by no page of ours"
        assert client.post(f"{incident}/act", data={**act, "csrf": "made up"}, headers=ours).status_code == 403
        assert client.post(f"{incident}/act", data=act, headers=ours).status_code in (200, 303)
        unmasks(service, client, ours)
        goodbye = {"csrf": field_of(client.get("/logout"))}
        assert client.post("/logout", data=goodbye, headers=ours).status_code in (200, 303)
        assert client.get("/").status_code == 303
    listed = service.monitor("audit", "list", "--json")
    done = [orjson.loads(line) for line in listed.stdout.splitlines()]
    by = [each["what"] for each in done if each["by"] == "anna" and each.get("done", True)]
    assert (by[0], by[-1]) == ("login", "logout")
    assert {"view-queue", "view-incident", "comment"} <= set(by)
    assert [each["what"] for each in done if each["what"].startswith("identity")] == [
        "identity-ask", "identity-approve", "identity-see",
    ]  # fmt: skip
    assert HIDDEN not in listed.stdout
    assert service.monitor("audit", "verify").returncode == 0
    assert "set LOOKUP_MONITOR_CONSOLE_PORT to a free port" in refused(
        service, CONSOLE_PORT=str(port), USERS_FILE=str(folder / "users.json")
    )
    process.terminate()
    assert process.wait(30) == 0
    assert "GET" not in (folder / "console.log").read_text()
    assert HIDDEN not in (folder / "console.log").read_text()
    assert "nobody can log in" in refused(service)
    service.settings = service.settings.model_copy(update={"users_file": None})
    users = str(folder / "users.json")
    assert "monitor privacy key" in refused(
        service, USERS_FILE=users, PSEUDONYM_KEY_FILE=None, more={"XDG_DATA_HOME": str(folder / "empty")}
    )
    assert "CONSOLE_STORE must be" in refused(service, CONSOLE_STORE="mysql://somewhere/x", USERS_FILE=users)
    assert "CONSOLE_STORE_PASSWORD_FILE" in refused(
        service, CONSOLE_STORE="postgresql://me@127.0.0.1:1/x", CONSOLE_STORE_PASSWORD_FILE="/nowhere", USERS_FILE=users
    )
    (service.folder / "password").write_text("guessed\n")
    said = refused(
        service,
        CONSOLE_STORE="postgresql://me@127.0.0.1:1/x",
        CONSOLE_STORE_PASSWORD_FILE=str(service.folder / "password"),
        USERS_FILE=users,
    )
    assert "cannot be opened" in said
    assert "guessed" not in said


def log_in(service: Service, client: httpx.Client, ours: dict[str, str], name: str) -> None:
    code = pyotp.parse_uri((service.folder / f"told-{name}").read_text().splitlines()[0]).now()
    fields = {"csrf": field_of(client.get("/login")), "name": name, "password": PASSWORD, "code": code}
    assert client.post("/login", data=fields, headers=ours).status_code == 303


def unmasks(service: Service, desk: httpx.Client, ours: dict[str, str]) -> None:
    """Found by an id that is in no alert, asked for, approved by another, seen: through a real log of unmaskings."""
    mask = mask_of(service.settings)
    assert mask is not None
    producer = KafkaProducer(bootstrap_servers=service.settings.bootstrap)
    producer.send(ALERTS, value=alerts.encode(mask.alert(alert("hidden", "critical", (HIDDEN,), ()))), partition=0)
    producer.flush(30)
    producer.close()

    def found() -> list[str]:
        time.sleep(0.3)  # nobody may ask faster for long
        actor = re.findall(r'href="(/actor\?id=actor-[\w-]+)"', desk.get("/search", params={"q": HIDDEN}).text)
        return re.findall(r'href="(/incidents/[^"?/]+)"', desk.get(actor[0]).text) if actor else []

    path = wait_for(found, 60, "the incident of who was typed")[0]
    page = desk.get(path)
    assert HIDDEN not in page.text
    names = re.findall(r'name="name" value="([^"]+)"', page.text)
    ask = {"csrf": field_of(page), "what": "ask", "name": names, "reason": "who is it?"}
    assert desk.post(f"{path}/identities", data=ask, headers=ours).status_code == 303
    with httpx.Client(base_url=desk.base_url, timeout=30) as officer:
        log_in(service, officer, ours, "piet")
        listed = officer.get("/identities")
        (request,) = re.findall(r'name="request" value="([^"]+)"', listed.text)
        answer = {"csrf": field_of(listed), "request": request, "what": "approve", "reason": "so be it"}
        assert officer.post("/identities", data=answer, headers=ours).status_code == 303
    show = {"csrf": field_of(desk.get(path)), "what": "show", "request": request}
    shown = desk.post(f"{path}/identities", data=show, headers=ours)
    assert shown.status_code == 200
    assert HIDDEN in shown.text
    assert shown.headers["cache-control"] == "no-store"


def refused(service: Service, more: dict[str, str] | None = None, **set_to: str | None) -> str:
    """What ``monitor console`` says when it does not begin; a setting that is None is not set."""
    environment: dict[str, str | None] = {
        "LOOKUP_MONITOR_BOOTSTRAP": service.settings.bootstrap,
        "LOOKUP_MONITOR_CONSOLE_STORE": f"sqlite:///{service.folder}/other.db",
        "LOOKUP_MONITOR_METRICS_PORT": "0",
        "LOOKUP_MONITOR_PSEUDONYM_KEY_FILE": str(service.settings.pseudonym_key_file),
        "COLUMNS": "240",
        **(more or {}),
    }
    environment |= {f"LOOKUP_MONITOR_{name}": value for name, value in set_to.items()}
    done = CliRunner().invoke(app, ["console"], env=environment)
    assert done.exit_code == 2, done.output
    return done.output
