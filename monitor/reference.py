"""What is known about actors, subjects and cases, as of a time.

Records come from ``lookup.reference.v1`` (compacted, key ``<record>/<id>``) or JSON Lines, one kind of record after
another in any order; a later record of the same key replaces the earlier one, an empty value removes it. Times are kept
as milliseconds since the epoch. A field that is missing is ``None``: unknown, which is not the same as empty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from monitor.events import BadEvent, parse_time

FOREVER: Final = 2**62


class BadRecord(Exception):
    """A reference record that cannot be used; the message says which and why, without naming a person."""


class Span(msgspec.Struct, rename={"from_": "from"}):
    """A stretch of time; ``to`` missing means until further notice."""

    from_: str | None = None
    to: str | None = None


class Actor(msgspec.Struct, tag_field="record", tag="actor"):
    """An account that can look things up, and the person behind it."""

    id: str
    unit: str | None = None
    role: str | None = None
    areas: list[str] | None = None
    peer_group: str | None = None
    person: str | None = None
    address: str | None = None
    plates: list[str] | None = None
    household: list[str] | None = None
    relatives: list[str] | None = None
    leave: list[Span] | None = None
    left: str | None = None


class Unit(msgspec.Struct, tag_field="record", tag="unit"):
    """A part of the organisation."""

    id: str
    area: str | None = None
    parent: str | None = None


class Subject(msgspec.Struct, tag_field="record", tag="subject"):
    """A person, vehicle, address, phone, company, case or object that can be looked up."""

    id: str
    kind: str | None = None
    area: str | None = None
    owner: str | None = None
    address: str | None = None
    tags: list[str] | None = None
    street: str | None = None
    number: int | None = None


class Case(msgspec.Struct, tag_field="record", tag="case"):
    """An investigation or file, its team and its subjects."""

    id: str
    unit: str | None = None
    area: str | None = None
    actors: list[str] | None = None
    subjects: list[str] | None = None
    opened: str | None = None
    closed: str | None = None


class Dispatch(msgspec.Struct, tag_field="record", tag="dispatch", rename={"from_": "from"}):
    """A task given to actors or a unit for a while, about subjects or in an area."""

    id: str
    unit: str | None = None
    actors: list[str] | None = None
    subjects: list[str] | None = None
    area: str | None = None
    from_: str | None = None
    to: str | None = None


class Watch(msgspec.Struct, tag_field="record", tag="watch", rename={"from_": "from"}):
    """Subjects under observation, and who may know of it."""

    id: str
    subjects: list[str] | None = None
    may_know: list[str] | None = None
    from_: str | None = None
    to: str | None = None


class Shift(msgspec.Struct, tag_field="record", tag="shift", rename={"from_": "from"}):
    """When an actor was at work."""

    id: str
    actor: str | None = None
    from_: str | None = None
    to: str | None = None


class Link(msgspec.Struct, tag_field="record", tag="link"):
    """Two subjects that belong together."""

    id: str
    from_subject: str | None = None
    to_subject: str | None = None
    relation: str | None = None


class Values(msgspec.Struct, tag_field="record", tag="list"):
    """A list of values that rules name as a placeholder, ``%id%``."""

    id: str
    values: list[str]


Record = Actor | Unit | Subject | Case | Dispatch | Watch | Shift | Link | Values
_decoder: Final = msgspec.json.Decoder(Record)
_TIMED: Final = {
    "case": ("opened", "closed"),
    "dispatch": ("from_", "to"),
    "watch": ("from_", "to"),
    "shift": ("from_", "to"),
}


class Timed(msgspec.Struct, gc=False):
    """A record with the time it holds, in milliseconds since the epoch: ``from_ms <= t < to_ms``."""

    record: Any
    from_ms: int
    to_ms: int

    def holds(self, ts: int) -> bool:
        """Whether the record holds at ``ts``."""
        return self.from_ms <= ts < self.to_ms


def decode(raw: bytes) -> Record:
    """Decode one record of JSON. Raises :class:`BadRecord` with what is wrong."""
    try:
        record: Record = _decoder.decode(raw)
        return record
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecord(str(error)) from None


def key_of(record: Record) -> str:
    """The record's Kafka key, ``<record>/<id>``."""
    return f"{record.__struct_config__.tag}/{record.id}"


