"""Risk: what the alerts of an incident add up to, how it fades, and which level it is.

An alert is worth so many points by its rule's level, halved with every half-life of event time. Many small things are worth as much as
a large one, but raise the level by one step at most above the highest alert: no number of questions is an accusation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from monitor.incidents.model import ActorRisk, Incident, Rest, Share
from monitor.rules.model import LEVELS

#: What an alert of a level is worth.
POINTS: Final = {"informational": 1.0, "low": 10.0, "medium": 30.0, "high": 80.0, "critical": 200.0}
#: By its sum an incident has a level from so many times the points of one such alert on. Measured: docs/incidents.md.
LIFT: Final = 3.0
#: Of so many alerts an incident keeps what they say; of more than these those that weigh least are only counted.
MAX_ALERTS: Final = 100
#: Verdicts after which an alert weighs nothing any more.
CLEARED: Final = frozenset({"explained", "benign"})


def points_of(level: str) -> float:
    """What an alert of a level is worth when it is raised; an unknown level counts as medium."""
    return POINTS.get(level, POINTS["medium"])


def faded(points: float, ts: int, now: int, half_life_ms: int) -> float:
    """What is left at ``now`` of points from ``ts`` (event time, ms); all of it before."""
    return points * float(0.5 ** (max(0, now - ts) / half_life_ms))


def counts(share: Share) -> bool:
    """Whether an alert weighs anything: it is not part of another, and no verdict has cleared it."""
    return share.part_of is None and share.verdict not in CLEARED


def weigh(incident: Incident, half_life_ms: int) -> None:
    """Put what each alert, each actor and the whole weigh at the incident's ``last``, and raise its level by that."""
    for share in incident.alerts:
        share.now = round(faded(share.points, share.ts, incident.last, half_life_ms), 3) if counts(share) else 0.0
    _shorten(incident, half_life_ms)
    rest = faded(incident.rest.points, incident.rest.ts, incident.last, half_life_ms)
    incident.risk = round(sum(share.now for share in incident.alerts) + rest, 3)
    incident.actors = _by_actor(incident)
    incident.level = LEVELS[max(LEVELS.index(incident.level), _rank(incident))]


def _rank(incident: Incident) -> int:
    highest = rank_of(share.rule.level for share in incident.alerts if counts(share))
    by_risk = max((number for number, level in enumerate(LEVELS) if incident.risk >= LIFT * POINTS[level]), default=0)
    return max(highest, min(by_risk, highest + 1))


def rank_of(levels: Iterable[str]) -> int:
    """The place in ``LEVELS`` of the highest of some; 0 when there is none."""
    return max((LEVELS.index(each if each in LEVELS else "medium") for each in levels), default=0)


def _by_actor(incident: Incident) -> list[ActorRisk]:
    sums = {each.actor: 0.0 for each in incident.actors}
    for share in incident.alerts:
        for actor in share.actors:
            sums[actor] = sums.get(actor, 0.0) + share.now
    units = incident.units
    found = [ActorRisk(actor, units.get(actor), round(risk, 3)) for actor, risk in sums.items()]
    return sorted(found, key=lambda each: (-each.risk, each.actor))


def _shorten(incident: Incident, half_life_ms: int) -> None:
    while len(incident.alerts) > MAX_ALERTS:
        least = min(incident.alerts, key=lambda each: (each.now, each.ts, each.alert))
        incident.alerts.remove(least)
        rest = incident.rest
        left = faded(rest.points, rest.ts, incident.last, half_life_ms) + least.now
        incident.rest = Rest(rest.count + 1, left, incident.last)
