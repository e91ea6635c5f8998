"""State on disk, in RocksDB: for more actors than fit in memory.

It is a place for what a changelog holds, as memory would be, and never more than that: it begins empty, is filled from the
changelog, and is removed with its process. What lies there after a crash may say more than Kafka has acknowledged, so nothing of
it is used.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, WriteOptions

#: What RocksDB may hold in memory, in bytes: blocks that were read (of all partitions together), and what is not yet written
#: to disk (of each partition: two such buffers).
CACHE_BYTES: Final = 64 * 1024 * 1024
BUFFER_BYTES: Final = 4 * 1024 * 1024
_OPEN_FILES: Final = 64
_PREFIX: Final = "lookup-monitor-state-"
_LOCK: Final = "lock"


class DiskFailed(RuntimeError):
    """RocksDB could not read or write, most often since the disk is full. The worker ends; nothing of Kafka's is lost."""


class StateFolder:
    """A folder of this process in ``parent`` (by default where temporary files lie), removed with it.

    What processes that were killed have left in ``parent`` is removed at the start.
    """

    def __init__(self, parent: Path | None = None) -> None:
        """Raises ``OSError`` when the folder cannot be made."""
        self._parent = Path(tempfile.gettempdir()) if parent is None else parent
        self._parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_left(self._parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
        # Held as long as the process lives, however it ends.
        self._lock = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._cache = Cache(CACHE_BYTES)
        self._count = 0
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def new_store(self) -> RocksStore:
        """An empty store in it."""
        self._count += 1
        return RocksStore(self.path / str(self._count), self._cache, self)


def _remove_left(parent: Path) -> None:
    for folder in parent.glob(_PREFIX + "*"):
        with suppress(OSError):
            lock = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


class RocksStore(MutableMapping[str, bytes]):
    """Texts to bytes in a folder of its own, removed with it. What the disk refuses is :class:`DiskFailed`."""

    def __init__(self, folder: Path, cache: Cache, within: StateFolder) -> None:
        # The folder it lies in is removed with its object.
        self._within = within
        try:
            self._db: Any = Rdict(str(folder), _options(cache))
        except Exception as error:
            raise DiskFailed(str(error)) from None
        writes: Any = WriteOptions()
        # There is nothing to recover: see the module.
        writes.disable_wal = True
        self._db.set_write_options(writes)
        self._close = weakref.finalize(self, _remove, self._db, folder)

    def close(self) -> None:
        """Give the disk space back."""
        self._close()

    def get(self, key: str, default: Any = None) -> Any:
        """The value of ``key``, or ``default``."""
        return self._db.get(key.encode(), default)

    def __getitem__(self, key: str) -> bytes:
        found: bytes | None = self._db.get(key.encode())
        if found is None:
            raise KeyError(key)
        return found

    def __setitem__(self, key: str, value: bytes) -> None:
        try:
            self._db.put(key.encode(), value)
        except Exception as error:  # RocksDB has no type of its own for it
            raise DiskFailed(str(error)) from None

    def __delitem__(self, key: str) -> None:
        self[key]
        self._db.delete(key.encode())

    def pop(self, key: str, default: Any = None) -> Any:
        """Remove ``key``; its value, or ``default``."""
        found = self.get(key, default)
        self._db.delete(key.encode())
        return found

    def __iter__(self) -> Iterator[str]:
        for key, _ in self.items():
            yield key

    def items(self) -> Iterator[tuple[str, bytes]]:  # type: ignore[override]  # a walk, of which nothing is kept
        """Every key with its value, in the order of the keys' bytes."""
        for key, value in self._db.items():
            yield key.decode(), value

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _remove(db: Any, folder: Path) -> None:
    db.close()
    shutil.rmtree(folder, ignore_errors=True)


def _options(cache: Cache) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_max_open_files(_OPEN_FILES)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_keep_log_file_num(1)
    options.set_max_log_file_size(1024 * 1024)
    options.set_stats_dump_period_sec(0)
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    # Else every open file would hold its index and filter outside of the cache.
    table.set_cache_index_and_filter_blocks(True)
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options
