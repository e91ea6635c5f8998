"""The disposition: the desk's verdict about an alert, or about a lookup of the sample for review."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

import msgspec
import orjson
from msgspec import Meta

from monitor.events import MAX_ID_CHARS, BadEvent, parse_time

MAX_BYTES: Final = 16 * 1024
MAX_NOTE_CHARS: Final = 4096
Verdict = Literal["true-misuse", "explained", "benign", "unsure"]
VERDICTS: Final[tuple[str, ...]] = get_args(Verdict)
#: What a verdict teaches: misuse or not. From ``unsure`` nothing is learned.
LABELS: Final = {"true-misuse": True, "explained": False, "benign": False}

#: Every reason a disposition can be refused for; they are metric labels, so the set is closed.
REASONS: Final = (
    "empty",
    "too-large",
    "not-utf8",
    "not-json",
    "not-an-object",
    "missing-field",
    "wrong-field",
    "time-without-offset",
    "unknown-alert",
)

_Name = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]


class BadDisposition(Exception):
    """A message that is no disposition. ``reason`` is one of :data:`REASONS`; ``detail`` is for people and names nobody."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Disposition(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One message of ``lookup.dispositions.v1``: about ``alert`` (its id) or ``lookup`` (``<system>/<id>``), one of the two.

    ``by`` is who gave the verdict, ``time`` when (RFC 3339 with an offset). Fields this does not know are passed over.
    """

    verdict: Verdict
    by: _Name
    time: _Name
    alert: _Name | None = None
    lookup: Annotated[str, Meta(min_length=1, max_length=2 * MAX_ID_CHARS + 1)] | None = None
    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARS)] = ""


_encoder: Final = msgspec.json.Encoder(order="deterministic")


def encode(disposition: Disposition) -> bytes:
    """The disposition as JSON; the same one gives the same bytes."""
    return _encoder.encode(disposition)


def decode(raw: bytes | None) -> Disposition:
    """The disposition in a message. Raises :class:`BadDisposition`."""
    if not raw:
        raise BadDisposition("empty", "the message has no value")
    if len(raw) > MAX_BYTES:
        raise BadDisposition("too-large", f"the message has {len(raw)} bytes; the limit is {MAX_BYTES}")
    try:
        found = msgspec.convert(_parse(raw), Disposition)
    except msgspec.ValidationError as error:
        missing = str(error).startswith("Object missing required field")
        # What is at fault is named by its place alone: it may be somebody's name.
        detail = str(error) if missing else f"not as the schema wants it: {str(error).rpartition('at ')[2]}"
        raise BadDisposition("missing-field" if missing else "wrong-field", detail) from None
    if (found.alert is None) == (found.lookup is None):
        raise BadDisposition("missing-field", "a disposition names an alert or a lookup, one of the two")
    try:
        parse_time(found.time)
    except BadEvent as error:
        raise BadDisposition(error.reason, error.detail) from None
    return found


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            raise BadDisposition("not-utf8", "the message is not UTF-8") from None
        raise BadDisposition("not-json", f"line {error.lineno} column {error.colno}") from None
    if not isinstance(document, dict):
        raise BadDisposition("not-an-object", "the message is JSON, but not an object")
    return document


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``lookup.dispositions.v1``."""
    (schema,), components = msgspec.json.schema_components([Disposition], ref_template="#/$defs/{name}")
    made = components["Disposition"]
    made["oneOf"] = [
        {"required": [name], "properties": {name: {"type": "string"}, other: {"type": "null"}}}
        for name, other in (("alert", "lookup"), ("lookup", "alert"))
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lookup.dispositions.v1",
        **schema,
        "$defs": components,
    }
