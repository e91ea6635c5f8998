"""What the incidents' process asks of the reference data: watches as of the alert's time, and units."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson

from monitor.stream.known_watches import KnownWatches
from tests.incidents.made import T0, alert

DAY = 86_400_000
WATCH = {
    "record": "watch",
    "id": "w",
    "subjects": ["p-1", "p-2"],
    "may_know": ["o-1", "o-2"],
    "from": "2026-01-01T00:00:00Z",
}


def known(*documents: Any) -> KnownWatches:
    made = KnownWatches()
    records = []
    for offset, each in enumerate(documents):
        key, value = (
            each if isinstance(each, tuple) else (f"{each['record']}/{each['id']}".encode(), orjson.dumps(each))
        )
        records.append(SimpleNamespace(offset=offset, key=key, value=value))
    made.take(records)
    assert made.position == len(documents)
    return made


def test_a_subject_is_watched_for_those_who_must_not_know() -> None:
    found = known(WATCH)
    assert found.is_watched(alert("a", actors=("o-9",)))
    assert found.is_watched(alert("a", actors=("o-1", "o-9")))
    assert not found.is_watched(alert("a", actors=("o-1", "o-2")))
    assert not found.is_watched(alert("a", actors=("o-9",), subjects=("p-3",)))
    assert not found.is_watched(alert("a", actors=("o-9",), subjects=()))


def test_a_watch_holds_for_its_time_and_until_it_is_changed_or_taken_away() -> None:
    other = alert("a", actors=("o-9",))
    assert not known({**WATCH, "to": "2026-02-01T00:00:00Z"}).is_watched(other)
    assert not known({**WATCH, "from": "2027-02-01T00:00:00Z"}).is_watched(other)
    assert known({**WATCH, "from": None}).is_watched(other)
    assert not known(WATCH, {**WATCH, "subjects": ["p-2"]}).is_watched(other)
    assert known(WATCH, {**WATCH, "subjects": ["p-2"]}).is_watched(alert("b", actors=("o-9",), subjects=("p-2",)))
    assert not known(WATCH, (b"watch/w", None)).is_watched(other)
    assert known(WATCH, {**WATCH, "id": "v"}, (b"watch/w", None)).is_watched(other)
    assert not known({**WATCH, "to": "2026-09-01T00:00:00Z"}).is_watched(alert("late", actors=("o-9",), ts=T0 + DAY))


def test_units_are_the_last_ones_and_what_cannot_be_read_changes_nothing() -> None:
    first, second = {"record": "actor", "id": "o-1", "unit": "north"}, {"record": "actor", "id": "o-1", "unit": "south"}
    both = alert("a", actors=("o-1", "o-2"))
    assert known(first, second).units_of(both) == {"o-1": "south"}
    assert known(first, (b"actor/o-1", None)).units_of(both) == {}
    assert known(first, (b"actor/o-1", b"{"), (b"watch/x", b'{"record":"watch"}'), (b"case/c", b"{")).units_of(
        both
    ) == {"o-1": "north"}
    bad = {**WATCH, "from": "yesterday"}
    assert known(WATCH, bad).is_watched(alert("a", actors=("o-9",))), "the one before stays"
