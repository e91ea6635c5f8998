"""The Kubernetes manifests: rendered by kustomize, each object held against a schema that knows no other fields, and all against the code."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import shutil
import subprocess
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from monitor.acls import ROLES, rights_of
from monitor.cli import COMMANDS
from monitor.commands.run import OUTSIDE
from monitor.settings import ENV_PREFIX, Settings
from monitor.sinks.config import load as load_sinks
from monitor.stream.topics import topics_of
from tests.deploy.test_compose_hardening import COMPOSE
from tests.deploy.test_systemd import ROLE_OF

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "deploy/kubernetes"
SCHEMAS = Path(__file__).parent / "schemas"
KUBERNETES = "1.32"
PROCESSES = {"worker", "replay", *OUTSIDE}
UNITS = {"Mi": "M", "Gi": "G"}
kustomize = next(
    (
        [path, *more]
        for name, more in (("kubectl", ["kustomize"]), ("kustomize", ["build"]))
        if (path := shutil.which(name))
    ),
    None,
)
pytestmark = pytest.mark.skipif(kustomize is None, reason="neither kubectl nor kustomize is on this machine")
OVERLAYS = ("small", "production")
Object = dict[str, Any]


def made_by() -> Any:
    spec = importlib.util.spec_from_file_location("make", HERE / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = made_by()


@cache
def rendered(overlay: str) -> tuple[Object, ...]:
    assert kustomize is not None
    command = [*kustomize, str(HERE / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "kustomize warns"
    return tuple(YAML(typ="safe", pure=False).load_all(done.stdout))


def of(overlay: str, *kinds: str) -> dict[str, Object]:
    return {each["metadata"]["name"]: each for each in rendered(overlay) if each["kind"] in kinds}


def only(overlay: str, kind: str, name: str) -> Object:
    return of(overlay, kind)[name]


def pods(overlay: str) -> dict[str, Object]:
    return {name: each["spec"]["template"] for name, each in of(overlay, "Deployment", "StatefulSet").items()}


def closed(schema: Any) -> Any:
    """The schema with nothing allowed that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if isinstance(found.get("properties"), dict) and not found.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    if found.pop("x-kubernetes-int-or-string", False):
        found["type"] = ["integer", "string"]
    return found


@cache
def custom() -> dict[tuple[str, str], Any]:
    found = {}
    for path in SCHEMAS.glob("*.json"):
        one = json.loads(path.read_text())
        schema = closed(one["schema"])
        # What every object may say of itself is not in the definition of its kind.
        schema["properties"]["metadata"] = {
            "type": "object",
            "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}, "labels": {"type": "object"}},
            "additionalProperties": False,
        }
        found[one["apiVersion"], one["kind"]] = jsonschema.Draft202012Validator(schema)
    return found


def check(each: Object) -> None:
    """Raises the first thing that is wrong with an object."""
    validator = custom().get((each["apiVersion"], each["kind"]))
    if validator is not None:
        validator.validate(each)
    else:
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_what_its_schema_says(overlay: str) -> None:
    for each in rendered(overlay):
        check(each)
    assert {each["kind"] for each in rendered(overlay)} >= {kind for _, kind in custom()}


def changed(kind: str, name: str, *path: str | int, value: Any) -> Object:
    found = copy.deepcopy(only("production", kind, name))
    *way, last = path
    inner: Any = found
    for step in way:
        inner = inner[step]
    inner[last] = value
    return found


@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [
        ("Deployment", "worker", ("spec", "template", "spec", "containers", 0, "comand"), ["x"]),
        ("Deployment", "worker", ("spec", "template", "spec", "containers", 0, "args"), "worker"),
        ("StatefulSet", "console", ("spec", "replica"), 1),
        ("NetworkPolicy", "console", ("spec", "egres"), []),
        ("PodDisruptionBudget", "worker", ("spec", "maxUnavailible"), 1),
        ("Ingress", "console", ("spec", "rules", 0, "http", "paths", 0, "pathType"), 1),
        ("KafkaTopic", "lookup.events.v1", ("spec", "partition"), 4),
        ("KafkaTopic", "lookup.events.v1", ("spec", "partitions"), 0),
        ("KafkaUser", "lookup-worker", ("spec", "authorization", "acls", 0, "operation"), "Read"),
        ("KafkaUser", "lookup-worker", ("spec", "authorization", "acls", 0, "operations"), ["Reed"]),
        ("Kafka", "lookup", ("spec", "kafka", "listeners", 0, "port"), "tls"),
        ("KafkaNodePool", "broker", ("spec", "roles"), ["brooker"]),
        ("ScaledObject", "worker", ("spec", "maxReplicas"), 4),
        ("PodMonitor", "lookup-monitor", ("spec", "podMetricsEndpoints", 0, "intervall"), "10s"),
        ("PrometheusRule", "lookup-monitor", ("spec", "groups", 0, "rules", 0, "annotation"), {}),
    ],
)
def test_a_mistake_is_found(kind: str, name: str, path: tuple[str | int, ...], value: Any) -> None:
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(changed(kind, name, *path, value=value))


