"""Bytes become a lookup or are refused with a reason; nothing else can happen."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor import event_schema, events
from monitor.events import (
    MAX_ID_CHARS,
    MAX_MESSAGE_BYTES,
    MAX_SKEW_MS,
    OURS,
    REASONS,
    BadEvent,
    decode,
    parse_ms,
    parse_time,
)
from tests.samples import BAD, GOOD, NOW, nested

TIME = datetime.fromisoformat(GOOD["time"])


def refused(value: Any, **options: Any) -> str:
    raw = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
    with pytest.raises(BadEvent) as caught:
        decode(raw, received_ms=NOW, **options)
    assert caught.value.reason in REASONS
    return caught.value.reason


def decoded(raw: bytes) -> dict[str, Any] | str:
    """The lookup, or the reason it was refused for."""
    try:
        return decode(raw, received_ms=NOW)
    except BadEvent as error:
        return error.reason


def accepted(**fields: Any) -> dict[str, Any]:
    return decode(orjson.dumps({**GOOD, **fields}), received_ms=NOW)


def test_the_example_of_the_design_is_a_flat_lookup() -> None:
    raw = (
        b'{"id": "bvi-2026-11-24-000381", "time": "2026-11-24T09:15:02.113+01:00", "system": "bvi", "action": "read",'
        b'"actor": {"id": "o-10293", "unit": "limburg-noord", "role": "officer"},'
        b'"subject": {"kind": "vehicle", "id": "AB-12-CD"},'
        b'"query": {"text": "AB12CD", "fields": ["owner", "observations"]}, "results": 1,'
        b'"purpose": {"case": "2026-183322", "code": "traffic-stop", "text": "controle"},'
        b'"client": {"ip": "10.2.3.4", "terminal": "wp-221", "area": "limburg"}, "outcome": "success"}'
    )
    assert decode(raw, received_ms=NOW) == {
        "id": "bvi-2026-11-24-000381",
        "time": "2026-11-24T09:15:02.113+01:00",
        "system": "bvi",
        "action": "read",
        "actor.id": "o-10293",
        "actor.unit": "limburg-noord",
        "actor.role": "officer",
        "subject.kind": "vehicle",
        "subject.id": "AB-12-CD",
        "query.text": "AB12CD",
        "query.fields": ["owner", "observations"],
        "results": 1,
        "purpose.case": "2026-183322",
        "purpose.code": "traffic-stop",
        "purpose.text": "controle",
        "client.ip": "10.2.3.4",
        "client.terminal": "wp-221",
        "client.area": "limburg",
        "outcome": "success",
        "ts": 1795508102113,
        "hour": 9,
        "weekday": 1,
        "day": "2026-11-24",
    }


@pytest.mark.parametrize(("reason", "raw"), BAD)
def test_every_kind_of_bad_message_has_its_reason(reason: str, raw: bytes | None) -> None:
    assert refused(raw) == reason


@pytest.mark.parametrize("name", ["id", "time", "system", "action"])
def test_each_required_field_is_required(name: str) -> None:
    assert refused({key: value for key, value in GOOD.items() if key != name}) == "missing-field"
    assert refused({**GOOD, name: None}) == "missing-field"
    assert refused({**GOOD, name: 7}) == "wrong-field"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("actor", "o-1"),
        ("actor", {"id": 5}),
        ("actor", {"id": "o-1", "unit": 5}),
        ("actor", {"id": ""}),
        ("subject", ["p-1"]),
        ("subject", {"id": {"a": 1}, "kind": 3}),
        ("query", {"fields": "owner"}),
        ("query", {"fields": ["owner", 1]}),
        ("purpose", "case 5"),
        ("purpose", {"for": 7}),
        ("purpose", {"for": ""}),
        ("client", {"ip": 10}),
        ("results", -1),
        ("results", "1"),
        ("results", 1.5),
        ("results", True),
        ("results", 2**53 + 1),
        ("outcome", []),
        ("outcome", {}),
        ("outcome", {"a": 1}),
        ("results", {}),
        ("subject", {"id": {}}),
        ("query", {"fields": {}}),
        ("time", "yesterday"),
        ("time", "2026-13-01T00:00:00Z"),
        ("time", "2026-11-20T09:15:02+25:00"),
        ("time", "2026-11-20"),
        ("time", "2026-W47-5T09:15:02Z"),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused(name: str, value: Any) -> None:
    assert refused({**GOOD, name: value}) == "wrong-field"


def test_the_limits_are_the_named_ones() -> None:
    assert accepted(id="x" * MAX_ID_CHARS)["id"] == "x" * MAX_ID_CHARS
    assert refused({**GOOD, "id": "x" * (MAX_ID_CHARS + 1)}) == "wrong-field"
    assert decode(orjson.dumps(nested(16)), received_ms=NOW)
    assert refused(nested(17)) == "too-deep"
    padding = MAX_MESSAGE_BYTES - len(orjson.dumps({**GOOD, "text": ""}))
    assert accepted(text="x" * padding)
    assert refused({**GOOD, "text": "x" * (padding + 1)}) == "too-large"
    day = 24 * 3600 * 1000
    assert decode(orjson.dumps(GOOD), received_ms=int(TIME.timestamp() * 1000) - day)
    with pytest.raises(BadEvent, match="time-in-future"):
        decode(orjson.dumps(GOOD), received_ms=int(TIME.timestamp() * 1000) - day - 1)


def test_a_lookup_from_a_clock_that_is_ahead_counts_when_it_was_received() -> None:
    at = int(TIME.timestamp() * 1000)
    for early in (0, MAX_SKEW_MS):
        on_time = decode(orjson.dumps(GOOD), received_ms=at - early)
        assert (on_time["ts"], on_time["time"]) == (at, GOOD["time"])
        assert "input.time" not in on_time
    received = at - 24 * 3600 * 1000
    ahead = decode(orjson.dumps(GOOD), received_ms=received)
    assert ahead["ts"] == received + MAX_SKEW_MS
    assert ahead["input.time"] == GOOD["time"]
    assert parse_time(ahead["time"]) == (ahead["ts"], TIME - timedelta(hours=24) + timedelta(minutes=5))
    assert ahead["time"][-6:] == GOOD["time"][-6:], "in the offset in which it was told"
    assert (ahead["day"], ahead["hour"]) == (ahead["time"][:10], int(ahead["time"][11:13]))
    assert ahead["day"] != GOOD["time"][:10]


def test_lists_count_in_the_depth() -> None:
    deep: Any = 1
    for _ in range(16):
        deep = [deep]
    assert refused({**GOOD, "a": deep}) == "too-deep"
    assert refused({**GOOD, "a": [{"b": [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}]}) == "too-deep"
    assert refused(orjson.dumps({**GOOD, "a": [1]})[:-2] + b", 1e300]}") == "number-out-of-range"


def test_unknown_fields_are_kept() -> None:
    found = accepted(channel="mobile", extra={"a": {"b": [1, 2]}})
    assert found["channel"] == "mobile"
    assert found["extra.a.b"] == [1, 2]


def test_a_null_is_kept_as_none_wherever_it_stands() -> None:
    """Sigma's ``exists`` asks whether a field was sent, not what it says."""
    found = accepted(
        outcome=None, results=None, subject=None, query={"text": None, "fields": None}, note=None, extra={"a": None}
    )
    sent = ("outcome", "results", "subject", "query.text", "query.fields", "note", "extra.a")
    assert {name: found[name] for name in sent} == dict.fromkeys(sent)
    assert "client" not in found


