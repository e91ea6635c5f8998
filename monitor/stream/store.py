"""Millions of small blobs outside of memory: SQLite as a mapping of texts to bytes.

It is a cache of what a topic holds, so it need not survive anything: no journal, no fsync. The file has no name any more as
soon as it is open, so that it is gone with the process, however that ends; nobody but its owner can have opened it before.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

#: SQLite's page cache in KiB. What it does not hold is in the cache of the operating system, which gives memory back.
CACHE_KIB: Final = 8 * 1024
#: Bits of the filter that knows of most keys that they are not there: 2 MiB, good for some millions of keys.
_FILTER_BITS: Final = 1 << 24
_FILTER_MASK: Final = _FILTER_BITS - 1
#: So many changes are written at once, some 8 MB: the more, the more of them share a page of the file.
BATCH: Final = 32_768
_PRAGMAS: Final = (
    "page_size = 4096",
    f"cache_size = -{CACHE_KIB}",
    "mmap_size = 0",
    "journal_mode = OFF",
    "synchronous = OFF",
    "locking_mode = EXCLUSIVE",
    "temp_store = MEMORY",
)


class BlobStore(MutableMapping[str, bytes]):
    """Texts to bytes in a private file. Not safe for use from several threads. Raises ``sqlite3.Error`` when the disk is full."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder`` is where the file lies; by default where temporary files lie (``TMPDIR``)."""
        with tempfile.TemporaryDirectory(prefix="lookup-monitor-", dir=folder) as private:
            path = os.path.join(private, "reference.sqlite")
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, cached_statements=16)
            for pragma in _PRAGMAS:
                self._db.execute(f"PRAGMA {pragma}")
            self._db.execute("CREATE TABLE blobs (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
        self._cursor = self._db.cursor()
        self._waiting: dict[str, bytes] = {}
        # A read of a key that is not there would cost as much as any other, and while records are loaded most are not.
        self._filter = bytearray(_FILTER_BITS // 8)

    def close(self) -> None:
        """Give the disk space back."""
        self._db.close()

    def get(self, key: str, default: Any = None) -> Any:
        """The blob of ``key``, or ``default``."""
        found = self._waiting.get(key)
        if found is not None:
            return found
        number = hash(key) & _FILTER_MASK
        if not self._filter[number >> 3] & 1 << (number & 7):
            return default
        row = self._cursor.execute("SELECT value FROM blobs WHERE key = ?", (key,)).fetchone()
        return default if row is None else row[0]

    def update(self, changes: Mapping[str, bytes]) -> None:  # type: ignore[override]  # one form is enough
        """Set many at once. They wait in memory until there are enough to be written in the order of the keys."""
        self._waiting.update(changes)
        if len(self._waiting) >= BATCH:
            self._write()

    def _write(self) -> None:
        seen = self._filter
        for key in self._waiting:
            number = hash(key) & _FILTER_MASK
            seen[number >> 3] |= 1 << (number & 7)
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO blobs VALUES (?, ?)", sorted(self._waiting.items()))
        self._db.execute("COMMIT")
        self._waiting = {}

    def __getitem__(self, key: str) -> bytes:
        found: bytes | None = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __setitem__(self, key: str, value: bytes) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        if self.get(key) is None:
            raise KeyError(key)
        self._waiting.pop(key, None)
        self._db.execute("DELETE FROM blobs WHERE key = ?", (key,))

    def __iter__(self) -> Iterator[str]:
        self._write()
        for (key,) in self._db.execute("SELECT key FROM blobs ORDER BY key"):
            yield key

    def __len__(self) -> int:
        self._write()
        return int(self._db.execute("SELECT COUNT(*) FROM blobs").fetchone()[0])
