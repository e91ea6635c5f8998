"""Sealed watches: subjects that a team has observed under keyed hashes, so that nobody else sees which they are.

A ``watch`` record names ``team`` and, in the place of subjects, ``sealed``: HMAC-SHA-256 (RFC 2104) of each under a key of the team, cut to
128 bits. Who has the key can try a subject out; so can a worker, which must, and it does so with each subject that is looked up. In what
is known of subjects, a sealed one has a name of its own (:data:`MARK`), under which nothing can be looked up by chance.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

#: How the name of a sealed subject begins; no id of a register has a zero byte.
MARK: Final = "\0sealed/"
_BYTES: Final = 16
#: The hashes of so many subjects are kept at hand: a lookup asks several times about the same one.
_KEPT: Final = 1 << 14


class BadTeams(ValueError):
    """Keys of teams that cannot be used; the text has the number of the line, and no key."""


class Sealer:
    """Hashes subjects by the keys of teams. A team may have several, the one that seals first; without keys nothing is sealed."""

    def __init__(self, keys: Mapping[str, Sequence[bytes]] | None = None) -> None:
        self._keys = [(team, _derived(team, key)) for team, own in (keys or {}).items() for key in own]
        self._known: dict[str, tuple[str, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def names(self, subject: str) -> tuple[str, ...]:
        """The names that a subject has in sealed watches, one for each key."""
        found = self._known.get(subject)
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            raw = subject.encode()
            found = tuple([sealed_name(team, _hash(key, raw)) for team, key in self._keys])
            self._known[subject] = found
        return found


def hash_of(team: str, key: bytes, subject: str) -> str:
    """The hash of a subject by a key of a team, as it stands in a record."""
    return _hash(_derived(team, key), subject.encode())


def sealed_name(team: str, sealed: str) -> str:
    """The name under which a sealed subject is known."""
    return f"{MARK}{sealed}/{team}"


def team_of(name: str) -> str:
    """The team whose sealed subject has this name."""
    return name[len(MARK) :].partition("/")[2]


def parse_teams(lines: Iterable[str]) -> dict[str, tuple[bytes, ...]]:
    """The keys of teams, ``TEAM KEY`` a line, the one that seals first. Raises :class:`BadTeams`."""
    found: dict[str, tuple[bytes, ...]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        team, _, key = line.strip().partition(" ")
        if len(key.strip()) < 32:
            raise BadTeams(
                f"line {number} is not TEAM and a key of 32 characters or more (make one: openssl rand -hex 32)"
            )
        found[team] = (*found.get(team, ()), key.strip().encode())
    return found


def _derived(team: str, key: bytes) -> bytes:
    return hmac.digest(key, f"lookup-monitor watch v1\0{team}".encode(), "sha256")


def _hash(key: bytes, subject: bytes) -> str:
    return hmac.digest(key, subject, "sha256")[:_BYTES].hex()
