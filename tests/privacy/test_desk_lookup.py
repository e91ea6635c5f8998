"""What the desk does is a lookup like any: valid, once, and judged by the rules that are shipped."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import events
from monitor.audit.event import WHATS, AuditEvent
from monitor.backtest import Backtest
from monitor.detector import fingerprint_of
from monitor.privacy.desk_lookup import ACTIONS, SYSTEM, lookups_of
from monitor.privacy.pseudonym import Pseudonyms
from monitor.reference import Reference, decode
from monitor.rules import load_texts, read_dir
from monitor.settings import pack_dir

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
NAMES = Pseudonyms([b"k" * 64])


def done(what: str = "search", number: int = 0, by: str = "o-desk", **more: object) -> AuditEvent:
    time = NOW.replace(minute=number % 60).isoformat()
    return AuditEvent(id=f"a-{number}", time=time, by=by, what=what, **more)  # type: ignore[arg-type]


@given(
    st.sampled_from(WHATS),
    st.text(min_size=1, max_size=256),
    st.lists(st.text(min_size=1, max_size=200), max_size=4),
    st.lists(st.text(min_size=1, max_size=200), max_size=4),
    st.booleans(),
    st.sampled_from([None, "i-1"]),
    st.text(max_size=50),
)
def test_every_audit_event_gives_valid_lookups_or_none(
    what: str, ident: str, actors: list[str], subjects: list[str], was_done: bool, incident: str | None, reason: str
) -> None:
    event = AuditEvent(
        id=ident, time=NOW.isoformat(), by=ident, what=what, done=was_done, actors=tuple(actors),  # type: ignore[arg-type]
        subjects=tuple(subjects), incident=incident, reason=reason,
    )  # fmt: skip
    found = [events.decode(raw, received_ms=int(NOW.timestamp() * 1000)) for raw in lookups_of(event)]
    is_lookup = was_done and what in ACTIONS
    assert len(found) == (max(1, len(actors) + len(subjects)) if is_lookup else 0)
    assert len({fingerprint_of(each) for each in found}) == len(found)
    assert {each["system"] for each in found} <= {SYSTEM}
    assert found == [events.decode(raw, received_ms=int(NOW.timestamp() * 1000)) for raw in lookups_of(event)]


def test_a_lookup_names_the_id_where_it_is_known_and_the_pseudonym_where_it_is_not() -> None:
    known = NAMES.of("subject", "p-1")
    event = done(
        "identity-see", actors=(NAMES.of("actor", "o-1"),), subjects=(known,), incident="i-1", client="10.0.0.1"
    )
    first, second = (orjson.loads(raw) for raw in lookups_of(event, {known: "p-1"}.get))
    assert first["subject"] == {"id": NAMES.of("actor", "o-1"), "kind": "person"}
    assert second["subject"] == {"id": "p-1"}
    assert (first["id"], second["id"]) == ("a-0", "a-0/1")
    assert first["purpose"] == {"code": "incident"}
    assert first["client"] == {"ip": "10.0.0.1"}


RECORDS = [
    {"record": "actor", "id": "o-desk", "unit": "desk", "role": "desk", "person": "p-own", "relatives": ["p-sister"], "address": "a-own"},
    {"record": "shift", "id": "s", "actor": "o-desk", "from": "2026-11-27T00:00:00Z", "to": "2026-11-28T00:00:00Z"},
    {"record": "subject", "id": "p-sister", "kind": "person"},
    {"record": "subject", "id": "p-watched", "kind": "person"},
    {"record": "watch", "id": "w", "subjects": ["p-watched"], "may_know": ["o-9"], "from": "2026-01-01T00:00:00Z"},
    *({"record": "subject", "id": f"p-{number}", "kind": "person"} for number in range(60)),
]  # fmt: skip


def raised(*said: AuditEvent) -> set[str]:
    """The titles of the alerts of the shipped pack, rules alone, with two days after it for paperwork."""
    rules = load_texts(read_dir(pack_dir())).rules
    run = Backtest(
        rules, Reference(decode(orjson.dumps(each)) for each in RECORDS), 1, lambda _: 0, 0.999, run_on_ms=4 * 86_400_000
    )  # fmt: skip
    raws = [raw for each in said for raw in lookups_of(each, lambda name: name)]
    found = {alert.rule.title for alert in run.run(raws, int(NOW.timestamp() * 1000) + 3_600_000)}
    assert not run.refused
    return found


def test_a_search_without_an_incident_is_a_question_and_one_with_is_work() -> None:
    assert raised(done(subjects=("p-1",))) == {"Search in the monitor without an incident"}
    assert raised(done(subjects=("p-1",), incident="i-1")) == set()
    assert raised(done("privacy-export", subjects=("p-1",))) == set()
    assert (
        raised(
            *(
                done("identity-see", number, subjects=(f"p-{number % 3}",), incident=f"i-{number}")
                for number in range(12)
            )
        )
        == set()
    )


def test_own_circle_and_watched_subjects_are_for_others_incident_or_not() -> None:
    assert "Own circle looked at in the monitor" in raised(done("identity-see", subjects=("p-sister",), incident="i-1"))
    assert raised(done("identity-see", subjects=("p-watched",), incident="i-1"))


def test_who_reads_the_monitor_as_a_register_is_told_of() -> None:
    many = [done(number=number, subjects=(f"p-{number}",), incident="i-1") for number in range(41)]
    assert raised(*many) == {"Many names looked at in the monitor"}


@pytest.mark.parametrize("what", [what for what in WHATS if what not in ACTIONS])
def test_what_is_about_no_one_person_is_no_lookup(what: str) -> None:
    assert lookups_of(done(what, subjects=("p-1",))) == []
