"""The reference records: what the staff, case, roster and subject registers send about those they know.

Records come from ``lookup.reference.v1`` (compacted, key ``<record>/<id>``) or JSON Lines. A field that is missing is
``None``: unknown, which is not the same as empty.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from monitor.events import BadEvent, parse_ms

#: The end of what has none, and with a minus the beginning; in milliseconds since the epoch.
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
    """Subjects under observation, and who may know of it.

    A sealed one has no ``subjects`` but ``sealed``, their hashes by a key of ``team`` (:mod:`monitor.sealed_watch`), and in ``boxes``, in the same order,
    the subjects as that key seals them.
    """

    id: str
    subjects: list[str] | None = None
    may_know: list[str] | None = None
    from_: str | None = None
    to: str | None = None
    team: str | None = None
    sealed: list[str] | None = None
    boxes: list[str] | None = None


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


def decode(raw: bytes) -> Record:
    """Decode one record of JSON. Raises :class:`BadRecord` with what is wrong."""
    try:
        record: Record = _decoder.decode(raw)
        return record
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecord(str(error)) from None


def kind_of(record: Record) -> str:
    """What ``record`` names the record's kind: ``actor``, ``unit``, …"""
    return str(record.__struct_config__.tag)


def key_of(record: Record) -> str:
    """The record's Kafka key, ``<record>/<id>``."""
    return f"{record.__struct_config__.tag}/{record.id}"


def milliseconds(text: str | None, default: int) -> int:
    """A time as milliseconds since the epoch, or ``default`` for ``None``. Raises :class:`BadRecord`."""
    if text is None:
        return default
    try:
        return parse_ms(text)
    except BadEvent as error:
        raise BadRecord(error.detail) from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``lookup.reference.v1``."""
    (schema,), components = msgspec.json.schema_components([Record], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lookup.reference.v1",
        **schema,
        "$defs": components,
    }
