"""Every service of the compose file is confined, bounded and asked how it is. What a service lacks is found."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from monitor.when import parse_duration

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
SERVICES = sorted(COMPOSE["services"])
#: Ends by itself when it has done its work: there is nothing to ask of it while it runs.
ONE_SHOT = {"topics"}
#: A worker that has not stopped after 20 s ends itself (docs/delivery.md); whoever kills it sooner only has work done again.
WORKER_STOPS_MS = 20_000
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([kKmMgG])", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit.lower()]


def lacking(name: str, service: dict[str, Any]) -> list[str]:
    """What is missing of what every service must have."""
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    logging = service.get("logging", {})
    check = service.get("healthcheck", {})
    wanted = {
        "a user that is not root, by number": re.fullmatch(r"[1-9]\d*:\d+", str(service.get("user", ""))),
        "a read-only root": service.get("read_only") is True,
        "no capabilities": service.get("cap_drop") == ["ALL"] and "cap_add" not in service,
        "no new privileges": service.get("security_opt") == ["no-new-privileges:true"],
        "not privileged": not service.get("privileged") and not service.keys() & {"pid", "ipc", "network_mode", "devices"},
        "a limit of memory": re.fullmatch(r"\d+[MG]", str(limits.get("memory", ""))),
        "a limit of processors": float(limits.get("cpus", 0)) > 0,
        "a limit of processes": service.get("pids_limit", 0) > 0,
        "logs that end": {"max-size", "max-file"} <= logging.get("options", {}).keys(),
        "time to stop": parse_duration(str(service.get("stop_grace_period", "0s"))) > WORKER_STOPS_MS,
        "a pinned image": re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service.get("image", "")),
        "a health check": (name in ONE_SHOT and check == {"disable": True}) or {"test", "interval", "timeout", "retries"} <= check.keys(),
        "a restart": service.get("restart") == ("no" if name in ONE_SHOT else "unless-stopped"),
        "a /tmp with an end": any(re.match(r"/tmp:(\S*,)?size=\d+[mg]", each) for each in service.get("tmpfs", ())),
    }  # fmt: skip
    return [what for what, holds in wanted.items() if not holds]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined_bounded_and_asked_how_it_is(name: str) -> None:
    assert lacking(name, COMPOSE["services"][name]) == []


@pytest.mark.parametrize(
    ("name", "key", "value", "found"),
    [
        ("worker", "user", "0:0", "a user that is not root, by number"),
        ("kafka", "read_only", False, "a read-only root"),
        ("grafana", "cap_drop", [], "no capabilities"),
        ("grafana", "cap_add", ["SYS_ADMIN"], "no capabilities"),
        ("sinks", "security_opt", [], "no new privileges"),
        ("archive", "network_mode", "host", "not privileged"),
        ("worker", "deploy", {"replicas": 2}, "a limit of memory"),
        ("console", "logging", {"driver": "json-file"}, "logs that end"),
        ("worker", "stop_grace_period", "10s", "time to stop"),
        ("prometheus", "image", "prom/prometheus:latest", "a pinned image"),
        ("alertmanager", "healthcheck", {}, "a health check"),
        ("rank", "healthcheck", {"disable": True}, "a health check"),
        ("canary", "restart", "no", "a restart"),
        ("relay", "tmpfs", ["/tmp"], "a /tmp with an end"),
    ],
)
def test_what_a_service_lacks_is_found(name: str, key: str, value: Any, found: str) -> None:
    service = copy.deepcopy(COMPOSE["services"][name])
    service[key] = value
    assert found in lacking(name, service)


def test_what_a_service_writes_lies_on_a_volume_or_in_memory() -> None:
    """The rest is read-only: mounts from here are, and each volume is one service's."""
    owners: dict[str, str] = {}
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", ()):
            source, _, rest = volume.partition(":")
            if source.startswith("./"):
                assert rest.endswith(":ro"), (name, volume)
            else:
                assert rest.endswith(":ro") or owners.setdefault(source, name) == name
    assert owners == {
        "kafka-data": "kafka",
        "archive-data": "archive",
        "console-data": "console",
        "prometheus-data": "prometheus",
        "alertmanager-data": "alertmanager",
        "grafana-data": "grafana",
    }


def test_kafkas_heap_is_at_most_half_of_its_memory() -> None:
    kafka = COMPOSE["services"]["kafka"]
    heap = re.search(r"-Xmx(\d+[mg])", kafka["environment"]["KAFKA_HEAP_OPTS"])
    assert heap is not None
    assert 2 * size(heap[1]) <= size(kafka["deploy"]["resources"]["limits"]["memory"])


def test_the_limits_are_those_that_the_sizing_guide_gives_reasons_for() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| ([\d.]+) \| (\d+[MG]) \|", (ROOT / "docs/sizing.md").read_text(), re.M)
    limits = {name: service.get("deploy", {})["resources"]["limits"] for name, service in COMPOSE["services"].items()}
    assert {name: (cpus, memory) for name, cpus, memory in rows} == {
        name: (limit["cpus"], limit["memory"]) for name, limit in limits.items()
    }


def test_the_image_has_no_tools_and_no_root() -> None:
    build, final = re.split(r"^FROM \S+ AS build$", (ROOT / "Dockerfile").read_text(), flags=re.M)[1].split("\nFROM ")
    assert "pip install" in build
    assert re.search(r"^RUN pip uninstall ", final, re.M)
    assert not re.search(r"apt-get|pip install|\buv\b|gcc", final)
    assert re.findall(r"^USER (\S+)$", final, re.M) == [COMPOSE["services"]["worker"]["user"]]
    assert "HEALTHCHECK NONE" in final


def test_alertmanager_remembers_what_it_has_told_for_as_long_as_it_must_not_repeat_it() -> None:
    routes = YAML(typ="safe").load((ROOT / "deploy/alertmanager/alertmanager.yml").read_text())["route"]
    longest = max(
        parse_duration(each["repeat_interval"]) for each in (routes, *routes["routes"]) if "repeat_interval" in each
    )
    (kept,) = [each for each in COMPOSE["services"]["alertmanager"]["command"] if each.startswith("--data.retention=")]
    assert parse_duration(kept.partition("=")[2]) > longest
