"""``monitor rules explain`` as a process: how rule and event are named, what is shown, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.rules.samples import correlation, detection, rule_id


def run(*arguments: str | Path, code: int, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "rules", "explain", *map(str, arguments)],
        env={**os.environ, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Rules, a log of four lookups with a bad line in it, and reference data."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "base.yml").write_text(detection({"action": "read", "explanation": "none"}, title="Base"))
    (tmp_path / "rules" / "many.yml").write_text(correlation("many", condition={"gte": 3}))
    both = "\n---\n".join(detection({"action": action}, name=action) for action in ("export", "print"))
    (tmp_path / "rules" / "both.yml").write_text(both)
    exempt = {"rules": ["export"], "x": {"actor.id": "o-1"}, "condition": "x"}
    made = {"title": "Known", "id": rule_id("Known"), "logsource": {"category": "lookup"}, "filter": exempt}
    (tmp_path / "rules" / "known.yml").write_text(orjson.dumps(made).decode())
    lines = [
        orjson.dumps(
            {
                "id": str(number),
                "time": f"2026-03-02T09:0{number}:00Z",
                "system": "bvi",
                "action": "read",
                "actor": {"id": "o-1"},
                "subject": {"id": "p-1"},
            }
        )
        for number in range(4)
    ]
    (tmp_path / "log.jsonl").write_bytes(b"\n".join([*lines[:2], b"{", *lines[2:]]) + b"\n")
    (tmp_path / "one.json").write_bytes(orjson.dumps(orjson.loads(lines[0]), option=orjson.OPT_INDENT_2))
    (tmp_path / "reference.jsonl").write_text('{"record": "actor", "id": "o-1", "unit": "north"}\n')
    return tmp_path


UNEXPLAINED = '{"action": "read", "explanation": "none"}'


def test_a_match_is_exit_code_0_and_no_match_is_1(place: Path) -> None:
    rules = ("--rules", place / "rules")
    said = run("base", UNEXPLAINED, *rules, code=0)
    assert said.splitlines() == [
        "✓ base matches: Base",
        "  because action = read — it is read",
        "  because explanation = none — it is none",
        "  ✓ s",
        "    ✓ all of",
        "      ✓ action = read — it is read",
        "      ✓ explanation = none — it is none",
    ]
    said = run("base", '{"action": "list", "explanation": "none"}', *rules, code=1)
    assert said.startswith("✗ base does not match: Base\n  because action = read — it is list\n  ✗ s\n")


def test_the_rule_is_named_by_id_name_or_file(place: Path) -> None:
    rules = ("--rules", place / "rules")
    for name in (rule_id("base"), "base", "Base", place / "rules" / "base.yml"):
        assert "base matches" in run(name, UNEXPLAINED, *rules, code=0)
    assert "base matches" in run(place / "rules" / "base.yml", UNEXPLAINED, code=0), "its folder is loaded"
    said = run(place / "rules" / "both.yml", '{"action": "print"}', *rules, code=0)
    assert "✗ export does not match" in said
    assert "✓ print matches" in said
    assert "did you mean base?" in run("bse", UNEXPLAINED, *rules, code=2)
    assert "its id, its name or its file" in run("x", UNEXPLAINED, *rules, code=2)
    assert "base matches" in run("base", UNEXPLAINED, code=0, LOOKUP_MONITOR_RULES=str(place / "rules"))


def test_the_event_is_a_text_a_file_or_a_line_and_is_enriched(place: Path) -> None:
    more = ("--rules", place / "rules", "--reference", place / "reference.jsonl")
    assert "base matches" in run("base", place / "one.json", *more, code=0)
    assert "base matches" in run("base", f"{place}/log.jsonl:1", *more, code=0)
    said = run("base", f"{place}/log.jsonl:1", "--rules", place / "rules", code=1)
    assert "explanation = none — it is not there" in said, "without reference data nothing is known"


def test_a_correlation_counts_what_comes_before_in_the_log(place: Path) -> None:
    more = ("--rules", place / "rules", "--reference", place / "reference.jsonl")
    said = run("many", f"{place}/log.jsonl:2", *more, code=1)
    assert said.startswith("✗ many does not fire: many\n  because missing: 1 more lookups\n")
    for line in (
        "  group: actor.id = o-1",
        "  window: sliding, 1 hour",
        "  asks for: 3 or more lookups",
        "  so far: 2 lookups within 1 hour (the rule asks for 3 or more)",
        "  missing: 1 more lookups",
        "  ✓ base matches: Base",
        "    ✓ s",
    ):
        assert line in said.splitlines()
    assert "✓ many fires" in run("many", f"{place}/log.jsonl:4", *more, code=0)
    assert "a burst is one alert" in run("many", f"{place}/log.jsonl:5", *more, code=1)


def test_filters_are_shown(place: Path) -> None:
    said = run("export", '{"action": "export"}', "--rules", place / "rules", code=1)
    assert "because the filter Known takes it out" in said
    assert f"  filter Known ({place}/rules/known.yml) takes it out\n    ✓ x\n" in said
    said = run("export", '{"action": "export", "actor.id": "o-2"}', "--rules", place / "rules", code=0)
    assert "filter Known" in said
    assert "does not apply" in said


def test_json(place: Path) -> None:
    said = orjson.loads(run("many", UNEXPLAINED, "--rules", place / "rules", "--format", "json", code=1))
    assert (said["name"], said["matches"], said["missing"]) == ("many", False, ["2 more lookups"])
    assert said["parts"][0]["conditions"][-1]["holds"] is True
    both = orjson.loads(run(place / "rules" / "both.yml", '{"action": "print"}', "--format", "json", code=0))
    assert [each["matches"] for each in both] == [False, True]


def test_without_unicode_there_are_other_signs(place: Path) -> None:
    said = run(
        "base",
        '{"action": "list", "explanation": "none"}',
        "--rules",
        place / "rules",
        code=1,
        PYTHONIOENCODING="ascii:replace",
    )
    assert "- base does not match" in said
    assert "+ explanation" in said


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("nowhere.json", "nowhere.json: No such file"),
        ("{place}/log.jsonl", "has several lines; say which one"),
        ("{place}/log.jsonl:9", "has no line 9"),
        ("{place}/log.jsonl:3", "log.jsonl:3: not JSON"),
        ("{", "the event: not JSON"),
        ('{"action": "steal"}', "the event: not a lookup: action is not one of"),
        ("{place}/reference.jsonl", "not a lookup"),
        ("{place}", "Is a directory"),
    ],
)
def test_an_event_that_is_none_is_exit_code_2(place: Path, event: str, said: str) -> None:
    assert said in run("base", event.replace("{place}", str(place)), "--rules", place / "rules", code=2)
