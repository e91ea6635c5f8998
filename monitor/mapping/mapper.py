"""Lookups of lines."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from monitor.mapping.fields import Parts, Skipped
from monitor.mapping.parse import Mapping_
from monitor.mapping.take import Unmade, row_of

DELIMITERS: Final = (",", ";", "\t", "|")
#: Longer rows (a CSV row may go over several lines) are taken as they are: a quote is missing.
MAX_ROW_BYTES: Final = 64 * 1024


class NoColumn(Exception):
    """A CSV file without a column that the mapping names. The text is for people."""


class Mapper:
    """Makes lookups of lines, one after the other."""

    def __init__(self, mapping: Mapping_) -> None:
        self._mapping = mapping
        self._take = mapping.take
        if mapping.format == "csv" and mapping.columns:
            self._take = row_of(mapping.columns, mapping.delimiter or ",")
        self._row: bytes = b""
        #: Lines that the mapping says are no lookups, and lines of which none could be made.
        self.skipped = self.unmade = 0

    @property
    def is_within_row(self) -> bool:
        """Whether a row has begun that is not whole yet."""
        return bool(self._row)

    def feed(self, line: bytes) -> bytes | None:
        """The lookup of a line, as JSON; ``None`` when it is none, or not whole yet. Raises :class:`NoColumn`."""
        if self._mapping.format == "csv":
            self._row += line if line.endswith(b"\n") else line + b"\n"
            if self._row.count(b'"') % 2 and len(self._row) < MAX_ROW_BYTES:
                return None
            line, self._row = self._row, b""
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if not text.strip() or (self._mapping.only is not None and self._mapping.only.search(text) is None):
            self.skipped += bool(text.strip())
            return None
        if self._take is None:
            self._take = self._header(text.removeprefix("\ufeff"))
            return None
        try:
            return orjson.dumps(self._made(text))
        except Skipped:
            self.skipped += 1
            return None
        except (Unmade, orjson.JSONEncodeError, csv.Error, UnicodeError):
            self.unmade += 1
            return line.rstrip(b"\r\n")

    def _header(self, text: str) -> Callable[[str], Parts]:
        """A CSV file's first line names its columns, under the delimiter by which it names most of those wanted."""
        wanted = self._mapping.wanted - {"line"}
        tried = (self._mapping.delimiter,) if self._mapping.delimiter else DELIMITERS
        read = [(next(csv.reader([text], delimiter=each), []), each) for each in tried]
        columns, delimiter = max(read, key=lambda each: len(wanted & set(each[0])))
        if missing := ", ".join(sorted(wanted - set(columns))):
            raise NoColumn(f"the CSV file has no column {missing}; it has {', '.join(columns)}")
        return row_of(tuple(columns), delimiter)

    def _made(self, text: str) -> dict[str, Any]:
        assert self._take is not None
        parts = self._mapping.within(self._take(text))
        parts["line"] = text
        event: dict[str, Any] = {}
        for field in self._mapping.fields:
            value: Any = field.make(parts)
            if value in (None, ""):
                continue
            if field.name in ("results", "seq") and value.isdigit():
                value = int(value)
            if field.name == "query.fields":
                value = [part.strip() for part in value.split(";")]
            at = event
            *parents, leaf = field.name.split(".")
            for parent in parents:
                at = at.setdefault(parent, {})
            at[leaf] = value
        return event


def rows(lines: Iterable[bytes], mapping: Mapping_) -> Iterable[bytes]:
    """The lookups of lines. Raises :class:`NoColumn`."""
    mapper = Mapper(mapping)
    for line in lines:
        made = mapper.feed(line)
        if made is not None:
            yield made
