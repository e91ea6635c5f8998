"""Values that were used of late, so that they need not be read again."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Hot(Generic[T]):
    """Values by key, together at most ``most`` large; those that were put longest ago go first.

    There are a young generation and an old one, which is dropped as a whole when the young one has grown to half of ``most``:
    so each value costs two looks into a dictionary, however many there are.
    """

    def __init__(self, most: int) -> None:
        """``most`` is in the unit in which :meth:`put` is told how large a value is."""
        self._half = most // 2
        self._size = 0
        self._young: dict[str, tuple[T, int]] = {}
        self._old: dict[str, tuple[T, int]] = {}

    @property
    def size(self) -> int:
        """How large the values in it are together."""
        return self._size + sum(size for _, size in self._old.values())

    def take(self, key: str) -> T | None:
        """The value of a key, or ``None``. It is here no more: whoever takes it may change it, and puts it back when it is whole."""
        found = self._young.pop(key, None)
        if found is not None:
            self._size -= found[1]
            return found[0]
        found = self._old.pop(key, None)
        return None if found is None else found[0]

    def put(self, key: str, value: T, size: int) -> None:
        """Keep the value of a key that is not here. One that is larger than half of ``most`` is not kept."""
        if size > self._half:
            return
        if self._size + size > self._half:
            self._old, self._young, self._size = self._young, {}, 0
        self._size += size
        self._young[key] = value, size
