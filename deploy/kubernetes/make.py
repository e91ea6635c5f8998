"""Writes the manifests that follow from the code or from other files: ``python deploy/kubernetes/make.py``.

Topics are those of ``monitor/stream/topics.py`` with the settings of each overlay, users those of ``monitor/acls.py``, and the rules of Prometheus
those of ``deploy/prometheus``. A test compares what is written with what would be.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from monitor.acls import ROLES, Right, rights_of
from monitor.settings import ENV_PREFIX, Settings
from monitor.stream.topics import Topic, topics_of

HERE = Path(__file__).resolve().parent
OVERLAYS = ("small", "production")
#: The name of the Kafka cluster; Strimzi's operators know by the label what belongs to it.
CLUSTER = "lookup"
_BY = "# Made by deploy/kubernetes/make.py; what is changed here is lost.\n"
API = "kafka.strimzi.io/v1"


def settings_in(*files: Path) -> Settings:
    """The settings in files of environment variables; the last one counts."""
    # Who each pod is to Kafka is in its own manifest.
    found = {"KAFKA_USER": "lookup-topics", "KAFKA_PASSWORD_FILE": "/run/secrets/kafka/password"}
    for path in files:
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        found |= dict(line.split("=", 1) for line in lines)
    return Settings(**{name.removeprefix(ENV_PREFIX).lower(): value for name, value in found.items()})  # type: ignore[arg-type]


def settings_of(overlay: str) -> Settings:
    """The settings of an overlay, over those of the base."""
    return settings_in(HERE / "base/settings.env", HERE / f"overlays/{overlay}/settings.env")


def topic(wanted: Topic) -> dict[str, Any]:
    """A topic as Strimzi's operator takes it."""
    return {
        "apiVersion": API,
        "kind": "KafkaTopic",
        "metadata": {"name": wanted.name, "labels": {"strimzi.io/cluster": CLUSTER}},
        "spec": {"partitions": wanted.partitions, "replicas": wanted.replication, "config": dict(wanted.config)},
    }


def user(role: str, group: str) -> dict[str, Any]:
    """A role's Kafka user and all that it may."""

    def place(right: Right) -> tuple[str, str, bool]:
        return right.kind, right.name, right.is_prefix

    acls = [
        {
            "resource": {"type": kind, "name": name, "patternType": "prefix" if is_prefix else "literal"},
            "operations": [right.operation for right in rights],
            "host": "*",
        }
        for (kind, name, is_prefix), rights in groupby(sorted(rights_of(role, group), key=place), place)
    ]
    return {
        "apiVersion": API,
        "kind": "KafkaUser",
        "metadata": {"name": f"lookup-{role}", "labels": {"strimzi.io/cluster": CLUSTER}},
        "spec": {"authentication": {"type": "scram-sha-512"}, "authorization": {"type": "simple", "acls": acls}},
    }


def alert_rules() -> dict[str, Any]:
    """The rules of Prometheus, as the operator takes them."""
    files = sorted((HERE.parent / "prometheus").glob("*rules*.yml"))
    groups = [group for path in files if "test" not in path.name for group in YAML(typ="safe").load(path)["groups"]]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "lookup-monitor"},
        "spec": {"groups": groups},
    }


def text_of(documents: Iterable[Mapping[str, Any]]) -> str:
    """Documents as a file."""
    yaml, out = YAML(), io.StringIO()
    yaml.default_flow_style, yaml.width = False, 130
    yaml.dump_all(list(documents), out)
    return _BY + out.getvalue()


def made() -> dict[Path, str]:
    """Every file that is made, and what has to be in it."""
    base = settings_in(HERE / "base/settings.env")
    files = {
        HERE / "base/kafka-users.yml": text_of(user(role, base.group) for role in ROLES),
        HERE / "base/prometheus-rules.yml": text_of([alert_rules()]),
    }
    for overlay in OVERLAYS:
        topics = topics_of(settings_of(overlay))
        files[HERE / f"overlays/{overlay}/kafka-topics.yml"] = text_of(map(topic, topics))
    return files


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text)
