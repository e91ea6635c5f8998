"""Rules from disk, and what parsing made of them, kept from one run to the next.

The cache is keyed by content and by all that reads it (our parser's sources and version, pySigma's and RE2's versions), so that it can
never be out of date. It is only ever a help: what is missing, locked, damaged or somebody else's counts as not there.
"""

from __future__ import annotations

import gc
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from monitor.rules.load import LISTS, PARSER

#: The most that is kept, in bytes; beyond it the oldest goes, until three quarters are left.
MAX_BYTES: Final = 64 << 20
_PATIENCE_S: Final = 2.0
_MARK: Final = 8
_RULES: Final = (".yml", ".yaml")
#: The modules, and the packages (name in Python, name in an index), that decide what a text becomes.
_PARSERS: Final = ("documents.py", *(f"rules/{name}.py" for name in ("tree", "parse", "load", "compile", "values")))
_PACKAGES: Final = (("sigma", "pysigma"), ("re2", "google_re2"))
_TABLE: Final = "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value BLOB NOT NULL)"
_TRIM: Final = """
    DELETE FROM kept WHERE rowid IN (
        SELECT rowid FROM (SELECT rowid, SUM(LENGTH(value)) OVER (ORDER BY rowid DESC) AS size FROM kept) WHERE size > ?)
"""


def read_rules(folder: Path) -> dict[str, str]:
    """What :func:`monitor.rules.read_dir` reads, in a fifth of the time."""
    found: dict[str, str] = {}
    for parent, _, names in os.walk(folder):
        is_lists = os.path.basename(parent) == LISTS
        for name in names:
            path = os.path.join(parent, name)
            ending = os.path.splitext(name)[1]
            if (ending in _RULES or (is_lists and ending == ".txt")) and os.path.isfile(path):
                with open(path, "rb") as file:
                    text = file.read().decode("utf-8", "replace")
                found[path] = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    return found


def cache_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where the cache is: below ``XDG_CACHE_HOME``, else ``~/.cache``; ``None`` when there is no such place."""
    base = environment.get("XDG_CACHE_HOME", "")
    try:
        folder = Path(base) if base.startswith("/") else Path.home() / ".cache"
    except RuntimeError:
        return None  # no home
    return folder / "lookup-monitor" / "rules" / "parsed-1.sqlite3"


def parser_version() -> str:
    """What names the parser: its version, its sources, the versions of pySigma and RE2."""
    parts = [PARSER, *(_installed(*names) for names in _PACKAGES)]
    for name in _PARSERS:
        with suppress(OSError):
            parts.append((Path(__file__).parent / name).read_text(encoding="utf-8"))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _installed(module: str, package: str) -> str:
    """An installed package's version, by the name of its metadata's folder: importing either takes longer than loading rules."""
    spec = find_spec(module)
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        for found in Path(folder).parent.glob("*.dist-info"):
            if found.name.lower().startswith(f"{package}-"):
                return found.name
    from importlib.metadata import version

    return version(package)


class RuleCache(MutableMapping[str, bytes]):
    """What parsing made of texts, by key, in a SQLite file that many processes may share. Written by :meth:`save` only."""

    def __init__(self, path: Path | None, version: str = "") -> None:
        self._path = path
        self._version = version
        self._new: dict[str, bytes] = {}
        self._file = self._opened()

    def _opened(self) -> sqlite3.Connection | None:
        if self._path is None or not self._path.is_file() or not _is_ours(self._path):
            return None
        try:
            return _connect(self._path)
        except sqlite3.Error as error:
            self._give_up(error)
            return None

    def _give_up(self, error: sqlite3.Error) -> None:
        """Go on without the file; remove it if it is damaged (and not only locked, or out of reach)."""
        if not isinstance(error, sqlite3.OperationalError) and self._path is not None:
            with suppress(OSError):
                self._path.unlink()
        self._file = None

    def __getitem__(self, key: str) -> bytes:
        if key in self._new:
            return self._new[key]
        found = self._kept(f"{self._version}/{key}")
        if found is None:
            raise KeyError(key)
        return found

    def _kept(self, key: str) -> bytes | None:
        if self._file is None:
            return None
        try:
            row = self._file.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        value = row[0] if row is not None else None
        if not isinstance(value, bytes) or value[:_MARK] != _mark(key, value[_MARK:]):
            return None
        return value[_MARK:]

    def __setitem__(self, key: str, value: bytes) -> None:
        self._new[key] = value

    def __delitem__(self, key: str) -> None:
        del self._new[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._new)

    def __len__(self) -> int:
        return len(self._new)

    def save(self) -> None:
        """Write what is new, in one transaction, and keep the file's size bounded."""
        if self._path is None or not self._new:
            return
        keys = [(f"{self._version}/{key}", value) for key, value in self._new.items()]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._path.exists() and not _is_ours(self._path):
                return
            with closing(_connect(self._path)) as file:
                with file:
                    file.executemany(
                        "INSERT OR REPLACE INTO kept (key, value) VALUES (?, ?)",
                        ((key, _mark(key, value) + value) for key, value in keys),
                    )
                    (size,) = file.execute("SELECT SUM(LENGTH(value)) FROM kept").fetchone()
                    trimmed = size > MAX_BYTES and file.execute(_TRIM, (MAX_BYTES * 3 // 4,)).rowcount
                if trimmed:
                    file.execute("VACUUM")
        except sqlite3.Error as error:
            self._give_up(error)
        except OSError:
            pass  # a disk that is full or read-only


def _connect(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, timeout=_PATIENCE_S)
    file.execute("PRAGMA synchronous = OFF")  # a cache lost in a power cut is no loss
    file.execute(_TABLE)
    return file


def _is_ours(path: Path) -> bool:
    """Whether nobody else can write it: whoever could would decide which rules run."""
    about, folder = path.stat(), path.parent.stat()
    return all(each.st_uid == os.geteuid() and not each.st_mode & 0o022 for each in (about, folder))


def _mark(key: str, value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=_MARK, key=hashlib.sha256(key.encode()).digest()).digest()


@contextmanager
def kept_rules() -> Iterator[MutableMapping[str, bytes]]:
    """The user's cache, for ``load_texts(…, cache=…)``; what is new in it is written at the end."""
    cache = RuleCache(cache_file(), parser_version())
    try:
        yield cache
    finally:
        cache.save()


@contextmanager
def without_gc() -> Iterator[None]:
    """Loading makes millions of objects that all stay; walking them again and again would take most of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