@pytest.mark.parametrize("actor", [None, {"id": None}, {}])
def test_a_null_actor_is_a_missing_one(actor: Any) -> None:
    assert refused({**GOOD, "actor": actor}) == "missing-field"


def test_a_null_cannot_take_the_name_of_what_is_ours() -> None:
    found = accepted(relation=None, **{"actor.id": None})
    assert "relation" not in found
    assert (found["actor.id"], found["input.actor.id"], found["input.relation"]) == ("o-1", None, None)


@pytest.mark.parametrize("name", sorted(OURS))
def test_no_query_system_can_fill_in_what_is_ours(name: str) -> None:
    """A lookup that claims to be explained must not become explained."""
    found = accepted(**{name: "own-case"})
    assert found.get(name) != "own-case"
    assert found[f"input.{name}"] == "own-case"
    parent, _, leaf = name.partition(".")
    if leaf:
        found = decode(orjson.dumps({**GOOD, parent: {"id": "o-1", leaf: "x"}}), received_ms=NOW)
        assert name not in found


def test_a_dotted_name_does_not_replace_the_field_itself() -> None:
    for raw in (b'{"actor.id": "other", %s', b'{%s, "actor.id": "other"}'):
        body = orjson.dumps(GOOD)[1:] if raw.endswith(b"%s") else orjson.dumps(GOOD)[1:-1]
        found = decode(raw % body, received_ms=NOW)
        assert (found["actor.id"], found["input.actor.id"]) == ("o-1", "other")
    assert refused({**GOOD, "actor": {}, "actor.id": "o-1"}) == "missing-field"


