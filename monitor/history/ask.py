"""Questions to the archive, answered by DuckDB over its files. Nothing here writes anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from monitor.archive.rows import COLUMNS

if TYPE_CHECKING:
    import duckdb

    from monitor.archive.store import Archive

#: A subject that more others are linked with than this (a block of flats, a company's cars) is not gone through further.
MAX_LINKS: Final = 200
_NAMES: Final = ", ".join(f'"{each.name}"' for each in COLUMNS)
_ROWS_AT_ONCE: Final = 10_000


class Period(NamedTuple):
    """From ``since`` up to but not including ``until``; None: without an end there."""

    since: datetime | None = None
    until: datetime | None = None


ALWAYS: Final = Period()


class Linked(NamedTuple):
    """A subject that is linked with what was asked for, and how: ``itself``, or by which subject and what it is to it."""

    subject: str
    how: str


class Looker(NamedTuple):
    """An actor who looked: how often, how often a record explained it or it was merely plausible, when first and last, at what."""

    actor: str
    unit: str | None
    lookups: int
    explained: int
    plausible: int
    first: datetime
    last: datetime
    subjects: list[str]


class History:
    """Questions to one archive as it was when this was made; what is archived after that is not seen."""

    def __init__(self, archive: Archive, period: Period = ALWAYS, threads: int | None = None) -> None:
        """``threads``: how many to use at most. Raises :class:`monitor.archive.store.ArchiveMissing`."""
        import duckdb

        self.db: duckdb.DuckDBPyConnection = duckdb.connect(config={} if threads is None else {"threads": threads})
        self.db.execute("SET TimeZone = 'UTC'")
        files = archive.files(_day(period.since), _day(period.until))
        self._make(files, period)

    def _make(self, files: list[str], period: Period) -> None:
        if not files:
            types = {"long": "BIGINT", "string": "VARCHAR", "timestamp": "TIMESTAMPTZ", "bool": "BOOLEAN"}
            columns = ", ".join(f'"{each.name}" {types.get(each.type, each.type.upper())}' for each in COLUMNS)
            self.db.execute(f"CREATE TABLE lookups ({columns})")
            return
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        bounds = [
            f"time {how} TIMESTAMPTZ '{at.isoformat()}'"
            for how, at in (("<", period.until), (">=", period.since))
            if at
        ]
        where = f" WHERE {' AND '.join(bounds)}" if bounds else ""
        self.db.execute(
            f"CREATE VIEW lookups AS SELECT {_NAMES} FROM read_parquet([{listed}], hive_partitioning = true){where}"
        )

    def days(self) -> dict[date, int]:
        """How many lookups there are of each day."""
        return dict(self.db.execute("SELECT date, count(*) FROM lookups GROUP BY date ORDER BY date").fetchall())

    def linked(self, subject: str, hops: int = 1) -> list[Linked]:
        """``subject`` and what is linked with it, ``hops`` steps away at most, as far as any lookup knew.

        Links are those that lookups carried: the address of a person or vehicle, the owner of a vehicle or telephone.
        """
        found: dict[str, str] = {subject: "itself"}
        edge = [subject]
        for _ in range(hops):
            edge = [each for each in self._next(edge, found)]
        return [Linked(name, how) for name, how in found.items()]

    def _next(self, edge: list[str], found: dict[str, str]) -> Iterator[str]:
        for name in edge:
            rows = self.db.execute(_LINKS, {"name": name, "limit": MAX_LINKS + 1}).fetchall()
            if len(rows) > MAX_LINKS:
                continue
            for other, how in rows:
                if other not in found:
                    found[other] = f"{how} {name}"
                    yield other

    def lookers(self, subjects: Iterable[str], unexplained: bool = False) -> list[Looker]:
        """Who looked at any of ``subjects``; those without an explanation first, then by how often, then by name."""
        rows = self.db.execute(
            f"""
            SELECT actor, max_by(unit, time), count(*), count(*) FILTER (explanation = 'record'),
                   count(*) FILTER (explanation = 'plausible'), min(time), max(time), list_sort(list_distinct(list(subject)))
            FROM lookups WHERE subject IN (SELECT unnest($subjects)) {"AND explanation IS DISTINCT FROM 'record'" if unexplained else ""}
            GROUP BY actor
            ORDER BY count(*) FILTER (explanation IS NULL OR explanation = 'none') DESC, count(*) DESC, actor
            """,
            {"subjects": list(subjects)},
        ).fetchall()
        return [Looker(*row) for row in rows]

    def of_subjects(self, subjects: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Every lookup of any of ``subjects``, by time: rows of the archive."""
        return self._rows("subject IN (SELECT unnest($names))", list(subjects))

    def of_actor(self, actor: str) -> Iterator[dict[str, Any]]:
        """Every lookup an actor made, by time: rows of the archive."""
        return self._rows("actor IN (SELECT unnest($names))", [actor])

    def of_anybody(self, names: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Every lookup by or of any of ``names``, by time: rows of the archive."""
        listed = "(SELECT unnest($names))"
        return self._rows(f"actor IN {listed} OR subject IN {listed}", list(names))

    def people(self) -> tuple[list[str], list[str]]:
        """All actors, and all subjects."""
        found = [
            [
                name
                for (name,) in self.db.execute(
                    f"SELECT DISTINCT {column} FROM lookups WHERE {column} IS NOT NULL"
                ).fetchall()
            ]
            for column in ("actor", "subject")
        ]
        return found[0], found[1]

    def _rows(self, where: str, names: list[str]) -> Iterator[dict[str, Any]]:
        query = f"SELECT {_NAMES} FROM lookups WHERE {where} ORDER BY time, system, id"
        cursor = self.db.execute(query, {"names": names})
        columns = [each.name for each in COLUMNS]
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            for row in rows:
                yield dict(zip(columns, row, strict=True))


_LINKS: Final = """
SELECT other, min(how) FROM (
    SELECT subject_address AS other, 'address of' AS how FROM lookups WHERE subject = $name
    UNION ALL SELECT subject_owner, 'owner of' FROM lookups WHERE subject = $name
    UNION ALL SELECT subject, 'lives or is kept at' FROM lookups WHERE subject_address = $name
    UNION ALL SELECT subject, 'owned by' FROM lookups WHERE subject_owner = $name
) WHERE other IS NOT NULL AND other <> $name GROUP BY other ORDER BY other LIMIT $limit
"""


def _day(at: datetime | None) -> date | None:
    return None if at is None else at.astimezone(UTC).date()


def moment(text: str) -> datetime:
    """A date (its beginning, UTC) or a time (RFC 3339; without an offset UTC). Raises ``ValueError``."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def day_after(text: str) -> datetime:
    """As :func:`moment`, but of a date its end."""
    found = moment(text)
    return found + timedelta(days=1) if len(text) == len("2026-01-01") else found
