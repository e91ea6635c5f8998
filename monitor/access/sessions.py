"""Sessions: who is logged in, kept on this side. A browser has 256 random bits that name one, and this side only their SHA-256."""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

#: So many one person may have; a further one ends the oldest.
MOST: Final = 5
_SCHEMA_VERSION: Final = 1
#: When it was last used is written no more often than so many seconds.
_TOUCH_EVERY: Final = 5.0
#: The clock may be set back by so many seconds without ending what was used in what is now the future.
_CLOCK_BACK: Final = 60.0
#: A browser that has not logged in for so many seconds is one like any other.
_DEVICE_FOR: Final = 180 * 24 * 3600.0
_SCHEMA: Final = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, csrf TEXT NOT NULL, made REAL NOT NULL, used REAL NOT NULL,
    roles TEXT, unit TEXT
) STRICT;
CREATE INDEX by_name ON sessions (name);
CREATE TABLE devices (id TEXT PRIMARY KEY, name TEXT NOT NULL, made REAL NOT NULL) STRICT;
"""


class Session(NamedTuple):
    """``roles`` and ``unit`` are those that an identity provider gave; ``None`` for a local user, whose own are read each time."""

    name: str
    csrf: str
    made: float
    used: float
    roles: tuple[str, ...] | None
    unit: str | None


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


class Sessions:
    """The sessions in a file (SQLite; for its owner alone), or without one in memory: then everybody logs in again after a restart.

    A session ends ``idle`` seconds after it was last used, and ``longest`` seconds after it was begun whatever happens.
    """

    def __init__(self, path: Path | None, idle: float, longest: float) -> None:
        """Raises ``sqlite3.Error`` or ``OSError`` when the file cannot be used."""
        self._idle, self._longest = idle, longest
        if path is not None:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            os.chmod(path, 0o600)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA busy_timeout=2000")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version != _SCHEMA_VERSION:
            # What is in it is worth a login to everybody, not a migration.
            for (table,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                self._db.execute(f'DROP TABLE "{table}"')
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_SCHEMA_VERSION}; COMMIT;")

    def begin(self, name: str, now: float, roles: Iterable[str] | None = None, unit: str | None = None) -> str:
        """Begin a session; return what the browser is given."""
        token = secrets.token_urlsafe(32)
        words = None if roles is None else " ".join(sorted(roles))
        row = (_hashed(token), name, secrets.token_urlsafe(32), now, now, words, unit)
        self._db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self._db.execute("DELETE FROM sessions WHERE used < ? OR made < ?", (now - self._idle, now - self._longest))
        self._db.execute(
            "DELETE FROM sessions WHERE name = ? AND id NOT IN "
            "(SELECT id FROM sessions WHERE name = ? ORDER BY made DESC, rowid DESC LIMIT ?)",
            (name, name, MOST),
        )
        return token

    def get(self, token: str, now: float) -> Session | None:
        """The session a browser names, if it has not ended; it counts as used."""
        key = _hashed(token)
        row = self._db.execute(
            "SELECT name, csrf, made, used, roles, unit FROM sessions WHERE id = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        name, csrf, made, used, roles, unit = row
        if not (used <= now + _CLOCK_BACK and now - used < self._idle and now - made < self._longest):
            self._db.execute("DELETE FROM sessions WHERE id = ?", (key,))
            return None
        if now - used >= min(_TOUCH_EVERY, self._idle / 10):
            self._db.execute("UPDATE sessions SET used = ? WHERE id = ?", (now, key))
        return Session(name, csrf, made, used, None if roles is None else tuple(roles.split()), unit)

    def end(self, token: str) -> None:
        """End one session."""
        self._db.execute("DELETE FROM sessions WHERE id = ?", (_hashed(token),))

    def end_all(self, name: str) -> None:
        """End all sessions of a name, and forget their devices."""
        self._db.execute("DELETE FROM sessions WHERE name = ?", (name,))
        self._db.execute("DELETE FROM devices WHERE name = ?", (name,))

    def new_device(self, name: str, now: float) -> str:
        """What a browser is given by which it is known as one that this name has logged in from."""
        token = secrets.token_urlsafe(32)
        self._db.execute("DELETE FROM devices WHERE made < ?", (now - _DEVICE_FOR,))
        self._db.execute("INSERT INTO devices VALUES (?, ?, ?)", (_hashed(token), name, now))
        return token

    def is_device(self, token: str, name: str) -> bool:
        """Whether the name has logged in from the browser that shows this."""
        found = self._db.execute("SELECT 1 FROM devices WHERE id = ? AND name = ?", (_hashed(token), name)).fetchone()
        return found is not None

    def close(self) -> None:
        """Close the file."""
        self._db.close()
