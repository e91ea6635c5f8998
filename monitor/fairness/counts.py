"""What is counted of a span of history: by group, for every actor, lookups, weeks, alerts, and what the desk said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from monitor.alerts import Alert
from monitor.events import BadEvent, parse_time
from monitor.feedback.disposition import LABELS
from monitor.reference import Reference

DIMENSIONS: Final = ("unit", "role", "shift", "site")
UNKNOWN: Final = "unknown"
WEEK_MS: Final = 7 * 24 * 3600 * 1000
#: The hours of a day at which shifts end, by the clock of the lookup.
_SHIFTS: Final = ((7, "night"), (15, "day"), (23, "late"), (24, "night"))

Group = tuple[str, str]


class Cell(msgspec.Struct):
    """One actor in one group. ``episodes`` are alerts, those of one rule in one week counted once; ``judged`` are those of them on
    which there is a verdict other than ``unsure``, ``confirmed`` those of these that were called misuse."""

    lookups: int = 0
    weeks: int = 0
    episodes: int = 0
    judged: int = 0
    confirmed: int = 0


Cells = dict[Group, dict[str, Cell]]


def shift_of(hour: int) -> str:
    """The shift at an hour of the day: ``day`` 7–15, ``late`` 15–23, ``night``."""
    return next(name for ends, name in _SHIFTS if hour < ends)


class History:
    """A history that alerts can be held against: first :meth:`see` every lookup, then :meth:`count` alerts, as often as wanted."""

    def __init__(self, reference: Reference, evidence: Iterable[str]) -> None:
        """``evidence`` are the ids of lookups that any of the alerts name."""
        self._reference = reference
        self._evidence = frozenset(evidence)
        #: Of a lookup that is evidence: who made it, and the groups of its circumstances.
        self._places: dict[tuple[str, str], tuple[Group, ...]] = {}
        self._lookups: defaultdict[Group, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._weeks: defaultdict[Group, defaultdict[str, set[int]]] = defaultdict(lambda: defaultdict(set))

    def see(self, lookup: Mapping[str, Any]) -> None:
        """Take in a decoded lookup."""
        actor, week = lookup["actor.id"], lookup["ts"] // WEEK_MS
        place = (("shift", shift_of(lookup["hour"])), ("site", lookup.get("client.area") or UNKNOWN))
        if lookup["id"] in self._evidence:
            self._places[actor, lookup["id"]] = place
        for group in (*self._about(actor, lookup), *place):
            self._lookups[group][actor] += 1
            self._weeks[group][actor].add(week)

    def _about(self, actor: str, lookup: Mapping[str, Any]) -> tuple[Group, Group]:
        staff = self._reference.actors.get(actor)
        if staff is None:
            return ("unit", lookup.get("actor.unit") or UNKNOWN), ("role", lookup.get("actor.role") or UNKNOWN)
        return ("unit", staff.unit or UNKNOWN), ("role", staff.fields.get("actor.role") or UNKNOWN)

    def count(self, alerts: Iterable[Alert], verdicts: Mapping[str, str]) -> Cells:
        """The cells of every group that looked anything up, the same in whatever order lookups and alerts came, to the last digit of
        what is reckoned of them. ``verdicts`` are the last ones, by alert.

        An alert counts for each of its actors; by shift and site where the last of its lookups by that actor was made.
        """
        cells: Cells = {
            group: {actor: Cell(actors[actor], len(self._weeks[group][actor])) for actor in sorted(actors)}
            for group, actors in sorted(self._lookups.items())
        }
        of_actor: defaultdict[str, list[Group]] = defaultdict(list)
        for group, actors in cells.items():
            if group[0] in ("unit", "role"):
                for actor in actors:
                    of_actor[actor].append(group)
        episodes: dict[tuple[str, str, int], tuple[Alert, str | None]] = {}
        for alert in sorted(alerts, key=lambda each: (each.ts, each.id)):
            for actor in alert.actors:
                _note(episodes, (actor, alert.rule.id, alert.ts // WEEK_MS), alert, verdicts.get(alert.id))
        for (actor, *_), (alert, verdict) in episodes.items():
            place = next(
                (self._places[actor, each] for each in reversed(alert.events) if (actor, each) in self._places), ()
            )
            for group in (*of_actor.get(actor, ()), *place):
                cell = cells[group][actor]
                cell.episodes += 1
                if verdict in LABELS:
                    cell.judged += 1
                    cell.confirmed += LABELS[verdict]
        return cells


def _note(
    episodes: dict[tuple[str, str, int], tuple[Alert, str | None]],
    name: tuple[str, str, int],
    alert: Alert,
    verdict: str | None,
) -> None:
    """An episode is as bad as the worst that was said of its alerts."""
    known = episodes.get(name)
    if known is None:
        episodes[name] = alert, verdict
    elif verdict == "true-misuse" or (verdict in LABELS and known[1] not in LABELS):
        episodes[name] = known[0], verdict


def within(alert: Alert, from_ms: int, to_ms: int) -> bool:
    """Whether the alert is about a time of the span."""
    try:
        return from_ms <= parse_time(alert.time)[0] < to_ms
    except BadEvent:
        return False
