"""Objects kept as bytes in a mapping, with the last used ones at hand as they are.

The mapping is given: a dictionary, or something that keeps millions of blobs outside of memory. What was changed is written
to it when it has not been used for a while, many at once, so that a slow mapping is written to in batches.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")
#: How many objects are at hand: up to twice as many, as the last used ones are told from the others by generation.
SIZE: Final = 1024
_MISSING: Final[Any] = object()
_encode: Final = msgspec.msgpack.Encoder().encode


class Shelf:
    """Keys to objects that MessagePack can write. Not safe for use from several threads."""

    def __init__(self, store: MutableMapping[str, bytes], size: int) -> None:
        self._store = store
        self._read = store.get
        self._size = size
        # None stands for a key that is known not to be there.
        self._young: dict[str, Any] = {}
        self._old: dict[str, Any] = {}
        self._changed: set[str] = set()

    def get(self, key: str, decode: Callable[[bytes], T]) -> T | None:
        """The object of ``key``, or ``None``. Whoever changes it in place then calls :meth:`touch`."""
        found = self._young.get(key, _MISSING)
        if found is _MISSING:
            found = self._old.pop(key, _MISSING)
            if found is _MISSING:
                found = self._stored(key, decode)
            self._young[key] = found
            if len(self._young) >= self._size:
                self._turn()
        return found  # type: ignore[no-any-return]

    def touch(self, key: str) -> None:
        """Say that the object got last was changed in place."""
        self._changed.add(key)

    def put(self, key: str, value: object) -> None:
        """Set or replace the object of ``key``; ``None`` removes it."""
        self._changed.add(key)
        self._old.pop(key, None)
        self._young[key] = value
        if len(self._young) >= self._size:
            self._turn()

    def swap(self, key: str, value: T | None, decode: Callable[[bytes], T]) -> T | None:
        """Put ``value`` in the place of the object of ``key`` and return that; ``None`` for either is that there is none."""
        found = self._young.get(key, _MISSING)
        if found is _MISSING:
            found = self._old.get(key, _MISSING)
        if found is _MISSING:
            found = self._stored(key, decode)
        if found is not None or value is not None:
            self.put(key, value)
        return found  # type: ignore[no-any-return]

    def _stored(self, key: str, decode: Callable[[bytes], T]) -> T | None:
        raw = self._read(key)
        return None if raw is None else decode(raw)

    def flush(self) -> None:
        """Write all changes to the store."""
        self._write(self._old)
        self._write(self._young)

    def _turn(self) -> None:
        self._write(self._old)
        self._old, self._young = self._young, {}

    def _write(self, objects: dict[str, Any]) -> None:
        changed = self._changed.intersection(objects)
        self._changed -= changed
        new = {key: _encode(objects[key]) for key in sorted(changed) if objects[key] is not None}
        if new:
            self._store.update(new)
        for key in changed - new.keys():
            self._store.pop(key, None)
