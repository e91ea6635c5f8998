"""Findings as text, JSON and SARIF; the page that lists the checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import msgspec
import pytest

from monitor.rules.lint import Finding, formats, registered
from tests.rules.lint.samples import PATHS, linted, news, press

DOCS = Path(__file__).resolve().parents[3] / "docs" / "rules-lint.md"
FOUND = linted(
    news("title: Someone", "title: someone"),
    news("author: Security desk\n", ""),
    press("expires: 2027-03-01", "expires: soon"),
)
#: What section 3 of SARIF 2.1.0 asks of the parts that we write, no more being allowed.
_TEXT = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_POSITION = {"type": "integer", "minimum": 1}
_RULE = {
    "type": "object",
    "required": ["id", "name", "shortDescription", "fullDescription", "defaultConfiguration"],
    "properties": {
        "id": {"type": "string", "pattern": "^LM[0-9]{3}$"},
        "name": {"type": "string", "pattern": "^[A-Z][A-Za-z0-9]+$"},
        "shortDescription": _TEXT,
        "fullDescription": _TEXT,
        "defaultConfiguration": {"type": "object", "properties": {"level": _LEVEL}, "additionalProperties": False},
    },
    "additionalProperties": False,
}
_REGION = {
    "type": "object",
    "required": ["startLine", "startColumn"],
    "properties": {"startLine": _POSITION, "startColumn": _POSITION},
    "additionalProperties": False,
}
_PHYSICAL = {
    "type": "object",
    "required": ["artifactLocation", "region"],
    "properties": {
        "artifactLocation": {
            "type": "object",
            "required": ["uri"],
            "properties": {"uri": {"type": "string", "format": "uri-reference"}},
        },
        "region": _REGION,
    },
    "additionalProperties": False,
}
_RESULT = {
    "type": "object",
    "required": ["ruleId", "ruleIndex", "level", "message", "locations"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": _LEVEL,
        "message": _TEXT,
        "locations": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {"type": "object", "properties": {"physicalLocation": _PHYSICAL}, "additionalProperties": False},
        },
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
}
_RUN = {
    "type": "object",
    "required": ["tool", "results"],
    "properties": {
        "tool": {
            "type": "object",
            "required": ["driver"],
            "properties": {
                "driver": {
                    "type": "object",
                    "required": ["name", "version", "rules"],
                    "properties": {
                        "name": {"const": "lookup-monitor"},
                        "version": {"type": "string"},
                        "rules": {"type": "array", "uniqueItems": True, "items": _RULE},
                    },
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        "results": {"type": "array", "items": _RESULT},
    },
    "additionalProperties": False,
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "maxItems": 1, "items": _RUN},
    },
    "additionalProperties": False,
}  # fmt: skip


def log(findings: list[Finding]) -> dict[str, Any]:
    return msgspec.json.decode(msgspec.json.encode(formats.sarif(findings, registered(), "1.2.3")))


def test_sarif_is_as_its_specification_says() -> None:
    assert {finding.severity for finding in FOUND} == {"error", "warning", "info"}
    for findings in (FOUND, []):
        jsonschema.validate(log(findings), SARIF, format_checker=jsonschema.FormatChecker())


def test_sarif_says_the_same_as_the_findings() -> None:
    (run,) = log(FOUND)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(registered())
    assert len(run["results"]) == len(FOUND)
    for finding, result in zip(FOUND, run["results"], strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.id
        assert result["level"] == {"info": "note"}.get(finding.severity, finding.severity)
        assert rules[result["ruleIndex"]]["defaultConfiguration"]["level"] == result["level"]
        assert finding.message in result["message"]["text"]
        assert finding.hint in result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert unquote(place["artifactLocation"]["uri"]) == finding.path
        assert place["region"] == {"startLine": finding.line, "startColumn": finding.column}
    marks = [result["partialFingerprints"]["lookupMonitorLint/v1"] for result in run["results"]]
    assert len(set(marks)) == len(FOUND)


@pytest.mark.parametrize(
    ("path", "uri"),
    [("rules/a b/é.yml", "rules/a%20b/%C3%A9.yml"), ("/srv/rules/a b.yml", "file:///srv/rules/a%20b.yml")],
)
def test_sarif_names_files_by_uris(path: str, uri: str) -> None:
    (result,) = log([Finding(path, 1, 1, "LM101", "unknown-key", "warning", "no")])["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_a_line_for_people() -> None:
    line = formats.line_of(FOUND[0])
    assert line == f"{PATHS['news']}:1:1: warning LM103 the title does not begin with a capital [title-begins-small]"
    assert " (hint: who can be asked about it) " in formats.line_of(FOUND[1])


def test_a_line_of_json() -> None:
    assert msgspec.json.decode(formats.json_of(FOUND[0]), type=Finding) == FOUND[0]
    assert list(msgspec.json.decode(formats.json_of(FOUND[0]))) == [
        "path",
        "line",
        "column",
        "id",
        "name",
        "severity",
        "message",
        "hint",
    ]


def test_how_many_and_whether_they_are_bad_enough() -> None:
    assert formats.counted(FOUND) == "1 error, 1 warning, 1 info"
    assert formats.counted([]) == "0 errors, 0 warnings, 0 infos"
    infos = [finding for finding in FOUND if finding.severity == "info"]
    assert [formats.reaches(infos, name) for name in ("error", "warning", "info")] == [False, False, True]
    assert [formats.reaches(FOUND, name) for name in ("error", "warning", "info")] == [True, True, True]
    assert not formats.reaches([], "info")


def test_the_page_lists_the_checks() -> None:
    wanted = formats.markdown(registered().values())
    assert DOCS.read_text() == wanted, "write it anew: monitor rules lint --list --format markdown > docs/rules-lint.md"
    assert all(f"| {check.id} | `{check.name}` | {check.severity} |" in wanted for check in registered().values())
