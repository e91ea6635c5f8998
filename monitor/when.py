"""Times as people give them: RFC 3339, or so long before now."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from monitor.events import BadEvent, parse_ms

_UNITS_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_BACK: Final = re.compile(r"(\d{1,9})([smhdw])", re.ASCII).fullmatch


def rfc3339(ms: int) -> str:
    """A time in milliseconds since the epoch as RFC 3339, UTC, with milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_duration(text: str) -> int:
    """Milliseconds of ``90s``, ``30m``, ``24h``, ``7d`` or ``4w``. Raises ``ValueError`` for anything else, and for nothing."""
    found = _BACK(text.strip())
    if found is None or not int(found[1]):
        raise ValueError(f"{text!r} is not a duration such as 30m, 24h or 7d")
    return int(found[1]) * _UNITS_MS[found[2]]


def parse_when(text: str, now_ms: int) -> int:
    """Milliseconds since the epoch of ``now``, of a duration before it (but 0 at least), or of an RFC 3339 time with an offset.

    Raises ``ValueError`` for anything else.
    """
    text = text.strip()
    if text == "now":
        return now_ms
    if _BACK(text) is not None:
        return max(0, now_ms - parse_duration(text))
    try:
        return parse_ms(text)
    except BadEvent as error:
        what = error.detail if error.reason == "time-without-offset" else "not a time"
        raise ValueError(
            f"{text!r}: {what} (give 2026-11-24T09:00:00+01:00, or a duration back from now such as 24h or 7d)"
        ) from None
