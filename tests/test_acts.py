"""One human act: what folds and what does not, in event time, the same after every restart and in every replay."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import acts, events
from monitor.acts import LATE_MS, LONGEST_MS, MAX_ACTORS, MAX_SUBJECTS, PAUSE_MS, Acts, BadActs
from monitor.enrich import enrich
from monitor.reference import Reference, decode
from monitor.simulate import Settings, simulate
from tests.samples import lookup, reference

TS = lookup()["ts"]
BEFORE = "2026-11-01T00:00:00Z"
KNOWN: Reference = reference(
    {"record": "actor", "id": "o-1", "unit": "north"},
    {"record": "actor", "id": "o-2", "unit": "south"},
    {"record": "subject", "id": "AA-01", "owner": "p-1", "address": "a-1"},
    {"record": "subject", "id": "AA-02", "owner": "p-1"},
    {"record": "subject", "id": "AA-03", "owner": "p-3"},
    {"record": "subject", "id": "p-1", "address": "a-1", "tags": []},
    {"record": "subject", "id": "p-2", "address": "a-1"},
    {"record": "subject", "id": "BAIT", "owner": "p-1", "tags": ["honeytoken"]},
    {"record": "subject", "id": "SEEN", "owner": "p-1"},
    {"record": "link", "id": "l-1", "from_subject": "p-1", "to_subject": "06-1"},
    {"record": "watch", "id": "w-1", "subjects": ["SEEN"], "may_know": [], "from": BEFORE},
    {"record": "case", "id": "c-1", "actors": ["o-1"], "subjects": ["AA-01"], "opened": BEFORE},
)


class Story:
    """Lookups told one after the other; ``ms`` is after the first."""

    def __init__(self) -> None:
        self.acts = Acts()
        self.reached = 0
        self.count = 0

    def __call__(self, subject: str | None, ms: int = 0, terminal: Any = "t-1", actor: str = "o-1", **more: Any) -> Any:
        self.count += 1
        fields = {
            "subject__id": subject,
            "client__terminal": terminal,
            "actor__id": actor,
            "id": f"x-{self.count}",
            **more,
        }
        event = enrich(lookup(ts=TS + ms, **fields), KNOWN)
        self.reached = max(self.reached, event["ts"])
        return self.acts.fold(event, KNOWN, self.reached)


def marks(event: dict[str, Any]) -> tuple[str, bool]:
    return event["act.id"], event.get("act.folded", False)


def test_plate_owner_wanted_check_are_one_act() -> None:
    tell = Story()
    found = [tell("AA-01"), tell("p-1", 2000), tell("p-1", 3500)]
    assert [marks(event) for event in found] == [("x-1", False), ("x-1", True), ("x-1", True)]
    assert [event["explanation"] for event in found] == [["own-case"], ["same-act"], ["same-act"]]
    assert [event["explanation.strength"] for event in found] == [1.0, 1.0, 1.0]
    assert [event["purpose.status"] for event in found] == ["explained"] * 3


@pytest.mark.parametrize(
    ("first", "second", "folded"),
    [
        ("AA-01", "AA-01", True),
        ("AA-01", "p-1", True),
        ("p-1", "AA-01", True),
        ("AA-01", "a-1", True),
        ("a-1", "AA-01", True),
        ("a-1", "p-2", True),
        ("p-1", "06-1", True),
        ("06-1", "p-1", True),
        ("AA-01", "AA-02", False),
        ("AA-01", "AA-03", False),
        ("p-1", "p-2", False),
        ("AA-01", "never-heard-of", False),
        (None, None, False),
        ("AA-01", None, False),
    ],
)
def test_only_what_belongs_together_folds(first: str | None, second: str | None, folded: bool) -> None:
    tell = Story()
    tell(first)
    assert marks(tell(second, 1000))[1] is folded


def test_what_belongs_to_anything_in_the_act_folds() -> None:
    tell = Story()
    chain = ["AA-01", "p-1", "AA-02", "a-1", "p-2", "06-1"]
    assert [marks(tell(subject, n * 1000)) for n, subject in enumerate(chain)] == [
        ("x-1", n > 0) for n in range(len(chain))
    ]


@pytest.mark.parametrize(
    ("more", "folded"),
    [
        ({}, True),
        ({"terminal": "t-2"}, False),
        ({"terminal": None}, False),
        ({"actor": "o-2"}, False),
        ({"ms": PAUSE_MS}, True),
        ({"ms": PAUSE_MS + 1}, False),
    ],
)
def test_one_actor_one_terminal_within_seconds(more: dict[str, Any], folded: bool) -> None:
    tell = Story()
    tell("AA-01")
    found = tell("p-1", **{"ms": 1000, **more})
    assert marks(found) == ("x-1" if folded else "x-2", folded)


@pytest.mark.parametrize(
    ("times", "folded"),
    [
        ((2000, 0), [False, True]),
        ((3000, 2000, 0), [False, True, True]),
        ((PAUSE_MS, 0), [False, True]),
        ((PAUSE_MS + 1, 0), [False, False]),
        ((20_000, 10_000, 0, 30_000), [False, True, True, True]),
        ((0, 15_000, 30_000, 45_000, 50_000, -10_001), [False, True, True, True, True, False]),
        ((0, 15_000, 30_000, 45_000, 50_000, -10_000), [False, True, True, True, True, True]),
    ],
)
def test_queries_of_one_click_fold_in_whatever_order_their_systems_deliver_them(
    times: tuple[int, ...], folded: list[bool]
) -> None:
    tell = Story()
    assert [marks(tell("p-1", ms))[1] for ms in times] == folded


def test_an_act_ends_after_a_minute_however_quick_it_goes_on() -> None:
    tell = Story()
    found = [marks(tell("AA-01", n * 10_000)) for n in range(9)]
    last = LONGEST_MS // 10_000
    assert found == [("x-1", n > 0) if n <= last else (f"x-{last + 2}", n > last + 1) for n in range(9)]


def test_plates_in_a_row_never_fold() -> None:
    tell = Story()
    assert not any(marks(tell(f"ZZ-{n:02d}", n * 500))[1] for n in range(80))
    assert all(marks(tell(f"YY-{n:02d}", 50_000 + n))[0] == f"x-{81 + n}" for n in range(5))


def test_an_act_does_not_grow_without_end() -> None:
    known = reference(
        {"record": "actor", "id": "o-1"},
        *({"record": "subject", "id": f"v-{n}", "owner": "p"} for n in range(MAX_SUBJECTS + 5)),
    )
    kept, found = Acts(), []
    for n, subject in enumerate(["p", *(f"v-{n}" for n in range(MAX_SUBJECTS + 4))]):
        event = enrich(lookup(ts=TS + n, id=f"x-{n}", subject__id=subject, client__terminal="t"), known)
        found.append(marks(kept.fold(event, known, TS + n)))
    assert found[: MAX_SUBJECTS + 1] == [
        ("x-0", n > 0 and n < MAX_SUBJECTS) if n < MAX_SUBJECTS else (f"x-{n}", False) for n in range(MAX_SUBJECTS + 1)
    ]


def test_what_is_watched_or_planted_is_never_explained_by_the_act() -> None:
    for subject, others in (("SEEN", {"subject.watched": True}), ("BAIT", {"subject.tags": ["honeytoken"]})):
        tell = Story()
        tell("AA-01")
        tell("p-1", 1000)
        found = tell(subject, 2000)
        assert marks(found) == ("x-1", True)
        assert (found["explanation"], found["purpose.status"]) == (["none"], "missing")
        assert others.items() <= found.items()


def test_only_what_explains_the_first_is_inherited() -> None:
    tell = Story()
    tell("AA-03")
    found = tell("p-3", 1000)
    assert (marks(found), found["explanation"]) == (("x-1", True), ["none"])
    tell = Story()
    tell("p-1")
    found = tell("AA-01", 1000)
    assert (marks(found), found["explanation"]) == (("x-1", True), ["own-case"]), "its own explanation stays its own"
    later = tell("p-1", 2000)
    assert later["explanation"] == ["none"], "the first of the act was not explained"


def test_a_weak_explanation_of_its_own_is_joined() -> None:
    kept = Acts()
    first = {
        **lookup(subject__id="AA-01", client__terminal="t"),
        "explanation": ["unit-case"],
        "explanation.strength": 0.9,
    }
    kept.fold(first, KNOWN, TS)
    second = lookup(id="x-2", subject__id="p-1", client__terminal="t")
    second |= {"explanation": ["none", "shift-area"], "explanation.strength": 0.3, "purpose.status": "missing"}
    kept.fold(second, KNOWN, TS)
    assert (second["explanation"], second["explanation.strength"]) == (["same-act", "shift-area"], 0.93)
    assert second["purpose.status"] == "explained"
    false = lookup(id="x-3", subject__id="p-1", client__terminal="t")
    false |= {"explanation": ["none"], "explanation.strength": 0.0, "purpose.flaws": ["unknown-case"]}
    assert kept.fold(false, KNOWN, TS)["purpose.status"] == "false", "a false purpose stays one"
    unknown = kept.fold(lookup(id="x-4", subject__id="p-1", client__terminal="t"), KNOWN, TS)
    assert "explanation" not in unknown


def test_what_is_plausible_of_the_first_is_so_of_all() -> None:
    def told(first_kind: str, **fields: Any) -> Any:
        kept = Acts()
        first = lookup(subject__id="AA-01", client__terminal="t")
        kept.fold(
            first | {"explanation": ["none"], "explanation.strength": 0.0, "explanation.kind": first_kind}, KNOWN, TS
        )
        kept = Acts.load(kept.save())
        second = lookup(id="x-2", subject__id="p-1", client__terminal="t")
        second |= {"explanation": ["none"], "explanation.strength": 0.0, "explanation.kind": "none", **fields}
        return kept.fold(second, KNOWN, TS)["explanation.kind"]

    assert told("plausible") == "plausible"
    assert told("none") == "none"
    assert told("plausible", **{"subject.watched": True}) == "none", "not of what nobody may know"


def test_acts_of_the_version_before_are_read() -> None:
    kept = Acts()
    first = lookup(subject__id="AA-01", client__terminal="t")
    kept.fold(first | {"explanation": ["own-case"], "explanation.strength": 0.9}, KNOWN, TS)
    version, acts = msgspec.msgpack.decode(kept.save())
    old = msgspec.msgpack.encode([version, {actor: act[:8] for actor, act in acts.items()}])
    second = lookup(id="x-2", subject__id="p-1", client__terminal="t")
    second |= {"explanation": ["none"], "explanation.strength": 0.0, "explanation.kind": "none"}
    found = Acts.load(old).fold(second, KNOWN, TS)
    assert (found["explanation"], found["explanation.kind"]) == (["same-act"], "record")


def test_a_late_lookup_joins_only_an_act_it_lies_in() -> None:
    tell = Story()
    tell("AA-01", 0)
    tell("p-1", 8000)
    assert marks(tell("a-1", 4000)) == ("x-1", True)
    assert marks(tell("a-1", 8000 - LONGEST_MS)) == ("x-4", False)
    assert marks(tell("AA-03", 5000)) == ("x-5", False)
    assert marks(tell("AA-01", 9000)) == ("x-1", True), "what was late and no part of it changed nothing"
    tell("elsewhere", 9000 + LATE_MS - 1000, actor="o-2")
    assert marks(tell("p-1", 9000)) == ("x-1", True)
    tell("elsewhere", 9000 + 2 * LATE_MS - 1000 + PAUSE_MS + 1, actor="o-2")
    assert marks(tell("p-1", 9000)) == ("x-10", False), "too late"


def test_the_clicks_of_a_terminal_that_had_lost_the_line_fold_though_they_come_hours_late() -> None:
    tell = Story()
    tell("AA-03", -3_600_000)
    tell("elsewhere", 5 * 3_600_000, actor="o-2")
    found = [marks(tell(subject, ms)) for subject, ms in (("AA-01", 0), ("p-1", 2000), ("AA-03", 90_000))]
    tell("elsewhere", 5 * 3_600_000 + 1000, actor="o-2")
    found += [marks(tell(subject, ms)) for subject, ms in (("p-3", 91_000), ("p-3", 200_000))]
    assert found == [("x-3", False), ("x-3", True), ("x-5", False), ("x-5", True), ("x-8", False)]


def test_a_copy_of_the_first_is_not_folded_into_itself() -> None:
    tell = Story()
    tell("AA-01", id="twice")
    assert marks(tell("AA-01", 1000, id="twice")) == ("twice", False)


def test_what_is_remembered_is_bounded() -> None:
    kept = Acts()
    for n in range(MAX_ACTORS + 50):
        event = lookup(id=f"x-{n}", actor__id=f"o-{n}", subject__id="AA-01", client__terminal="t")
        kept.fold(event, KNOWN, TS)
    assert len(kept) == MAX_ACTORS

    def again(actor: str) -> dict[str, Any]:
        return kept.fold(lookup(id="again", actor__id=actor, subject__id="p-1", client__terminal="t"), KNOWN, TS)

    assert marks(again("o-49")) == ("again", False)
    assert marks(again("o-60")) == ("x-60", True)
    for n in range(12):
        kept.fold(lookup(actor__id=f"new-{n}", subject__id="AA-01", client__terminal="t"), KNOWN, TS)
    assert marks(again("o-60")) == ("x-60", True), "who was last heard of just now is not forgotten first"
    assert marks(again("o-58")) == ("again", False)
    much_later = TS + LATE_MS + PAUSE_MS + 1
    kept.fold(lookup(ts=much_later, subject__id="AA-01", client__terminal="t"), KNOWN, much_later)
    assert len(kept) == 1
    assert len(kept.save()) < 200


STEPS = st.lists(
    st.tuples(
        st.integers(-30_000, 30_000),
        st.sampled_from(["o-1", "o-2"]),
        st.sampled_from(["t-1", "t-2", None]),
        st.sampled_from(["AA-01", "AA-02", "AA-03", "p-1", "p-2", "p-3", "a-1", "06-1", "BAIT", None]),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(STEPS)
def test_restarts_and_what_others_do_change_nothing(steps: list[Any]) -> None:
    """Saved and loaded anywhere, and for one actor without the lookups of the others: the same marks."""
    kept, saved, alone = Acts(), Acts(), Acts()
    ts = reached = TS
    for number, (passed, actor, terminal, subject, save) in enumerate(steps):
        ts += passed
        reached = max(reached, ts)

        def event(
            actor: str = actor, terminal: Any = terminal, subject: Any = subject, ts: int = ts, number: int = number
        ) -> Any:
            fields = {"actor__id": actor, "client__terminal": terminal, "subject__id": subject}
            return enrich(lookup(id=f"x-{number}", ts=ts, **fields), KNOWN)

        if save:
            saved = Acts.load(saved.save())
        found = kept.fold(event(), KNOWN, reached)
        assert saved.fold(event(), KNOWN, reached) == found
        if actor == "o-1":
            assert alone.fold(event(), KNOWN, reached) == found
        if found.get("act.folded"):
            assert terminal is not None
            assert subject is not None
            assert found["act.id"] != found["id"]
    assert saved.save() == kept.save()


@given(st.binary(max_size=60))
def test_acts_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(BadActs):
        Acts.load(data)


def test_acts_of_another_version_are_refused() -> None:
    with pytest.raises(BadActs, match="version 99"):
        Acts.load(msgspec.msgpack.encode([99, {}]))
    assert len(Acts.load(Acts().save())) == 0
    assert acts.ACTS_VERSION == 1


def test_the_made_up_force_has_clients_that_ask_on() -> None:
    force = simulate(Settings(seed=2, days=2, actors=60, start=datetime(2026, 11, 10, tzinfo=UTC)))
    known = Reference()
    for record in force.reference:
        known.put(decode(orjson.dumps(record)))
    kept, reached, folded, inherited, programs = Acts(), 0, [], 0, 0
    for raw in force.events():
        event = enrich(events.decode(orjson.dumps(raw), received_ms=2**42), known)
        reached = max(reached, event["ts"])
        kept.fold(event, known, reached)
        programs += event.get("query.fields") == ["wanted"]
        if event.get("act.folded"):
            folded.append(event)
            inherited += "same-act" in event.get("explanation", ())
    assert programs > 10
    wanted = [event for event in folded if event.get("query.fields") == ["wanted"]]
    assert len(wanted) > 0.8 * programs, "nearly all that a program asks folds"
    assert 0 < inherited < len(folded)
