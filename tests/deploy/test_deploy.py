"""The deployment files, which cannot be run here, agree with the schema of Compose and with the code."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from monitor.cli import COMMANDS
from monitor.commands.run import OUTSIDE
from monitor.local_kafka_dist import LOCK_FILE, parse_lock
from monitor.metrics import CanaryMetrics, FairnessMetrics, Metrics, RankMetrics, WatchMetrics
from monitor.metrics_archive import ArchiveMetrics
from monitor.metrics_console import ConsoleMetrics
from monitor.metrics_incidents import IncidentMetrics
from monitor.metrics_outcomes import OutcomeMetrics
from monitor.metrics_relay import RelayMetrics
from monitor.metrics_sinks import SinkMetrics
from monitor.selfcheck import ReplayMetrics
from monitor.settings import ENV_PREFIX, Settings
from monitor.sinks.config import SinkConfig
from monitor.sinks.config import load as load_sinks
from monitor.sinks.kinds import labels_of
from monitor.stream.topics import topics_of
from monitor.when import parse_duration

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml(ROOT / "docker-compose.yml")


def compose_schema() -> Any:
    """The Compose Specification's schema, as check-jsonschema ships it."""
    place = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    return json.loads(place.read_text())


def environment(service: Any) -> dict[str, str]:
    return dict(service.get("environment", {}))


def settings_of(service: Any) -> Settings:
    fields = {name.removeprefix(ENV_PREFIX).lower(): value for name, value in environment(service).items()}
    return Settings(**fields)


