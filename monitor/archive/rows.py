"""What the archive keeps of a lookup: the fields that are asked for as columns of their own, all others as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, NamedTuple

import orjson

Type = Literal["string", "timestamp", "date", "bool", "double", "long"]


class Column(NamedTuple):
    """A column of the archive: its name, its type, and the field of the enriched lookup that it holds (DESIGN 4.2)."""

    name: str
    type: Type
    field: str | None = None


COLUMNS: Final = (
    Column("date", "date"),  # of the event time, UTC: what the archive is partitioned by
    Column("time", "timestamp"),
    Column("system", "string", "system"),
    Column("id", "string", "id"),
    Column("action", "string", "action"),
    Column("outcome", "string", "outcome"),
    Column("actor", "string", "actor.id"),
    Column("unit", "string", "actor.unit"),
    Column("peer_group", "string", "actor.peer_group"),
    Column("subject", "string", "subject.id"),
    Column("subject_kind", "string", "subject.kind"),
    Column("subject_area", "string", "subject.area"),
    Column("subject_address", "string", "subject.address"),
    Column("subject_owner", "string", "subject.owner"),
    Column("watched", "bool", "subject.watched"),
    Column("relation", "string", "relation"),
    Column("case", "string", "purpose.case"),
    Column("purpose", "string", "purpose.code"),
    Column("explained_by", "string"),  # the names of what explains it, or merely fits, with spaces between them
    Column("explanation", "string", "explanation.kind"),
    Column("strength", "double", "explanation.strength"),
    Column("on_shift", "bool", "on_shift"),
    Column("in_area", "bool", "in_area"),
    Column("results", "long", "results"),
    Column("terminal", "string", "client.terminal"),
    Column("source", "long"),  # the partition of lookup.events.v1 it came by, and its offset there
    Column("offset", "long"),
    Column("rules", "string"),  # the version of the rules by which it was judged
    Column("more", "string"),  # all other fields, as JSON
)
#: What names a lookup.
KEY: Final = ("date", "system", "id")
_EXPLANATION: Final = "explanation"
_FIELDS: Final = {each.field: each.name for each in COLUMNS if each.field is not None}
#: Where in the order of all lookups it came (:meth:`monitor.stream.intake.Intake`).
PLACE: Final = "@"
#: What can be made again from a column.
_DERIVED: Final = frozenset({"ts", "time", "hour", "weekday", "day", _EXPLANATION, PLACE})


def row_of(lookup: Mapping[str, Any]) -> dict[str, Any]:
    """The row of an enriched lookup as ``lookup.keyed.v1`` has it. Times become microseconds since the epoch, the date days.

    Raises ``KeyError`` when it has no place, actor or time.
    """
    row: dict[str, Any] = {name: lookup.get(field) for field, name in _FIELDS.items()}
    _, source, offset, _, version = lookup[PLACE]
    ts: int = lookup["ts"]
    more = {name: value for name, value in lookup.items() if name not in _FIELDS and name not in _DERIVED}
    names = lookup.get(_EXPLANATION)
    row["explained_by"] = None if names is None else " ".join(names)
    row["time"], row["date"] = ts * 1000, ts // 86_400_000
    row["source"], row["offset"], row["rules"] = source, offset, version
    row["more"] = orjson.dumps(more, option=orjson.OPT_SORT_KEYS).decode() if more else None
    if row["strength"] is not None:
        row["strength"] = float(row["strength"])
    return row


def lookup_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The enriched lookup of a row, without what it had for being processed (its place)."""
    time: datetime = row["time"]
    ts = round(time.timestamp() * 1000)
    lookup = {field: row[name] for field, name in _FIELDS.items() if row[name] is not None}
    lookup |= orjson.loads(row["more"]) if row["more"] else {}
    if row["explained_by"] is not None:
        lookup[_EXPLANATION] = row["explained_by"].split()
    lookup["ts"], lookup["time"] = ts, time.astimezone(UTC).isoformat(timespec="milliseconds")
    return lookup


def day_of(days: int) -> date:
    """The date that is so many days after 1970-01-01."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + days)