def test_what_is_made_of_the_code_is_what_the_code_makes() -> None:
    stale = [str(path.relative_to(ROOT)) for path, text in make.made().items() if path.read_text() != text]
    assert stale == [], "run: python deploy/kubernetes/make.py"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_topics_are_those_of_the_code_by_the_settings_the_pods_have(overlay: str) -> None:
    settings = settings_of(overlay, "worker")
    expected = {topic.name: (topic.partitions, topic.replication, topic.config) for topic in topics_of(settings)}
    found = {name: each["spec"] for name, each in of(overlay, "KafkaTopic").items()}
    assert {name: (spec["partitions"], spec["replicas"], spec["config"]) for name, spec in found.items()} == expected


def test_users_have_the_rights_of_their_roles_and_no_more() -> None:
    users = of("production", "KafkaUser")
    assert users.keys() == {f"lookup-{role}" for role in ROLES} | {"lookup-admin"}
    assert "authorization" not in users["lookup-admin"]["spec"]
    for role in ROLES:
        found = {
            (operation, acl["resource"]["type"], acl["resource"]["name"], acl["resource"]["patternType"] == "prefix")
            for acl in users[f"lookup-{role}"]["spec"]["authorization"]["acls"]
            for operation in acl["operations"]
        }
        assert found == set(map(tuple, rights_of(role, settings_of("production", "worker").group)))


def environment(overlay: str, name: str) -> dict[str, str]:
    container = pods(overlay)[name]["spec"]["containers"][0]
    (source,) = container["envFrom"]
    shared = only(overlay, "ConfigMap", source["configMapRef"]["name"])["data"]
    return {**shared, **{each["name"]: each["value"] for each in container["env"]}}


def settings_of(overlay: str, name: str) -> Settings:
    found = environment(overlay, name)
    assert all(key.startswith(ENV_PREFIX) for key in found)
    return Settings(**{key.removeprefix(ENV_PREFIX).lower(): value for key, value in found.items()})  # type: ignore[arg-type]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_each_process_runs_its_command_as_its_role_with_its_files(overlay: str, name: str) -> None:
    spec = pods(overlay)[name]["spec"]
    (container,) = spec["containers"]
    assert container["args"][0] in COMMANDS
    assert " ".join(container["args"]).startswith(OUTSIDE.get(name, name))
    settings, role = settings_of(overlay, name), ROLE_OF.get(name, name)
    assert settings.kafka_user == f"lookup-{role}"
    volumes = {each["name"]: each for each in spec["volumes"]}
    assert volumes["kafka"]["secret"]["secretName"] == settings.kafka_user
    # Each file that is named lies on something that is mounted.
    mounts = {Path(each["mountPath"]): each["name"] for each in container["volumeMounts"]}
    for key, value in environment(overlay, name).items():
        if key.endswith(("_FILE", "_SINKS", "_ARCHIVE")):
            assert any(place in Path(value).parents for place in mounts), key
    # No secret is a value, and what is handed over only root and the pod's own group may read.
    assert not any("valueFrom" in each for each in container["env"])
    for volume in volumes.values():
        for way in ("secret", "projected"):
            assert way not in volume or volume[way]["defaultMode"] == 0o440


