"""``monitor rules test`` as a process: what it finds, what it says, its exit code, and its JUnit XML."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from monitor.junit import Outcome, junit_xml

BASE = """title: Export
id: 00000000-0000-4000-8000-000000000001
name: export
logsource: {category: lookup}
detection:
  s:
    action: export
  condition: s
"""
MANY = """title: Many
id: 00000000-0000-4000-8000-000000000002
name: many
correlation:
  type: event_count
  rules: [export]
  group-by: [actor.id]
  timespan: 1h
  condition: {gte: 3}
tests:
  - name: three in an hour
    events:
      - {action: export, repeat: 3, every: 10m}
    alerts: 1
  - name: two
    events:
      - {action: export, repeat: 2}
    alerts: 0
"""
FAILING = """  - name: four
    events:
      - {action: export, repeat: 4}
    alerts:
      - {count: 4}
"""
BROKEN = "  - {name: no events, alrets: 1}\n"


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitor", "rules", "test", *map(str, arguments)],
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    for name, text in (("one/export.yml", BASE), ("two/many.yml", MANY)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_folder_whose_tests_hold(pack: Path) -> None:
    done = run(pack)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 tests of 1 rules in ")
    assert done.stdout.endswith(": none failed\n")


def test_a_test_that_fails_and_one_that_cannot_be_read(pack: Path) -> None:
    (pack / "two" / "many.yml").write_text(MANY + FAILING + BROKEN)
    done = run(pack)
    assert done.returncode == 1
    place = f"{pack}/two/many.yml"
    assert done.stderr.splitlines() == [
        f"{place}:23:9: many: four: 1 alert expected, 1 came",
        "    expected: count 4",
        "    came too: at 2s, entity o-1, count 3, events 1 1-2 1-3: 3 lookups within 1 hour (the rule asks for 3 or more); Many",
        f"{place}:24:23: a test has no alrets (hint: did you mean alerts?)",
    ]
    assert "4 tests of 1 rules" in done.stdout
    assert "2 failed" in done.stdout


def test_a_rule_that_is_wrong_fails_too(pack: Path) -> None:
    (pack / "one" / "export.yml").write_text(BASE.replace("condition: s", "condition: t"))
    done = run(pack)
    assert done.returncode == 1
    assert f"{pack}/one/export.yml:8:3: " in done.stderr
    assert f"{pack}/two/many.yml:10:1: the rule was not loaded" in done.stderr


FINE = "2 tests of 1 rules in 0.0 s: none failed\n"


def test_the_pack_is_loaded_around_a_path_in_it(pack: Path) -> None:
    for path in (pack / "two", pack / "two" / "many.yml", os.path.relpath(pack / "two")):
        assert run(path, LOOKUP_MONITOR_RULES=str(pack)).stdout == FINE
        assert run(path, "--rules", pack).stdout == FINE
    assert run(LOOKUP_MONITOR_RULES=str(pack)).stdout == FINE
    assert "0 tests" in run(pack / "one", "--rules", pack).stdout
    alone = run(pack / "two")
    assert alone.returncode == 1
    assert "there is no rule export" in alone.stderr
    assert run(pack / "two", pack / "one").stdout == FINE
    assert run(pack, pack / "two" / "many.yml", os.path.relpath(pack / "two")).stdout == FINE


def test_what_is_beside_a_file_is_loaded_too(pack: Path) -> None:
    (pack / "two" / "export.yml").write_text(BASE)
    assert run(pack / "two" / "many.yml").stdout == FINE


def test_what_is_wrong_elsewhere_in_the_pack_is_not_said(pack: Path) -> None:
    (pack / "one" / "bad.yml").write_text("title: x\n")
    assert run(pack).returncode == 1
    assert run(pack / "two", "--rules", pack).returncode == 0


def test_one_rule(pack: Path) -> None:
    (pack / "one" / "export.yml").write_text(BASE + "tests:\n  - {name: silent, alerts: 0}\n")
    assert run(pack).returncode == 1
    assert "2 tests of 1 rules" in run(pack, "--rule", "many").stdout
    assert run(pack, "--rule", "00000000-0000-4000-8000-000000000002").returncode == 0
    wrong = run(pack, "--rule", "mny")
    assert wrong.returncode == 2
    assert "did you mean many?" in wrong.stderr


def test_wrong_use(pack: Path) -> None:
    assert run(pack / "none").returncode == 2
    assert "none: no such file or folder" in run(pack / "none").stderr
    assert run(pack, "--rules", pack / "none").returncode == 2
    assert run(pack, "--junit", pack / "no" / "where").returncode == 2


def test_junit(pack: Path) -> None:
    (pack / "two" / "many.yml").write_text(MANY + FAILING + BROKEN)
    (pack / "one" / "bad.yml").write_text(BASE.replace("00001", "00009").replace("export", "e") + "level: hihg\n")
    assert run(pack, "--junit", pack / "junit.xml").returncode == 1
    root = ElementTree.parse(pack / "junit.xml").getroot()
    assert root.tag == "testsuites"
    assert {name: root.attrib[name] for name in ("tests", "failures", "errors")} == {
        "tests": "5",
        "failures": "1",
        "errors": "2",
    }
    suites = {suite.attrib["name"]: suite for suite in root}
    cases = list(suites[f"{pack}/two/many.yml"])
    assert [(case.attrib["name"], [kind.tag for kind in case]) for case in cases] == [
        ("three in an hour", []),
        ("two", []),
        ("four", ["failure"]),
        ("no events", ["error"]),
    ]
    assert cases[2].attrib["classname"] == "many"
    assert "1 alert expected" in cases[2][0].attrib["message"]
    assert "expected: count 4" in (cases[2][0].text or "")
    (bad,) = suites[f"{pack}/one/bad.yml"]
    assert "did you mean high?" in bad[0].attrib["message"]


def test_junit_holds_any_text() -> None:
    odd = "a\x00\x1b[31m<&\"'\ud800]]>\n\u2028é\U0001f600"
    made = junit_xml([Outcome(odd, odd, odd, 3, 0.5, failure=odd, details=odd), Outcome("b", "b", "b")])
    root = ElementTree.fromstring(made)
    case = root[0][0]
    assert "\U0001f600" in case.attrib["name"]
    assert case.attrib["time"] == "0.500"
    assert (root.attrib["tests"], root.attrib["failures"], len(root)) == ("2", "1", 2)
    assert ElementTree.fromstring(junit_xml([])).attrib["tests"] == "0"
