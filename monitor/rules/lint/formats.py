"""Findings as text, JSON and SARIF 2.1.0, and the list of checks as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import PurePath, PurePosixPath
from typing import Any, Final

import msgspec

from monitor.rules.lint.registry import SEVERITIES, Check, Finding

SARIF_VERSION: Final = "2.1.0"
SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
TOOL: Final = "lookup-monitor"
_LEVELS: Final = {"error": "error", "warning": "warning", "info": "note"}


def line_of(finding: Finding) -> str:
    """One line for people: the place, what is wrong, and what to do."""
    hint = f" (hint: {finding.hint})" if finding.hint else ""
    place = f"{finding.path}:{finding.line}:{finding.column}"
    return f"{place}: {finding.severity} {finding.id} {finding.message}{hint} [{finding.name}]"


def json_of(finding: Finding) -> str:
    """One line of JSON."""
    return msgspec.json.encode(finding).decode()


def counted(findings: Iterable[Finding]) -> str:
    """How many there are of each severity, in words."""
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(f"{counts[name]} {name}{'' if counts[name] == 1 else 's'}" for name in SEVERITIES)


def reaches(findings: Iterable[Finding], severity: str) -> bool:
    """Whether there is a finding of this severity or a worse one."""
    bad = SEVERITIES[: SEVERITIES.index(severity) + 1]
    return any(finding.severity in bad for finding in findings)


def sarif(findings: Sequence[Finding], checks: Mapping[str, Check], version: str) -> dict[str, Any]:
    """A SARIF 2.1.0 log of one run. Paths that are relative stay so: they are those below the folder it ran in."""
    numbers = {check_id: number for number, check_id in enumerate(checks)}
    driver = {"name": TOOL, "version": version, "rules": [_rule(check) for check in checks.values()]}
    return {
        "$schema": SARIF_SCHEMA,
        "version": SARIF_VERSION,
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, numbers[finding.id]) for finding in findings],
            }
        ],
    }


def _rule(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "name": "".join(part.capitalize() for part in check.name.split("-")),
        "shortDescription": {"text": check.summary[:1].upper() + check.summary[1:]},
        "fullDescription": {"text": check.why},
        "defaultConfiguration": {"level": _LEVELS[check.severity]},
    }


def _result(finding: Finding, number: int) -> dict[str, Any]:
    hint = f" Hint: {finding.hint}" if finding.hint else ""
    mark = sha256(f"{finding.path}\0{finding.id}\0{finding.message}".encode()).hexdigest()[:16]
    return {
        "ruleId": finding.id,
        "ruleIndex": number,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message}.{hint}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.path)},
                    "region": {"startLine": finding.line, "startColumn": finding.column},
                }
            }
        ],
        "partialFingerprints": {"lookupMonitorLint/v1": mark},
    }


def _uri(path: str) -> str:
    pure = PurePath(path)
    if pure.is_absolute():
        return pure.as_uri()
    return PurePosixPath("/", pure.as_posix()).as_uri().removeprefix("file:///")


def markdown(checks: Iterable[Check]) -> str:
    """``docs/rules-lint.md``: all checks, and how to use them."""
    rows = (
        (each.id, f"`{each.name}`", each.severity, each.summary.replace("|", "\\|"), each.why.replace("|", "\\|"))
        for each in checks
    )
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


_HEAD: Final = """# The checks of `monitor rules lint`

    monitor rules lint [PATHS…] [--format text|json|sarif] [--fail-on error|warning|info] [--disable ID…]

Without a path it looks at the pack that `LOOKUP_MONITOR_RULES` names. A file of that folder is seen together with the whole
folder, so that it may name the rules of others. The exit code is 1 if there is a finding of the severity that `--fail-on`
says (a warning, unless given) or a worse one.

- An **error** is a rule that does not run or can never fire.
- A **warning** is one that is likely not what was meant, or that does harm.
- An **info** is what could be better.

`--field NAME` names a field of your own query systems (`--field 'vendor.*'` all that begin so), `--list-name NAME` a list of the
reference data. A check is switched off, by its id or name, for a line by a comment at its end, and for a document by a
comment above its first key:

    # lint: disable=LM201
    title: …
    detection:
      selection:
        actor.id: svc-batch  # lint: disable=LM207

This page is written by `monitor rules lint --list --format markdown`.

| id | name | severity | what is found | why |
|---|---|---|---|---|
"""
