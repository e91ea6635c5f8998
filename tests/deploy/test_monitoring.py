"""Dashboards, rules, routes and runbooks: each by the tool it is for, and all of them agree. What they show of a live monitor: tests/live/test_monitoring.py."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import promql_parser
import pytest
import typer
from ruamel.yaml import YAML

from monitor.cli import app

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
BOARDS = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
RULES = DEPLOY / "prometheus/rules.yml"
RUNBOOKS = ROOT / "docs/runbooks.md"
#: File, uid: they do not change, as bookmarks and links go to them.
UIDS = {
    "lookup-monitor": "lookup-monitor",
    **{name: f"lookup-monitor-{name}" for name in ("desk", "detection", "model", "pipeline", "rules")},
}
#: Objective of each, as the share that may go wrong (docs/slo.md).
BUDGETS = {"detection": "0.01", "completeness": "0.001", "canary": "0.001"}


def yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


def program(name: str, package: str) -> str:
    """Without the program the test is skipped, or, with CI=true, fails."""
    found = shutil.which(name)
    if found is None:
        said = f"{name} is not installed (Debian: apt-get install {package})"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@cache
def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml(RULES)["groups"] for rule in group["rules"]]


@cache
def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def board(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture(params=BOARDS, ids=lambda path: path.stem)
def dashboard(request: pytest.FixtureRequest) -> Any:
    return board(request.param)


# Dashboards.


def test_the_dashboards_are_these_and_keep_their_uids() -> None:
    assert {path.stem: board(path)["uid"] for path in BOARDS} == UIDS
    assert len({board(path)["title"] for path in BOARDS}) == len(BOARDS)


def test_a_dashboard_is_linked_with_the_others_and_looks_as_they_do(dashboard: Any) -> None:
    (link,) = dashboard["links"]
    assert (link["type"], link["tags"]) == ("dashboards", ["lookup-monitor"])
    assert link["includeVars"]
    assert link["keepTime"]
    assert dashboard["tags"] == ["lookup-monitor"]
    assert dashboard["description"]
    first = board(BOARDS[0])
    for name in ("schemaVersion", "timezone", "refresh", "time", "templating", "graphTooltip", "editable"):
        assert dashboard[name] == first[name]


def test_every_panel_says_what_it_shows_what_is_good_and_what_to_do(dashboard: Any) -> None:
    panels = dashboard["panels"]
    assert Counter(panel["id"] for panel in panels).most_common(1)[0][1] == 1
    assert Counter(panel["title"] for panel in panels).most_common(1)[0][1] == 1
    for panel in panels:
        assert panel["type"] in ("timeseries", "stat")
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert re.search(r"Good: .+ If not: .+[.?]$", panel["description"]), panel["title"]
        assert {each["datasource"]["uid"] for each in (panel, *panel["targets"])} == {"${datasource}"}
        assert Counter(target["refId"] for target in panel["targets"]).most_common(1)[0][1] == 1
        assert all(target["legendFormat"] for target in panel["targets"])


def test_runbooks_that_panels_name_are_there(dashboard: Any) -> None:
    for panel in dashboard["panels"]:
        for names in re.findall(r"runbooks? ([A-Z][\w, and]+)", panel["description"]):
            wanted = set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", names))
            assert wanted <= alerts().keys(), panel["title"]


def test_no_panel_lies_over_another(dashboard: Any) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


# PromQL.


def filled(expression: str) -> str:
    """Grafana's variables as it fills them in with a scrape every ten seconds."""
    return expression.replace("$__rate_interval", "40s")


