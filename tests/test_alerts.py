"""Alerts: ids that never change, one form in bytes, a schema."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import alerts, event_schema, reference
from monitor.alerts import Alert, Entity, RuleInfo, alert_id, decode, encode, entity_of, from_model
from monitor.incidents import model as incident
from monitor.rules.model import LEVELS
from tests.samples import lookup

GOLDEN = Path(__file__).parent / "golden"
PAIRS = st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=3)


def test_an_id_is_what_it_has_always_been() -> None:
    """A change here would make the desk see every old alert as new."""
    found = alert_id("84702699-7458-57da-acbf-bdc7b7504092", [("actor.id", "o-1")], "bvi/x-1")
    assert found == str(uuid.UUID(found))
    assert found == (GOLDEN / "alert-id.txt").read_text().strip()
    assert uuid.UUID(found).version == 5


@given(st.text(max_size=8), PAIRS, st.text(max_size=8), st.text(max_size=8), PAIRS, st.text(max_size=8))
def test_different_evidence_gives_different_ids(
    rule: str, group: list[tuple[str, str]], trigger: str, rule2: str, group2: list[tuple[str, str]], trigger2: str
) -> None:
    same = (rule, group, trigger) == (rule2, group2, trigger2)
    assert (alert_id(rule, group, trigger) == alert_id(rule2, group2, trigger2)) is same


def test_the_model_and_a_rule_name_the_actor() -> None:
    alert = from_model(lookup(subject__id="p-1"), 0.99999999, ["because"])
    assert alert.entity == Entity("actor", "o-1")
    assert (alert.actors, alert.subjects, alert.events) == (["o-1"], ["p-1"], ["x-1"])
    assert alert.score == 1.0
    assert alert.kind == "model"
    assert entity_of([("subject.id", "p-1")]) == Entity("subject", "p-1")
    assert entity_of([("subject.id", "p-1"), ("actor.id", "o-1")]) == Entity("actor", "o-1")
    assert entity_of([("actor.unit", "n"), ("subject.id", "p")]) == Entity("actor.unit,subject", "n|p")


ALERT = st.builds(
    Alert,
    id=st.uuids().map(str),
    time=st.just("2026-11-20T09:15:02+01:00"),
    ts=st.integers(0, 2**50),
    rule=st.builds(RuleInfo, id=st.text(), title=st.text(), level=st.sampled_from(LEVELS), typology=st.text()),
    entity=st.builds(Entity, kind=st.text(), id=st.text()),
    actors=st.lists(st.text(), max_size=3),
    subjects=st.lists(st.text(), max_size=3),
    events=st.lists(st.text(), max_size=3),
    score=st.floats(0, 1),
    reasons=st.lists(st.text(), max_size=3),
    kind=st.sampled_from(["rule", "model"]),
)


@given(ALERT)
def test_bytes_and_back_under_the_schema(alert: Alert) -> None:
    raw = encode(alert)
    assert decode(raw) == alert
    assert encode(decode(raw)) == raw
    jsonschema.validate(json.loads(raw), alerts.json_schema())


def test_what_is_no_alert_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"id": "x"}')


@pytest.mark.parametrize("name", ["event", "reference", "alert", "incident"])
def test_the_schemas_are_the_published_ones(name: str) -> None:
    """Whoever changes a schema changes what others send and read: say so by renewing tests/golden."""
    made = {
        "event": event_schema.json_schema,
        "reference": reference.json_schema,
        "alert": alerts.json_schema,
        "incident": incident.json_schema,
    }[name]()
    golden = json.loads((GOLDEN / f"{name}.schema.json").read_text())
    assert made == golden
    done = subprocess.run([sys.executable, "-m", "monitor", "schema", name], capture_output=True, check=True)
    assert json.loads(done.stdout) == golden
