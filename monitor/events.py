"""The lookup: its schema, its limits, and the one place where bytes become a lookup.

A lookup is decoded into one flat dictionary with dotted names (``actor.id``, ``purpose.case``), because that is the form
rules and features read. Fields this module does not know are kept under their own dotted names, but they can never take
the name of a field the monitor itself fills in, so a query system cannot claim its own lookup is explained.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal

import orjson

MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_ID_CHARS: Final = 128
MAX_DEPTH: Final = 16
#: Query logs of registers are digital since about then; anything before is a clock that was never set.
EARLIEST_MS: Final = int(datetime.fromisoformat("2000-01-01T00:00:00+00:00").timestamp() * 1000)
#: A lookup stamped further ahead than this of the moment it was received comes from a clock that is not set: it is refused.
MAX_AHEAD_MS: Final = 24 * 3600 * 1000
#: One stamped further ahead than this counts at this time: else it would drag its partition's event time with it, and what
#: is on time would be late. So much may clocks of an office differ (RFC 4120, section 1.6, says 5 minutes; beyond it, nobody
#: can log in).
MAX_SKEW_MS: Final = 5 * 60 * 1000
MAX_RESULTS: Final = 2**53
MAX_SEQ: Final = 2**53

Action = Literal["search", "read", "list", "export", "print", "follow"]
ACTIONS: Final = frozenset({"search", "read", "list", "export", "print", "follow"})

#: Every reason a message can be refused for; they are metric labels, so the set is closed.
REASONS: Final = (
    "empty",
    "too-large",
    "not-utf8",
    "not-json",
    "too-deep",
    "number-out-of-range",
    "not-an-object",
    "cloudevents",
    "missing-field",
    "wrong-field",
    "time-without-offset",
    "time-too-old",
    "time-in-future",
    "unknown-rules",
    "unknown-model",
    "internal",
)

#: Names that only the monitor may fill in. An input field of such a name is kept as ``input.<name>``.
OURS: Final = frozenset(
    {
        "ts",
        "relation",
        "explanation",
        "explanation.strength",
        "explanation.kind",
        "purpose.status",
        "purpose.flaws",
        "act.id",
        "act.folded",
        "in_area",
        "on_shift",
        "off_shift_hours",
        "hour",
        "weekday",
        "day",
        "actor.areas",
        "actor.peer_group",
        "actor.on_leave",
        "actor.has_left",
        "subject.area",
        "subject.tags",
        "subject.owner",
        "subject.address",
        "subject.watched",
        "subject.cases",
        "@",
    }
)


#: What a message of the topic may be, by its ``kind``, that is no lookup.
NOTICES: Final = ("canary", "heartbeat")
CANARY_NAME: Final = "lookup-monitor-canary"
#: All that a canary holds besides its id and time. More would be a way past the rules: whoever writes to the topic could call
#: a lookup a canary.
CANARY: Final = {
    "kind": "canary",
    "system": "lookup-monitor",
    "action": "read",
    "actor.id": CANARY_NAME,
    "subject.kind": "canary",
    "subject.id": CANARY_NAME,
}


class Notice(Exception):
    """A good message that is no lookup; ``fields`` are flat, as a lookup's. ``kind`` is one of :data:`NOTICES`."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields["kind"])
        self.kind: str = fields["kind"]
        self.fields = fields