def test_compose_is_valid(compose: Any) -> None:
    jsonschema.validate(compose, compose_schema(), Draft202012Validator)


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [("worker", "comand", ["worker"]), ("kafka", "ports", 9092), ("topics", "depends_on", 3)],
)
def test_the_schema_would_find_a_mistake(compose: Any, service: str, key: str, value: Any) -> None:
    services = compose["services"]
    wrong = {**compose, "services": {**services, service: {**services[service], key: value}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, compose_schema(), Draft202012Validator)


@pytest.mark.parametrize("name", ["topics", "worker", "replay", *OUTSIDE])
def test_the_monitors_services_run_commands_there_are_with_settings_there_are(compose: Any, name: str) -> None:
    service = compose["services"][name]
    assert service["command"][0] in COMMANDS
    assert " ".join(service["command"]).startswith(OUTSIDE.get(name, name))
    assert all(variable.startswith(ENV_PREFIX) for variable in environment(service))
    settings_of(service)  # a name or value that is none raises


def test_workers_and_topics_have_the_same_settings(compose: Any) -> None:
    worker = settings_of(compose["services"]["worker"])
    for name in ("topics", "replay", *OUTSIDE):
        assert worker == settings_of(compose["services"][name])


def test_the_self_check_runs_every_night_and_is_scraped(compose: Any) -> None:
    replay = compose["services"]["replay"]
    settings = settings_of(replay)
    assert parse_duration(replay["command"][replay["command"].index("--every") + 1]) == 24 * 3600 * 1000
    assert replay["expose"] == [str(settings.metrics_port)]
    assert f":{settings.metrics_port}/healthz" in replay["healthcheck"]["test"][-1]
    jobs = {job["job_name"]: job for job in yaml(DEPLOY / "prometheus/prometheus.yml")["scrape_configs"]}
    assert jobs["lookup-monitor-replay"]["static_configs"] == [{"targets": [f"replay:{settings.metrics_port}"]}]


def test_workers_reach_kafka_where_it_listens(compose: Any) -> None:
    kafka, worker = environment(compose["services"]["kafka"]), compose["services"]["worker"]
    advertised = dict(each.split("://") for each in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert settings_of(worker).bootstrap == advertised["INSIDE"]
    listeners = dict(each.split("://") for each in kafka["KAFKA_LISTENERS"].split(","))
    assert {name: at.rpartition(":")[2] for name, at in advertised.items()} == {
        name: listeners[name].lstrip(":") for name in advertised
    }
    assert compose["services"]["kafka"]["ports"] == [f"{advertised['OUTSIDE']}:{listeners['OUTSIDE'].lstrip(':')}"]
    assert advertised["OUTSIDE"] == Settings.model_fields["bootstrap"].default


def test_kafka_makes_no_topics_by_itself_and_is_the_version_we_test_with(compose: Any) -> None:
    kafka = compose["services"]["kafka"]
    assert environment(kafka)["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert kafka["image"] == f"apache/kafka:{parse_lock(LOCK_FILE.read_bytes()).version}"


def test_one_broker_can_hold_the_replicas(compose: Any) -> None:
    assert settings_of(compose["services"]["worker"]).replication == 1


def test_metrics_are_scraped_where_workers_serve_them(compose: Any) -> None:
    worker = compose["services"]["worker"]
    settings = settings_of(worker)
    assert settings.metrics_host == "0.0.0.0"
    assert worker["expose"] == [str(settings.metrics_port)]
    assert f":{settings.metrics_port}/healthz" in worker["healthcheck"]["test"][-1]
    jobs = {
        job["job_name"]: job.get("dns_sd_configs")
        for job in yaml(DEPLOY / "prometheus/prometheus.yml")["scrape_configs"]
    }
    assert jobs["lookup-monitor"] == [{"names": ["worker"], "type": "A", "port": settings.metrics_port}]
    assert jobs["lookup-monitor-outside"] == [{"names": list(OUTSIDE), "type": "A", "port": settings.metrics_port}]
    for name in OUTSIDE:
        assert compose["services"][name]["expose"] == [str(settings.metrics_port)]
        assert f":{settings.metrics_port}/readyz" in compose["services"][name]["healthcheck"]["test"][-1]
    assert settings.metrics_port == Settings.model_fields["metrics_port"].default
    assert f"EXPOSE {settings.metrics_port} " in (ROOT / "Dockerfile").read_text()


def test_every_mounted_file_is_there_and_every_volume_declared(compose: Any) -> None:
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in compose["volumes"]


def test_prometheus_finds_its_rules_and_alertmanager(compose: Any) -> None:
    config = yaml(DEPLOY / "prometheus/prometheus.yml")
    assert "./deploy/prometheus:/etc/prometheus:ro" in compose["services"]["prometheus"]["volumes"]
    assert [Path(file).name for file in config["rule_files"]] == ["rules.yml"]
    assert (DEPLOY / "prometheus" / "rules.yml").exists()
    (target,) = config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    name, port = target.split(":")
    assert any(published.endswith(f":{port}") for published in compose["services"][name]["ports"])


def test_alertmanager_routes_to_a_receiver_there_is() -> None:
    config = yaml(DEPLOY / "alertmanager/alertmanager.yml")
    assert config["route"]["receiver"] in {receiver["name"] for receiver in config["receivers"]}
    rules = [rule for group in yaml(DEPLOY / "prometheus/rules.yml")["groups"] for rule in group["rules"]]
    alerts = {rule["alert"] for rule in rules if "alert" in rule}
    named = " ".join(str(matcher) for rule in config["inhibit_rules"] for both in rule.values() for matcher in both)
    assert set(re.findall(r"[A-Z]\w+", named)) <= alerts


def series() -> dict[str, set[str]]:
    """Every series the processes of the monitor have: name to labels."""
    found = {}
    watch = WatchMetrics()
    for gauge in (watch.silent, watch.seen, watch.expected, watch.gaps, watch.lost):
        gauge.labels("bvi")
    worker = Metrics([("r", "high")], partitions=1)
    worker.model_score.labels("officer", "0.5")
    worker.model_drift.labels("surge")
    worker.model_group_drift.labels("officer")
    every = (
        worker,
        CanaryMetrics(partitions=1),
        watch,
        ReplayMetrics(),
        RankMetrics(),
        IncidentMetrics(),
        SinkMetrics(["pager"]),
        RelayMetrics(),
        FairnessMetrics(),
        ArchiveMetrics(),
        OutcomeMetrics(),
        ConsoleMetrics(),
    )
    for metrics in every:
        for family in metrics.registry.collect():
            for sample in family.samples:
                found[sample.name] = set(sample.labels)
    return found


def test_the_sinks_that_are_deployed_can_be_made_and_reach_the_alertmanager_there_is(compose: Any) -> None:
    mounted = dict(volume.split(":")[:2] for volume in compose["services"]["sinks"]["volumes"])
    path = settings_of(compose["services"]["sinks"]).sinks
    assert path is not None
    (folder,) = [source for source, target in mounted.items() if Path(target) == path.parent]
    text = (ROOT / folder / path.name).read_text()
    (sink,) = load_sinks(ROOT / folder / path.name)
    assert sink.url == "http://alertmanager:9093"
    shown = tomllib.loads(re.sub(r"^# ?(?=\[\[|[a-z_]+ =)", "", text, flags=re.M))["sink"]
    assert len([SinkConfig.model_validate(each) for each in shown]) == 5, "what is shown as an example is one"
    config = yaml(DEPLOY / "alertmanager/alertmanager.yml")
    (route,) = [each for each in config["route"]["routes"] if each["receiver"] == "desk"]
    assert route["receiver"] in {receiver["name"] for receiver in config["receivers"]}
    assert route["matchers"] == [f"alertname = {labels_of('i', 'page', 'high', 1)['alertname']}"]


def test_the_console_is_reached_from_this_machine_and_its_store_outlives_its_container(compose: Any) -> None:
    service = compose["services"]["console"]
    settings = settings_of(service)
    assert settings.console_host == "0.0.0.0"
    assert service["ports"] == [f"127.0.0.1:{settings.console_port}:{settings.console_port}"]
    assert f" {settings.console_port}\n" in (ROOT / "Dockerfile").read_text()
    (folder,) = [each.split(":")[1] for each in service["volumes"] if each.startswith("console-data:")]
    assert settings.console_store == f"sqlite:///{folder}/console.db"
    assert f"install -d -o 10001 -m 0700 {folder}\n" in (ROOT / "Dockerfile").read_text()
    for url in settings.console_metrics.split(","):
        name, port = re.fullmatch(r"http://(\w+):(\d+)/metrics", url).groups()  # type: ignore[union-attr]
        assert port in compose["services"][name]["expose"]


def expressions() -> Iterator[str]:
    for group in yaml(DEPLOY / "prometheus/rules.yml")["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for file in sorted((DEPLOY / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            yield from (target["expr"] for target in panel["targets"])


def test_rules_and_dashboards_ask_for_series_and_labels_there_are() -> None:
    known = series()
    used = set()
    for expression in expressions():
        names = re.findall(r"lookup_monitor_\w+", expression)
        assert set(names) <= known.keys()
        used |= set(names)
        labels = {label for names in re.findall(r"by \(([^)]*)\)", expression) for label in names.split(", ")}
        assert labels <= set().union({"le", "job"}, *(known[name] for name in names))
    bases = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in known}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    assert {name.removesuffix("_total") for name in bases} == {name.removesuffix("_total") for name in shown}


def test_every_alert_about_the_monitor_says_what_to_do() -> None:
    for group in yaml(DEPLOY / "prometheus/rules.yml")["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                assert rule["labels"]["severity"] in ("warning", "critical")
                assert rule["annotations"].keys() == {"summary", "action", "runbook_url"}


def test_grafana_reads_the_prometheus_there_is(compose: Any) -> None:
    (source,) = yaml(DEPLOY / "grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "127.0.0.1:9090:9090" in compose["services"]["prometheus"]["ports"]
    for file in (DEPLOY / "grafana/dashboards").glob("*.json"):
        (variable,) = json.loads(file.read_text())["templating"]["list"]
        assert (variable["query"], variable["current"]["value"]) == (source["type"], source["uid"])
    home = environment(compose["services"]["grafana"])["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    (provider,) = yaml(DEPLOY / "grafana/provisioning/dashboards/lookup-monitor.yml")["providers"]
    assert Path(home).parent == Path(provider["options"]["path"])
    assert (DEPLOY / "grafana/dashboards" / Path(home).name).exists()


def kept(config: dict[str, str]) -> str:
    if config["cleanup.policy"] == "compact":
        return "compacted"
    return f"{int(config['retention.ms']) // 86_400_000} days"


def test_the_table_of_topics_is_what_the_code_makes() -> None:
    rows = re.findall(r"^\| `(lookup\.[\w.]+)` \| (\d+) \| ([\w ]+) \|", (DEPLOY / "README.md").read_text(), re.M)
    assert [(name, int(count), kept_for) for name, count, kept_for in rows] == [
        (topic.name, topic.partitions, kept(topic.config)) for topic in topics_of(Settings())
    ]


def test_the_readme_has_the_two_commands_and_the_settings_are_written_down() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "    pip install uv && uv run monitor demo\n" in readme
    assert "    pip install uv && uv run pytest\n" in readme
    rows = re.findall(
        r"^\| `LOOKUP_MONITOR_(\w+)` \| ([^|]*) \| ([^|]*) \|", (ROOT / "docs/settings.md").read_text(), re.M
    )
    assert [(name.lower(), default, meaning) for name, default, meaning in rows] == [
        (name, "the pack" if name == "rules" else str(field.default), field.description)
        for name, field in Settings.model_fields.items()
    ]


def test_every_library_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    wanted = [*project["project"]["dependencies"], *(each for extra in extras for each in extra)]
    named = (ROOT / "docs/decisions.md").read_text()
    for requirement in wanted:
        name = re.split(r"[\[<>=]", requirement)[0]
        assert re.search(rf"^\|[^|]*\b{re.escape(name)}\b[^|]*\|", named, re.M), name


def test_the_image_has_the_python_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.12"
    froms = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.M)
    assert len(froms) == 2
    assert len(set(froms)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", froms[0])
    for name in re.findall(r"^COPY (?!--)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.M):
        for source in name.split():
            assert (ROOT / source).exists()
            assert f"!{source}" in (ROOT / ".dockerignore").read_text()
