"""A whole world goes through, and nobody of it is named in what comes out: alerts, incidents, sinks, review, metrics, logs."""

from __future__ import annotations

import logging
import random
from datetime import UTC, datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import msgspec
import orjson
import pytest
from ahocorasick import Automaton
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from monitor import alerts
from monitor.agree import Agree, Live
from monitor.alerts import Alert, Entity
from monitor.feedback.desk import Desk, encode, load_state
from monitor.feedback.disposition import Disposition
from monitor.incidents import journal
from monitor.incidents.book import Book
from monitor.incidents.journal import Judged, Raised, Source
from monitor.incidents.model import decode
from monitor.incidents.response import Policy
from monitor.metrics import Metrics
from monitor.metrics_incidents import IncidentMetrics
from monitor.privacy.identity import Identities
from monitor.privacy.mask import Mask, has_names, named
from monitor.privacy.pseudonym import Pseudonyms, kind_of
from monitor.rerun import Raised as Rerun
from monitor.review import Sampler
from monitor.simulate import Settings, simulate
from monitor.sinks.message import message_of, text_of
from monitor.sinks.ocsf import finding_of
from monitor.stream.known_watches import KnownWatches
from monitor.stream.topics import ALERTS, REVIEW
from tests.incidents.made import alert as made_alert
from tests.stream.test_crash import NOW, PARTITIONS, Log, Process, early_model, filled_log, world

__all__ = ["early_model"]
KEY, OTHER = b"k" * 64, b"o" * 64
MASK = Mask(Pseudonyms([KEY]), Identities([KEY]))


@pytest.fixture(scope="module")
def run(early_model: None) -> Log:
    """The log of a world that went through with pseudonyms."""
    rules, reference, *_ = world()
    log = filled_log()
    Process(log, reference, rules, MASK).run(size=97)
    return log


@lru_cache(maxsize=1)
def ids() -> frozenset[bytes]:
    """Every id of an actor or subject of the world, and all else that its records name somebody or something by."""
    force = simulate(Settings(seed=3, days=5, actors=25, start=datetime(2026, 11, 10, tzinfo=UTC)))
    found = set()
    for record in force.reference:
        if record["record"] in ("actor", "subject", "case"):
            found.add(record["id"])
        for field in ("subjects", "actors", "may_know", "plates", "household", "relatives"):
            found.update(record.get(field) or ())
        for field in ("person", "address", "owner", "actor", "from_subject", "to_subject"):
            if record.get(field):
                found.add(record[field])
    for event in force.events():
        found.add(event["actor"]["id"])
        if event.get("subject", {}).get("id"):
            found.add(event["subject"]["id"])
        if event.get("query", {}).get("text"):
            found.add(event["query"]["text"])
    return frozenset(each.encode() for each in found if len(each) >= 4)


@lru_cache(maxsize=1)
def finder() -> Any:
    """All ids, found in one pass."""
    made = Automaton()
    for each in ids():
        made.add_word(each.decode("latin-1"), each)
    made.make_automaton()
    return made


def named_in(raw: bytes) -> set[bytes]:
    return {each for _, each in finder().iter(raw.decode("latin-1"))}


def values(log: Log, topic: str) -> list[Any]:
    return [record for part in range(PARTITIONS) for record in log.records[topic, part]]


def test_there_are_ids_to_be_found(early_model: None) -> None:
    assert len(ids()) > 500
    assert all(named_in(raw) for raw in world()[3].values()), "without pseudonyms every alert names somebody"


def test_nobody_is_named_in_alerts_and_in_the_review_queue(run: Log) -> None:
    raised, review = values(run, ALERTS), values(run, REVIEW)
    assert len(raised) >= 5
    assert len(review) > 100
    for record in (*raised, *review):
        told = record.value if record.topic == ALERTS else orjson.dumps({**orjson.loads(record.value), "id": ""})
        assert not named_in(told)
        assert not any(named_in(value) for _, value in record.headers or ())
        assert record.topic == REVIEW or not named_in(record.key)
    for record in review:
        told = orjson.loads(record.value)
        assert kind_of(told["actor.id"]) == "actor"
        assert not {"query.text", "purpose.text", "purpose.case", "client.ip", "client.terminal"} & set(told)