class BadEvent(Exception):
    """A message that is not a lookup. ``reason`` is one of :data:`REASONS`; ``detail`` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


_NESTED: Final = {
    "actor": ("id", "unit", "role"),
    "subject": ("kind", "id"),
    "query": ("text",),
    "purpose": ("case", "code", "text", "for"),
    "client": ("ip", "terminal", "area"),
}
_IDENTITIES: Final = ("id", "system", "actor.id", "subject.id", "purpose.case", "purpose.for")
#: What each field we know must be. The nested objects are taken apart before, so one that is still there is none.
_KINDS: Final[dict[str, type]] = {
    **dict.fromkeys(("id", "time", "system", "action", "outcome"), str),
    **{f"{parent}.{name}": str for parent, names in _NESTED.items() for name in names},
    **dict.fromkeys(_NESTED, dict),
    "results": int,
    "query.fields": list,
}
#: The same as they stand in a document: the fields at its top, and the nested objects' fields with their full names.
_PLAIN: Final = {name: kind for name, kind in _KINDS.items() if "." not in name and kind is not dict}
_PARTS: Final[dict[str, dict[str, tuple[str, Any]]]] = {
    parent: {
        name.removeprefix(f"{parent}."): (name, kind)
        for name, kind in _KINDS.items()
        if name.startswith(f"{parent}.") and name not in OURS
    }
    for parent in _NESTED
}
_UNKNOWN: Final[tuple[str, Any]] = ("", None)
_NOUNS: Final = {str: "a string", int: "a whole number from 0", list: "a list of strings", dict: "an object"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
).fullmatch


def parse_time(text: str) -> tuple[int, datetime]:
    """Parse an RFC 3339 time; return (milliseconds since the epoch, the time with its own offset).

    Raises :class:`BadEvent` when it is not RFC 3339 (``wrong-field``) or has no offset (``time-without-offset``). A leap
    second (``:60``) counts as the second before it, as POSIX time has no name for it.
    """
    start, micros, at = _parts_of_time(text)
    return start + micros // 1000, at.replace(second=micros // 1_000_000, microsecond=micros % 1_000_000)


def parse_ms(text: str) -> int:
    """As :func:`parse_time`, of which only the milliseconds since the epoch are wanted."""
    start, micros, _ = _parts_of_time(text)
    return start + micros // 1000


def _parts_of_time(text: str) -> tuple[int, int, datetime]:
    """The minute's beginning in milliseconds since the epoch, the microseconds after it, and the minute as a time."""
    found = _RFC3339(text)
    if found is None:
        raise BadEvent("wrong-field", "time is not an RFC 3339 time such as 2026-11-24T09:15:02.113+01:00")
    day, minute, second, fraction, offset = found.groups()
    if offset is None:
        raise BadEvent("time-without-offset", "time has no offset; end it with Z or +01:00")
    start, at = _minute(day, minute, offset)
    seconds = 59 if second == "60" else int(second)
    if seconds > 59:
        raise BadEvent("wrong-field", "time does not exist: second must be in 0..59")
    micros = int(fraction[1:7].ljust(6, "0")) if fraction else 0
    return start, seconds * 1_000_000 + micros, at


@lru_cache(maxsize=4096)
def _minute(day: str, minute: str, offset: str) -> tuple[int, datetime]:
    """A minute: its beginning in milliseconds since the epoch, and as a time with its own offset. Many lookups share it."""
    try:
        at = datetime.fromisoformat(f"{day}T{minute}:00{'+00:00' if offset in 'Zz' else offset}")
        since = at - _EPOCH
    except (ValueError, OverflowError) as error:
        raise BadEvent("wrong-field", f"time does not exist: {error}") from None
    return (since.days * 86_400 + since.seconds) * 1000, at


def decode(raw: bytes | None, *, received_ms: int, headers: Iterable[tuple[str, bytes | None]] = ()) -> dict[str, Any]:
    """Decode one message into a flat lookup, or raise :class:`BadEvent` with the reason, or :class:`Notice` when it is none.

    ``received_ms`` is when the message was received (the Kafka record's timestamp), in milliseconds since the epoch; the
    future is judged against it rather than a clock, so a replay of the log refuses the same messages. A lookup that is more
    than :data:`MAX_SKEW_MS` ahead of it counts then; what it said is kept as ``input.time``. ``headers`` are the record's;
    CloudEvents 1.0 binary attributes fill in ``id``, ``time`` and ``system`` where the body lacks them.
    """
    document = _parse(raw)
    if headers:
        _apply_cloudevents(document, headers)
    lookup = _of_known_fields(document)
    if lookup is None:
        lookup = {}
        _flatten("", document, lookup, 1)
        for name in OURS & lookup.keys():
            lookup[f"input.{name}"] = lookup.pop(name)
        if lookup.get("kind") in NOTICES:
            _check_notice(lookup)
            _add_time(lookup, received_ms)
            raise Notice(lookup)
        _check_kinds(lookup)
    _check_values(lookup)
    _add_time(lookup, received_ms)
    return lookup