def unrestricted(pod: Object) -> list[str]:
    """What the Pod Security Standard "restricted" would refuse, or this house."""
    spec = pod["spec"]
    (container,) = spec["containers"]
    inner, outer = container.get("securityContext", {}), spec.get("securityContext", {})
    wanted = {
        "not root": outer.get("runAsNonRoot") is True and outer.get("runAsUser", 0) > 0,
        "seccomp": outer.get("seccompProfile") == {"type": "RuntimeDefault"},
        "no escalation": inner.get("allowPrivilegeEscalation") is False,
        "no capabilities": inner.get("capabilities") == {"drop": ["ALL"]},
        "read-only": inner.get("readOnlyRootFilesystem") is True,
        "no token": spec.get("automountServiceAccountToken") is False,
        "nothing of the node": not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        and not any("hostPath" in volume for volume in spec["volumes"]),
        "a /tmp with an end": any("sizeLimit" in each.get("emptyDir", {}) for each in spec["volumes"]),
        "limits": container["resources"].get("limits", {}).keys() == {"cpu", "memory"},
        "probes": {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(),
        "time to stop": spec.get("terminationGracePeriodSeconds", 0) > 20,
    }
    return [what for what, holds in wanted.items() if not holds]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_confined(overlay: str) -> None:
    assert pods(overlay).keys() == PROCESSES
    assert {name: lacks for name, pod in pods(overlay).items() if (lacks := unrestricted(pod))} == {}
    labels = only(overlay, "Namespace", "lookup-monitor")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = copy.deepcopy(pods(overlay)["sinks"])
    pod["spec"]["securityContext"]["runAsNonRoot"] = False
    del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
    assert unrestricted(pod) == ["not root", "no capabilities"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_there_are_never_more_workers_than_partitions_nor_two_of_what_runs_once(overlay: str) -> None:
    scaled, partitions = only(overlay, "ScaledObject", "worker")["spec"], settings_of(overlay, "worker").partitions
    assert scaled["maxReplicaCount"] == scaled["fallback"]["replicas"] == partitions
    assert scaled["minReplicaCount"] <= partitions
    assert "replicas" not in only(overlay, "Deployment", "worker")["spec"]
    for name, each in of(overlay, "Deployment", "StatefulSet").items():
        if name != "worker":
            assert each["spec"]["replicas"] == 1
            assert each["kind"] == "StatefulSet" or each["spec"]["strategy"] == {"type": "Recreate"}
    (trigger,) = scaled["triggers"]
    assert set(re.findall(r"lookup_monitor_\w+", trigger["metadata"]["query"])) == {"lookup_monitor_lag"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kafka_has_the_brokers_for_the_replicas_and_the_version_we_test_with(overlay: str) -> None:
    kafka, settings = only(overlay, "Kafka", "lookup")["spec"]["kafka"], settings_of(overlay, "worker")
    brokers = sum(
        pool["spec"]["replicas"] for pool in of(overlay, "KafkaNodePool").values() if "broker" in pool["spec"]["roles"]
    )
    assert brokers >= settings.replication == kafka["config"]["offsets.topic.replication.factor"]
    assert kafka["config"]["auto.create.topics.enable"] == "false"
    assert COMPOSE["services"]["kafka"]["image"] == f"apache/kafka:{kafka['version']}"
    assert settings.bootstrap == f"lookup-kafka-bootstrap:{kafka['listeners'][0]['port']}"


def test_limits_are_those_of_the_compose_file() -> None:
    for name, pod in pods("small").items():
        memory = pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
        limits = COMPOSE["services"][name]["deploy"]["resources"]["limits"]
        assert memory[:-2] + UNITS[memory[-2:]] in (limits["memory"], limits["memory"].replace("1024M", "1G")), name


def test_nothing_comes_in_or_goes_out_but_what_is_needed() -> None:
    policies = {name: each["spec"] for name, each in of("production", "NetworkPolicy").items()}
    assert policies["deny-all"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    opened = defaultdict(set)
    for name, spec in policies.items():
        for way in ("ingress", "egress"):
            for rule in spec.get(way, ()):
                peers = rule.get("from", rule.get("to", ()))
                # Kafka's operators need the API server, whose address is another in each cluster.
                assert peers or name == "within-kafka", name
                opened[way] |= {port["port"] for port in rule.get("ports", ())}
    assert opened == {"ingress": {9464, 8480}, "egress": {53, 9093, 9464, 443, 6443}}


def test_prometheus_finds_all_processes_by_the_jobs_its_rules_ask_for() -> None:
    compose = YAML(typ="safe").load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    jobs = {job["job_name"] for job in compose["scrape_configs"] if job["job_name"].startswith("lookup-monitor")}
    monitors = [each["spec"] for each in of("production", "PodMonitor").values()]
    endpoints = [endpoint for each in monitors for endpoint in each["podMetricsEndpoints"]]
    assert {relabeling["replacement"] for each in endpoints for relabeling in each["relabelings"]} == jobs
    chosen = [name for each in monitors for name in each["selector"]["matchExpressions"][0]["values"]]
    assert sorted(chosen) == sorted(PROCESSES)


def test_the_sinks_can_be_made() -> None:
    (config,) = [each for name, each in of("small", "ConfigMap").items() if name.startswith("lookup-monitor-sinks")]
    assert config["data"]["sinks.toml"] == (HERE / "base/sinks.toml").read_text()
    (sink,) = load_sinks(HERE / "base/sinks.toml")
    assert sink.kind == "alertmanager"
