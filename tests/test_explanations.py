"""Explanations: what the documents may say, what holds when, and what paperwork explains later."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import explanations
from monitor.documents import RuleProblem, Wrong, parse_text
from monitor.enrich import enrich
from monitor.explanations import (
    Explanation,
    Explanations,
    explain_later,
    is_explanation,
    join,
    parse_explanation,
    parse_explanations,
    with_none,
)
from monitor.explanations.ask import MAX_REACHED
from monitor.explanations.builtin import BUILT_IN
from monitor.explanations.model import FACTS
from tests.samples import lookup, reference

PACK = Path(__file__).resolve().parents[1] / "rules" / "explanations"
HOUR = 3_600_000
#: The time of the lookup of tests.samples.
TS = lookup()["ts"]
BEFORE, AFTER = "2026-11-01T00:00:00Z", "2026-11-30T00:00:00Z"


def at(hours: float) -> str:
    """So many hours after the lookup, as RFC 3339."""
    return datetime.fromtimestamp(TS / 1000 + hours * 3600, UTC).isoformat()


def document(text: str) -> Any:
    problems: list[RuleProblem] = []
    (found,) = parse_text("x.yml", text, problems)
    assert problems == []
    return found


def one(body: str, name: str = "some") -> Explanation:
    return parse_explanation(document(f"title: t\nname: {name}\ndescription: d\nexplanation: {{{body}}}\n"))


def load(texts: dict[str, str]) -> tuple[Explanations, list[RuleProblem]]:
    problems: list[RuleProblem] = []
    documents = [found for path in sorted(texts) for found in parse_text(path, texts[path], problems)]
    assert all(map(is_explanation, documents))
    return parse_explanations(documents, problems), problems


def test_the_pack_and_the_built_in_set_are_the_same() -> None:
    found, problems = load({path.name: path.read_text() for path in PACK.glob("*.yml")})
    assert problems == []
    assert found.all == BUILT_IN == Explanations.default().all
    assert {path.stem for path in PACK.glob("*.yml")} == {one.name for one in BUILT_IN}


GOOD = {
    "title": "title: t",
    "name": "name: some",
    "description": "description: d",
    "explanation": "explanation: {record: case, actor: member}",
}


@pytest.mark.parametrize(
    ("changed", "line", "column", "says", "hint"),
    [
        ({"title": "titel: t"}, 1, 1, "an explanation has no titel", "did you mean title?"),
        ({"title": ""}, 2, 1, "title is missing", "a title, a name and a description"),
        ({"description": "description: ''"}, 3, 1, "description is missing", "a title, a name"),
        ({"name": "name: 7"}, 2, 1, "name is not a text", ""),
        ({"name": "name: none"}, 2, 1, "name none cannot be used", "and not none or same-act"),
        ({"name": "name: Own Case"}, 2, 1, "name Own Case cannot be used", "small letters"),
        ({"explanation": "explanation: {}"}, 4, 1, "explanation is missing", "record: case"),
        ({"explanation": "explanation: [case]"}, 4, 1, "explanation is not a mapping", ""),
        ({"explanation": "explanation: {record: cas}"}, 4, 15, "record cas is none", "did you mean case?"),
        ({"explanation": "explanation: {actor: member}"}, 4, 1, "record is missing", "there are case, dispatch"),
        ({"explanation": "explanation: {record: []}"}, 4, 15, "record is not a word", "there are case"),
        (
            {"explanation": "explanation: {record: case, who: unit}"},
            4,
            29,
            "an explanation has no who",
            "there are record",
        ),
        ({"explanation": "explanation: {record: case, actor: boss}"}, 4, 29, "actor boss is none", "member, unit"),
        (
            {"explanation": "explanation: {record: case, subject: [any, area]}"},
            4,
            29,
            "more than one word",
            "write one",
        ),
        (
            {"explanation": "explanation: {record: case, subject: area}"},
            4,
            29,
            "a case cannot be asked",
            "subject listed",
        ),
        ({"explanation": "explanation: {record: shift, subject: listed}"}, 4, 30, "a shift cannot", "subject any"),
        ({"explanation": "explanation: {record: watch, actor: unit}"}, 4, 30, "a watch cannot", "actor member"),
        ({"explanation": "explanation: {record: case, distance: 4}"}, 4, 29, "distance 4 is too far", "0 to 3"),
        ({"explanation": "explanation: {record: case, distance: far}"}, 4, 29, "distance is not a whole number", ""),
        ({"explanation": "explanation: {record: case, subject: any, distance: 1}"}, 4, 43, "distance needs", "links"),
        ({"explanation": "explanation: {record: case, strength: 1.5}"}, 4, 29, "strength 1.5 is none", "up to 1"),
        ({"explanation": "explanation: {record: case, strength: 0}"}, 4, 29, "strength 0 is none", "above 0"),
        ({"explanation": "explanation: {record: case, strength: true}"}, 4, 29, "strength True is none", "a number"),
        ({"explanation": "explanation: {record: case, within: soon}"}, 4, 29, "within soon is no span", "24h"),
        ({"explanation": "explanation: {record: watch, within: 1h}"}, 4, 30, "within is for cases", "paperwork"),
        ({"explanation": "explanation: {record: case, when: code}"}, 4, 29, "when is not a mapping", ""),
        ({"explanation": "explanation: {record: case, when: {code: []}}"}, 4, 36, "when code has no value", "list"),
        ({"explanation": "explanation: {record: case, when: {code: {a: 1}}}"}, 4, 36, "when code has no value", "list"),
        (
            {"explanation": "explanation: {record: case, kind: likely}"},
            4,
            29,
            "kind likely is none",
            "record, plausible",
        ),
        (
            {"explanation": "explanation: {record: case, kind: [record, plausible]}"},
            4,
            29,
            "kind has more than",
            "one or",
        ),
        (
            {"explanation": "explanation: {record: case, subject: claimed}"},
            4,
            29,
            "only claimed is no",
            "kind: plausible",
        ),
        ({"explanation": "explanation: {record: shift, subject: any, kind: plausible}"}, 4, 44, "needs a when", "code"),
        (
            {"explanation": "explanation: {record: case, kind: plausible, when: {a: 1}, strength: 0.3}"},
            4,
            60,
            "strength has no meaning",
            "explains nothing",
        ),
        (
            {"explanation": "explanation: {record: case, kind: plausible, when: {a: 1}, within: 1h}"},
            4,
            60,
            "within has no meaning",
            "explains nothing",
        ),
    ],
)
def test_what_is_wrong_is_placed_and_explained(
    changed: dict[str, str], line: int, column: int, says: str, hint: str
) -> None:
    texts = {
        "a.yml": "\n".join({**GOOD, **changed}.values()),
        "b.yml": "\n".join({**GOOD, "name": "name: other"}.values()),
    }
    found, problems = load(texts)
    assert [one.name for one in found.all] == ["other"], "what is right counts all the same"
    (problem,) = problems
    assert (problem.path, problem.line, problem.column) == ("a.yml", line, column), problem
    assert says in problem.message
    assert hint in problem.hint


def test_two_of_the_same_name_are_refused_with_the_place_of_the_first() -> None:
    text = "\n".join(GOOD.values())
    found, problems = load({"a.yml": text, "b.yml": f"# two\n{text}"})
    assert [one.name for one in found.all] == ["some"]
    assert str(problems[0]) == "b.yml:3:1: some is used in a.yml:2 already (hint: names must differ)"
    with pytest.raises(ValueError, match="same name"):
        Explanations([BUILT_IN[0], BUILT_IN[0]])


def test_every_fact_can_be_asked_for() -> None:
    for record, actor, subject in FACTS:
        more = ", kind: plausible, when: {purpose.code: x}" if subject == "claimed" else ""
        assert one(f"record: {record}, actor: {actor}, subject: {subject}{more}").facts == FACTS[record, actor, subject]
    assert sum(FACTS.values()) == (1 << len(FACTS)) - 1, "each has a bit of its own"


ACTOR = {"record": "actor", "id": "o-1", "unit": "north", "areas": ["city"]}
MATE = {"record": "actor", "id": "o-2", "unit": "north"}
STRANGER = {"record": "actor", "id": "o-3", "unit": "south"}
SUBJECT = {"record": "subject", "id": "p-1", "area": "city"}
CASE = {"record": "case", "id": "c-1", "subjects": ["p-1"], "opened": BEFORE}
DISPATCH = {"record": "dispatch", "id": "d-1", "subjects": ["p-1"], "from": BEFORE, "to": AFTER}
SHIFT = {"record": "shift", "id": "s-1", "actor": "o-1", "from": BEFORE, "to": AFTER}


def link(number: int, one: str, other: str) -> dict[str, Any]:
    return {"record": "link", "id": f"l-{number}", "from_subject": one, "to_subject": other}


def explained(*records: dict[str, Any], using: Explanations | None = None, **fields: Any) -> tuple[list[str], float]:
    known = reference(ACTOR, MATE, STRANGER, SUBJECT, *records)
    found = enrich(lookup(**{"subject__id": "p-1", **fields}), known, using or Explanations.default())
    return found["explanation"], found["explanation.strength"]


def test_what_holds_is_named_and_its_strength_is_joined() -> None:
    own, team = {**CASE, "actors": ["o-1"]}, {**CASE, "id": "c-2", "unit": "north"}
    area = {**DISPATCH, "subjects": [], "actors": ["o-1"], "area": "city"}
    watch = {"record": "watch", "id": "w", "subjects": ["p-1"], "may_know": ["o-1"], "from": BEFORE}
    assert explained() == (["none"], 0)
    assert explained(own) == (["own-case"], 1)
    assert explained(team) == (["unit-case"], 0.9)
    assert explained({**own, "unit": "north"}) == (["own-case"], 1), "one's own case is not the unit's too"
    assert explained(area) == (["area-task"], 0.7)
    assert explained(team, area) == (["area-task", "unit-case"], 0.97)
    assert explained(watch, area) == (["area-task", "watch"], 0.97)


def test_a_weak_one_is_seen_but_explains_nothing_alone() -> None:
    assert explained(SHIFT) == (["none"], 0)
    assert explained(SHIFT, purpose__code="patrol") == (["none", "shift-area"], 0.3)
    assert explained({**SHIFT, "to": BEFORE}, purpose__code="patrol") == (["none"], 0)
    assert explained({**SUBJECT, "area": "hills"}, SHIFT, purpose__code="patrol") == (["none"], 0)
    found = enrich(lookup(subject__id="p-1", purpose__code="patrol"), reference(ACTOR, SUBJECT, SHIFT))
    assert found["purpose.status"] == "claimed"
    half = Explanations([one("record: case, strength: 0.5"), one("record: case, strength: 0.3", "other")])
    assert explained({**CASE, "actors": ["o-1"]}, using=half) == (["other", "some"], 0.65)
    enough = Explanations([one("record: case, strength: 0.5")])
    assert explained({**CASE, "actors": ["o-1"]}, using=enough) == (["some"], 0.5)


@pytest.mark.parametrize(
    ("links", "names", "strength"),
    [
        ([("p-1", "x")], ["case-link"], 0.7),
        ([("x", "p-1")], ["case-link"], 0.7),
        ([("p-1", "a"), ("x", "a")], ["case-link", "none"], 0.49),
        ([("p-1", "a"), ("a", "b"), ("b", "x")], ["none"], 0.0),
        ([("p-1", "a"), ("a", "x"), ("p-1", "x")], ["case-link"], 0.7),
        ([("p-1", "p-1")], ["none"], 0.0),
    ],
)  # fmt: skip
def test_strength_falls_with_the_number_of_links(
    links: list[tuple[str, str]], names: list[str], strength: float
) -> None:
    case = {**CASE, "subjects": ["x"], "actors": ["o-1"]}
    assert explained(case, *(link(n, *ends) for n, ends in enumerate(links))) == (names, strength)


def test_a_search_over_links_is_bounded_and_finds_the_same_whatever_came_first() -> None:
    case = {**CASE, "subjects": ["x-000", "x-999"], "actors": ["o-1"]}
    links = [link(n + 1000, "p-1", f"x-{n:03d}") for n in range(1000)]
    assert explained(case, *links)[0] == explained(case, *reversed(links))[0] == ["case-link"]
    far = {**CASE, "subjects": [f"x-{MAX_REACHED:03d}"], "actors": ["o-1"]}
    assert explained(far, *links)[0] == ["none"]
    near = {**CASE, "subjects": [f"x-{MAX_REACHED - 1:03d}"], "actors": ["o-1"]}
    assert explained(near, *links)[0] == ["case-link"]


@pytest.mark.parametrize(
    ("who", "records", "names"),
    [
        ("o-2", [{**CASE, "actors": ["o-2"]}], ["colleague-request"]),
        ("o-2", [{**DISPATCH, "actors": ["o-2"]}], ["colleague-request"]),
        ("o-2", [{**CASE, "actors": ["o-9"]}], ["none"]),
        ("o-2", [{**CASE, "actors": ["o-2"], "closed": at(-1)}], ["none"]),
        ("o-3", [{**CASE, "actors": ["o-3"]}], ["none"]),
        ("o-3", [{**CASE, "actors": ["o-3"]}, {**CASE, "id": "c-2", "subjects": [], "actors": ["o-1", "o-3"]}], ["colleague-request"]),
        ("o-3", [{**CASE, "actors": ["o-3"]}, {**CASE, "id": "c-2", "subjects": [], "actors": ["o-1", "o-3"], "closed": at(-1)}], ["none"]),
        ("o-1", [{**CASE, "actors": ["o-3"]}], ["none"]),
        ("nobody", [{**CASE, "actors": ["nobody"]}], ["none"]),
        (None, [{**CASE, "actors": ["o-2"]}], ["none"]),
    ],
)  # fmt: skip
def test_a_colleague_may_ask_for_what_is_the_colleagues_own_work(
    who: Any, records: list[Any], names: list[str]
) -> None:
    assert explained(*records, purpose__for=who)[0] == names


def test_conditions_on_the_lookup() -> None:
    case = {**CASE, "actors": ["o-1"]}
    code = Explanations([one("record: case, when: {purpose.code: [Patrol, 7]}")])
    for value, holds in (
        ("patrol", True),
        ("PATROL", True),
        (7, True),
        ("patrols", False),
        (None, False),
        (["x", "patrol"], True),
    ):
        assert explained(case, using=code, purpose__code=value)[0] == (["some"] if holds else ["none"]), value
    any_code = Explanations([one('record: case, when: {purpose.code: "*", action: read}')])
    assert explained(case, using=any_code, purpose__code="x")[0] == ["some"]
    assert explained(case, using=any_code, purpose__code="x", action="export")[0] == ["none"]
    assert explained(case, using=any_code)[0] == ["none"]


def test_being_at_work_or_on_any_case_can_be_asked_for() -> None:
    any_case = Explanations([one("record: case, subject: any")])
    elsewhere = {**CASE, "subjects": ["p-9"], "actors": ["o-1"]}
    assert explained(elsewhere, using=any_case)[0] == ["some"]
    assert explained({**elsewhere, "closed": at(-1)}, using=any_case)[0] == ["none"]
    any_shift = Explanations([one("record: shift, subject: any")])
    assert explained({**SUBJECT, "area": None}, SHIFT, using=any_shift)[0] == ["some"]


LATER = Explanations([
    one("record: case, within: 24h", "own-case"), one("record: dispatch, actor: [member, unit], within: 1h", "dispatch"),
    one("record: dispatch, subject: area, within: 1h", "area-task"), one("record: watch", "watch"),
    one("record: case, distance: 1, strength: 0.7, within: 24h", "case-link"), one("record: case, actor: unit", "unit-case"),
    one('record: case, within: 24h, when: {purpose.code: "*"}', "coded"),
])  # fmt: skip


@pytest.mark.parametrize(
    ("records", "until", "names"),
    [
        ([], 100, ["none"]),
        ([{**CASE, "actors": ["o-1"]}], 0, ["own-case"]),
        ([{**CASE, "actors": ["o-1"], "opened": at(1)}], 0, ["none"]),
        ([{**CASE, "actors": ["o-1"], "opened": at(1)}], 1, ["own-case"]),
        ([{**CASE, "actors": ["o-1"], "opened": at(1)}], 0.9, ["none"]),
        ([{**CASE, "actors": ["o-1"], "opened": at(24)}], 100, ["own-case"]),
        ([{**CASE, "actors": ["o-1"], "opened": at(24.01)}], 100, ["none"]),
        ([{**CASE, "actors": ["o-1"], "opened": BEFORE, "closed": at(-1)}], 100, ["none"]),
        ([{**CASE, "unit": "north", "opened": at(1)}], 100, ["none"]),
        ([{**DISPATCH, "actors": ["o-1"], "from": at(0.5)}], 100, ["dispatch"]),
        ([{**DISPATCH, "unit": "north", "from": at(0.5)}], 100, ["dispatch"]),
        ([{**DISPATCH, "actors": ["o-1"], "from": at(2)}], 100, ["none"]),
        ([{**DISPATCH, "subjects": [], "area": "city", "actors": ["o-1"], "from": at(0.5)}], 100, ["area-task"]),
        ([{**DISPATCH, "subjects": [], "area": "city", "actors": ["o-1"], "from": at(2)}], 100, ["none"]),
        ([{"record": "watch", "id": "w", "subjects": ["p-1"], "may_know": ["o-1"], "from": at(0.1)}], 100, ["none"]),
        ([{**CASE, "actors": ["o-1"], "subjects": ["x"], "opened": at(1)}, link(1, "x", "p-1")], 100, ["case-link"]),
    ],
)  # fmt: skip
def test_paperwork_that_follows_explains_later(records: list[Any], until: float, names: list[str]) -> None:
    known = reference(ACTOR, SUBJECT, *records)
    assert explain_later(known, LATER, "o-1", "p-1", TS, TS + int(until * HOUR)) == names
    assert explain_later(known, LATER, "o-9", "p-1", TS, TS + int(until * HOUR)) == []


CASES = st.lists(
    st.fixed_dictionaries(
        {
            "actors": st.sampled_from([[], ["o-1"], ["o-2"]]),
            "unit": st.sampled_from([None, "north", "south"]),
            "subjects": st.lists(st.sampled_from(["p-1", "p-2", "p-3"]), max_size=2),
            "opened": st.sampled_from([at(-2), at(0), at(1)]),
            "closed": st.sampled_from([None, at(-1), at(0), at(2)]),
        }
    ),
    max_size=4,
)
LINKS = st.lists(st.tuples(st.sampled_from(["p-1", "p-2", "p-3"]), st.sampled_from(["p-1", "p-2", "p-3"])), max_size=3)


@given(CASES, LINKS)
def test_cases_explain_as_the_records_say(cases: list[dict[str, Any]], links: list[tuple[str, str]]) -> None:
    """The same asked of the records alone, one by one."""
    records = [{"record": "case", "id": f"c-{n}", **case} for n, case in enumerate(cases)]
    near: dict[int, set[str]] = {0: {"p-1"}}
    for far in (1, 2):
        around = {ends[1 - side] for ends in links for side in (0, 1) if ends[side] in near[far - 1]}
        near[far] = around - set().union(*(near[less] for less in range(far)))

    def names_of(subjects: set[str]) -> set[str]:
        found = set()
        for case in cases:
            if (
                case["opened"] not in (at(-2), at(0))
                or case["closed"] in (at(-1), at(0))
                or not subjects & set(case["subjects"])
            ):
                continue
            if "o-1" in case["actors"]:
                found.add("own-case")
            elif case["unit"] == "north":
                found.add("unit-case")
        return found

    expected = sorted(names_of(near[0]))
    if not expected:
        expected = ["case-link"] if names_of(near[1]) else ["case-link", "none"] if names_of(near[2]) else ["none"]
    assert explained(*records, *(link(n, *ends) for n, ends in enumerate(links)))[0] == expected


@given(st.lists(st.floats(0, 1), max_size=5))
def test_strengths_join_to_at_least_the_strongest_and_at_most_one(strengths: list[float]) -> None:
    total = 0.0
    for strength in strengths:
        total = join(total, strength)
    assert max([0.0, *strengths]) - 1e-9 <= total <= 1.0
    assert ("none" in with_none(["x"], total)) == (total < explanations.ENOUGH)


def test_wrong_is_what_a_single_document_raises() -> None:
    with pytest.raises(Wrong, match="record is missing"):
        one("actor: member")


def kind_of(*records: dict[str, Any], using: Explanations | None = None, **fields: Any) -> tuple[list[str], str]:
    known = reference(ACTOR, MATE, STRANGER, SUBJECT, *records)
    found = enrich(lookup(**{"subject__id": "p-1", **fields}), known, using or Explanations.default())
    return found["explanation"], found["explanation.kind"]


STATED = Explanations([one("record: shift, subject: any, kind: plausible, when: {purpose.code: [phone, null]}")])


def test_a_plausible_one_is_named_and_explains_nothing() -> None:
    assert kind_of(SHIFT, using=STATED, purpose__code="phone") == (["none", "some"], "plausible")
    assert explained(SHIFT, using=STATED, purpose__code="phone") == (["none", "some"], 0)
    assert kind_of(SHIFT, using=STATED, purpose__code="other") == (["none"], "none"), "the claim does not fit"
    assert kind_of(using=STATED, purpose__code="phone") == (["none"], "none"), "nobody knows of a shift"
    assert kind_of(SHIFT, using=STATED, purpose__code=None) == (["none", "some"], "plausible"), (
        "null: nothing was claimed"
    )


def test_what_a_record_explains_is_not_asked_whether_it_is_plausible() -> None:
    both = Explanations([*STATED.all, one("record: case", name="own")])
    own = {**CASE, "actors": ["o-1"]}
    assert kind_of(SHIFT, own, using=both, purpose__code="phone") == (["own"], "record")
    weak = Explanations([*STATED.all, one("record: case, strength: 0.4", name="own")])
    assert kind_of(SHIFT, own, using=weak, purpose__code="phone") == (["none", "own", "some"], "plausible")


@pytest.mark.parametrize(
    ("actor", "case", "fields", "holds"),
    [
        ("member", {"actors": ["o-1"]}, {}, True),
        ("member", {"actors": ["o-2"], "unit": "north"}, {}, False),
        ("unit", {"actors": ["o-2"], "unit": "north"}, {}, True),
        ("unit", {"actors": ["o-3"], "unit": "south"}, {}, False),
        ("requester", {"actors": ["o-3"], "unit": "south"}, {"purpose__for": "o-3"}, True),
        ("requester", {"actors": ["o-3"], "unit": "south"}, {"purpose__for": "o-2"}, False),
        ("requester", {"actors": ["o-1"], "unit": "south"}, {"purpose__for": "o-1"}, False),
        ("others", {"actors": ["o-3"], "unit": "south"}, {}, True),
        ("others", {"actors": ["o-3"], "closed": BEFORE}, {}, False),
        ("others", {"actors": ["o-3"]}, {"purpose__case": "c-7"}, False),
    ],
)
def test_a_claimed_case_that_runs_makes_plausible_whoever_is_in_its_file(
    actor: str, case: dict[str, Any], fields: dict[str, Any], holds: bool
) -> None:
    using = Explanations(
        [one(f"record: case, actor: {actor}, subject: claimed, kind: plausible, when: {{system: '*'}}")]
    )
    record = {**CASE, "subjects": ["somebody-else"], **case}
    found = kind_of(record, using=using, **{"purpose__case": "c-1", **fields})
    assert found == ((["none", "some"], "plausible") if holds else (["none"], "none"))


def test_a_record_of_others_can_be_asked_for() -> None:
    using = Explanations([one("record: dispatch, actor: others, within: 1h")])
    assert explained({**DISPATCH, "actors": ["o-3"]}, using=using) == (["some"], 1.0)
    assert explained({**DISPATCH, "subjects": ["p-2"], "actors": ["o-3"]}, using=using) == (["none"], 0)


def test_the_actors_own_fields_are_known_later_too() -> None:
    using = Explanations([one("record: dispatch, actor: others, within: 1h, when: {actor.peer_group: calls}")])
    sent = {**DISPATCH, "actors": ["o-3"], "from": at(0.5)}
    for group, names in (("calls", ["some"]), ("street", ["none"])):
        known = reference({**ACTOR, "peer_group": group}, SUBJECT, sent)
        assert explain_later(known, using, "o-1", "p-1", TS, TS + 3_600_000) == names


def test_one_that_is_plausible_never_explains_later() -> None:
    known = reference(ACTOR, SUBJECT, SHIFT)
    using = Explanations([one("record: shift, subject: any, kind: plausible, when: {purpose.code: null}")])
    assert explain_later(known, using, "o-1", "p-1", TS, TS + 3_600_000) == ["none"]
