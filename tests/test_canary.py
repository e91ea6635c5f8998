"""Canaries: told from lookups without a way past the rules, judged by a rule of their own, and missed when they do not come."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import events
from monitor.canary import STAGES, Ledger, message
from monitor.canary_rule import alert_of
from monitor.enrich import enrich
from monitor.events import CANARY, CANARY_NAME, BadEvent, Notice
from monitor.reference import Reference
from tests.samples import GOOD, NOW

TIME = "2026-11-20T09:15:02.000+01:00"


def decoded(raw: bytes) -> dict[str, Any]:
    """The fields of a canary."""
    with pytest.raises(Notice) as caught:
        events.decode(raw, received_ms=NOW)
    assert caught.value.kind == "canary"
    return caught.value.fields


def test_a_canary_is_no_lookup_and_names_nobody() -> None:
    fields = decoded(message("c-1", TIME))
    assert fields["id"] == "c-1"
    assert {name: fields[name] for name in CANARY} == CANARY
    assert fields["ts"] == events.parse_time(TIME)[0]


@given(
    name=st.sampled_from(
        ["subject", "query", "purpose", "client", "results", "outcome", "system", "actor", "x", "seq"]
    ),
    value=st.sampled_from([{"id": "AB-12-CD"}, {"text": "AB12CD"}, "bvi", 3, {"id": CANARY_NAME, "unit": "u"}]),
)
def test_a_canary_with_anything_else_in_it_is_refused(name: str, value: Any) -> None:
    """Else a lookup that is called a canary would never meet a rule."""
    document = {**orjson.loads(message("c-1", TIME)), name: value}
    with pytest.raises(BadEvent, match=r"(wrong|missing)-field"):
        events.decode(orjson.dumps(document), received_ms=NOW)


@pytest.mark.parametrize("kind", [None, "lookup", "Canary", 3, ["canary"], {"canary": 1}])
def test_a_lookup_under_the_canarys_name_is_a_lookup(kind: Any) -> None:
    document = {**GOOD, "actor": {"id": CANARY_NAME}, "kind": kind}
    assert events.decode(orjson.dumps(document), received_ms=NOW)["actor.id"] == CANARY_NAME


def test_a_canary_alerts_only_when_it_was_enriched() -> None:
    fields = decoded(message("c-1", TIME))
    assert alert_of(dict(fields)) is None
    alert = alert_of(enrich(dict(fields), Reference([])))
    assert alert is not None
    assert alert.events == ["c-1"]
    assert alert == alert_of(enrich(dict(fields), Reference([]))), "it is judged anew each time"


@given(
    answers=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([*STAGES, "other"]), st.floats(0, 50))),
    sent=st.integers(1, 3),
)
def test_each_answer_counts_once_and_what_did_not_come_is_missing(
    answers: list[tuple[int, str, float]], sent: int
) -> None:
    ledger, came = Ledger(), set()
    for partition in range(sent):
        ledger.sent(f"c-{partition}", partition, 100.0)
    for partition, stage, seconds in answers:
        latency = ledger.answered(f"c-{partition}", stage, 100.0 + seconds)
        is_new = partition < sent and stage in STAGES and (partition, stage) not in came
        assert (latency is not None) == is_new
        if latency is not None:
            assert latency == pytest.approx(seconds)
            came.add((partition, stage))
    expected = sorted({(partition, stage) for partition in range(sent) for stage in STAGES} - came)
    assert ledger.waiting() == expected
    assert ledger.end_round(200.0) == expected
    assert ledger.waiting() == ledger.end_round(201.0) == [], "what is missing is said once"


def test_a_late_answer_is_still_known_for_a_while() -> None:
    ledger = Ledger(keep=60)
    ledger.sent("c-0", 0, 0.0)
    ledger.end_round(30.0)
    assert ledger.answered("c-0", "detect", 45.0) == 45.0
    ledger.end_round(61.0)
    assert ledger.answered("c-0", "score", 62.0) is None
