"""The comparison can fail: whatever is missing, extra or different is said, and equal ends give nothing."""

from __future__ import annotations

from copy import deepcopy
from random import Random

import pytest

from monitor import events
from monitor.alerts import MODEL_RULE, Alert, Entity, encode
from monitor.detector import KeyState
from monitor.rules.state import Entry, Hush, Log, State
from tests.torture.compare import End, differences
from tests.torture.traffic import make_traffic

ALERT = Alert(
    "a-1",
    "2025-01-06T09:00:00Z",
    0,
    MODEL_RULE,
    Entity("actor", "o-1"),
    ["o-1"],
    ["p-1"],
    ["x-1"],
    0.5,
    ["why"],
    "model",
)
PLACE = ("lookup.events.v1", 2, 17)


def end() -> End:
    windows: dict[str, State] = {"rule|o-1": Log([Entry(5, "x-1", "o-1", "p-1")], [5])}
    states = {"actor/o-1": KeyState({2: 16}, 5, b"12345678", windows), "subject/p-1": KeyState({0: 3})}
    return End({"a-1": encode(ALERT)}, states, {"officer": b"model"}, {PLACE: b"{"})


def said(found: End, expected: End | None = None) -> str:
    return "\n".join(differences(expected or end(), found))


def test_equal_ends_do_not_differ() -> None:
    assert differences(end(), end()) == []


def test_a_missing_and_an_extra_alert_are_said_with_rule_and_entity() -> None:
    assert "alert missing: a-1 model 'Unusual for the peer group' actor/o-1" in said(
        End(**{**vars(end()), "alerts": {}})
    )
    assert "alert extra: a-1 " in said(end(), End(**{**vars(end()), "alerts": {}}))


def test_an_alert_with_other_content_and_a_repeat_that_differs_are_said() -> None:
    found = end()
    found.alerts["a-1"] = found.alerts["a-1"].replace(b"why", b"how")
    assert "alert differs: a-1" in said(found)
    found = end()
    found.unlike.append("a-1")
    assert said(found) == "alert repeated with other content: a-1"


def test_a_state_that_counts_differently_is_said_with_its_window() -> None:
    found = end()
    found.states["actor/o-1"].windows["rule|o-1"] = Log([], [5])
    assert "state differs: actor/o-1\n  windows[rule|o-1] differs" in said(found)
    found.states["actor/o-1"].windows["other"] = Hush([1])
    assert "windows[other] extra" in said(found)


@pytest.mark.parametrize("field", ["at", "newest", "fingerprints"])
def test_every_part_of_a_state_counts(field: str) -> None:
    found = deepcopy(end())
    setattr(found.states["actor/o-1"], field, type(getattr(found.states["actor/o-1"], field))())
    assert f"  {field}" in said(found)


def test_a_missing_and_an_extra_state_are_said() -> None:
    found = end()
    del found.states["subject/p-1"]
    assert said(found) == "state missing: subject/p-1"
    assert said(end(), found) == "state extra: subject/p-1"


def test_another_model_is_said() -> None:
    found = end()
    found.models = {"officer": b"other", "clerk": b"model"}
    assert said(found) == "model extra: clerk\nmodel differs: officer"


def test_a_missing_an_extra_and_a_changed_dlq_entry_are_said() -> None:
    found = end()
    found.refused = {}
    assert said(found) == f"DLQ entry missing: {PLACE}"
    assert said(end(), found) == f"DLQ entry extra: {PLACE}"
    found.refused = {PLACE: b"}"}
    assert said(found) == f"DLQ entry differs: {PLACE}"


def test_traffic_comes_from_its_seed_alone_and_all_its_poison_is_refused() -> None:
    traffic = make_traffic(Random(3), 0.1)
    assert traffic == make_traffic(Random(3), 0.1)
    assert traffic != make_traffic(Random(4), 0.1)
    assert traffic.poison
    assert len(set(traffic.messages)) < len(traffic.messages), "some lookups are sent twice"
    for raw in set(traffic.messages):
        try:
            events.decode(raw, received_ms=1_760_000_000_000)
        except events.BadEvent:
            assert raw in traffic.poison
        else:
            assert raw not in traffic.poison
