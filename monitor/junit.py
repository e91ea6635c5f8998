"""Outcomes of tests as JUnit XML, which CI systems read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import msgspec

#: What XML 1.0 has no form for.
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Outcome(msgspec.Struct):
    """One test: the suite (a file) and class (a rule) it belongs to. ``failure`` says what is wrong in a line, ``details``
    in several; it is an error, and not a failure, when it is ``broken``: it could not be run."""

    suite: str
    group: str
    name: str
    line: int = 1
    seconds: float = 0.0
    failure: str | None = None
    details: str = ""
    broken: bool = False


def junit_xml(outcomes: Iterable[Outcome]) -> bytes:
    """The XML document."""
    suites: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        suites.setdefault(outcome.suite, []).append(outcome)
    root = Element("testsuites", _counts([outcome for each in suites.values() for outcome in each]))
    for name, inside in suites.items():
        suite = SubElement(root, "testsuite", {"name": _xml(name), **_counts(inside)})
        for outcome in inside:
            _add(suite, outcome)
    indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(root, encoding="unicode")}\n'.encode()


def _counts(outcomes: list[Outcome]) -> dict[str, str]:
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    return {
        "tests": str(len(outcomes)),
        "failures": str(sum(not outcome.broken for outcome in failed)),
        "errors": str(sum(outcome.broken for outcome in failed)),
        "skipped": "0",
        "time": f"{sum(outcome.seconds for outcome in outcomes):.3f}",
    }


def _add(suite: Element, outcome: Outcome) -> None:
    named = {"classname": outcome.group, "name": outcome.name, "file": outcome.suite, "line": str(outcome.line)}
    about = {name: _xml(value) for name, value in named.items()}
    case = SubElement(suite, "testcase", {**about, "time": f"{outcome.seconds:.3f}"})
    if outcome.failure is not None:
        kind = "error" if outcome.broken else "failure"
        found = SubElement(case, kind, {"message": _xml(outcome.failure), "type": kind})
        found.text = _xml("\n".join(filter(None, (outcome.failure, outcome.details))))


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
