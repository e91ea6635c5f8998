"""Numbers that query systems give their lookups: which of them never came.

A register may number its lookups one by one (``seq``; by ``source`` when several of its machines count for themselves) and say
in heartbeats how far it has counted. A number that is missing was lost before Kafka, or its lookup was kept out of the log:
an insider's way to hide. It must be decided in the one order of all lookups (:mod:`monitor.order`), so that live, backtest and
replay decide the same: a number is lost when nothing that came up to ``after_ms`` later brought it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from monitor.alerts import LEVEL_SCORES, Alert, Entity, RuleInfo, alert_id

GAP_RULE: Final = RuleInfo("8c1e7f1a-4a55-5b8e-9c37-2d1f60b0a9e4", "Lookups are missing from the log", "high", "")
#: How late a number may come, in milliseconds of event time, unless another is set.
AFTER_MS: Final = 15 * 60_000
#: How many stretches of missing numbers are waited for; of more, the lowest are taken as lost at once.
MAX_HOLES: Final = 256
#: How many counters are watched; those that come later are not.
MAX_COUNTERS: Final = 1024
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Hole(msgspec.Struct, array_like=True):
    """Numbers ``first`` to ``last`` had not come when a later one did, which was at ``opened`` (event time, ms)."""

    first: int
    last: int
    opened: int


class Numbering(msgspec.Struct, array_like=True):
    """What is known of one counter: the highest number, the time of its lookup (ms), and the holes below it in order.

    ``lost`` is what is decided to be lost, by when it is said: [how many, lowest, highest]; ``again`` holds when the counter was
    seen to begin anew, the highest number before, and the one it began with.
    """

    newest: int = -1
    newest_ts: int = 0
    holes: list[Hole] = []
    lost: dict[int, list[int]] = {}
    again: list[tuple[int, int, int]] = []

    def step(self, number: int, ts: int, reached: int, after_ms: int) -> None:
        """A lookup of the time ``ts`` with this number came when its source had reached the event time ``reached``."""
        self._give_up(reached, after_ms)
        if self._is_again(number, ts, after_ms):
            for hole in self.holes:
                self._lose(hole, after_ms)
            self.holes, self.again = [], [*self.again, (reached, self.newest, number)]
            self.newest, self.newest_ts = number, ts
        elif number > self.newest:
            self._open(number - 1, reached, after_ms)
            self.newest, self.newest_ts = number, ts
        else:
            self._fill(number)

    def counted_to(self, number: int, ts: int, reached: int, after_ms: int) -> None:
        """A heartbeat said that ``number`` was the last that was given until ``ts``."""
        self._give_up(reached, after_ms)
        if number > self.newest:
            self._open(number, reached, after_ms)
            self.newest, self.newest_ts = number, ts

    def due(self, now: int, after_ms: int) -> list[tuple[int, str, str]]:
        """What is to be said at the event time ``now``: (when, what it is about, in words), in order.

        Numbers whose loss became known within one span of ``after_ms`` are said together, when the span after it is over.
        """
        self._give_up(now, after_ms)
        said = []
        for when in sorted(when for when in self.lost if when < now):
            count, low, high = self.lost.pop(when)
            words = "1 lookup never came, number" if count == 1 else f"{count:,} lookups never came, numbers {low} to"
            said.append((when, f"{low}-{high}", f"{words} {high}"))
        for when, before, number in self.again:
            said.append(
                (when, f"again-{before}-{number}-{when}", f"the counter began anew at {number}, after {before}")
            )
        self.again = []
        return said

    def lost_before(self, now: int, after_ms: int) -> int:
        """How many numbers :meth:`due` would say are lost at the event time ``now``."""
        self._give_up(now, after_ms)
        return sum(lost[0] for when, lost in self.lost.items() if when < now)

    def is_open(self) -> bool:
        """Whether anything is waited for, or to be said."""
        return bool(self.holes or self.lost or self.again)

    def _is_again(self, number: int, ts: int, after_ms: int) -> bool:
        """Whether the counter began anew: a number that had come, with a lookup of much later."""
        is_old = number <= self.newest and not any(hole.first <= number <= hole.last for hole in self.holes)
        return is_old and ts > self.newest_ts + after_ms

    def _open(self, last: int, reached: int, after_ms: int) -> None:
        if self.newest >= 0 and last > self.newest:
            self.holes.append(Hole(self.newest + 1, last, reached))
            if len(self.holes) > MAX_HOLES:
                self._lose(self.holes.pop(0), after_ms)

    def _fill(self, number: int) -> None:
        for at, hole in enumerate(self.holes):
            if hole.first <= number <= hole.last:
                rest = [(hole.first, number - 1), (number + 1, hole.last)]
                self.holes[at : at + 1] = [Hole(low, high, hole.opened) for low, high in rest if low <= high]
                return

    def _give_up(self, now: int, after_ms: int) -> None:
        if self.holes and any(_when(hole.opened, after_ms) < now for hole in self.holes):
            for hole in self.holes:
                if _when(hole.opened, after_ms) < now:
                    self._lose(hole, after_ms)
            self.holes = [hole for hole in self.holes if _when(hole.opened, after_ms) >= now]

    def _lose(self, hole: Hole, after_ms: int) -> None:
        when, count = _when(hole.opened, after_ms), hole.last - hole.first + 1
        so_far = self.lost.get(when)
        if so_far is None:
            self.lost[when] = [count, hole.first, hole.last]
        else:
            so_far[:] = [so_far[0] + count, min(so_far[1], hole.first), max(so_far[2], hole.last)]


def _when(opened: int, after_ms: int) -> int:
    """When holes opened at about this time are given up: at least ``after_ms`` later, and less than twice that."""
    return (opened // after_ms + 2) * after_ms


class Numberings:
    """All counters, by name: the register's, or ``<register>/<source>``."""

    def __init__(self, after_ms: int = AFTER_MS, known: dict[str, Numbering] | None = None) -> None:
        self.known = known or {}
        #: How many numbers were said to be lost, by counter; whoever tells of them clears it.
        self.lost: Counter[str] = Counter()
        self._after_ms = after_ms
        self._open = {name for name, each in self.known.items() if each.is_open()}

    def step(self, name: str, number: int, ts: int, reached: int, is_beat: bool) -> bool:
        """Take in a number, of a lookup or of a heartbeat, in the order of places. False when there are too many counters."""
        numbering = self.known.get(name)
        if numbering is None:
            if len(self.known) >= MAX_COUNTERS:
                return False
            numbering = self.known[name] = Numbering()
        (numbering.counted_to if is_beat else numbering.step)(number, ts, reached, self._after_ms)
        if numbering.is_open():
            self._open.add(name)
        return True

    def due(self, now: int) -> list[Alert]:
        """The alerts that are to be raised at the event time ``now``: nothing with an earlier place may come any more."""
        made = []
        for name in sorted(self._open):
            numbering = self.known[name]
            self.lost[name] += numbering.lost_before(now, self._after_ms)
            made += [_alert(name, *each) for each in numbering.due(now, self._after_ms)]
            if not numbering.is_open():
                self._open.discard(name)
        return made


def name_of(lookup: Mapping[str, Any]) -> str:
    """The name of the counter that a lookup or heartbeat with a number is of."""
    source = lookup.get("source")
    return lookup["system"] if source is None else f"{lookup['system']}/{source}"  # type: ignore[no-any-return]


def _alert(name: str, when: int, trigger: str, words: str) -> Alert:
    group = [("system", name)]
    return Alert(
        id=alert_id(GAP_RULE.id, group, trigger),
        time=(_EPOCH + timedelta(milliseconds=when)).isoformat(timespec="milliseconds"),
        ts=when,
        rule=GAP_RULE,
        entity=Entity("system", name),
        actors=[],
        subjects=[],
        events=[],
        score=LEVEL_SCORES[GAP_RULE.level],
        reasons=[f"{name}: {words}"],
        kind="rule",
    )
