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


class Log(msgspec.Struct, array_like=True, tag="l"):
    """The lookups themselves, by time. ``fired`` is the end of the window that last fired, ``hushed`` how many since."""

    entries: list[Entry] = []
    fired: int | None = None
    hushed: int = 0

    def latest(self) -> int:
        """The newest event time in it."""
        return self.entries[-1].ts if self.entries else self.fired or 0


class Slots(msgspec.Struct, array_like=True, tag="s"):
    """Numbers by slot of time (slot number → numbers), the newest lookups, and the first slot ever seen."""

    slots: dict[int, list[Any]] = {}
    recent: list[Entry] = []
    first: int | None = None
    fired: int | None = None
    hushed: int = 0

    def latest(self) -> int:
        """The newest event time in it."""
        return self.recent[-1].ts if self.recent else self.fired or 0


class Values(msgspec.Struct, array_like=True, tag="v"):
    """When each value was last seen (a 32-bit hash of it → time or slot). ``level``: only hashes that end in so many zero
    bits are kept, so that each stands for 2**level values."""

    seen: dict[int, int] = {}
    level: int = 0
    recent: list[Entry] = []
    first: int | None = None
    fired: int | None = None
    hushed: int = 0

    def latest(self) -> int:
        """The newest event time in it."""
        return self.recent[-1].ts if self.recent else self.fired or 0


class Peers(msgspec.Struct, array_like=True, tag="p"):
    """Counts by period of every member of a peer group: member → {period: count}; when each last fired."""

    counts: dict[str, dict[int, int]] = {}
    fired_by: dict[str, int] = {}
    hushed_by: dict[str, int] = {}
    newest: int = 0

    def latest(self) -> int:
        """The newest event time in it."""
        return self.newest


class Hush(msgspec.Struct, array_like=True, tag="h"):
    """When a detection with ``suppress`` last alerted, and how many times it has matched since."""

    fired: int | None = None
    hushed: int = 0

    def latest(self) -> int:
        """The newest event time in it."""
        return self.fired or 0


State = Log | Slots | Values | Peers | Hush


class Waiting(msgspec.Struct, array_like=True):
    """Something that will be decided at ``due`` (event time of the source partition ``src``, milliseconds).

    With ``entries`` it is an alert that waits for paperwork; without, the end of an absence, or (without a name) what
    detections matched. It is decided by the rules it began to wait under, ``version``, whenever time comes to it.
    """

    due: int
    src: int
    name: str
    group: list[tuple[str, str]]
    lookup: dict[str, Any]
    entries: list[Entry] = []
    count: float = 0.0
    suppressed: int = 0
    version: str = ""
