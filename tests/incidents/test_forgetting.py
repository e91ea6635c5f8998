"""What was closed long ago is forgotten, whole and at the same place of the journal whoever reads it; what is held is not."""

from __future__ import annotations

import random
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.incidents.book import Book
from monitor.incidents.forgetting import names_of
from monitor.incidents.head import HEAD
from monitor.incidents.journal import Entry, Ordered, Source, Tick, decode, encode
from monitor.incidents.order import BadOrder, Order
from monitor.incidents.order import decode as decode_order
from monitor.incidents.order import encode as encode_order
from monitor.incidents.response import DAY_MS, Policy
from monitor.stream.tables import Table, Whole
from tests.incidents import test_book
from tests.incidents.made import SAMPLER, T0, Desk, alert, log

SOON = Policy(page_budget=4, forget_ms=3 * DAY_MS, forget_cleared_ms=DAY_MS)


def order(kind: str, names: list[str], ident: str = "o-1") -> Order:
    return Order(order=kind, id=ident, by="po-1", time="2026-09-21T12:00:00Z", reason="why", names=names)  # type: ignore[arg-type]


def ordered(desk: Desk, kind: str, names: list[str], ident: str = "o-1") -> None:
    desk.take(Ordered(desk.source("orders"), order(kind, names, ident)))


def closed(
    desk: Desk, name: str = "a", verdict: str = "true-misuse", actors: tuple[str, ...] = ("o-1",), subject: str = "p-1"
) -> str:
    one = alert(name, actors=actors, subjects=(subject,), ts=desk.now)
    incident = desk.raised(one)
    desk.judged(verdict, one.id, incident.id)
    return incident.id


@pytest.mark.parametrize(("verdict", "days"), [("true-misuse", 3), ("unsure", 3), ("explained", 1), ("benign", 1)])
def test_what_was_closed_is_forgotten_after_its_time_and_nothing_of_it_is_left(verdict: str, days: int) -> None:
    desk = Desk(SOON)
    name = closed(desk, verdict=verdict)
    desk.book.changed()
    desk.book.save()
    desk.tick(days * DAY_MS - 1)
    assert desk.book.get(name) is not None
    desk.tick(DAY_MS)
    assert desk.book.get(name) is None
    assert desk.book.changed() == [(name, None)]
    assert list(desk.book._store) == [HEAD]
    gone = [key for key, raw in desk.book.save() if raw is None]
    assert sorted(gone) == sorted([f"i/{name}", f"a/{alert('a').id}", "g/actor/o-1", "s/p-1"])
    later = desk.raised(alert("b", ts=desk.now))
    assert later.id != name
    assert later.related == []


def test_what_is_open_is_never_forgotten() -> None:
    desk = Desk(SOON)
    name = desk.raised(alert("a")).id
    desk.tick(1000 * DAY_MS)
    assert desk.at(name).is_open


def test_an_incident_that_was_opened_again_counts_from_when_it_is_closed_again() -> None:
    desk = Desk(SOON)
    name = closed(desk)
    desk.tick(2 * DAY_MS)
    desk.raised(alert("late", "critical", subjects=("p-2",), ts=T0 - 1))
    assert desk.at(name).is_open
    desk.tick(2 * DAY_MS)
    assert desk.at(name).is_open
    desk.judged("benign", alert("late").id, name)
    desk.tick(2 * DAY_MS)
    assert desk.book.get(name) is None


def test_others_keep_what_is_theirs() -> None:
    desk = Desk(SOON)
    gone = closed(desk, "ring", actors=("o-1", "o-2"))
    mine = desk.raised(alert("own", actors=("o-1",), subjects=("p-1", "p-7"), ts=desk.now)).id
    desk.tick(4 * DAY_MS)
    assert desk.book.get(gone) is None
    assert desk.at(mine).is_open
    assert desk.raised(alert("more", actors=("o-1",), subjects=("p-8",), ts=desk.now)).id == mine
    assert not [key for key, raw in desk.book._store.items() if gone.encode() in raw and not key.startswith("i/")]


@pytest.mark.parametrize("name", ["o-1", "p-1", "incident"])
def test_what_is_held_is_neither_forgotten_nor_erased_until_the_hold_is_lifted(name: str) -> None:
    desk = Desk(SOON)
    incident = closed(desk)
    ordered(desk, "hold", [incident if name == "incident" else name], "h-1")
    desk.tick(10 * DAY_MS)
    ordered(desk, "erase", ["o-1"], "e-1")
    assert desk.book.get(incident) is not None
    saved = dict(desk.book.save())[HEAD]
    assert saved is not None
    again = Book({**desk.book._store}, SOON, SAMPLER)
    assert again.head.holds["h-1"].names == desk.book.head.holds["h-1"].names, "the hold is part of the state"
    ordered(desk, "lift", [], "h-1")
    desk.tick(DAY_MS)
    assert desk.book.get(incident) is None


