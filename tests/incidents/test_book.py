"""The book: the same entries, the same incidents; grouping, repeats, parts, rings, risk, and what people do."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import msgspec
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.feedback.disposition import BadDisposition
from monitor.feedback.message import BadMessage
from monitor.incidents import joining, risk
from monitor.incidents.book import MAX_STEPS, Book
from monitor.incidents.command import BadCommand
from monitor.incidents.head import HEAD, BadState, load_head
from monitor.incidents.joining import MAX_EVENTS
from monitor.incidents.journal import Entry, Raised, Source, Tick, decode, encode
from monitor.incidents.model import Incident, json_schema
from monitor.incidents.model import decode as incident_of
from monitor.incidents.response import DAY_MS, Policy
from monitor.stream.incidents import saved
from monitor.stream.tables import Table, Whole
from tests.incidents.made import HOUR, SAMPLER, T0, Desk, alert, log

POLICY = Policy(page_budget=4)
SCHEMA = jsonschema.Draft202012Validator(json_schema())


def calm(entries: list[tuple[Entry, int]]) -> tuple[dict[str, bytes | None], dict[str, bytes]]:
    """The last message of each incident, and the state, when nobody disturbs it."""
    store: dict[str, bytes] = {}
    book, told = Book(store, POLICY, SAMPLER), dict[str, bytes | None]()
    for position, (entry, at) in enumerate(entries):
        with suppress(BadMessage):  # what is refused changes nothing
            book.take(decode(encode(entry)), at, position)
        told.update(book.changed())
    book.save()
    return told, store


def rough(entries: list[tuple[Entry, int]], chance: random.Random) -> tuple[dict[str, bytes | None], dict[str, bytes]]:
    """Chunks of any size; a crash between any two records that are written, of the incidents or of the state."""
    told: dict[str, bytes | None] = {}
    written: list[Any] = []
    for _ in range(200):
        table, whole = Table("lookup.incidents.state.v1", 0), Whole(HEAD)
        for record in written:
            for each in whole.put(record):
                table.restore(each.key.decode(), each.value, each.headers)
        book, position = Book(table.values, POLICY, SAMPLER), 0
        is_dead = False
        position = book.head.position
        while position < len(entries) and not is_dead:
            for entry, at in entries[position : position + chance.randrange(1, 12)]:
                with suppress(BadMessage):
                    book.take(entry, at, position)
                position += 1
            out = book.changed()
            is_dead = chance.random() < 0.15
            told.update(out[: chance.randrange(len(out) + 1)] if is_dead else out)
            if not is_dead and chance.random() < 0.5:
                changes = saved(table, book.head.position, book.save())
                is_dead = chance.random() < 0.3
                written += changes[: chance.randrange(len(changes))] if is_dead else changes
        if position >= len(entries) and not is_dead:
            book.save()
            return told, dict(table.values)
    raise AssertionError("it never came to the end")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_same_journal_gives_the_same_incidents_whatever_the_crashes(seed: int) -> None:
    entries = log(seed)
    assert rough(entries, random.Random(seed)) == calm(entries)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
@example(seed=101)  # a verdict about an incident that was closed long ago
def test_an_alert_is_in_one_incident_and_an_actor_in_one_open_one(seed: int) -> None:
    entries = log(seed)
    told, store = calm(entries)
    incidents = [incident_of(raw) for raw in told.values()]
    ids = {entry.alert.id for entry, _ in entries if isinstance(entry, Raised)}
    assert sum(each.alert_count for each in incidents) == len(ids)
    listed = [share.alert for each in incidents for share in each.alerts]
    assert len(listed) == len(set(listed))
    assert {key.removeprefix("a/") for key in store if key.startswith("a/")} == ids
    about = [(each.group.kind, each.group.id) for each in incidents if each.is_open and each.group.kind != "ring"]
    assert len(about) == len(set(about))
    for each in incidents:
        check(each)
    SCHEMA.validate(orjson.loads(told[min(told)]))


def check(incident: Incident) -> None:
    """What is true of every incident, whatever happened."""
    assert [each.number for each in incident.notices] == list(range(1, len(incident.notices) + 1))
    assert incident.risk == pytest.approx(sum(share.now for share in incident.alerts) + incident.rest.points, abs=0.01)
    assert incident.first <= incident.last
    assert incident.history[0].what == "opened"
    if not incident.is_open:
        assert incident.disposition is not None
        assert (incident.due, incident.held, incident.muted_by) == (0, False, None)
    if incident.status == "acknowledged":
        assert incident.due == 0
    by_alert = {share.alert: share for share in incident.alerts}
    for share in incident.alerts:
        assert share.part_of is None or share.part_of in by_alert or incident.rest.count
        assert share.now == 0 or share.part_of is None


def test_two_processes_at_once_put_everything_into_the_journal_twice_and_it_counts_once() -> None:
    entries = log(5)
    doubled = [each for each in entries for _ in range(2 if not isinstance(each[0], Tick) else 1)]
    once, _ = calm(entries)
    twice, _ = calm(doubled)

    def bare(told: dict[str, bytes]) -> list[Incident]:
        return [msgspec.structs.replace(incident_of(raw), revision=0) for raw in told.values()]

    assert bare(twice) == bare(once)


def test_alerts_about_one_actor_are_one_incident_and_repeats_are_counted() -> None:
    desk = Desk()
    first = desk.raised(alert("a"))
    assert desk.fate == "opened"
    again = desk.raised(alert("b", ts=T0 + HOUR))
    assert (desk.fate, again.id) == ("repeat", first.id)
    assert (len(again.alerts), again.alerts[0].repeats, again.suppressed, again.alert_count) == (1, 1, 1, 2)
    other = desk.raised(alert("c", subjects=("p-2",), ts=T0 + HOUR))
    assert (desk.fate, other.id, len(other.alerts)) == ("joined", first.id, 2)
    later = desk.raised(alert("d", ts=T0 + 25 * HOUR))
    assert (desk.fate, len(later.alerts)) == ("joined", 3)
    desk.raised(alert("a"))
    assert desk.fate == "duplicate"
    assert desk.at(first.id) == later
    assert desk.raised(alert("e", actors=("o-2",))).id != first.id


def test_nobody_is_told_twice_of_the_same() -> None:
    desk = Desk()
    for number in range(20):
        found = desk.raised(alert(f"a-{number}", ts=T0 + number * 60_000))
    assert [each.kind for each in found.notices] == ["desk"]
    assert (found.alert_count, len(found.alerts), found.suppressed) == (20, 1, 19)


def test_a_higher_alert_mutes_its_parts_whichever_comes_first() -> None:
    lookups = ("e-1", "e-2", "e-3")
    low, high = alert("low", "low", events=lookups[:2]), alert("high", "high", events=lookups)
    elsewhere = alert("else", "low", events=("e-9",), rule="other")
    for order in ([low, high, elsewhere], [high, low, elsewhere], [elsewhere, high, low]):
        desk = Desk()
        for one in order:
            found = desk.raised(one)
        parts = {share.alert: share.part_of for share in found.alerts}
        assert parts == {low.id: high.id, high.id: None, elsewhere.id: None}
        assert found.risk == 90.0
        assert found.suppressed == 1


def test_what_rests_on_more_lookups_than_were_kept_is_no_part() -> None:
    many = tuple(f"e-{number}" for number in range(MAX_EVENTS + 1))
    desk = Desk()
    desk.raised(alert("high", "high", events=many))
    found = desk.raised(alert("low", "low", events=many))
    assert [share.part_of for share in found.alerts] == [None, None]


def test_the_risk_halves_and_each_alert_shows_what_it_adds() -> None:
    desk = Desk(Policy(half_life_ms=DAY_MS))
    desk.raised(alert("a", "high"))
    found = desk.raised(alert("b", "medium", subjects=("p-2",), ts=T0 + DAY_MS))
    assert [(share.points, share.now) for share in found.alerts] == [(80.0, 40.0), (30.0, 30.0)]
    assert found.risk == 70.0
    late = desk.raised(alert("c", "low", subjects=("p-3",), ts=T0 - DAY_MS))
    assert late.alerts[-1].now == 2.5
    assert late.first == T0 - DAY_MS


def test_many_small_things_raise_by_one_level_and_no_more() -> None:
    desk = Desk()
    for number in range(60):
        found = desk.raised(alert(f"a-{number}", "low", subjects=(f"p-{number}",)))
    assert found.risk == 600.0
    assert found.level == "medium"
    assert found.response == "desk"


def test_of_very_many_alerts_the_heaviest_are_kept_and_the_sum_of_all() -> None:
    desk = Desk(Policy(half_life_ms=DAY_MS))
    for number in range(risk.MAX_ALERTS + 50):
        found = desk.raised(alert(f"a-{number}", "low", subjects=(f"p-{number}",), ts=T0 + number * HOUR))
    assert len(found.alerts) == risk.MAX_ALERTS
    assert found.rest.count == 50
    exact = sum(10 * 0.5 ** ((found.last - (T0 + n * HOUR)) / DAY_MS) for n in range(risk.MAX_ALERTS + 50))
    assert found.risk == pytest.approx(exact, abs=0.1)
    assert found.alert_count == risk.MAX_ALERTS + 50


def test_a_cleared_alert_weighs_nothing_and_the_last_verdict_closes() -> None:
    desk = Desk()
    first, second = alert("a", "high"), alert("b", subjects=("p-2",))
    desk.raised(first)
    found = desk.raised(second)
    desk.judged("explained", first.id)
    found = desk.at(found.id)
    assert (found.status, found.risk) == ("acknowledged", 30.0)
    desk.judged("true-misuse", second.id)
    found = desk.at(found.id)
    assert (found.status, found.disposition, found.risk) == ("closed", "true-misuse", 30.0)
    assert [each.kind for each in found.notices] == ["page", "acknowledged", "closed"]
    assert [(each.by, each.what) for each in found.history if each.by != "monitor"] == [
        ("desk-1", "judged"),
        ("desk-1", "judged"),
        ("desk-1", "closed"),
    ]


def test_a_verdict_on_the_incident_closes_it_and_a_later_one_replaces_it() -> None:
    desk, one = Desk(), alert("a")
    name = desk.raised(one).id
    desk.judged("benign", one.id, name)
    assert desk.at(name).disposition == "benign"
    desk.now += HOUR
    desk.judged("true-misuse", one.id, name, by="chief")
    found = desk.at(name)
    assert (found.status, found.disposition, found.risk) == ("closed", "true-misuse", 30.0)
    assert [each.kind for each in found.notices].count("closed") == 1
    assert found.history[-1].by == "chief"


def test_late_and_repeated_alerts_make_no_second_incident() -> None:
    """After it was closed, what belongs to its time goes to it; what says something new opens it again."""
    desk = Desk()
    name = desk.raised(alert("a", ts=T0)).id
    desk.raised(alert("b", "low", subjects=("p-9",), ts=T0 + 10 * HOUR))
    desk.judged("benign", alert("a").id, name)
    closed = desk.at(name)
    same = desk.raised(alert("late repeat", ts=T0 + HOUR))
    assert (desk.fate, same.id, same.status) == ("late", name, "closed")
    assert same.notices == closed.notices
    new = desk.raised(alert("late news", "high", subjects=("p-3",), ts=T0 + 2 * HOUR))
    assert (desk.fate, new.id, new.status, new.disposition) == ("reopened", name, "open", None)
    assert (new.level, new.notices[-1].kind) == ("high", "page")
    assert [share.now > 0 for share in new.alerts] == [False, False, True]
    assert "reopened" in [each.what for each in new.history]
    desk.judged("benign", alert("a").id, name)
    after = desk.raised(alert("after", ts=T0 + 11 * HOUR))
    assert (desk.fate, after.id != name) == ("opened", True)


def test_what_was_found_before_weighs_nothing_in_a_new_incident() -> None:
    desk = Desk()
    name = desk.raised(alert("a", "critical")).id
    desk.judged("true-misuse", alert("a").id, name)
    assert desk.raised(alert("b", "low", ts=T0 + DAY_MS)).risk == 10.0


def test_a_ring_takes_in_its_accomplices_and_mutes_their_own_incidents() -> None:
    desk = Desk()
    own = desk.raised(alert("own", "medium", ("o-1",), ("p-5",)))
    ring = desk.raised(alert("ring", "high", ("o-1", "o-2"), ("p-1",)))
    assert ring.group.kind == "ring"
    assert sorted(ring.members) == ["o-1", "o-2"]
    muted = desk.at(own.id)
    assert (muted.muted_by, muted.related, desk.at(ring.id).related) == (ring.id, [ring.id], [own.id])
    third = desk.raised(alert("third", "high", ("o-2", "o-3"), ("p-1",)))
    assert (third.id, sorted(third.members)) == (ring.id, ["o-1", "o-2", "o-3"])
    member = desk.raised(alert("member", "low", ("o-3",), ("p-1",)))
    assert member.id == ring.id
    stranger = desk.raised(alert("stranger", "low", ("o-9",), ("p-1",)))
    assert stranger.id != ring.id
    other = desk.raised(alert("others", "high", ("o-3", "o-7"), ("p-8",)))
    assert other.id != ring.id, "one shared actor and no shared subject is another matter"
    before = len(desk.at(own.id).notices)
    desk.raised(alert("more", "medium", ("o-1",), ("p-6",)))
    assert len(desk.at(own.id).notices) == before, "nobody is told of what is muted"
    desk.raised(alert("worse", "critical", ("o-1",), ("p-7",)))
    free = desk.at(own.id)
    assert free.muted_by is None, "it is higher than the ring now"
    assert free.notices[-1].kind == "page"


def test_when_the_ring_is_closed_its_members_are_told_of_by_themselves_again() -> None:
    desk = Desk()
    shared = alert("ring", "high", ("o-1", "o-2"), ("p-1",))
    ring = desk.raised(shared)
    own = desk.raised(alert("own", "high", ("o-1",), ("p-5",)))
    assert (own.muted_by, own.notices) == (ring.id, [])
    desk.judged("explained", shared.id, ring.id)
    free = desk.at(own.id)
    assert (free.muted_by, [each.kind for each in free.notices]) == (None, ["page"])


def test_two_actors_at_one_subject_are_related_and_no_ring() -> None:
    desk = Desk()
    one = desk.raised(alert("a", "medium", ("o-1",), ("p-1",)))
    two = desk.raised(alert("b", "medium", ("o-2",), ("p-1",), ts=T0 + DAY_MS))
    far = desk.raised(alert("c", "medium", ("o-3",), ("p-1",), ts=T0 + 30 * DAY_MS))
    low = desk.raised(alert("d", "low", ("o-4",), ("p-1",)))
    assert two.related == [one.id]
    assert desk.at(one.id).related == [two.id]
    assert (far.related, low.related) == ([], [])
    assert {each.group.kind for each in desk.book.all()} == {"actor"}


def test_a_ring_does_not_grow_without_end() -> None:
    desk = Desk()
    rings = {
        desk.raised(alert(f"r-{n}", "medium", (f"o-{n}", f"o-{n + 1}"), ("p-1",), rule=f"{n}")).id for n in range(80)
    }
    assert len(rings) == 2
    assert max(len(each.members) for each in desk.book.all()) <= 64


@pytest.mark.parametrize(
    ("command", "incident", "reason"), [("acknowledge", "none", "unknown-incident"), ("acknowledge", "", "closed")]
)
def test_what_cannot_be_done_is_refused(command: str, incident: str, reason: str) -> None:
    desk = Desk()
    name = desk.raised(alert("a")).id
    desk.judged("benign", alert("a").id, name)
    before = desk.book.head.position
    with pytest.raises(BadCommand, match=reason):
        desk.asked(command, incident or name)
    assert desk.book.head.position == before + 1, "it counts as taken in"
    with pytest.raises(BadDisposition, match="unknown-incident"):
        desk.judged("benign", alert("a").id, "another")


def test_the_history_is_never_cut_so_it_takes_no_more_at_its_end() -> None:
    desk = Desk()
    name = desk.raised(alert("a")).id
    while len(desk.at(name).history) < MAX_STEPS:
        desk.asked("comment", name)
    with pytest.raises(BadCommand, match="too-many-steps"):
        desk.asked("comment", name)
    assert len(desk.at(name).history) == MAX_STEPS
    desk.judged("benign", alert("a").id, name)
    assert desk.at(name).status == "closed"


def test_half_written_state_is_left_out() -> None:
    def record(key: str, position: int) -> Any:
        return SimpleNamespace(key=key.encode(), value=position.to_bytes(8, "big") + b"v")

    whole = Whole("head")
    assert whole.put(record("a", 5)) == []
    assert [each.key for each in whole.put(record("head", 5))] == [b"a", b"head"]
    assert whole.put(record("a", 9)) == []
    assert [each.key for each in whole.put(record("head", 7))] == [b"head"], "what is ahead of the head is held back"
    assert [each.key for each in whole.put(record("head", 9))] == [b"a", b"head"]


@pytest.mark.parametrize("raw", [b"", b"nonsense", msgspec.msgpack.encode({"version": 2})])
def test_state_of_another_kind_is_refused(raw: bytes) -> None:
    with pytest.raises(BadState):
        load_head(raw)


def test_entries_are_bytes_and_back() -> None:
    for entry, _ in log(3, 60):
        assert decode(encode(entry)) == entry
    with pytest.raises(msgspec.MsgspecError):
        decode(b'{"kind":"other"}')
    assert Source("alerts", 3, 7).key == "alerts/3"
    assert joining.REPEAT_MS == 24 * HOUR


def test_an_entry_that_is_read_again_changes_nothing() -> None:
    desk = Desk()
    name = desk.raised(alert("a")).id
    desk.asked("comment", name)
    before, entry = desk.at(name), desk.log[-1][0]
    assert desk.book.take(entry, T0 + DAY_MS, 1) == ("seen", None)
    assert (desk.at(name), desk.book.head.now, desk.book.changed()[1:]) == (before, T0, [])
    assert desk.book.take(Tick(), T0 + DAY_MS, 0) == ("seen", None)
    assert desk.book.head.now == T0


def test_what_is_opened_again_stands_where_the_late_alert_puts_it() -> None:
    desk = Desk()
    name = desk.raised(alert("a", "critical")).id
    desk.judged("explained", alert("a").id, name)
    found = desk.raised(alert("late", "low", subjects=("p-2",), ts=T0 - HOUR))
    assert (found.id, found.status, found.level, found.queue) == (name, "open", "low", "supervisor/north")


def test_what_is_only_counted_was_not_judged_so_the_incident_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(risk, "MAX_ALERTS", 2)
    desk = Desk()
    made = [alert(f"a-{n}", subjects=(f"p-{n}",), ts=T0 + n) for n in range(3)]
    name = [desk.raised(each) for each in made][-1].id
    for each in made:
        desk.judged("benign", each.id)
    assert (desk.at(name).rest.count, desk.at(name).status) == (1, "acknowledged")
    desk.judged("benign", made[0].id, name)
    assert desk.at(name).status == "closed"


def test_state_that_was_saved_by_the_first_version_is_read() -> None:
    """Frozen: whoever changes how state is saved must still read this, or raise STATE_VERSION and migrate it."""
    golden = Path(__file__).parents[1] / "golden" / "incidents-state-v1.json"
    store = {key: bytes.fromhex(raw) for key, raw in json.loads(golden.read_text()).items()}
    book = Book(dict(store), POLICY, SAMPLER)
    assert (book.head.version, book.head.position) == (1, 40)
    assert {f"i/{each.id}": msgspec.json.encode(each, order="deterministic") for each in book.all()} == {
        key: raw for key, raw in store.items() if key.startswith("i/")
    }
    assert book.open
    known = next(share for each in book.all() for share in each.alerts)
    again = msgspec.structs.replace(alert("x"), id=known.alert)
    assert book.take(Raised(Source("alerts", 0, 1000), again), T0, 40)[0] == "duplicate"


def test_an_incident_of_an_earlier_version_that_lacked_fields_is_read() -> None:
    document = {"id": "i", "revision": 1, "group": {"kind": "actor", "id": "o-1"}, "opened": 1, "first": 1, "last": 1}
    found = incident_of(orjson.dumps(document))
    assert (found.status, found.response, found.related) == ("open", "none", [])


def test_a_sum_raises_the_level_at_three_times_its_points() -> None:
    desk = Desk()
    levels = [desk.raised(alert(f"a-{n}", "low", subjects=(f"p-{n}",))).level for n in range(9)]
    assert levels == ["low"] * 8 + ["medium"]
