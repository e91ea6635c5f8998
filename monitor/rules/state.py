"""What correlations keep of one group: bounded, and made of plain values, so that it can be saved and read back."""

from __future__ import annotations

from typing import Any

import msgspec


class Entry(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A counted lookup: event time in milliseconds since the epoch, and what an alert will need of it.

    ``value`` is what the correlation's type looks at: a field's value, a number, or the positions of the rules it matched.
    """

    ts: int
    id: str
    actor: str
    subject: str | None
    value: Any = None


class Log(msgspec.Struct, array_like=True, gc=False, tag="l"):
    """The lookups themselves, by time.

    ``fired`` are the ends of the windows that fired of late, ``hushed`` how many lookups would have fired since the last one.
    ``lost`` is the time of the newest lookup that was dropped although a window may still ask for it: there were too many.
    """

    entries: list[Entry] = []
    fired: list[int] = []
    hushed: int = 0
    lost: int | None = None

    def latest(self) -> int:
        """The newest event time in it."""
        return self.entries[-1].ts if self.entries else max(self.fired, default=0)


class Slots(msgspec.Struct, array_like=True, gc=False, tag="s"):
    """Numbers by slot of time (slot number → numbers), the newest lookups, and the first slot ever seen."""

    slots: dict[int, list[Any]] = {}
    recent: list[Entry] = []
    newest: int = 0
    first: int | None = None
    fired: list[int] = []
    hushed: int = 0

    def latest(self) -> int:
        """The newest event time in it."""
        return self.newest


class Values(msgspec.Struct, array_like=True, gc=False, tag="v"):
    """When each value was last seen (a 32-bit hash of it → time or slot). ``level``: only hashes that end in so many zero
    bits are kept, so that each stands for 2**level values."""

    seen: dict[int, int] = {}
    level: int = 0
    recent: list[Entry] = []
    newest: int = 0
    first: int | None = None
    fired: list[int] = []
    hushed: int = 0

    def latest(self) -> int:
        """The newest event time in it."""
        return self.newest


class Peers(msgspec.Struct, array_like=True, gc=False, tag="p"):
    """Counts by period of every member of a peer group: member → {period: count}; the ends of the periods each fired for."""

    counts: dict[str, dict[int, int]] = {}
    fired_by: dict[str, list[int]] = {}
    hushed_by: dict[str, int] = {}
    newest: int = 0

    def latest(self) -> int:
        """The newest event time in it."""
        return self.newest


class Hush(msgspec.Struct, array_like=True, gc=False, tag="h"):
    """When a detection with ``suppress`` alerted of late, and how many times it has matched since."""

    fired: list[int] = []
    hushed: int = 0

    def latest(self) -> int:
        """The newest event time in it."""
        return max(self.fired, default=0)


State = Log | Slots | Values | Peers | Hush


class Waiting(msgspec.Struct, array_like=True, gc=False):
    """Something that will be decided at ``due`` (event time of the source partition ``src``, milliseconds).

    With ``entries`` it is an alert that waits for paperwork: evidence, number and reason of the window that ended at ``end``,
    as they were. Without, it is the end of an absence; without a name, what detections matched. It is decided by the rules
    under which it began to wait, ``version``, whenever time comes to it.
    """

    due: int
    src: int
    name: str
    group: list[tuple[str, str]]
    lookup: dict[str, Any]
    entries: list[Entry] = []
    count: float = 0.0
    end: int = 0
    reason: str = ""
    version: str = ""
