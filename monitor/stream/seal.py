"""Signatures of what is kept in changelogs: who can write to Kafka must not be able to change what is known of an actor.

HMAC-SHA-256 (RFC 2104) over the topic, partition, key, position and value, so that a record cannot be moved either. Nothing in
Kafka is pickled, with or without a key (promise 4). What a signature does not stop: that records are deleted, or that an
earlier record of the same key is written again by who removed the later one.
"""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Final

from monitor.secret_files import BadSecretFile, check_mode

_POSITION_BYTES: Final = 8
_TAG_BYTES: Final = 32
#: The highest bit of the position says that a signature follows it.
_SIGNED: Final = 1 << 63
#: A key shorter than this could be guessed.
MIN_KEY_BYTES: Final = 32


class BadSeal(ValueError):
    """A record whose signature is missing or wrong."""


class BadKey(ValueError):
    """The file of keys cannot be used; the text says why, and what to do."""


class Seal:
    """Signs with the first of ``keys`` and accepts them all; without a key it does neither.

    ``is_lenient``: what has no signature is accepted too, for the time until all that was written before has one.
    """

    def __init__(self, keys: tuple[bytes, ...] = (), is_lenient: bool = False) -> None:
        self._keys = keys
        self._is_lenient = is_lenient or not keys

    @property
    def signs(self) -> bool:
        """Whether it signs. What it does not sign has no place in it: the record is :meth:`head` and the value."""
        return bool(self._keys)

    @staticmethod
    def head(position: int) -> bytes:
        """What comes before the value in a record without signature."""
        return position.to_bytes(_POSITION_BYTES, "big")

    def close(self, where: tuple[str, int, str], position: int, value: bytes) -> bytes:
        """The record of ``value``. ``where`` is its topic, partition and key; ``position`` the offset it was made of."""
        if not self._keys:
            return self.head(position) + value
        head = (position | _SIGNED).to_bytes(_POSITION_BYTES, "big")
        return head + _tag(self._keys[0], where, head, value) + value

    def open(self, where: tuple[str, int, str], raw: bytes) -> tuple[int, bytes]:
        """Position and value of a record of :meth:`close`. Raises :class:`BadSeal`."""
        head = raw[:_POSITION_BYTES]
        position = int.from_bytes(head, "big")
        if len(head) < _POSITION_BYTES:
            raise BadSeal("it is too short")
        if not position & _SIGNED:
            if not self._is_lenient:
                raise BadSeal("it has no signature")
            return position, raw[_POSITION_BYTES:]
        tag, value = raw[_POSITION_BYTES:][:_TAG_BYTES], raw[_POSITION_BYTES + _TAG_BYTES :]
        if not any([hmac.compare_digest(_tag(key, where, head, value), tag) for key in self._keys]):
            raise BadSeal("its signature is wrong" if self._keys else "it is signed, and no key is set")
        return position & ~_SIGNED, value


def position_in(raw: bytes) -> int:
    """The position that a record says it has, whoever has written it."""
    return int.from_bytes(raw[:_POSITION_BYTES], "big") & ~_SIGNED


def _tag(key: bytes, where: tuple[str, int, str], head: bytes, value: bytes) -> bytes:
    topic, partition, name = where
    # A zero byte ends what is of any length; no topic has one, and the key's length is told.
    place = f"{topic}\0{partition}\0{len(name.encode())}\0{name}".encode()
    return hmac.digest(key, place + head + value, "sha256")


def read_keys(path: Path) -> tuple[bytes, ...]:
    """The keys in a file, one a line, the one to sign with first. Raises :class:`BadKey`."""
    try:
        check_mode(path)
        lines = path.read_bytes().split(b"\n")
    except BadSecretFile as error:
        raise BadKey(f"{error}; it must hold a key a line (make one: openssl rand -hex 32)") from None
    except OSError as error:
        raise BadKey(f"{path}: {error.strerror}; it must hold a key a line (make one: openssl rand -hex 32)") from None
    keys = tuple(line.strip() for line in lines if line.strip())
    if not keys:
        raise BadKey(f"{path}: no key in it; make one: openssl rand -hex 32")
    for number, key in enumerate(keys, 1):
        if len(key) < MIN_KEY_BYTES:
            raise BadKey(
                f"{path}: key {number} has {len(key)} characters, fewer than {MIN_KEY_BYTES}; make one: openssl rand -hex 32"
            )
    return keys
