"""Many stretches of time in few bytes, asked whether one holds at a moment."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right


class Spans:
    """Stretches ``from <= t < to`` in milliseconds since the epoch, 24 bytes each; the same stretch may be in it twice."""

    __slots__ = ("_ends", "_reach", "_starts")

    def __init__(self) -> None:
        self._starts = array("q")
        self._ends = array("q")
        #: The latest end of all up to here: with it, one look tells whether any that has begun still holds.
        self._reach = array("q")

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spans) and self._pairs() == other._pairs()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _pairs(self) -> list[tuple[int, int]]:
        return list(zip(self._starts, self._ends, strict=True))

    def add(self, start: int, end: int) -> None:
        """Take a stretch in; at no cost to speak of when it begins after all the others."""
        at = self._find(start, end)
        self._starts.insert(at, start)
        self._ends.insert(at, end)
        self._renew(at)

    def remove(self, start: int, end: int) -> None:
        """Forget a stretch that was added."""
        at = self._find(start, end)
        del self._starts[at], self._ends[at]
        self._renew(at)

    def _find(self, start: int, end: int) -> int:
        first, last = bisect_left(self._starts, start), bisect_right(self._starts, start)
        return bisect_left(self._ends, end, first, last)

    def _renew(self, at: int) -> None:
        reach = self._reach
        del reach[at:]
        latest = reach[-1] if reach else None
        for end in self._ends[at:]:
            latest = end if latest is None or end > latest else latest
            reach.append(latest)

    def holds(self, ts: int) -> bool:
        """Whether any stretch holds at ``ts``."""
        begun = bisect_right(self._starts, ts)
        return begun > 0 and self._reach[begun - 1] > ts

    def begins(self, after: int, until: int) -> bool:
        """Whether any stretch begins after ``after`` and not after ``until``."""
        return bisect_right(self._starts, after) < bisect_right(self._starts, until)

    def away(self, ts: int) -> int | None:
        """How long it is at ``ts`` to the nearest stretch, before or after, in milliseconds; 0 inside one, ``None`` without any."""
        begun = bisect_right(self._starts, ts)
        since = max(0, ts - self._reach[begun - 1]) if begun else None
        until = self._starts[begun] - ts if begun < len(self._starts) else None
        return min((each for each in (since, until) if each is not None), default=None)
