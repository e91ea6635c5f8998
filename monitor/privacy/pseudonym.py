"""Keyed pseudonyms: the same name for the same person or subject, which only who has the key can go from or come to.

HMAC-SHA-256 (RFC 2104) of the kind and the id, cut to 100 bits: among ten million names two are the same with a chance of
1 in 25 thousand million million. Written in Crockford's base 32 without its look-alikes, in fives of four, so that people can read it to each
other over a telephone: ``actor-7k3q-0vhm-2p9d-x1ea-c5gz``.

Without the key nobody can try all ids out: a plain hash of 65,000 personnel numbers would be undone in a second.
"""

from __future__ import annotations

import hmac
import re
import uuid
from collections.abc import Iterable
from typing import Final, Literal

#: What a name is of. ``group`` is what a rule joins by when it is neither: a terminal, an owner, several fields together.
Kind = Literal["actor", "subject", "group"]
KINDS: Final[tuple[Kind, ...]] = ("actor", "subject", "group")
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_GROUPS: Final = 5
_BITS: Final = 100
_FORM: Final = re.compile(rf"({'|'.join(KINDS)})((?:-[{_ALPHABET}]{{4}}){{{_GROUPS}}})")
_LOOK_ALIKE: Final = str.maketrans({"o": "0", "i": "1", "l": "1"})
#: How many names are kept at hand: a worker alerts about the same few people again and again.
_KEPT: Final = 1 << 14


class Pseudonyms:
    """Names by the first of ``keys``; the others are those of before, by which a name is still recognised.

    Raises ``ValueError`` without a key.
    """

    def __init__(self, keys: Iterable[bytes]) -> None:
        # A key of our own for each purpose, so that no name can be a number made for something else.
        self._keys = [hmac.digest(key, b"lookup-monitor pseudonym v1", "sha256") for key in keys]
        if not self._keys:
            raise ValueError("pseudonyms need a key")
        self._known: dict[tuple[Kind, str], str] = {}

    def of(self, kind: Kind, name: str) -> str:
        """The pseudonym of an actor's or subject's id."""
        found = self._known.get((kind, name))
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            found = self._known[kind, name] = _made(self._keys[0], kind, name)
        return found

    def every(self, kind: Kind, name: str) -> list[str]:
        """The pseudonym of an id by each key, the one of now first."""
        return [_made(key, kind, name) for key in self._keys]

    def number(self, what: str) -> uuid.UUID:
        """A number that belongs to a text as a pseudonym does to a name: a UUIDv8 (RFC 9562)."""
        return _number(self._keys[0], what)

    def find(self, kind: Kind, names: Iterable[str]) -> dict[str, str]:
        """Pseudonyms by every key to the ids they are of, for the ids that are known."""
        return {each: name for name in names for each in self.every(kind, name)}

    def each(self) -> list[Pseudonyms]:
        """One for each key, the one of now first."""
        made = []
        for key in self._keys:
            one = object.__new__(Pseudonyms)
            one._keys, one._known = [key], {}
            made.append(one)
        return made

    @property
    def print(self) -> str:
        """A short number of the key of now, by which two people can tell whether they have the same; it opens nothing."""
        return hmac.digest(self._keys[0], b"fingerprint", "sha256").hex()[:12]


def kind_of(text: str) -> Kind | None:
    """What a text is a pseudonym of; ``None`` for one that is none."""
    found = _FORM.fullmatch(text)
    return None if found is None else next(kind for kind in KINDS if kind == found[1])


def read(text: str) -> str:
    """A pseudonym as people write it: in capitals, without dashes, with O for 0 and I or L for 1. Raises ``ValueError``."""
    plain = text.strip().lower()
    kind = next((each for each in KINDS if plain.startswith(each)), None)
    if kind is None:
        raise ValueError(f"a pseudonym begins with {', '.join(KINDS)}")
    letters = re.sub(r"[\s-]", "", plain[len(kind) :]).translate(_LOOK_ALIKE)
    made = "-".join([kind, *(letters[at : at + 4] for at in range(0, len(letters), 4))])
    if kind_of(made) is None:
        raise ValueError(f"a pseudonym is {kind}-, and {_GROUPS} times four letters or digits (no u)")
    return made


def _made(key: bytes, kind: Kind, name: str) -> str:
    # No kind has a zero byte in it, so no two pairs give the same text.
    number = int.from_bytes(hmac.digest(key, f"{kind}\0{name}".encode(), "sha256"), "big") >> (256 - _BITS)
    letters = "".join(_ALPHABET[number >> at & 31] for at in range(_BITS - 5, -5, -5))
    return "-".join([kind, *(letters[at : at + 4] for at in range(0, len(letters), 4))])


def _number(key: bytes, what: str) -> uuid.UUID:
    raw = int.from_bytes(hmac.digest(key, f"number\0{what}".encode(), "sha256")[:16], "big")
    return uuid.UUID(int=raw & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62)