def expressions() -> Iterator[tuple[str, str]]:
    for path in BOARDS:
        for panel in board(path)["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]


def test_every_expression_is_promql_and_asks_for_what_is_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = set()
    for where, expression in expressions():
        try:
            promql_parser.parse(filled(expression))
        except ValueError as error:
            raise AssertionError(f"{where}: {error}: {expression}") from None
        asked = set(re.findall(r"lookup_monitor:[\w:]+", expression))
        assert asked <= recorded, where
        used |= asked
    assert used == recorded, "what nobody asks for is not worth recording"


@pytest.mark.parametrize("wrong", ["sum(rate(x[5m])", "rate(x)", "sum by le (x)", "x[5m] > 1"])
def test_the_parser_would_find_a_mistake(wrong: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        promql_parser.parse(wrong)


# Prometheus's rules.


def test_promtool_finds_no_fault_in_configuration_and_rules(tmp_path: Path) -> None:
    promtool = program("promtool", "prometheus")
    assert (done := run(promtool, "check", "rules", str(RULES))).returncode == 0, done.stdout + done.stderr
    # As in the container, where the folder is /etc/prometheus.
    text = (DEPLOY / "prometheus/prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus", str(DEPLOY / "prometheus")))
    done = run(promtool, "check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout
    (tmp_path / "wrong.yml").write_text(RULES.read_text().replace("expr: sum(", "expr: sum((", 1))
    assert run(promtool, "check", "rules", str(tmp_path / "wrong.yml")).returncode != 0


SITUATIONS = sorted((DEPLOY / "prometheus/tests").glob("*.yml"))


@pytest.mark.parametrize("path", SITUATIONS, ids=lambda path: path.stem)
def test_rules_fire_when_they_must_and_only_then(path: Path) -> None:
    done = run(program("promtool", "prometheus"), "test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_situation_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    fires, quiet = set(), set()
    for path in SITUATIONS:
        assert [(path.parent / each).resolve() for each in yaml(path)["rule_files"]] == [RULES]
        for test in yaml(path)["tests"]:
            for each in test["alert_rule_test"]:
                (fires if each["exp_alerts"] else quiet).add(each["alertname"])
    assert fires == quiet == alerts().keys()


# Objectives: the Google SRE Workbook, chapter 5, table 5-8.
BURNS = {
    "Fast": ("critical", [("14.4", "1h", "5m"), ("6", "6h", "30m")]),
    "Slowly": ("warning", [("3", "1d", "2h"), ("1", "3d", "6h")]),
}


@pytest.mark.parametrize("slo", BUDGETS)
@pytest.mark.parametrize("kind", BURNS)
def test_burn_rates_are_those_of_the_workbook(slo: str, kind: str) -> None:
    severity, pairs = BURNS[kind]
    rule = alerts()[f"{slo.capitalize()}Burns{kind}"]
    assert rule["labels"] == {"severity": severity, "slo": slo}
    found = re.findall(rf"lookup_monitor:{slo}_errors:ratio_(\w+) > ([\d.]+) \* ([\d.]+)", rule["expr"])
    assert found == [(window, factor, BUDGETS[slo]) for factor, *windows in pairs for window in windows]
    assert "for" not in rule, "the short window is what a `for` would be"


def test_dashboards_and_the_page_of_objectives_have_the_same_objectives() -> None:
    text = (ROOT / "docs/slo.md").read_text()
    rows = dict(re.findall(r"^\| (detection|completeness|canary) \| ([\d.]+) % \|", text, re.M))
    assert {slo: f"{round(1 - float(percent) / 100, 6):g}" for slo, percent in rows.items()} == BUDGETS
    for path in BOARDS:
        for slo, budget in re.findall(r"lookup_monitor:(\w+)_errors:ratio_\w+ / ([\d.]+)", path.read_text()):
            assert budget == BUDGETS[slo], path.stem


# Alertmanager's routes.

ROUTES = [
    ({"alertname": "NoWorker", "severity": "critical"}, "on-call"),
    ({"alertname": "SourceSilent", "severity": "critical", "register": "bvi"}, "on-call"),
    ({"alertname": "DetectionBurnsFast", "severity": "critical", "slo": "detection"}, "on-call"),
    ({"alertname": "DetectionBurnsSlowly", "severity": "warning", "slo": "detection"}, "operations"),
    ({"alertname": "MessagesRefused", "severity": "warning", "reason": "not-json"}, "operations"),
    ({"alertname": "SomethingNew"}, "operations"),
    *(
        ({"alertname": "LookupIncident", "severity": level, "incident": "i", "notice": "page"}, "desk")
        for level in ("low", "medium", "high", "critical")
    ),
]


def routed(labels: dict[str, str]) -> str:
    found = run(
        program("amtool", "prometheus-alertmanager"), "config", "routes", "test",
        f"--config.file={DEPLOY}/alertmanager/alertmanager.yml", *(f"{name}={value}" for name, value in labels.items()),
    )  # fmt: skip
    return found.stdout.strip()


def test_amtool_finds_no_fault_in_the_configuration() -> None:
    amtool = program("amtool", "prometheus-alertmanager")
    done = run(amtool, "check-config", f"{DEPLOY}/alertmanager/alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("labels", "receiver"), ROUTES, ids=lambda each: "-".join(each.values()) if isinstance(each, dict) else each)  # fmt: skip
def test_who_is_told_of_what(labels: dict[str, str], receiver: str) -> None:
    assert routed(labels) == receiver


def test_nothing_is_inhibited_by_or_for_an_alert_there_is_not() -> None:
    for rule in yaml(DEPLOY / "alertmanager/alertmanager.yml")["inhibit_rules"]:
        sources, targets = (
            set(re.findall(r"[A-Z]\w+", str(rule[side]))) for side in ("source_matchers", "target_matchers")
        )
        assert sources | targets <= alerts().keys()
        assert {alerts()[name]["labels"]["severity"] for name in sources} == {"critical"}
        assert not sources & targets


# Runbooks.


def sections() -> dict[str, str]:
    parts = re.split(r"^## (\w+)\n", RUNBOOKS.read_text(), flags=re.M)[1:]
    assert len(parts[::2]) == len(set(parts[::2]))
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    assert list(sections()) == list(alerts())
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
        text = sections()[name]
        assert text.startswith(f"\n*{rule['labels']['severity'].capitalize()}.* ")
        assert re.findall(r"^- \*\*([\w ]+):\*\* \S", text, re.M) == ["See", "Do", "Over when", "Tell"], name


def commands() -> Iterator[tuple[str, str]]:
    texts = {"runbooks.md": RUNBOOKS.read_text(), "slo.md": (ROOT / "docs/slo.md").read_text()}
    texts |= {name: rule["annotations"]["action"] for name, rule in alerts().items()}
    texts |= {path.stem: " ".join(p["description"] for p in board(path)["panels"]) for path in BOARDS}
    for where, text in texts.items():
        yield from ((where, command) for command in re.findall(r"`(monitor [^`]+)`", text))


@cache
def command_line() -> Any:
    return typer.main.get_command(app)


def check_command(line: str) -> None:
    """That a command is one, with these options and choices. Raises ``AssertionError``."""
    command = command_line()
    words = shlex.split(line)[1:]
    while words and hasattr(command, "get_command") and not words[0].startswith("-"):
        name = words.pop(0)
        command = command.get_command(typer.Context(command), name)
        assert command is not None, f"{line}: there is no {name}"
    options = {name: each for each in command.params if each.param_type_name == "option" for name in each.opts}
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    plain = 0
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            plain += 1
            continue
        assert word in options, f"{line}: there is no {word}"
        if words and not words[0].startswith("--") and not options[word].is_flag:
            value = words.pop(0)
            annotation = options[word].type_descriptor.annotation
            is_choice = get_origin(annotation) is Literal
            assert not is_choice or value in get_args(annotation), f"{line}: {value} is no {word}"
    assert plain <= len(arguments), f"{line}: too many arguments"


def test_every_command_that_people_are_told_to_type_is_one() -> None:
    told = list(commands())
    assert len({line for _, line in told}) > 30
    for _, line in told:
        check_command(line)


@pytest.mark.parametrize("wrong", ["monitor docter", "monitor canary --twice", "monitor dlq list --of horses", "monitor doctor now", "monitor rules lintt"])  # fmt: skip
def test_a_command_that_is_none_would_be_found(wrong: str) -> None:
    with pytest.raises(AssertionError):
        check_command(wrong)


def test_ci_installs_prometheus() -> None:
    text = (ROOT / ".ci/run").read_text()
    assert "command -v prometheus >/dev/null || wanted+=(prometheus)\n" in text
