"""The disposition: the desk's verdict about an alert, or about a lookup of the sample for review."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from monitor.events import MAX_ID_CHARS
from monitor.feedback.message import REASONS as UNREADABLE
from monitor.feedback.message import BadMessage, read

MAX_NOTE_CHARS: Final = 4096
Verdict = Literal["true-misuse", "explained", "benign", "unsure"]
VERDICTS: Final[tuple[str, ...]] = get_args(Verdict)
#: What a verdict teaches: misuse or not. From ``unsure`` nothing is learned.
LABELS: Final = {"true-misuse": True, "explained": False, "benign": False}

#: Every reason a disposition can be refused for; they are metric labels, so the set is closed.
REASONS: Final = (*UNREADABLE, "unknown-alert", "unknown-incident", "too-many-steps")

_Name = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]


class BadDisposition(BadMessage):
    """A message that is no disposition. ``reason`` is one of :data:`REASONS`; ``detail`` is for people and names nobody."""


class Disposition(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One message of ``lookup.dispositions.v1``: about ``alert`` (its id) or ``lookup`` (``<system>/<id>``), one of the two.

    With ``incident`` it closes that incident, of which ``alert`` is one: one verdict is learned of it, however many alerts it has.
    ``by`` is who gave the verdict, ``time`` when (RFC 3339 with an offset). Fields this does not know are passed over.
    """

    verdict: Verdict
    by: _Name
    time: _Name
    alert: _Name | None = None
    lookup: Annotated[str, Meta(min_length=1, max_length=2 * MAX_ID_CHARS + 1)] | None = None
    incident: _Name | None = None
    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARS)] = ""


_encoder: Final = msgspec.json.Encoder(order="deterministic")


def encode(disposition: Disposition) -> bytes:
    """The disposition as JSON; the same one gives the same bytes."""
    return _encoder.encode(disposition)


def decode(raw: bytes | None) -> Disposition:
    """The disposition in a message. Raises :class:`BadDisposition`."""
    found = read(raw, Disposition, BadDisposition)
    if (found.alert is None) == (found.lookup is None):
        raise BadDisposition("missing-field", "a disposition names an alert or a lookup, one of the two")
    if found.incident is not None and found.alert is None:
        raise BadDisposition("missing-field", "a disposition of an incident names one of its alerts")
    return found


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``lookup.dispositions.v1``."""
    (schema,), components = msgspec.json.schema_components([Disposition], ref_template="#/$defs/{name}")
    made = components["Disposition"]
    made["oneOf"] = [
        {"required": [name], "properties": {name: {"type": "string"}, other: {"type": "null"}}}
        for name, other in (("alert", "lookup"), ("lookup", "alert"))
    ]
    made["oneOf"][1]["properties"]["incident"] = {"type": "null"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lookup.dispositions.v1",
        **schema,
        "$defs": components,
    }
