"""The whole monitor as processes, with the real Prometheus and the real Alertmanager that watch it, made of the files in deploy/."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.local_kafka_folder import free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
#: In the copy of rules.yml that tests evaluate, ``for`` lasts this much shorter: a minute is a second.
FASTER = 60
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def program(*names: str, package: str) -> str:
    """Where one of these programs is. Without it the test is skipped, and fails where CI=true: there it was to be installed."""
    for name in names:
        if (found := shutil.which(name)) is not None:
            return found
    said = f"{names[0]} is not installed (Debian: {package})"
    pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)


def prometheus_config(folder: Path, targets: dict[str, list[str]], alertmanager: str) -> Path:
    """deploy/prometheus/prometheus.yml with the same jobs and rules, other targets, and a scrape and an evaluation every second.

    Of the rules, ``for`` is :data:`FASTER` times shorter, and every group is evaluated every second; expressions are as they are.
    """
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(folder / Path(file).name) for file in config["rule_files"]]
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [alertmanager]}]
    assert {each["job_name"] for each in config["scrape_configs"]} == targets.keys()
    config["scrape_configs"] = [
        {"job_name": each["job_name"], "static_configs": [{"targets": targets[each["job_name"]]}]}
        for each in config["scrape_configs"]
    ]
    rules = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())
    for group in rules["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = f"{1000 * int(rule['for'][:-1]) * _SECONDS[rule['for'][-1]] // FASTER}ms"
    (folder / "rules.yml").write_text(json.dumps(rules))
    (folder / "prometheus.yml").write_text(json.dumps(config))
    return folder / "prometheus.yml"


def alertmanager_config(folder: Path, receiver: str) -> Path:
    """deploy/alertmanager/alertmanager.yml with the same routes; each receiver is a webhook to ``receiver``/<its name>, after a second."""
    config = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    config["route"].update(group_wait="1s", group_interval="1s")
    for each in config["receivers"]:
        each["webhook_configs"] = [{"url": f"{receiver}/{each['name']}", "send_resolved": True}]
    (folder / "alertmanager.yml").write_text(json.dumps(config))
    return folder / "alertmanager.yml"


def start_prometheus(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Prometheus with the configuration in ``folder``, its log beside it."""
    arguments = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    return _started(folder, program("prometheus", package="prometheus"), *arguments, f"--web.listen-address=127.0.0.1:{port}")  # fmt: skip


def start_alertmanager(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Alertmanager with the configuration in ``folder``, its log beside it."""
    found = program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
    arguments = [f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/am", "--cluster.listen-address="]
    return _started(folder, found, *arguments, f"--web.listen-address=127.0.0.1:{port}")


def _started(folder: Path, command: str, *arguments: str) -> subprocess.Popen[bytes]:
    with (folder / f"{Path(command).name}.log").open("ab") as log:
        return subprocess.Popen([command, *arguments], stdout=log, stderr=log)


def asked(port: int, path: str, **query: str) -> Any:
    """What Prometheus answers to a question of its API. Raises ``OSError`` where it does not, or says that the question is wrong."""
    url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())["data"]


def as_grafana_asks(expression: str, scrape_seconds: int = 1) -> str:
    """An expression of a dashboard with Grafana's variables filled in: ``$__rate_interval`` is four scrapes at least."""
    return re.sub(r"\$__rate_interval\b|\$\{__rate_interval\}", f"{4 * scrape_seconds}s", expression)


def ports(count: int) -> list[int]:
    """So many free ports, each another one."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)
