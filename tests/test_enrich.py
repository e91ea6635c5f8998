"""What the reference data says of a lookup, as of its time; unknown is neither a match nor an explanation."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest

from monitor.alerts import from_model
from monitor.detector import peer_group_of
from monitor.enrich import enrich, explains_later
from monitor.explanations import Explanations
from monitor.model import FeatureState, observe
from monitor.reference import Reference, decode
from tests.samples import lookup, reference

ACTOR = {
    "record": "actor",
    "id": "o-1",
    "unit": "north",
    "role": "officer",
    "areas": ["city"],
    "peer_group": "officers",
    "person": "p-me",
    "address": "a-me",
    "plates": ["ME-01"],
    "household": ["p-home"],
    "relatives": ["p-kin"],
    "leave": [],
    "left": None,
}
BEFORE, AFTER = "2026-11-01T00:00:00Z", "2026-11-30T00:00:00Z"
#: The time of the lookup of tests.samples, and the milliseconds around it.
AT = "2026-11-20T09:15:02+01:00"
NEXT = "2026-11-20T09:15:02.001+01:00"


def enriched(known: Reference, **fields: Any) -> dict[str, Any]:
    return enrich(lookup(**fields), known)


@pytest.mark.parametrize(
    ("subject", "relation"),
    [
        ("p-me", "self"),
        ("ME-01", "own-vehicle"),
        ("ME-02", "own-vehicle"),
        ("p-home", "household"),
        ("a-me", "household"),
        ("p-neighbour-in-house", "household"),
        ("HOME-1", "household"),
        ("p-kin", "relative"),
        ("KIN-1", "relative"),
        ("p-colleague", "colleague"),
        ("COL-1", "colleague"),
        ("p-other", "none"),
        ("never-heard-of", "none"),
    ],
)
def test_relation(subject: str, relation: str) -> None:
    known = reference(
        ACTOR,
        {"record": "actor", "id": "o-2", "person": "p-colleague"},
        {"record": "subject", "id": "ME-02", "owner": "p-me"},
        {"record": "subject", "id": "HOME-1", "owner": "p-home"},
        {"record": "subject", "id": "p-neighbour-in-house", "address": "a-me"},
        {"record": "subject", "id": "KIN-1", "owner": "p-kin"},
        {"record": "subject", "id": "COL-1", "owner": "p-colleague"},
        {"record": "subject", "id": "p-other", "address": "a-other"},
    )
    assert enriched(known, subject__id=subject)["relation"] == relation


HOME = {"record": "subject", "id": "a-me", "kind": "address", "area": "city", "street": "elm", "number": 10}


@pytest.mark.parametrize(
    ("other", "relation"),
    [
        ({"number": 4}, "neighbour"),
        ({"number": 16}, "neighbour"),
        ({"number": 17}, "none"),
        ({"street": "oak"}, "none"),
        ({"number": None}, "none"),
        ({"street": None}, "none"),
        ({"area": "hills"}, "none"),
        ({"area": None}, "neighbour"),
    ],
)
def test_a_neighbour_lives_in_the_same_street_a_few_doors_away(other: dict[str, Any], relation: str) -> None:
    door = {**HOME, "id": "a-other", "number": 12, **other}
    person = {"record": "subject", "id": "p-other", "area": door["area"], "address": "a-other"}
    known = reference(ACTOR, HOME, door, person)
    for subject in ("a-other", "p-other"):
        assert enriched(known, subject__id=subject)["relation"] == relation
    known.put(decode(orjson.dumps({**HOME, "street": "moved"})))
    assert enriched(known, subject__id="p-other")["relation"] == "none"
    known.remove("subject/a-me")
    assert enriched(known, subject__id="p-other")["relation"] == "none"


@pytest.mark.parametrize("unknown", ["person", "household", "relatives"])
def test_no_relation_is_claimed_when_it_cannot_be_known(unknown: str) -> None:
    known = reference({**ACTOR, unknown: None})
    assert "relation" not in enriched(known, subject__id="p-other")
    assert "relation" not in enriched(reference(), subject__id="p-other")


def test_two_accounts_of_one_person_are_no_colleagues() -> None:
    known = reference({"record": "actor", "id": "o-9", "person": "p-me"}, ACTOR)
    assert enriched(known, subject__id="p-me")["relation"] == "self"
    known.remove("actor/o-9")
    assert enriched(known, subject__id="p-other")["relation"] == "none"


CASE = {"record": "case", "id": "c-1", "subjects": ["p-1"], "opened": BEFORE, "closed": None}
DISPATCH = {"record": "dispatch", "id": "d-1", "actors": ["o-1"], "from": BEFORE, "to": AFTER}
SUBJECT = {"record": "subject", "id": "p-1", "area": "harbour"}


@pytest.mark.parametrize(
    ("names", "records"),
    [
        (["none"], []),
        (["own-case"], [{**CASE, "actors": ["o-1"]}]),
        (["unit-case"], [{**CASE, "unit": "north", "actors": ["o-7"]}]),
        (["none"], [{**CASE, "unit": "south", "actors": ["o-7"]}]),
        (["own-case", "unit-case"], [{**CASE, "actors": ["o-1"]}, {**CASE, "id": "c-2", "unit": "north"}]),
        (["case-link"], [{**CASE, "subjects": ["p-2"], "actors": ["o-1"]}, {"record": "link", "id": "l", "from_subject": "p-2", "to_subject": "p-1"}]),
        (["watch"], [{"record": "watch", "id": "w", "subjects": ["p-1"], "may_know": ["o-1"], "from": BEFORE}]),
        (["none"], [{"record": "watch", "id": "w", "subjects": ["p-1"], "may_know": ["o-7"], "from": BEFORE}]),
        (["dispatch"], [{**DISPATCH, "subjects": ["p-1"]}]),
        (["area-task"], [{**DISPATCH, "area": "harbour"}]),
        (["none"], [{**DISPATCH, "area": "hills"}]),
        (["none"], [{**DISPATCH, "subjects": ["p-2"], "area": "harbour"}]),
        (["dispatch"], [{**DISPATCH, "actors": None, "unit": "north", "subjects": ["p-1"]}]),
        (["none"], [{**DISPATCH, "actors": ["o-7"], "unit": "north", "subjects": ["p-1"]}]),
    ],
)  # fmt: skip
def test_explanation(names: list[str], records: list[dict[str, Any]]) -> None:
    assert enriched(reference(ACTOR, SUBJECT, *records), subject__id="p-1")["explanation"] == names


@pytest.mark.parametrize(
    ("opened", "closed", "name"),
    [
        (BEFORE, AFTER, "own-case"),
        (AT, None, "own-case"),
        (NEXT, None, "none"),
        (BEFORE, NEXT, "own-case"),
        (BEFORE, AT, "none"),
        (None, None, "own-case"),
    ],
)
def test_a_case_explains_only_while_it_is_open(opened: str | None, closed: str | None, name: str) -> None:
    case = {**CASE, "actors": ["o-1"], "opened": opened, "closed": closed}
    assert enriched(reference(ACTOR, case), subject__id="p-1")["explanation"] == [name]


def test_a_case_file_explains_its_own_team_reading_it() -> None:
    known = reference(ACTOR, {**CASE, "actors": ["o-1"]})
    assert enriched(known, subject__id="c-1")["explanation"] == ["own-case"]
    assert enriched(known, subject__id="c-2")["explanation"] == ["none"]


def test_the_running_cases_of_a_subject_are_named() -> None:
    known = reference(
        ACTOR,
        CASE,
        {**CASE, "id": "c-0"},
        {**CASE, "id": "c-2", "closed": BEFORE},
        {**CASE, "id": "c-3", "opened": NEXT},
    )
    assert enriched(known, subject__id="p-1")["subject.cases"] == ["c-0", "c-1"]
    assert enriched(known, subject__id="c-2")["subject.cases"] == ["c-2"], "a case file is about its case, open or not"
    assert "subject.cases" not in enriched(known, subject__id="p-2")


def test_paperwork_that_follows_explains_a_lookup_or_does_not() -> None:
    ts = lookup()["ts"]
    known = reference(
        ACTOR, {**CASE, "opened": NEXT, "actors": ["o-1"]}, {**CASE, "id": "c-2", "subjects": ["p-2"], "opened": NEXT}
    )
    assert not explains_later(known, "o-1", "p-1", ts, ts)
    assert explains_later(known, "o-1", "p-1", ts, ts + 1)
    assert not explains_later(known, "o-1", "p-2", ts, ts + 1)
    assert not explains_later(known, "o-1", None, ts, ts + 1)
    assert not explains_later(known, "o-9", "p-1", ts, ts + 1)
    assert not explains_later(known, "o-1", "p-1", ts, ts + 1, Explanations([]))


def test_a_list_without_a_subject_is_explained_by_its_case_or_unknown() -> None:
    known = reference(ACTOR, {**CASE, "actors": ["o-1"]})
    assert enriched(known, purpose__case="c-1")["explanation"] == ["own-case"]
    assert enriched(known, purpose__case="c-9")["explanation"] == ["none"]
    assert "explanation" not in enriched(known)


def test_nothing_is_known_of_an_actor_who_is_not_in_the_reference() -> None:
    found = enriched(reference(CASE), subject__id="p-1")
    assert {"explanation", "relation", "on_shift", "in_area", "actor.has_left"}.isdisjoint(found)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        ("explained", {"purpose__case": "c-1", "subject__id": "p-1"}),
        ("explained", {"subject__id": "p-1"}),
        ("false", {"purpose__case": "c-none", "subject__id": "p-1"}),
        ("false", {"purpose__case": "c-closed", "subject__id": "p-1"}),
        ("false", {"purpose__case": "c-1", "subject__id": "p-2"}),
        ("claimed", {"purpose__case": "c-other", "subject__id": "p-2"}),
        ("claimed", {"purpose__case": "c-other", "subject__id": "p-linked"}),
        ("claimed", {"purpose__text": "traffic stop", "subject__id": "p-2"}),
        ("claimed", {"purpose__code": "stop"}),
        ("missing", {"subject__id": "p-2"}),
        ("missing", {}),
    ],
)
def test_purpose_status(status: str, fields: dict[str, str]) -> None:
    known = reference(
        ACTOR,
        {**CASE, "actors": ["o-1"]},
        {**CASE, "id": "c-closed", "closed": BEFORE},
        {**CASE, "id": "c-other", "subjects": ["p-2"], "unit": "south"},
        {"record": "link", "id": "l", "from_subject": "p-linked", "to_subject": "p-2"},
    )
    assert enriched(known, **fields)["purpose.status"] == status


@pytest.mark.parametrize(
    ("case", "subject", "flaws"),
    [
        ({}, "p-1", None),
        ({}, None, None),
        ({}, "c-1", None),
        ({"id": "c-2"}, "p-1", ["unknown-case"]),
        ({"closed": BEFORE}, "p-1", ["closed-case"]),
        ({"closed": AT}, "p-1", ["closed-case"]),
        ({"closed": NEXT}, "p-1", None),
        ({"opened": NEXT}, "p-1", ["not-yet-open"]),
        ({"opened": NEXT, "actors": ["o-7", "o-1"]}, "p-1", ["not-yet-open"]),
        ({"opened": NEXT, "actors": ["o-1", "o-7"]}, "p-1", ["opened-after"]),
        ({"opened": NEXT, "actors": ["o-1"], "subjects": []}, "p-1", ["opened-after", "unrelated-subject"]),
        ({}, "p-9", ["unrelated-subject"]),
        ({"subjects": None}, "p-9", None),
        ({}, "one-link-away", None),
        ({}, "two-links-away", None),
        ({}, "three-links-away", ["unrelated-subject"]),
        ({"closed": BEFORE}, "three-links-away", ["closed-case", "unrelated-subject"]),
    ],
)
def test_what_is_wrong_with_the_case_that_was_claimed(case: dict[str, Any], subject: str | None, flaws: Any) -> None:
    chain = ["p-1", "one-link-away", "two-links-away", "three-links-away"]
    links = [
        {"record": "link", "id": f"l-{n}", "from_subject": one, "to_subject": other}
        for n, (one, other) in enumerate(pairwise(chain))
    ]
    known = reference(ACTOR, {**CASE, **case}, *links)
    fields = {"subject__id": subject} if subject is not None else {}
    found = enriched(known, purpose__case="c-1", **fields)
    assert found.get("purpose.flaws") == flaws
    assert (found["purpose.status"] == "false") == (flaws is not None)
    stranger = enrich(lookup(actor__id="o-unknown", purpose__case="c-1", **fields), known)
    wrong = [flaw.replace("opened-after", "not-yet-open") for flaw in flaws or ()]
    assert stranger.get("purpose.flaws", []) == sorted(wrong)


def test_without_any_cases_no_case_is_called_false() -> None:
    assert enriched(reference(ACTOR), purpose__case="c-1", subject__id="p-1")["purpose.status"] == "claimed"


@pytest.mark.parametrize(
    ("area", "inside"), [("city", True), ("north-area", True), ("region", True), ("hills", False), (None, None)]
)
def test_in_area(area: str | None, inside: bool | None) -> None:
    known = reference(
        ACTOR,
        {"record": "unit", "id": "north", "area": "north-area", "parent": "all"},
        {"record": "unit", "id": "all", "area": "region"},
        {"record": "subject", "id": "p-1", "area": area},
    )
    assert enriched(known, subject__id="p-1").get("in_area") is inside


def test_on_shift_on_leave_and_gone() -> None:
    shift = {"record": "shift", "id": "s", "actor": "o-1", "from": BEFORE, "to": AFTER}
    assert "on_shift" not in enriched(reference(ACTOR))
    assert enriched(reference(ACTOR, shift))["on_shift"] is True
    assert enriched(reference(ACTOR, {**shift, "to": AT}))["on_shift"] is False
    assert enriched(reference({**ACTOR, "leave": [{"from": BEFORE, "to": AFTER}]}))["actor.on_leave"] is True
    assert enriched(reference({**ACTOR, "leave": [{"from": NEXT}]}))["actor.on_leave"] is False
    assert "actor.on_leave" not in enriched(reference({**ACTOR, "leave": None}))
    assert enriched(reference({**ACTOR, "left": AT}))["actor.has_left"] is True
    assert enriched(reference({**ACTOR, "left": NEXT}))["actor.has_left"] is False


@pytest.mark.parametrize(("may_know", "watched"), [(["o-7"], True), (None, True), (["o-1"], False)])
def test_watched_is_said_to_those_who_may_not_know(may_know: list[str] | None, watched: bool) -> None:
    watch = {"record": "watch", "id": "w", "subjects": ["p-1"], "may_know": may_know, "from": BEFORE, "to": AFTER}
    assert enriched(reference(ACTOR, watch), subject__id="p-1")["subject.watched"] is watched
    assert "subject.watched" not in enriched(reference(ACTOR, {**watch, "to": AT}), subject__id="p-1")


def test_the_register_is_believed_over_the_event() -> None:
    known = reference(ACTOR, {"record": "subject", "id": "p-1", "kind": "person", "tags": ["in-news"]})
    found = enriched(known, actor__unit="elsewhere", actor__role="chief", subject__id="p-1", subject__kind="vehicle")
    assert (found["actor.unit"], found["actor.role"], found["subject.kind"]) == ("north", "officer", "person")
    assert found["subject.tags"] == ["in-news"]
    assert found["actor.peer_group"] == "officers"


OPTIONAL = ("actor.unit", "actor.role", "subject", "subject.id", "subject.kind", "query.text", "query.fields", "results",
            "purpose", "purpose.case", "purpose.code", "purpose.text", "purpose.for", "client.terminal", "outcome")  # fmt: skip


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("known", [True, False])
def test_a_null_is_as_good_as_missing(name: str, known: bool) -> None:
    data = reference(ACTOR, SUBJECT, {**CASE, "actors": ["o-1"]}) if known else reference()
    for fields in ({}, {"subject.id": "p-1"}, {"purpose.case": "c-1"}):
        if name in fields:
            continue
        null = enrich({**lookup(), **fields, name: None}, data)
        missing = enrich({**lookup(), **fields}, data)
        assert {field: value for field, value in null.items() if value is not None} == missing
        assert peer_group_of(null) == peer_group_of(missing)
        features = [observe(FeatureState(), found) for found in (null, missing)]
        assert features[0] == features[1]
        assert from_model(null, 0.5, []) == from_model(missing, 0.5, [])


@pytest.mark.parametrize(("end", "hours"), [("08:15:00", 0), ("05:16:00", 2), ("05:15:00", 3)])
def test_off_shift_is_told_in_whole_hours_from_the_nearest_shift(end: str, hours: int) -> None:
    day = lookup()["time"][:10]
    shift = {"record": "shift", "id": "s-1", "actor": "o-1", "from": f"{day}T00:00:00Z", "to": f"{day}T{end}Z"}
    at = {"time": f"{day}T09:15:02.113+01:00"}
    found = enriched(reference(ACTOR, shift), **at)
    assert (found["on_shift"], found["off_shift_hours"]) == (False, hours)
    open_end = enriched(reference(ACTOR, {**shift, "to": f"{day}T23:00:00Z"}), **at)
    assert open_end["on_shift"]
    assert "off_shift_hours" not in open_end
    assert "off_shift_hours" not in enriched(reference(ACTOR), **at)
