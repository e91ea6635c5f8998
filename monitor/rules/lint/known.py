"""What is known of a lookup's fields: their names, their kinds, and the values of those that have only a few."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from monitor import event_schema, events

#: Fields of which a lookup has several values at once.
LISTS: Final = frozenset({"query.fields", "explanation", "actor.areas", "subject.tags"})
NUMBERS: Final = frozenset({"results", "hour", "weekday", "ts", "off_shift_hours"})
#: Fields that every lookup has.
REQUIRED: Final = frozenset({"id", "time", "ts", "hour", "weekday", "system", "action", "actor.id"})
#: Fields whose values name a person or thing of the real world.
IDENTITIES: Final = frozenset({"actor.id", "subject.id", "subject.owner", "subject.address"})
#: What :mod:`monitor.enrich` may say explains a lookup, besides the names that a pack's own explanations have.
EXPLANATIONS: Final = (
    "none",
    "own-case",
    "unit-case",
    "case-link",
    "watch",
    "dispatch",
    "area-task",
    "shift-area",
    "colleague-request",
    "call-out",
    "analysis",
    "beat",
    "call-taking",
    "counter-work",
    "desk-work",
    "lead",
    "request",
    "round",
    "service-ticket",
    "traffic-stop",
    "same-act",
)
_YES_NO: Final = (True, False)
#: All values of fields that have only these.
CLOSED: Final[Mapping[str, tuple[Any, ...]]] = {
    "action": tuple(sorted(events.ACTIONS)),
    "relation": ("none", "self", "own-vehicle", "household", "relative", "colleague", "neighbour"),
    "purpose.status": ("explained", "claimed", "missing", "false"),
    "subject.kind": ("person", "vehicle", "address", "phone", "company", "case", "object"),
    "explanation": EXPLANATIONS,
    "explanation.kind": ("record", "plausible", "none"),
    "in_area": _YES_NO,
    "on_shift": _YES_NO,
    "actor.on_leave": _YES_NO,
    "actor.has_left": _YES_NO,
    "subject.watched": _YES_NO,
    "hour": tuple(range(24)),
    "weekday": tuple(range(7)),
}
#: Fields that the monitor moves what it cannot use to, by a prefix.
_MOVED: Final = "input."


def _names(schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, body in schema["properties"].items():
        inner = [each["$ref"] for each in body.get("anyOf", (body,)) if "$ref" in each]
        if inner:
            yield from _names(definitions[inner[0].rpartition("/")[2]], definitions, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _all_fields() -> frozenset[str]:
    schema = event_schema.json_schema()
    event = schema["$defs"]["Event"]
    return frozenset(_names(event, schema["$defs"], "")) | {name for name in events.OURS if name != "@"}


#: Every field of the event schema, and every one that the monitor fills in.
FIELDS: Final = _all_fields()


def is_known(field: str, own: Collection[str] = ()) -> bool:
    """Whether a field is known, or is one of ``own`` (names; ``vendor.*`` stands for all that begin so)."""
    if field in FIELDS or field.startswith(_MOVED):
        return True
    return any(field == name or (name.endswith("*") and field.startswith(name[:-1])) for name in own)


def near(word: str, allowed: Collection[str], otherwise: str) -> str:
    """A hint: the allowed word most like ``word``, else what is said ``otherwise``."""
    found = difflib.get_close_matches(word, sorted(allowed), 1)
    return f"did you mean {found[0]}?" if found else otherwise


def is_single(field: str) -> bool:
    """Whether a lookup has at most one value of the field."""
    return field not in LISTS