def test_live_is_backtest_byte_for_byte_with_the_key(run: Log) -> None:
    expected = sorted(alerts.encode(MASK.alert(alerts.decode(raw))) for raw in world()[3].values())
    assert sorted({record.value for record in values(run, ALERTS)}) == expected


def incidents_of(log: Log) -> tuple[Book, KnownWatches, list[bytes]]:
    """The incidents of the alerts, with what the reference data says, some of them judged; and the journal."""
    known = KnownWatches(Pseudonyms([KEY]))
    force = simulate(Settings(seed=3, days=5, actors=25, start=datetime(2026, 11, 10, tzinfo=UTC)))
    known.take(
        SimpleNamespace(offset=number, key=f"{each['record']}/{each['id']}".encode(), value=orjson.dumps(each))
        for number, each in enumerate(force.reference)
    )
    book, entries = Book({}, Policy(), Sampler(0.2, b"k" * 32)), []
    for number, record in enumerate(values(log, ALERTS)):
        alert = alerts.decode(record.value)
        entry: Any = Raised(Source("alerts", 0, number), alert, known.is_watched(alert), known.units_of(alert))
        entries.append(journal.encode(entry))
        book.take(entry, NOW + number, len(entries) - 1)
        if number % 3 == 0:
            said = Disposition(verdict="benign", by="desk-1", time="2026-11-20T12:00:00Z", alert=alert.id)
            book.take(Judged(Source("dispositions", 0, number), said), NOW + number, len(entries))
            entries.append(journal.encode(Judged(Source("dispositions", 0, number), said)))
    return book, known, entries


def test_nobody_is_named_in_incidents_their_state_and_what_sinks_send(run: Log) -> None:
    book, _, entries = incidents_of(run)
    changed = book.changed()
    assert changed
    assert not any(named_in(raw) for raw in entries)
    for key, raw in [*changed, *book.save()]:
        assert not named_in(key.encode())
        assert not named_in(raw)
    for _, raw in changed:
        incident = decode(raw)
        assert all(each.unit is not None for each in incident.actors), "the unit is found by the pseudonym"
        assert isinstance(incident.sealed, dict)
        assert {each.actor for each in incident.actors} | set(incident.subjects) <= set(incident.sealed)
        for notice in incident.notices:
            message = message_of(incident, notice)
            said = msgspec.json.encode(message) + text_of(message).encode() + orjson.dumps(finding_of(message))
            assert not named_in(said)
            assert not any(raw.encode() in said for raw in incident.sealed.values()), "what is sealed stays inside"


def test_the_ranker_works_on_pseudonyms(run: Log) -> None:
    orders = []
    for raised in (
        [alerts.decode(record.value) for record in values(run, ALERTS)],
        [alerts.decode(raw) for raw in world()[3].values()],
    ):
        desk = Desk({}, Sampler(0.0), load_state(None))
        placed = [desk.take_alert(each, 0, number) for number, each in enumerate(sorted(raised, key=_order))]
        orders.append([each.probability for each in placed if each is not None])
        assert not any(named_in(encode(each)) for each in placed if each is not None)
    assert orders[0] == orders[1], "the same order as by names"


def _order(alert: Alert) -> tuple[int, str, list[str], int]:
    return alert.ts, alert.rule.id, alert.events, len(alert.actors)


def test_nobody_is_named_in_metrics_and_logs(early_model: None, caplog: pytest.LogCaptureFixture) -> None:
    rules, reference, *_ = world()
    log, metrics = filled_log(), Metrics()
    with caplog.at_level(logging.INFO):
        Process(log, reference, rules, MASK).run(size=97)
    for record in values(log, ALERTS):
        alert = alerts.decode(record.value)
        metrics.alerts.labels(alert.rule.id, alert.rule.level).inc()
    book, *_ = incidents_of(log)
    told = IncidentMetrics()
    told.show(book.open.values(), book.pages_left, book.done, NOW / 1000)
    said = generate_latest(metrics.registry) + generate_latest(told.registry) + caplog.text.encode()
    assert not named_in(said)