def _add_time(lookup: dict[str, Any], received_ms: int) -> None:
    start, after, at = _parts_of_time(lookup["time"])
    ts = start + after // 1000
    if ts < EARLIEST_MS:
        raise BadEvent("time-too-old", "time is before the year 2000; the clock of the query system is not set")
    if ts > received_ms + MAX_AHEAD_MS:
        raise BadEvent("time-in-future", "time is more than a day after the message was received")
    if ts > received_ms + MAX_SKEW_MS:
        ts = received_ms + MAX_SKEW_MS
        at = datetime.fromtimestamp(ts / 1000, at.tzinfo)
        lookup["input.time"], lookup["time"] = lookup["time"], at.isoformat(timespec="milliseconds")
    lookup["ts"] = ts
    lookup["hour"] = at.hour
    lookup["weekday"] = at.weekday()
    lookup["day"] = lookup["time"][:10]


def _check_seq(fields: dict[str, Any]) -> None:
    """``source`` is the name of a counter only where there is a number; elsewhere it is a field that we do not know."""
    seq, source = fields["seq"], fields.get("source")
    if type(seq) is not int or not 0 <= seq <= MAX_SEQ:
        raise BadEvent("wrong-field", f"seq is not a whole number from 0 to {MAX_SEQ}")
    if source is not None and (type(source) is not str or not 0 < len(source) <= MAX_ID_CHARS):
        raise BadEvent("wrong-field", f"source is not a string of 1 to {MAX_ID_CHARS} characters")


def _check_notice(fields: dict[str, Any]) -> None:
    if fields["kind"] == "heartbeat":
        for name in ("system", "time"):
            value = fields.get(name)
            if type(value) is not str or not 0 < len(value) <= MAX_ID_CHARS:
                raise BadEvent(
                    "wrong-field", f"{name} of a heartbeat is not a string of 1 to {MAX_ID_CHARS} characters"
                )
        if fields.get("seq") is not None:
            _check_seq(fields)
        return
    _check_kinds(fields)
    _check_values(fields)
    if {name: value for name, value in fields.items() if name not in ("id", "time")} != CANARY:
        raise BadEvent("wrong-field", "a canary has other fields than the monitor writes")


def _parse(raw: bytes | None) -> dict[str, Any]:
    if not raw:
        raise BadEvent("empty", "the message has no value")
    if len(raw) > MAX_MESSAGE_BYTES:
        raise BadEvent("too-large", f"the message has {len(raw)} bytes; the limit is {MAX_MESSAGE_BYTES}")
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _why_not_json(raw, error) from None
    if not isinstance(document, dict):
        raise BadEvent("not-an-object", f"the message is JSON, but a {type(document).__name__}, not an object")
    return document


def _why_not_json(raw: bytes, error: orjson.JSONDecodeError) -> BadEvent:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as bad:
        return BadEvent("not-utf8", f"byte {bad.start} is not UTF-8 (is the message compressed?)")
    if "recursion" in error.msg or "depth limit" in error.msg:
        return BadEvent("too-deep", f"objects and lists are nested deeper than {MAX_DEPTH}")
    if "infinity" in error.msg:
        return BadEvent("number-out-of-range", f"line {error.lineno} column {error.colno}: a number that does not fit")
    return BadEvent("not-json", f"line {error.lineno} column {error.colno}: {error.msg}")