def _ms(text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        return parse_time(text)[0]
    except BadEvent as error:
        raise BadRecord(error.detail) from None


class Reference:
    """The reference data by what it is asked for. Not safe for use from several threads."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.actors: dict[str, Actor] = {}
        self.units: dict[str, Unit] = {}
        self.subjects: dict[str, Subject] = {}
        self.cases: dict[str, Timed] = {}
        self.leave: dict[str, list[tuple[int, int]]] = {}
        self.left: dict[str, int] = {}
        self.cases_by_subject: defaultdict[str, dict[str, Timed]] = defaultdict(dict)
        self.dispatches_by_actor: defaultdict[str, dict[str, Timed]] = defaultdict(dict)
        self.dispatches_by_unit: defaultdict[str, dict[str, Timed]] = defaultdict(dict)
        self.watches_by_subject: defaultdict[str, dict[str, Timed]] = defaultdict(dict)
        self.shifts_by_actor: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self.linked: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self.actors_by_person: defaultdict[str, dict[str, None]] = defaultdict(dict)
        #: The values of placeholders in rules, by name; a list that changes is another object.
        self.lists: dict[str, tuple[str, ...]] = {}
        self._others: dict[str, Any] = {}
        for record in records:
            self.put(record)

    def __len__(self) -> int:
        return len(self.actors) + len(self.units) + len(self.subjects) + len(self.cases) + len(self._others)

    def put(self, record: Record) -> None:
        """Add a record, or replace the one with the same key.

        Raises :class:`BadRecord` for a time that is none; what was known before then stays.
        """
        timed = _timed(record)
        absent = _absence(record) if isinstance(record, Actor) else ([], FOREVER)
        key = key_of(record)
        self.remove(key)
        match record:
            case Actor():
                self.leave[record.id], self.left[record.id] = absent
                self.actors[record.id] = record
                if record.person is not None:
                    self.actors_by_person[record.person][record.id] = None
            case Unit():
                self.units[record.id] = record
            case Subject():
                self.subjects[record.id] = record
            case Values():
                self.lists[record.id] = tuple(record.values)
            case Case():
                assert timed is not None  # a case always has a span
                self.cases[record.id] = timed
                _index(self.cases_by_subject, record.subjects, record.id, timed)
            case _:
                self._others[key] = timed if timed is not None else record
                self._place(record, timed)

    def _place(self, record: Record, timed: Any) -> None:
        match record:
            case Dispatch():
                _index(self.dispatches_by_actor, record.actors, record.id, timed)
                if record.unit is not None and not record.actors:
                    self.dispatches_by_unit[record.unit][record.id] = timed
            case Watch():
                _index(self.watches_by_subject, record.subjects, record.id, timed)
            case Shift():
                if record.actor is not None:
                    self.shifts_by_actor[record.actor][record.id] = (timed.from_ms, timed.to_ms)
            case Link():
                if record.from_subject is not None and record.to_subject is not None:
                    self.linked[record.from_subject][record.id] = record.to_subject
                    self.linked[record.to_subject][record.id] = record.from_subject

    def remove(self, key: str) -> None:
        """Forget the record of this key (a tombstone in the topic); a key that is not there is fine."""
        kind, _, name = key.partition("/")
        match kind:
            case "actor":
                gone = self.actors.pop(name, None)
                if gone is not None:
                    _unindex(self.actors_by_person, [gone.person], name)
                self.leave.pop(name, None)
                self.left.pop(name, None)
            case "unit":
                self.units.pop(name, None)
            case "subject":
                self.subjects.pop(name, None)
            case "list":
                self.lists.pop(name, None)
            case "case":
                timed = self.cases.pop(name, None)
                if timed is not None:
                    _unindex(self.cases_by_subject, timed.record.subjects, name)
            case _:
                self._displace(self._others.pop(key, None))

    def _displace(self, gone: Any) -> None:
        record = gone.record if isinstance(gone, Timed) else gone
        match record:
            case Dispatch():
                _unindex(self.dispatches_by_actor, record.actors, record.id)
                _unindex(self.dispatches_by_unit, [record.unit], record.id)
            case Watch():
                _unindex(self.watches_by_subject, record.subjects, record.id)
            case Shift():
                _unindex(self.shifts_by_actor, [record.actor], record.id)
            case Link():
                _unindex(self.linked, [record.from_subject, record.to_subject], record.id)
            case _:
                pass

    def areas_of_unit(self, unit: str | None) -> set[str]:
        """The areas of a unit and of the units above it (at most 16 levels, so a loop in the data ends)."""
        areas: set[str] = set()
        for _ in range(16):
            known = self.units.get(unit) if unit is not None else None
            if known is None:
                break
            if known.area is not None:
                areas.add(known.area)
            unit = known.parent
        return areas


def _timed(record: Record) -> Timed | None:
    names = _TIMED.get(str(record.__struct_config__.tag))
    if names is None:
        return None
    return Timed(record, _ms(getattr(record, names[0]), -FOREVER), _ms(getattr(record, names[1]), FOREVER))


def _absence(actor: Actor) -> tuple[list[tuple[int, int]], int]:
    """When the actor is on leave, and from when the actor has left."""
    leave = [(_ms(span.from_, -FOREVER), _ms(span.to, FOREVER)) for span in actor.leave or ()]
    return leave, _ms(actor.left, FOREVER)


def _index(index: dict[str, dict[str, Timed]], names: list[str] | None, record_id: str, timed: Any) -> None:
    for name in names or ():
        index[name][record_id] = timed


def _unindex(index: dict[str, dict[str, Any]], names: Sequence[str | None] | None, record_id: str) -> None:
    """The reverse, which leaves no empty entries: an index must look as if the record had never been."""
    for name in names or ():
        entries = index.get(name) if name is not None else None
        if entries is not None:
            entries.pop(record_id, None)
            if not entries:
                del index[name]  # type: ignore[arg-type]  # None has no entries


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``lookup.reference.v1``."""
    (schema,), components = msgspec.json.schema_components([Record], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lookup.reference.v1",
        **schema,
        "$defs": components,
    }
