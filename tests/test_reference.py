"""Reference data: as of a time, and the same however it came to be."""

from __future__ import annotations

import random
import time
from collections.abc import MutableMapping
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
    "actor": {"unit": ONE, "person": ONE, "address": ONE, "plates": SOME, "household": SOME, "left": TIMES},
    "unit": {"area": ONE, "parent": ONE},
    "subject": {"owner": ONE, "tags": SOME, "street": ONE, "number": st.none() | st.integers(0, 9)},
    "case": {"unit": ONE, "actors": SOME, "subjects": SOME, "opened": TIMES, "closed": TIMES},
    "dispatch": {"unit": ONE, "actors": SOME, "subjects": SOME, "area": ONE, "from": TIMES, "to": TIMES},
    "watch": {"subjects": SOME, "may_know": SOME, "from": TIMES, "to": TIMES},
    "shift": {"actor": ONE, "from": TIMES, "to": TIMES},
    "link": {"from_subject": ONE, "to_subject": ONE},
    "list": {},
}
REQUIRED = {"list": {"values": st.lists(IDS, max_size=3)}}
RECORD = st.one_of(
    [
        st.fixed_dictionaries({"record": st.just(kind), "id": IDS, **REQUIRED.get(kind, {})}, optional=fields)
        for kind, fields in FIELDS.items()
    ]
)
CHANGE = RECORD | st.tuples(st.sampled_from(sorted(FIELDS)), IDS)


def contents(known: Reference, store: MutableMapping[str, bytes]) -> dict[str, Any]:
    """All of it, without the order in which it came: what is in memory, and the store's bytes."""
    known.flush()
    in_memory = {name: dict(value) for name, value in vars(known).items() if name[0] != "_" and name != "position"}
    return {**in_memory, "": dict(store)}


def apply(known: Reference, changes: list[Any]) -> dict[str, Any]:
    """Make the changes; return the last record of each key."""
    last: dict[str, Any] = {}
    for change in changes:
        if isinstance(change, tuple):
            key = "/".join(change)
            known.remove(key)
            last.pop(key, None)
        else:
            record = decode(orjson.dumps(change))
            known.put(record)
            known.home(record.id)
            last.pop(key_of(record), None)
            last[key_of(record)] = record
    return last


@given(st.lists(CHANGE, max_size=25), st.sampled_from([1, 2, 3, 1000]), st.randoms(use_true_random=False))
def test_after_any_changes_it_is_as_if_only_the_last_records_had_been(
    changes: list[Any], at_hand: int, chance: random.Random
) -> None:
    stores: list[dict[str, bytes]] = [{}, {}]
    known = Reference(store=stores[0], at_hand=at_hand)
    last = apply(known, changes)
    records = list(last.values())
    chance.shuffle(records)
    fresh = Reference(records, stores[1])
    assert contents(known, stores[0]) == contents(fresh, stores[1])
    assert len(known) == len(last)
    assert known.has_cases == any(key.startswith("case/") for key in last)
    for key in list(last):
        known.remove(key)
    assert contents(known, stores[0]) == contents(Reference(), {})
    assert len(known) == 0


@given(st.lists(CHANGE, max_size=25))
def test_what_it_answers_is_what_the_records_say(changes: list[Any]) -> None:
    known = Reference(at_hand=2)
    last = apply(known, changes)
    of: dict[str, dict[str, Any]] = {kind: {} for kind in FIELDS}
    for key, record in last.items():
        of[key.partition("/")[0]][record.id] = record
    for name in "abc":
        about, subject = known.about(name), of["subject"].get(name)
        assert about.known == (subject is not None)
        assert about.owner == (subject.owner if subject else None)
        assert known.home(name) == ((subject.street, subject.number, subject.area) if subject else (None, None, None))
        assert {claim.id for claim in about.cases} == {
            case.id for case in of["case"].values() if name == case.id or name in (case.subjects or ())
        }
        assert {claim.id for claim in about.dispatches} == {
            task.id for task in of["dispatch"].values() if name in (task.subjects or ())
        }
        assert {claim.id for claim in about.watches} == {
            watch.id for watch in of["watch"].values() if name in (watch.subjects or ())
        }
        ends = {link.id: (link.from_subject, link.to_subject) for link in of["link"].values()}
        assert dict(about.links) == {
            key: two[0] if two[1] == name else two[1] for key, two in ends.items() if name in two and None not in two
        }
        assert {case for case, _, _ in known.cases_of(name)} == {
            case.id for case in of["case"].values() if name in (case.actors or ())
        }
        assert (known.case(name) is not None) == (name in of["case"])
        assert known.lists.get(name) == (tuple(of["list"][name].values) if name in of["list"] else None)


def test_a_changed_list_is_a_new_tuple() -> None:
    """Whoever made something of a list tells by identity that it has to be made anew."""
    known = Reference([decode(b'{"record":"list","id":"plates","values":["AA","BB"]}')])
    first = known.lists["plates"]
    assert first == ("AA", "BB")
    known.put(decode(b'{"record":"list","id":"plates","values":["AA","BB"]}'))
    assert known.lists["plates"] == first
    assert known.lists["plates"] is not first
    known.remove("list/plates")
    assert known.lists == {}


def test_a_subject_with_thousands_of_links_and_an_actor_with_as_many_shifts_take_no_time_to_speak_of() -> None:
    links = [b'{"record":"link","id":"l-%d","from_subject":"hub","to_subject":"p-%d"}' % (n, n) for n in range(5000)]
    times = [(n // 24 + 1, n % 24) for n in range(600)]
    shift = (
        b'{"record":"shift","id":"s-%d","actor":"o","from":"2026-01-%02dT%02d:00:00Z","to":"2026-01-%02dT%02d:30:00Z"}'
    )
    shifts = [shift % (n, day, hour, day, hour) for n, (day, hour) in enumerate(times)]
    began = time.process_time()
    known = Reference(map(decode, links + shifts))
    assert time.process_time() - began < 3
    assert len(known.about("hub").links) == 5000
    assert len(known.shifts["o"]) == 600


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
    store: dict[str, bytes] = {}
    known = Reference([decode(orjson.dumps(good))], store)
    before = contents(known, store)
    with pytest.raises(BadRecord):
        known.put(decode(orjson.dumps(record)))
    assert contents(known, store) == before
    assert len(known) == 1


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
        {"record": "list", "id": "police-plates", "values": ["AB-12-CD"]},
    ):
        jsonschema.validate(record, schema)
        decode(orjson.dumps(record))
    assert not jsonschema.Draft202012Validator(schema).is_valid({"record": "link"})