def _apply_cloudevents(document: dict[str, Any], headers: Iterable[tuple[str, bytes | None]]) -> None:
    """CloudEvents 1.0, Kafka protocol binding, section 3.2 (binary content mode): attributes are ``ce_`` headers."""
    found = {name.lower(): value for name, value in headers if name.lower().startswith("ce_") and value is not None}
    if not found:
        return
    try:
        attributes = {name: value.decode("utf-8") for name, value in found.items()}
    except UnicodeDecodeError:
        raise BadEvent("cloudevents", "a ce_ header is not UTF-8") from None
    if attributes.get("ce_specversion", "1.0") != "1.0":
        raise BadEvent("cloudevents", "ce_specversion is not 1.0")
    for field, header in (("id", "ce_id"), ("time", "ce_time"), ("system", "ce_source")):
        if document.get(field) is None and header in attributes:
            document[field] = attributes[header]


def _of_known_fields(document: dict[str, Any]) -> dict[str, Any] | None:
    """The flat lookup of a document that has none but fields we know, each with a value of its kind; ``None`` for any other.

    Nearly all are such, and need not be looked at as closely as :func:`_flatten` does.
    """
    lookup: dict[str, Any] = {}
    for name, value in document.items():
        if type(value) is dict:
            parts = _PARTS.get(name)
            if parts is None:
                return None
            for part, item in value.items():
                full, kind = parts.get(part, _UNKNOWN)
                if type(item) is not kind or (kind is list and not all(type(each) is str for each in item)):
                    return None
                lookup[full] = item
        elif type(value) is _PLAIN.get(name):
            lookup[name] = value
        else:
            return None
    return lookup


def _flatten(prefix: str, document: Mapping[str, Any], into: dict[str, Any], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BadEvent("too-deep", f"objects and lists are nested deeper than {MAX_DEPTH}")
    for name, value in document.items():
        kind = type(value)
        if kind is dict:
            if _KINDS.get(f"{prefix}{name}", dict) is not dict:
                raise _wrong_kind(f"{prefix}{name}")
            _flatten(f"{prefix}{name}.", value, into, depth + 1)
        else:
            if kind is list:
                _check_list(value, depth + 1)
            elif kind is float and (value - value != 0 or abs(value) > 1e18):
                raise BadEvent("number-out-of-range", f"{prefix}{name} is a number that does not fit")
            full = f"{prefix}{name}"
            # A name with a dot in it is not the field that really is at that place.
            if "." in name and full in _KINDS:
                full = f"input.{full}"
            into[full] = value


def _check_list(items: list[Any], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BadEvent("too-deep", f"objects and lists are nested deeper than {MAX_DEPTH}")
    for item in items:
        kind = type(item)
        if kind is list:
            _check_list(item, depth + 1)
        elif kind is dict:
            _check_list(list(item.values()), depth + 1)
        elif kind is float and (item - item != 0 or abs(item) > 1e18):
            raise BadEvent("number-out-of-range", "a list holds a number that does not fit")


def _check_kinds(lookup: dict[str, Any]) -> None:
    for name, value in lookup.items():
        kind = _KINDS.get(name)
        if kind is not None and value is not None and type(value) is not kind:
            raise _wrong_kind(name)


def _check_values(lookup: dict[str, Any]) -> None:
    for name in ("id", "time", "system", "action", "actor.id"):
        if lookup.get(name) is None:
            raise BadEvent("missing-field", f"{name} is missing")
    for name in _IDENTITIES:
        value = lookup.get(name)
        if value is not None and not 0 < len(value) <= MAX_ID_CHARS:
            raise BadEvent("wrong-field", f"{name} has {len(value)} characters; it must have 1 to {MAX_ID_CHARS}")
    if lookup["action"] not in ACTIONS:
        raise BadEvent("wrong-field", f"action is not one of {' '.join(sorted(ACTIONS))}")
    if not 0 <= (lookup.get("results") or 0) <= MAX_RESULTS:
        raise _wrong_kind("results")
    if lookup.get("seq") is not None:
        _check_seq(lookup)
    fields = lookup.get("query.fields")
    if fields and not all(type(field) is str for field in fields):
        raise _wrong_kind("query.fields")


def _wrong_kind(name: str) -> BadEvent:
    return BadEvent("wrong-field", f"{name} is not {_NOUNS[_KINDS[name]]}")
