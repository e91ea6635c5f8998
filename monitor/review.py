"""A random sample of lookups for review: labels that do not depend on what the monitor thought of them.

What alerts are judged by the desk says nothing of the lookups that raised none. A share of all lookups, drawn by a keyed hash of
their names (BLAKE2b, RFC 7693), goes to people: the same log gives the same sample, and who does not know the key cannot tell
which lookups are in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

_SPACE: Final = 1 << 64


class Sampler:
    """Takes a share (0..1) of all names. Without a key it is as random, but whoever knows a name can tell whether it is in."""

    def __init__(self, share: float, key: bytes = b"") -> None:
        self._bound = int(share * _SPACE)
        self._key = hashlib.blake2b(key, digest_size=32).digest()

    def number(self, name: str) -> float:
        """A number in 0..1 that belongs to the name."""
        return self._hash(name) / _SPACE

    def takes(self, name: str) -> bool:
        """Whether the name is in the sample."""
        return self._bound > 0 and self._hash(name) < self._bound

    def _hash(self, name: str) -> int:
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, key=self._key).digest(), "big")


def name_of(lookup: Mapping[str, Any]) -> str:
    """The name under which a lookup is reviewed: ``<system>/<id>``."""
    return f"{lookup['system']}/{lookup['id']}"


def message(lookup: Mapping[str, Any]) -> bytes:
    """The message of ``lookup.review.v1``: the enriched lookup, its fields under their dotted names."""
    return orjson.dumps(dict(lookup))
