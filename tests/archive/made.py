"""Rows for the archive."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.archive.rows import PLACE, row_of
from monitor.archive.store import Archive

START = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp() * 1000)
DAY = 24 * 3600 * 1000


def lookup(number: int, **fields: Any) -> dict[str, Any]:
    """The enriched lookup with this number, a minute after the one before; dotted names have two underscores."""
    ts = fields.pop("ts", START + number * 60_000)
    base = {"id": f"x-{number}", "system": "bvi", "action": "read", "actor.id": "o-1", "subject.id": "p-1", "ts": ts}
    base[PLACE] = [ts, 0, number, ts, "v1"]
    return {**base, **{name.replace("__", "."): value for name, value in fields.items()}}


def archive(folder: Path, *lookups: dict[str, Any]) -> Archive:
    """An archive of these."""
    made = Archive(folder / "archive")
    made.create()
    made.append([row_of(each) for each in lookups], {})
    return made
