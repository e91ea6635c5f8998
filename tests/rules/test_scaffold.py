"""A new rule loads, lints clean, is valid, and its tests hold."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import jsonschema
import orjson
import pytest

from monitor.backtest import Backtest
from monitor.documents import Wrong, parse_text
from monitor.reference import Reference, decode
from monitor.rules import load_texts
from monitor.rules.common import span_of
from monitor.rules.lint import lint
from monitor.rules.model import TYPOLOGIES
from monitor.rules.scaffold import IDS, TYPES, scaffold
from monitor.rules.schema import json_schema

TODAY = date(2026, 11, 25)
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
UUIDS = [str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))) for number in range(IDS)]


def made(kind: str, name: str = "my-rule") -> dict[str, str]:
    return {f"rules/sleeper/{name}.yml": scaffold(name, "sleeper", kind, UUIDS, TODAY)}


def documents(kind: str) -> list[dict[str, Any]]:
    return [each.data for path, text in made(kind).items() for each in parse_text(path, text, [])]


def after(span: str | None) -> timedelta:
    return timedelta(milliseconds=span_of(span, ("at",))) if span else timedelta()


def lookups(test: dict[str, Any]) -> list[bytes]:
    """The lookups of a test in the order of their times, and one of somebody else at its end."""
    timed = [
        (START + after(event.get("at")) + number * after(event.get("every")), event)
        for event in test["events"]
        for number in range(event.get("repeat", 1))
    ]
    timed.append((max(at for at, _ in timed) + after(test.get("then", "1m")), {"action": "read", "actor": {"id": "x"}}))
    return [
        orjson.dumps({"id": f"e-{number}", "time": at.isoformat(), "system": "x", **event})
        for number, (at, event) in enumerate(sorted(timed, key=lambda each: each[0]))
    ]


@pytest.mark.parametrize("kind", TYPES)
def test_a_new_rule_has_nothing_wrong_with_it(kind: str) -> None:
    files = made(kind)
    assert load_texts(files).problems == []
    found = lint(files, TODAY)
    assert [each.id for each in found] == (["LM371"] if kind == "anomaly" else []), (
        "a score has no test that can be written"
    )
    for document in documents(kind):
        jsonschema.validate(document, json_schema())


@pytest.mark.parametrize("kind", TYPES)
def test_the_tests_of_a_new_rule_hold(kind: str) -> None:
    tests = [test for document in documents(kind) for test in document.get("tests", ())]
    assert [test["alerts"] for test in tests] == ([0] if kind == "anomaly" else [1, 0])
    for test in tests:
        rules = load_texts(made(kind)).rules
        reference = Reference(decode(orjson.dumps(record)) for record in test["reference"])
        run = Backtest(rules, reference, 1, lambda actor: 0, 0.999)
        alerts = [each for each in run.run(lookups(test), 2**42) if each.rule.id == UUIDS[0]]
        assert len(alerts) == test["alerts"], test["name"]
        assert not run.refused


@pytest.mark.parametrize("typology", TYPOLOGIES)
def test_every_typology_may_have_one(typology: str) -> None:
    text = scaffold("x", typology, "event_count", UUIDS, TODAY)
    assert lint({f"rules/{typology}/x.yml": text}, TODAY) == []


@pytest.mark.parametrize(
    ("name", "typology", "kind", "said"),
    [
        ("My Rule", "sleeper", "detection", "My Rule is no name of a rule"),
        ("../x", "sleeper", "detection", "is no name"),
        ("x", "sleepers", "detection", "no typology sleepers"),
        ("x", "sleeper", "event_cuont", "no type event_cuont"),
    ],
)
def test_what_is_asked_for_wrongly_is_said(name: str, typology: str, kind: str, said: str) -> None:
    with pytest.raises(Wrong, match=said):
        scaffold(name, typology, kind, UUIDS, TODAY)
