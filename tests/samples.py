"""Lookups and reference records that several tests use."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import Any

import orjson

from monitor import events
from monitor.reference import Reference, decode

NOW = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)
GOOD: dict[str, Any] = {
    "id": "x-1",
    "time": "2026-11-20T09:15:02+01:00",
    "system": "bvi",
    "action": "read",
    "actor": {"id": "o-1"},
}


def nested(depth: int) -> dict[str, Any]:
    """A good lookup whose objects are ``depth`` deep."""
    inner: Any = 1
    for _ in range(depth - 1):
        inner = {"a": inner}
    return {**GOOD, "a": inner}


#: (reason, value) of every kind of message that is not a lookup.
BAD: list[tuple[str, bytes | None]] = [
    ("not-utf8", b'{"id": "\xff"}'),
    ("not-json", b'{"id": '),
    ("too-deep", b"[" * 5000),
    ("too-deep", orjson.dumps(nested(17))),
    ("number-out-of-range", orjson.dumps(GOOD)[:-1] + b', "n": 1e999}'),
    ("number-out-of-range", orjson.dumps(GOOD)[:-1] + b', "n": 123456789012345678901234567890}'),
    ("missing-field", orjson.dumps({name: value for name, value in GOOD.items() if name != "actor"})),
    ("wrong-field", orjson.dumps({**GOOD, "action": "steal"})),
    ("time-without-offset", orjson.dumps({**GOOD, "time": "2026-11-20T09:15:02"})),
    ("time-too-old", orjson.dumps({**GOOD, "time": "1970-01-01T00:00:00Z"})),
    ("time-in-future", orjson.dumps({**GOOD, "time": "2099-01-01T00:00:00Z"})),
    ("empty", b""),
    ("empty", None),
    ("not-utf8", gzip.compress(b"garbage", mtime=0)),
    ("too-large", orjson.dumps({**GOOD, "text": "x" * 70_000})),
    ("not-an-object", b"[1, 2]"),
    ("not-an-object", b"null"),
]


def lookup(**fields: Any) -> dict[str, Any]:
    """A decoded lookup; dotted names are written with two underscores."""
    flat = events.decode(orjson.dumps(GOOD), received_ms=NOW)
    flat.update({name.replace("__", "."): value for name, value in fields.items()})
    return flat


def reference(*records: dict[str, Any]) -> Reference:
    """Reference data of these records."""
    return Reference(decode(orjson.dumps(record)) for record in records)
