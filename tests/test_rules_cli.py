"""``monitor rules``: what is printed, where it goes, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest
from click.testing import Result
from typer.testing import CliRunner

from monitor.commands.rules import rules_app
from monitor.commands.rules_lint import gather
from monitor.documents import parse_text
from monitor.rules.lint import registered
from monitor.rules.model import TYPOLOGIES
from monitor.rules.schema import json_schema
from tests.rules.lint.samples import GOOD, NEWS, PATHS, edited, news


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in an empty folder, with a pack of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKUP_MONITOR_RULES", "rules")
    monkeypatch.setenv("COLUMNS", "200")


def write(files: Mapping[str, str]) -> None:
    for path, text in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(rules_app, arguments)


BAD = edited(news("level: high", "levle: high\nlevel: high"))
INFO = edited(news("author: Security desk\n", ""))


def test_the_pack_is_linted_unless_paths_are_given() -> None:
    write(BAD)
    done = run("lint")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f"{PATHS['news']}:27:1: warning LM101 a detection has no levle (hint: did you mean level?) [unknown-key]",
        "4 files: 0 errors, 1 warning, 0 infos",
    ]


def test_good_rules_are_exit_code_0() -> None:
    write(GOOD)
    done = run("lint", "rules")
    assert (done.exit_code, done.stdout) == (0, "4 files: 0 errors, 0 warnings, 0 infos\n")


@pytest.mark.parametrize(("severity", "code"), [("error", 0), ("warning", 0), ("info", 1)])
def test_fail_on_says_from_when_on_it_is_exit_code_1(severity: str, code: int) -> None:
    write(INFO)
    assert run("lint", "--fail-on", severity).exit_code == code


def test_a_file_is_seen_with_the_pack_it_lies_in_but_reported_alone() -> None:
    write(BAD)
    done = run("lint", PATHS["exports"], PATHS["press"])
    assert (done.exit_code, done.stdout) == (0, "2 files: 0 errors, 0 warnings, 0 infos\n")
    Path("rules").rename("elsewhere")
    done = run("lint", PATHS["press"].replace("rules", "elsewhere"))
    assert done.exit_code == 1
    assert "LM009 there is no detection in-news" in done.stdout


def test_files_outside_the_current_folder_have_their_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(BAD)
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    assert run("lint", str(tmp_path / "rules")).stdout.startswith(f"{tmp_path}/rules/curiosity/news.yml:27:1: ")
    files, only = gather([tmp_path / "rules"], Path("nowhere"))
    assert len(files) == 5
    assert len(only) == 4


def test_checks_are_left_out_by_id_or_name() -> None:
    write(BAD)
    assert run("lint", "--disable", "LM101").exit_code == 0
    assert run("lint", "--disable", "tab,unknown-key").exit_code == 0
    assert run("lint", "--disable", "LM102", "--disable", "LM103").exit_code == 1


def test_fields_and_lists_of_ones_own_are_named() -> None:
    write(edited(news("    subject.tags: in-news", "    vendor.area|expand: '%towns%'")))
    assert run("lint").exit_code == 1
    done = run("lint", "--field", "vendor.*", "--list-name", "towns")
    assert (done.exit_code, done.stdout) == (0, "4 files: 0 errors, 0 warnings, 0 infos\n")


def test_json_is_one_object_a_finding() -> None:
    write(BAD)
    done = run("lint", "--format", "json")
    assert done.exit_code == 1
    (line,) = done.stdout.splitlines()
    assert json.loads(line) == {
        "path": PATHS["news"],
        "line": 27,
        "column": 1,
        "id": "LM101",
        "name": "unknown-key",
        "severity": "warning",
        "message": "a detection has no levle",
        "hint": "did you mean level?",
    }


def test_sarif_is_one_log() -> None:
    write(BAD)
    done = run("lint", "--format", "sarif")
    assert done.exit_code == 1
    (found,) = json.loads(done.stdout)["runs"]
    assert found["tool"]["driver"]["name"] == "lookup-monitor"
    assert [each["ruleId"] for each in found["results"]] == ["LM101"]


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_all_checks_are_listed(form: str) -> None:
    done = run("lint", "--list", "--format", form)
    assert done.exit_code == 0
    assert all(name in done.stdout for name in registered())
    assert "title-too-long" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lint", "nowhere"], "nowhere is neither a file nor a folder"),
        (["lint", "--format", "xml"], "--format xml is none"),
        (["lint", "--format", "markdown"], "--format markdown is none"),
        (["lint", "--fail-on", "warn"], "did you mean warning?"),
        (["lint", "--disable", "LM999"], "there is no check LM999"),
        (["lint", "--disable", "unknown-kye"], "did you mean unknown-key?"),
        (["lint", "."], "there are no rules in"),
        (["schema", "detections"], "did you mean detection?"),
        (["new", "my-rule", "--typology", "sleepers"], "did you mean sleeper?"),
        (["new", "My Rule", "--typology", "sleeper"], "My Rule is no name of a rule"),
        (["new", "my-rule", "--typology", "sleeper", "--type", "count"], "there is no type count"),
        (["coverage"], "rules is not a folder of rules"),
        (["coverage", "--format", "xml"], "--format xml is none"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_code_2_and_said(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("kind", [None, "detection", "correlation", "filter", "explanation"])
def test_a_schema_is_printed(kind: str | None) -> None:
    done = run("schema", *([kind] if kind else []))
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json.loads(json.dumps(json_schema(kind)))


def test_a_new_rule_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("new", "my-rule", "--typology", "sleeper", "--type", "value_count", "--dir", "mine")
    path = Path("mine/sleeper/my-rule.yml")
    assert done.exit_code == 0
    assert str(path) in done.stdout
    text = path.read_text()
    documents = [each.data for each in parse_text("x", text, [])]
    for document in documents:
        jsonschema.validate(document, json_schema())
    assert len({document["id"] for document in documents}) == 2
    assert run("lint", "mine", "--fail-on", "info").exit_code == 0
    again = run("new", "my-rule", "--typology", "sleeper", "--dir", "mine")
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert path.read_text() == text


def test_a_new_rule_takes_no_name_that_is_used() -> None:
    write(GOOD)
    done = run("new", "in-news", "--typology", "sleeper")
    assert done.exit_code == 2
    assert "in-news is used in rules/curiosity/news.yml already" in done.stderr
    assert not Path("rules/sleeper").exists()
    assert run("new", "in-news-too", "--typology", "sleeper").exit_code == 0
    assert run("lint", "--fail-on", "error").exit_code == 0


def test_coverage_says_what_no_rule_alerts_about() -> None:
    write(GOOD)
    done = run("coverage")
    assert done.exit_code == 1
    assert "no rule alerts about friend-favour, self-and-kin" in done.stderr
    row = next(line for line in done.stdout.splitlines() if "bulk-harvest" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["bulk-harvest", "1", "1", "1", "1"]


def test_coverage_is_exit_code_0_when_there_is_a_rule_for_everything() -> None:
    for typology in TYPOLOGIES:
        assert run("new", f"about-{typology}", "--typology", typology).exit_code == 0
    done = run("coverage", "--rules", "rules", "--format", "json")
    assert done.exit_code == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["typology"] for row in rows] == list(TYPOLOGIES)
    assert rows[0] == {
        "typology": "curiosity",
        "rules": {"medium": 1},
        "parts": 0,
        "positive": 1,
        "negative": 1,
        "covered": True,
    }
    write({"rules/sleeper/about-sleeper.yml": NEWS.replace("level: high", "level: hihg")})
    done = run("coverage")
    assert done.exit_code == 1
    assert "level hihg is none" in done.stderr