def test_who_has_the_key_can_open_every_name_of_an_alert(run: Log) -> None:
    identities = Identities([OTHER, KEY])
    for record in values(run, ALERTS):
        alert = alerts.decode(record.value)
        assert isinstance(alert.sealed, dict)
        opened = {name: identities.unseal(name, raw) for name, raw in alert.sealed.items()}
        assert {opened[each] for each in alert.actors} <= {each.decode() for each in ids()}


def test_a_report_counts_by_the_ids_it_knows(run: Log) -> None:
    known = [each.decode() for each in ids()]
    raised = [alerts.decode(record.value) for record in values(run, ALERTS)]
    plain = {tuple(alerts.decode(raw).actors) for raw in world()[3].values()}
    assert {tuple(each.actors) for each in named(raised, Pseudonyms([OTHER, KEY]), known)} == plain


def test_a_replay_agrees_by_whichever_key_the_alert_was_raised(early_model: None) -> None:
    plain = [alerts.decode(raw) for raw in world()[3].values()]
    new = Mask(Pseudonyms([OTHER, KEY]), Identities([KEY]))
    half = len(plain) // 2
    live = [*map(MASK.alert, plain[:half]), *map(new.alert, plain[half:])]
    agree = Agree(0, 1 << 60, forms=[*(each.alert for each in new.each()), lambda alert: alert])
    for number, each in enumerate(live):
        agree.live(Live(0, number, alerts.encode(each)))
    for each in plain:
        agree.raised(Rerun(each, True))
    assert agree.is_masked
    assert (agree.result().equal, agree.result().differences) == (len(plain), [])


NAMES = st.text(st.characters(codec="utf-8", categories=("Lu", "Ll", "Nd")), min_size=6, max_size=20)


@given(
    NAMES.map("o-".__add__),
    st.lists(NAMES, max_size=5),
    st.sampled_from(["actor", "subject", "client.terminal", "subject,system", "purpose.case"]),
)
def test_no_id_of_any_alert_is_left_in_it(actor: str, subjects: list[str], kind: str) -> None:
    about = {"actor": actor, "subject": "s-" + actor}.get(kind, f"{actor}|bvi")
    plain = msgspec.structs.replace(
        made_alert("x", actors=(actor, "o-other-one"), subjects=tuple(subjects)), entity=Entity(kind, about)
    )
    masked = MASK.alert(plain)
    raw = alerts.encode(msgspec.structs.replace(masked, sealed={}))
    assert not any(each.encode() in raw for each in (actor, "o-other-one", *subjects) if each not in str(masked.events))
    assert masked.id != plain.id, "who knows the actors could try out which of them gives the id"
    assert masked.entity.kind == kind
    assert kind_of(masked.entity.id) == {"actor": "actor", "subject": "subject"}.get(kind, "group")
    assert has_names(plain)
    assert not has_names(masked)
    assert MASK.alert(plain) == Mask(Pseudonyms([KEY]), Identities([KEY])).alert(plain)
    if kind == "actor":
        assert masked.entity.id in masked.actors


def test_the_order_of_names_does_not_tell_that_of_ids() -> None:
    ordered = tuple(f"o-{number:05}" for number in range(50))
    shuffled = list(ordered)
    random.Random(1).shuffle(shuffled)
    one = MASK.alert(made_alert("x", actors=ordered, subjects=ordered))
    other = MASK.alert(made_alert("x", actors=tuple(shuffled), subjects=tuple(shuffled)))
    assert (one.actors, one.subjects) == (other.actors, other.subjects)
    assert one.actors == sorted(one.actors)


def test_an_alert_about_nobody_needs_no_key() -> None:
    plain = msgspec.structs.replace(made_alert("gap", actors=(), subjects=()), entity=Entity("system", "bvi/3"))
    assert MASK.alert(plain) is plain
