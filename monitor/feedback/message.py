"""Messages that people send: read, or refused with a reason and without naming anybody."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
import orjson

from monitor.events import BadEvent, parse_time

MAX_BYTES: Final = 16 * 1024
#: Every reason for which what cannot be read is refused.
REASONS: Final = (
    "empty",
    "too-large",
    "not-utf8",
    "not-json",
    "not-an-object",
    "missing-field",
    "wrong-field",
    "time-without-offset",
)
S = TypeVar("S", bound=msgspec.Struct)


class BadMessage(Exception):
    """A message that is none. ``reason`` is of a closed set, ``detail`` is for people and names nobody."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def read(raw: bytes | None, kind: type[S], bad: type[BadMessage]) -> S:
    """The message of a kind, which has a ``time``. Raises ``bad`` with one of :data:`REASONS`."""
    if not raw:
        raise bad("empty", "the message has no value")
    if len(raw) > MAX_BYTES:
        raise bad("too-large", f"the message has {len(raw)} bytes; the limit is {MAX_BYTES}")
    try:
        found = msgspec.convert(_parse(raw, bad), kind)
    except msgspec.ValidationError as error:
        missing = str(error).startswith("Object missing required field")
        # What is at fault is named by its place alone: it may be somebody's name.
        detail = str(error) if missing else f"not as the schema wants it: {str(error).rpartition('at ')[2]}"
        raise bad("missing-field" if missing else "wrong-field", detail) from None
    try:
        parse_time(found.time)  # type: ignore[attr-defined]
    except BadEvent as error:
        raise bad(error.reason, error.detail) from None
    return found


def _parse(raw: bytes, bad: type[BadMessage]) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            raise bad("not-utf8", "the message is not UTF-8") from None
        raise bad("not-json", f"line {error.lineno} column {error.colno}") from None
    if not isinstance(document, dict):
        raise bad("not-an-object", "the message is JSON, but not an object")
    return document
