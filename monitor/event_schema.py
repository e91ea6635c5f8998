"""The JSON Schema of ``lookup.events.v1``: what a lookup and a heartbeat may say."""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.events import MAX_ID_CHARS, MAX_RESULTS, MAX_SEQ, Action


class Actor(msgspec.Struct):
    """Who looked."""

    id: str
    unit: str | None = None
    role: str | None = None


class Subject(msgspec.Struct):
    """Who or what was looked at."""

    kind: str | None = None
    id: str | None = None


class Query(msgspec.Struct):
    """What was asked."""

    text: str | None = None
    fields: list[str] | None = None


class Purpose(msgspec.Struct, rename={"for_": "for"}):
    """What the actor claimed the lookup was for; ``for`` is the actor on whose behalf it was made."""

    case: str | None = None
    code: str | None = None
    text: str | None = None
    for_: str | None = None


class Client(msgspec.Struct):
    """Where the lookup came from."""

    ip: str | None = None
    terminal: str | None = None
    area: str | None = None


class Event(msgspec.Struct):
    """One message of ``lookup.events.v1``. Only the first five fields are required; unknown fields are kept."""

    id: str
    time: str
    system: str
    action: Action
    actor: Actor
    subject: Subject | None = None
    query: Query | None = None
    results: int | None = None
    purpose: Purpose | None = None
    client: Client | None = None
    outcome: str | None = None
    seq: int | None = None
    source: str | None = None


class Heartbeat(msgspec.Struct, tag_field="kind", tag="heartbeat"):
    """A register lives, and how far it has counted its lookups (of ``source``, if its machines count for themselves)."""

    system: str
    time: str
    seq: int | None = None
    source: str | None = None


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``lookup.events.v1``."""
    (lookup, heartbeat), components = msgspec.json.schema_components([Event, Heartbeat], ref_template="#/$defs/{name}")
    ids = {"minLength": 1, "maxLength": MAX_ID_CHARS}
    definitions = {name: {**body, "additionalProperties": True} for name, body in components.items()}
    properties = definitions["Event"]["properties"]
    for name in ("id", "system"):
        properties[name].update(ids)
    definitions["Actor"]["properties"]["id"].update(ids)
    beat = definitions["Heartbeat"]["properties"]
    beat["system"].update(ids)
    for each in (properties, beat):
        each["time"]["format"] = "date-time"
        each["seq"] = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_SEQ}, {"type": "null"}]}
    properties["results"] = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_RESULTS}, {"type": "null"}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lookup.events.v1",
        "anyOf": [lookup, heartbeat],
        "$defs": definitions,
    }