def test_erasing_takes_what_is_closed_and_of_nobody_else_and_opens_no_seal_of_the_rest() -> None:
    desk = Desk(SOON)
    sealed = {"o-1": "x", "o-2": "y", "p-1": "z"}
    shared = msgspec.structs.replace(alert("ring", actors=("o-1", "o-2"), ts=desk.now), sealed=sealed)
    ring = desk.raised(shared).id
    desk.judged("true-misuse", shared.id, ring)
    desk.now += 1000
    alone, other = closed(desk, "alone", subject="p-2"), closed(desk, "other", actors=("o-3",), subject="p-3")
    desk.now += 1000
    running = desk.raised(alert("open", subjects=("p-4",), ts=desk.now)).id
    ordered(desk, "erase", ["o-1"])
    assert desk.book.get(alone) is None
    assert desk.book.get(other) is not None
    assert desk.at(running).is_open, "what is being worked on stays"
    assert desk.at(ring).sealed == {"o-2": "y", "p-1": "z"}
    assert [(each.by, each.what) for each in desk.at(ring).history][-1] == ("po-1", "erased")


def with_orders(seed: int) -> list[tuple[Entry, int]]:
    """A journal in which orders come between the other entries, and days between them."""
    chance, made = random.Random(seed), list[tuple[Entry, int]]()
    later, count = 0, 0
    for entry, at in log(seed, 80):
        later += chance.choice([0, 0, DAY_MS // 2])
        made.append((entry, at + later))
        if chance.random() < 0.15:
            kind = chance.choice(["hold", "lift", "erase"])
            names = [chance.choice(["o-0", "o-1", "o-2", "p-1"])]
            made.append(
                (Ordered(Source("orders", 0, count), order(kind, names, f"h-{chance.randrange(3)}")), at + later)
            )
            count += 1
    return [*made, (Tick(), made[-1][1] + 2 * DAY_MS)]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_whatever_crashes_the_same_is_forgotten_at_the_same_place(seed: int) -> None:
    entries = with_orders(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_book, "POLICY", SOON)
        expected, state = test_book.calm(entries)
        found, rough_state = test_book.rough(entries, random.Random(seed))
    assert found == expected
    assert rough_state == state
    book = Book(dict(state), SOON, SAMPLER)
    for incident in book.all():
        age = book.head.now - incident.closed
        assert incident.is_open or age <= 4 * DAY_MS or _is_held(book, names_of(incident))
    for key, raw in state.items():
        if key[:2] in ("a/", "g/"):
            assert f"i/{raw.decode()}" in state, "nothing leads to what is not there"


def _is_held(book: Book, names: set[str]) -> bool:
    return any(name in names for held in book.head.holds.values() for name in held.names)


def test_state_that_was_forgotten_does_not_come_back_from_the_changelog() -> None:
    """A tombstone counts as what belongs together does: not before the record that is written last."""
    table, written = Table("lookup.incidents.state.v1", 0), []
    for position, changes in enumerate(
        ([("i/1", b"one"), (HEAD, b"h")], [("i/1", None), (HEAD, b"h2")], [("i/2", b"x")])
    ):
        written += test_book.saved(table, position + 1, changes)  # type: ignore[attr-defined]
    for upto, expected in ((2, {"i/1": b"one", HEAD: b"h"}), (3, {"i/1": b"one", HEAD: b"h"}), (5, {HEAD: b"h2"})):
        again, whole = Table("lookup.incidents.state.v1", 0), Whole(HEAD)
        for number, out in enumerate(written[:upto]):
            for each in whole.put(SimpleNamespace(key=out.key, value=out.value, headers=out.headers, offset=number)):
                again.restore(each.key.decode(), each.value, each.headers)
        assert again.values == expected


def test_orders_are_bytes_and_back_and_bad_ones_are_refused() -> None:
    one = order("hold", ["o-1"])
    assert decode_order(encode_order(one)) == one
    assert decode(encode(Ordered(Source("orders", 0, 1), one))) == Ordered(Source("orders", 0, 1), one)
    for bad in (order("hold", []), order("erase", [])):
        with pytest.raises(BadOrder):
            decode_order(encode_order(bad))
    for raw in (None, b"", b"[]", b'{"order":"burn","id":"x","by":"y","time":"2026-09-21T12:00:00Z","reason":"z"}'):
        with pytest.raises(BadOrder):
            decode_order(raw)
