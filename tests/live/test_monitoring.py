"""The monitor is watched: dashboards, rules and pages with the real Prometheus and Alertmanager, over real Kafka and all processes."""

from __future__ import annotations

import json
import math
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml
from conftest import Service, wait_for
from test_blindness import lookup, numbered_log, text
from test_console import log_in
from test_incidents import ready
from test_pipeline import page
from watched import (
    DEPLOY,
    alertmanager_config,
    as_grafana_asks,
    asked,
    ports,
    program,
    prometheus_config,
    start_alertmanager,
    start_prometheus,
)

from monitor import alerts, local_kafka
from monitor.commands.ingest import send_events, send_reference
from monitor.commands.run import OUTSIDE, ensure_topics
from monitor.incidents.model import Incident, decode
from monitor.secret_files import write_secret
from monitor.settings import Settings
from monitor.simulate import Settings as ForceSettings
from monitor.simulate import simulate
from monitor.stream.masking import with_local_keys
from monitor.stream.topics import ALERTS, INCIDENTS
from tests.access.made import PASSWORD
from tests.samples import BAD, GOOD
from tests.sinks.made import Receiver, receiver

TOKEN = {"record": "subject", "id": "p-nobody", "kind": "person", "tags": ["honeytoken"]}


class Watched:
    """All processes, the ports of their pages, and who watches them."""

    def __init__(self, folder: Path, bootstrap: str, server: Receiver) -> None:
        self.server = server
        names = ["worker", "replay", *OUTSIDE, "prometheus", "alertmanager", "page"]
        self.ports = dict(zip(names, ports(len(names)), strict=True))
        # Console and archive have their own folders; a gap is told at once, and canaries come often.
        settings = Settings(bootstrap=bootstrap, gap_after=30.0, canary_every=2.0, archive_every=1.0)
        update = {
            "archive": folder / "archive",
            "users_file": folder / "users.json",
            "console_store": f"sqlite:///{folder}/console.db",
            "console_port": self.ports["page"],
            "sinks": folder / "sinks.toml",
        }
        self.service = Service(with_local_keys(settings.model_copy(update=update), folder / "keys"), folder)
        self.prometheus = self.ports["prometheus"]
        sinks = (DEPLOY / "sinks/sinks.toml").read_text()
        (folder / "sinks.toml").write_text(
            sinks.replace("alertmanager:9093", f"127.0.0.1:{self.ports['alertmanager']}")
        )

    def start(self) -> None:
        """Start what watches, then what is watched."""
        folder, at = self.service.folder, {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        targets = {
            "lookup-monitor": [at["worker"]],
            "lookup-monitor-replay": [at["replay"]],
            "lookup-monitor-outside": [at[name] for name in OUTSIDE],
            "prometheus": [at["prometheus"]],
        }
        prometheus_config(folder, targets, at["alertmanager"])
        alertmanager_config(folder, self.server.url)
        self.service.workers += [
            start_alertmanager(folder, self.ports["alertmanager"]),
            start_prometheus(folder, self.prometheus),
        ]
        self.worker = self.service.start_worker(self.ports["worker"])
        for name, command in OUTSIDE.items():
            self.service.start(command, self.ports[name])

    def pages(self, path: str) -> list[dict[str, Any]]:
        """The alerts that fire and were told to a receiver."""
        got = [each for each in list(self.server.got) if each.path == f"/{path}"]
        return [alert for each in got for alert in each.body["alerts"] if alert["status"] == "firing"]

    def samples(self, expression: str) -> int:
        """How many series an expression has that are numbers."""
        found = asked(self.prometheus, "query", query=expression)
        values = [found["result"]] if found["resultType"] == "scalar" else [each["value"] for each in found["result"]]
        return sum(not math.isnan(float(value)) for _, value in values)


def silent_register(now: float) -> list[bytes]:
    """Heartbeats of a register every ten seconds, which end minutes ago."""
    beats = ({"kind": "heartbeat", "system": "kad", "time": text(now - 500 + 10 * n), "seq": 7} for n in range(12))
    return [orjson.dumps(each) for each in beats]


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """At once: how they end by themselves has its own tests."""
    for each in processes:
        each.kill()
    for each in processes:
        each.wait()


def force() -> tuple[list[bytes], list[bytes]]:
    """Reference records and lookups up to last Saturday: as many days of work, and so as much for the model to know, on any day."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - timedelta(days=18 + (today.weekday() - 5) % 7)
    made = simulate(ForceSettings(seed=5, days=18, actors=60, start=start))
    return [orjson.dumps(record) for record in made.reference], [orjson.dumps(event) for event in made.events()]


def traffic(watched: Watched) -> None:
    """A force with hidden misuse; registers that lose lookups and go silent; messages that are none; a clock that is ahead."""
    now = time.time()
    records, raws = force()
    send_reference(watched.service.settings, [*records, orjson.dumps(TOKEN)])
    send_events(watched.service.settings, [*raws, *silent_register(now), *numbered_log(now)])
    ahead = [lookup(now + 3600, "o-1", None, system="ahead")]
    send_events(watched.service.settings, [*(raw or b"" for _, raw in BAD), *ahead])


def keep_on(settings: Settings, stop: threading.Event) -> None:
    """Some lookups every second, so that rates have something to tell."""
    number = 0
    while not stop.wait(1.0):
        number += 1
        made = [{**GOOD, "actor": {"id": f"o-{n}"}} for n in range(20)]
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        send_events(settings, [orjson.dumps({**e, "id": f"k-{number}-{n}", "time": at}) for n, e in enumerate(made)])


def visit_the_console(watched: Watched) -> None:
    """Somebody of the desk logs in and looks, so that there are pages to time and lookups of our own."""
    service, base = watched.service, f"http://127.0.0.1:{watched.ports['page']}"
    with httpx.Client(base_url=base, timeout=30) as client:
        log_in(service, client, {"Origin": base, "Sec-Fetch-Site": "same-origin"}, "anna")
        assert client.get("/").status_code == 200
        assert client.get("/rules").status_code == 200


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    program("prometheus", package="prometheus")
    program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
    folder, stop = tmp_path_factory.mktemp("watched"), threading.Event()
    with ExitStack() as stack:
        server = stack.enter_context(receiver())
        kafka = stack.enter_context(local_kafka.start(folder / "kafka"))
        made = Watched(folder, kafka.bootstrap, server)
        service = made.service
        ensure_topics(service.settings)
        write_secret(folder / "password", PASSWORD.encode())
        stack.callback(end, service.workers)
        added = service.monitor(
            "users", "add", "anna", "--role", "desk", "--password-file", str(folder / "password"),
            "--secrets-to", str(folder / "told-anna"), more={"LOOKUP_MONITOR_USERS_FILE": str(folder / "users.json")},
        )  # fmt: skip
        assert added.returncode == 0, added.stderr
        made.start()
        wait_for(lambda: page(made.ports["worker"], "/readyz")[0] == 200, 90, "the worker")
        traffic(made)
        feeder = threading.Thread(target=keep_on, args=(service.settings, stop), daemon=True)
        feeder.start()
        stack.callback(lambda: (stop.set(), feeder.join(20)))
        service.start("replay --every 24h", made.ports["replay"])
        for name in OUTSIDE:
            ready(made.ports[name])
        visit_the_console(made)
        yield made


def panels() -> Iterator[tuple[str, str]]:
    """Every question of every dashboard: where it is asked, and what."""
    for file in sorted((DEPLOY / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}: {target['legendFormat']}", target["expr"]


def test_every_question_of_every_dashboard_has_an_answer(watched: Watched) -> None:
    waiting = dict(panels())
    deadline = time.monotonic() + 120
    while waiting and time.monotonic() < deadline:
        waiting = {at: each for at, each in waiting.items() if not watched.samples(as_grafana_asks(each))}
        time.sleep(0.5)
    assert not waiting, "\n".join(f"{at}  {each}" for at, each in waiting.items())


def test_every_rule_can_be_evaluated_and_every_target_is_scraped(watched: Watched) -> None:
    groups = asked(watched.prometheus, "rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    committed = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
    assert len(rules) == sum(len(group["rules"]) for group in committed)
    recorded = {rule["name"] for rule in rules if rule["type"] == "recording"}
    assert [name for name in sorted(recorded) if not watched.samples(name)] == []
    targets = asked(watched.prometheus, "targets", state="active")["activeTargets"]
    assert [each["scrapeUrl"] for each in targets if each["health"] != "up"] == []
    assert len(targets) == len(OUTSIDE) + 3


def test_a_misuse_is_a_page_at_the_receiver(watched: Watched) -> None:
    misuse = {**GOOD, "id": "misuse", "actor": {"id": "o-misuser"}, "subject": {"kind": "person", "id": TOKEN["id"]}}
    send_events(watched.service.settings, [orjson.dumps({**misuse, "time": text(time.time())})])

    def told() -> list[dict[str, Any]]:
        """The pages about the one incident that has the one critical alert about this lookup."""
        found = (alerts.decode(record.value) for record in watched.service.read(ALERTS))  # type: ignore[attr-defined]
        ids = {each.id for each in found if each.events == ["misuse"] and each.rule.level == "critical"}
        of = {each.id for each in incidents(watched.service) if ids & {one.alert for one in each.alerts}}
        return [each for each in watched.pages("desk") if each["labels"]["incident"] in of]

    (first, *_) = wait_for(told, 60, "a page about the misuse")
    assert first["labels"]["alertname"] == "LookupIncident"
    assert (first["labels"]["notice"], first["labels"]["severity"]) == ("page", "critical")
    said = json.dumps([got.body for got in watched.server.got])
    assert "o-misuser" not in said, "receivers get pseudonyms"
    assert TOKEN["id"] not in said


def incidents(service: Service) -> list[Incident]:
    last = {each.key: each.value for each in service.read(INCIDENTS, 1)}  # type: ignore[attr-defined]
    return [decode(raw) for raw in last.values() if raw is not None]


def test_a_silent_register_and_missing_lookups_call_somebody(watched: Watched) -> None:
    def told() -> set[tuple[str, str]]:
        return {(each["labels"]["alertname"], each["labels"].get("register", "")) for each in watched.pages("on-call")}

    wait_for(lambda: {("SourceSilent", "kad"), ("SourceGap", "bvi")} <= told(), 60, "on-call to hear of the registers")
    told_desk = {each["labels"]["alertname"] for each in watched.pages("desk")}
    assert told_desk <= {"LookupIncident"}, "the desk hears of incidents alone"
    wait_for(
        lambda: "MessagesRefused" in {e["labels"]["alertname"] for e in watched.pages("operations")}, 30, "a ticket"
    )
    assert {each["labels"]["severity"] for each in watched.pages("operations")} == {"warning"}


def test_a_worker_that_is_killed_calls_somebody(watched: Watched) -> None:
    began = time.time()
    watched.worker.kill()
    watched.worker.wait(10)

    def told() -> list[dict[str, Any]]:
        found = [each for each in watched.pages("on-call") if each["labels"]["alertname"] == "NoWorker"]
        return [each for each in found if datetime.fromisoformat(each["startsAt"]).timestamp() > began]

    (first, *_) = wait_for(told, 60, "on-call to hear that no worker runs")
    assert first["labels"]["severity"] == "critical"
    assert first["annotations"]["runbook_url"] == "docs/runbooks.md#noworker"


def test_the_copies_that_are_run_are_right(watched: Watched) -> None:
    promtool = program("promtool", package="prometheus")
    done = subprocess.run(
        [promtool, "check", "config", str(watched.service.folder / "prometheus.yml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