def test_cloudevents_headers_fill_in_what_the_body_lacks() -> None:
    body = orjson.dumps({"action": "read", "actor": {"id": "o-1"}, "system": "own"})
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"ce-7"),
        ("CE_Time", b"2026-11-20T09:15:02Z"),
        ("ce_source", b"other"),
        ("trace", b"\xff"),
    ]
    found = decode(body, received_ms=NOW, headers=headers)
    assert (found["id"], found["time"], found["system"]) == ("ce-7", "2026-11-20T09:15:02Z", "own")
    nulls = orjson.dumps({**orjson.loads(body), "id": None})
    assert decode(nulls, received_ms=NOW, headers=headers)["id"] == "ce-7"
    assert refused(body, headers=[*headers, ("ce_specversion", b"2.0")]) == "cloudevents"
    assert refused(body, headers=[("ce_id", b"\xff")]) == "cloudevents"


@given(
    st.datetimes(min_value=datetime(2000, 1, 2), max_value=datetime(2098, 1, 1)),
    st.integers(-14 * 60 + 1, 14 * 60),
)
def test_a_time_is_exact_to_the_millisecond(moment: datetime, offset: int) -> None:
    at = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    expected = (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)  # noqa: UP017
    assert parse_time(at.isoformat()) == (expected, at)
    assert parse_ms(at.isoformat()) == expected
    assert parse_time(at.isoformat(timespec="milliseconds").replace("T", "t"))[0] == expected


def test_odd_but_right_times() -> None:
    assert parse_time("2016-12-31T23:59:60Z")[0] == parse_time("2016-12-31T23:59:59Z")[0]
    assert parse_time("2026-11-20T09:15:02.123456789Z")[0] == parse_time("2026-11-20T09:15:02.123Z")[0]
    assert parse_time("2026-11-20 09:15:02z")[0] == parse_time("2026-11-20T10:15:02+01:00")[0]


@given(st.binary(max_size=200))
@example(b'{"time":"\xf0\x9f\x98\x80"}')
def test_any_bytes_are_a_lookup_or_refused(raw: bytes) -> None:
    assert isinstance(decoded(raw), dict) or decoded(raw) in REASONS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["id", "time", "system", "action", "actor", "subject", "query", "results", "purpose", "client", "outcome", "ts", "@", "actor.id", "a.b", "relation"]
)  # fmt: skip


@given(st.dictionaries(NAMES, JSON, max_size=6))
def test_any_fields_make_a_lookup_with_sound_fields_or_are_refused(fields: dict[str, Any]) -> None:
    raw = json.dumps({**GOOD, **fields}).encode()
    found = decoded(raw)
    if isinstance(found, str):
        assert found in REASONS
        return
    assert isinstance(found["actor.id"], str)
    assert found["action"] in events.ACTIONS
    assert isinstance(found["ts"], int)
    assert not (OURS - {"ts", "hour", "weekday", "day"}) & found.keys()
    always = ("id", "time", "system", "action", "actor.id", "ts", "hour", "weekday", "day")
    assert None not in [found[name] for name in always]
    jsonschema.validate(json.loads(raw), event_schema.json_schema())


def test_the_schema_refuses_what_decode_refuses() -> None:
    schema = event_schema.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for wrong in ({**GOOD, "action": "steal"}, {**GOOD, "actor": {}}, {**GOOD, "id": ""}, {**GOOD, "results": -1}):
        assert not jsonschema.Draft202012Validator(schema).is_valid(wrong)
        assert refused(wrong)


@pytest.mark.parametrize(
    ("change", "is_known"),
    [
        ({}, True),
        ({"query": {"text": "AB12CD", "fields": ["owner"]}, "results": 1, "outcome": "success"}, True),
        ({"subject": {}}, True),
        ({"extra": 1}, False),
        ({"actor.id": "o-2"}, False),
        ({"actor": {"id": "o-1", "extra": 1}}, False),
        ({"subject": {"id": "p-1", "area": "limburg"}}, False),
        ({"subject": None}, False),
        ({"purpose": {"case": None}}, False),
        ({"query": {"fields": ["owner", 1]}}, False),
        ({"results": True}, False),
        ({"outcome": {}}, False),
        ({"more": {}}, False),
        ({"more": {"deep": {"deeper": 1}}}, False),
    ],
)
def test_a_document_of_known_fields_is_read_the_short_way_and_gives_the_same(
    change: dict[str, Any], is_known: bool
) -> None:
    document = {
        "id": "e-1",
        "time": "2026-11-24T09:15:02.113+01:00",
        "system": "bvi",
        "action": "read",
        "actor": {"id": "o-1", "unit": "u"},
        **change,
    }
    short = events._of_known_fields(document)
    assert (short is not None) == is_known
    if short is not None:
        long: dict[str, Any] = {}
        events._flatten("", document, long, 1)
        assert list(short.items()) == list(long.items())
