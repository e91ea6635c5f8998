"""The archive on disk: a Delta Lake table, so that a flush is there whole or not at all, together with how far Kafka was read.

Source: the Delta transaction protocol (https://github.com/delta-io/delta/blob/master/PROTOCOL.md), whose ``txn`` action keeps, in the
same commit as the rows, a number for each application: here the offset after the last record that was read of a partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from monitor.archive.rows import COLUMNS, KEY, Type, day_of

#: A day's files are put together into one when there are more of them than this.
MAX_FILES: Final = 4
#: Within a file, lookups of the same subject lie together: that is what is asked for first.
_ORDER: Final = ("subject", "actor")
_HOW_TO_INSTALL: Final = "the archive needs Delta Lake and DuckDB: install lookup-monitor[history]"


class ArchiveMissing(Exception):
    """There is no archive here, or what it needs is not installed. The text is for people."""


class ArchiveBusy(Exception):
    """Another process wrote to the archive at the same time. Read the positions again, and what follows them."""


class Archive:
    """The archive in a folder. One process writes to it; any number may read."""

    def __init__(self, folder: Path) -> None:
        """Raises :class:`ArchiveMissing` when what it needs is not installed."""
        try:
            import arro3.core  # noqa: F401
            import deltalake
        except ImportError as error:
            raise ArchiveMissing(_HOW_TO_INSTALL) from error
        self._lake = deltalake
        self.folder = folder

    @property
    def exists(self) -> bool:
        """Whether anything was ever archived here."""
        return bool(self._lake.DeltaTable.is_deltatable(str(self.folder)))

    def create(self) -> None:
        """Make an empty archive, unless there is one."""
        if not self.exists:
            self._lake.DeltaTable.create(
                str(self.folder),
                self._schema(),
                mode="ignore",
                partition_by=["date"],
                name="lookups",
                # Else the log of commits would name the least and the greatest actor and subject of files that are long gone.
                configuration={"delta.dataSkippingStatsColumns": "time"},
            )

    def _schema(self) -> Any:
        from deltalake import Field, Schema
        from deltalake.schema import PrimitiveType

        names = {"bool": "boolean"}
        return Schema(
            [
                Field(
                    each.name,
                    PrimitiveType(names.get(each.type, each.type)),
                    nullable=each.name not in ("date", "time", "system", "id", "actor"),
                )
                for each in COLUMNS
            ]
        )

    def _open(self) -> Any:
        if not self.exists:
            raise ArchiveMissing(f"there is no archive in {self.folder}; `monitor archive run` makes one")
        return self._lake.DeltaTable(str(self.folder))

    def positions(self, names: Iterable[str]) -> dict[str, int]:
        """How far each of ``names`` was read: the offset after the last record; those that never were are left out."""
        table = self._open()
        found = {name: table.transaction_version(name) for name in names}
        return {name: offset for name, offset in found.items() if offset is not None}

    def append(self, rows: Sequence[Mapping[str, Any]], read: Mapping[str, int]) -> int:
        """Add the rows that are not there yet (:data:`monitor.archive.rows.KEY`), and say how far was read, in one commit.

        Of rows with one key the first is kept. Returns how many were new. Raises :class:`ArchiveBusy` and
        :class:`ArchiveMissing`; nothing was written then.
        """
        from deltalake import CommitProperties, Transaction
        from deltalake.exceptions import CommitFailedError

        first: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        for row in rows:
            first.setdefault(tuple(row[name] for name in KEY), row)
        done = CommitProperties(app_transactions=[Transaction(name, offset) for name, offset in read.items()])
        table = self._open()
        if not first:
            self._note(table, done)
            return 0
        days = sorted({row["date"] for row in first.values()})
        same = " AND ".join(f"t.{name} = s.{name}" for name in KEY)
        # Said besides, so that only these days are read.
        within = " OR ".join(f"t.date = DATE '{day_of(day)}'" for day in days)
        try:
            merged = (
                table.merge(
                    _table_of(list(first.values())),
                    f"({within}) AND {same}",
                    source_alias="s",
                    target_alias="t",
                    commit_properties=done,
                    writer_properties=self._properties(),
                )
                .when_not_matched_insert_all()
                .execute()
            )
            new = int(merged["num_target_rows_inserted"])
            if not new:
                # Then the merge has committed nothing.
                self._note(table, done)
        except CommitFailedError as error:
            raise ArchiveBusy(str(error)) from error
        return new

    def _note(self, table: Any, done: Any) -> None:
        self._lake.write_deltalake(table, _table_of([]), mode="append", commit_properties=done)

    def _properties(self) -> Any:
        return self._lake.WriterProperties(compression="ZSTD", compression_level=3)

    def files(self, since: date | None = None, until: date | None = None) -> list[str]:
        """The files of the days ``since`` to ``until``, both of them included. Raises :class:`ArchiveMissing`."""
        first, last = since or date.min, until or date.max
        return [file for file in self._open().file_uris() if first <= _date_in(file) <= last]

    def days(self) -> dict[date, int]:
        """The days there are, and of how many files each is. Raises :class:`ArchiveMissing`."""
        found = Counter(_date_in(file) for file in self.files())
        return dict(sorted(found.items()))

    def compact(self, before: date) -> list[date]:
        """Put the files of each day before ``before`` together where there are more than :data:`MAX_FILES`; the days that were.

        What was replaced stays on disk until :meth:`forget` is told to remove it: who reads it now is not disturbed.
        """
        done = []
        for day, count in self.days().items():
            if day < before and count > MAX_FILES:
                self._open().optimize.z_order(
                    list(_ORDER), partition_filters=[("date", "=", str(day))], writer_properties=self._properties()
                )
                done.append(day)
        return done

    def forget(self, before: date, held: Iterable[str] = (), unused_hours: int = 24) -> int:
        """Remove lookups from before ``before``, but for those of the actors and subjects ``held``; how many were removed.

        Then remove files that nothing uses any more and nobody did for ``unused_hours``; only then is it gone from the disk.
        """
        removed = 0
        if any(day < before for day in self.days()):
            kept = [_quoted(each) for each in sorted(set(held))]
            rule = f"date < DATE '{before}'"
            if kept:
                names = ", ".join(kept)
                rule += f" AND actor NOT IN ({names}) AND (subject IS NULL OR subject NOT IN ({names}))"
            removed = int(self._open().delete(rule)["num_deleted_rows"] or 0)
        self._clear(unused_hours)
        return removed

    def _clear(self, unused_hours: int) -> None:
        self._open().vacuum(retention_hours=unused_hours, dry_run=False, enforce_retention_duration=False)


def _date_in(file: str) -> date:
    return date.fromisoformat(file.rpartition("date=")[2].partition("/")[0])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _table_of(rows: Sequence[Mapping[str, Any]]) -> Any:
    from arro3.core import Array, DataType, Table

    def type_of(name: Type) -> Any:
        simple = {"string": DataType.string, "bool": DataType.bool, "double": DataType.float64, "long": DataType.int64}
        if name == "timestamp":
            return DataType.timestamp("us", tz="UTC")
        if name == "date":
            return DataType.date32()
        return simple[name]()

    def array(name: str, kind: Type) -> Any:
        values = [row[name] for row in rows]
        if kind == "timestamp":
            return Array(values, type=DataType.int64()).cast(type_of(kind))
        if kind == "date":
            return Array(values, type=DataType.int32()).cast(type_of(kind))
        return Array(values, type=type_of(kind))

    return Table.from_pydict({each.name: array(each.name, each.type) for each in COLUMNS})
