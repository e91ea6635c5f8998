"""Reference data: as of a time, and the same however it came to be."""

from __future__ import annotations

from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import reference
from monitor.reference import BadRecord, Reference, decode, key_of

IDS = st.sampled_from(["a", "b", "c"])
SOME = st.none() | st.lists(IDS, max_size=3)
TIMES = st.none() | st.sampled_from(["2026-01-01T00:00:00Z", "2026-06-01T12:00:00+02:00", "2026-12-31T00:00:00Z"])
ONE = st.none() | IDS
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "actor": {"unit": ONE, "person": ONE, "plates": SOME, "household": SOME, "left": TIMES},
    "unit": {"area": ONE, "parent": ONE},
    "subject": {"owner": ONE, "tags": SOME},
    "case": {"unit": ONE, "actors": SOME, "subjects": SOME, "opened": TIMES, "closed": TIMES},
    "dispatch": {"unit": ONE, "actors": SOME, "subjects": SOME, "from": TIMES, "to": TIMES},
    "watch": {"subjects": SOME, "may_know": SOME, "from": TIMES, "to": TIMES},
    "shift": {"actor": ONE, "from": TIMES, "to": TIMES},
    "link": {"from_subject": ONE, "to_subject": ONE},
}
RECORD = st.one_of(
    [st.fixed_dictionaries({"record": st.just(kind), "id": IDS}, optional=fields) for kind, fields in FIELDS.items()]
)
CHANGE = RECORD | st.tuples(st.sampled_from(sorted(FIELDS)), IDS)


def contents(known: Reference) -> dict[str, Any]:
    """All of it, without the order in which it came."""
    return {name: dict(value) for name, value in vars(known).items()}


@given(st.lists(CHANGE, max_size=25))
def test_after_any_changes_it_is_as_if_only_the_last_records_had_been(changes: list[Any]) -> None:
    known, last = Reference(), {}
    for change in changes:
        if isinstance(change, tuple):
            key = "/".join(change)
            known.remove(key)
            last.pop(key, None)
        else:
            record = decode(orjson.dumps(change))
            known.put(record)
            last[key_of(record)] = record
    assert contents(known) == contents(Reference(last.values()))
    assert len(known) == len(last)


@pytest.mark.parametrize(
    "record",
    [
        {"record": "actor", "id": "a", "left": "soon"},
        {"record": "actor", "id": "a", "leave": [{"from": "2026-01-01"}]},
        {"record": "case", "id": "a", "opened": "2026-01-01T00:00:00"},
        {"record": "shift", "id": "a", "actor": "a", "from": "x"},
    ],
)
def test_a_bad_record_leaves_the_good_one_before_it(record: dict[str, Any]) -> None:
    good = {"record": record["record"], "id": "a", **({"actor": "a"} if record["record"] == "shift" else {})}
    known = Reference([decode(orjson.dumps(good))])
    before = contents(known)
    with pytest.raises(BadRecord):
        known.put(decode(orjson.dumps(record)))
    assert contents(known) == before


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b'{"record":"actor"}', b'{"record":"spy","id":"x"}', b'{"id":"x"}', b'{"record":"case","id":3}', b"\xff"]
)  # fmt: skip
def test_what_is_no_record_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRecord):
        decode(raw)


def test_unknown_fields_are_no_error() -> None:
    assert decode(b'{"record":"unit","id":"u","colour":"blue"}').id == "u"


def test_a_loop_of_units_ends() -> None:
    records = [
        b'{"record":"unit","id":"a","parent":"b","area":"x"}',
        b'{"record":"unit","id":"b","parent":"a","area":"y"}',
    ]
    assert Reference(map(decode, records)).areas_of_unit("a") == {"x", "y"}


def test_the_schema_takes_every_record_of_the_design() -> None:
    schema = reference.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for record in (
        {"record": "actor", "id": "o", "leave": [{"from": "2026-01-01T00:00:00Z", "to": None}], "left": None},
        {
            "record": "watch",
            "id": "w-1",
            "subjects": ["p"],
            "may_know": ["o"],
            "from": "2026-01-01T00:00:00Z",
            "to": None,
        },
        {"record": "link", "id": "l-1", "from_subject": "p", "to_subject": "q", "relation": "uses"},
    ):
        jsonschema.validate(record, schema)
        decode(orjson.dumps(record))
    assert not jsonschema.Draft202012Validator(schema).is_valid({"record": "link"})
