"""An alert comes to an incident: is it a repeat, part of what is known, or does it take in what was known before it?"""

from __future__ import annotations

from typing import Final, Literal

from monitor.alerts import Alert
from monitor.incidents.model import Incident, Share
from monitor.incidents.risk import points_of, rank_of

#: The same rule about nothing new within so long (event time, ms) is a repeat.
REPEAT_MS: Final = 24 * 3600 * 1000
#: Of so many lookups and subjects the names are kept.
MAX_EVENTS: Final = 64
MAX_SUBJECTS: Final = 256
MAX_ACTORS: Final = 256
MAX_REASONS: Final = 16
Fate = Literal["repeat", "part", "joined"]


def join(incident: Incident, alert: Alert) -> Fate:
    """Put an alert to an incident, and say as what. The risk is not yet weighed."""
    incident.alert_count += 1
    incident.suppressed += alert.suppressed
    incident.first, incident.last = min(incident.first, alert.ts), max(incident.last, alert.ts)
    if _repeats(incident, alert):
        incident.suppressed += 1
        return "repeat"
    share = share_of(alert)
    incident.subjects = sorted({*incident.subjects, *alert.subjects})[:MAX_SUBJECTS]
    _keep_sealed(incident, alert)
    whole = next((each for each in incident.alerts if _is_part(share, each)), None)
    if whole is not None:
        share.part_of = whole.alert
        incident.suppressed += 1
    else:
        for each in incident.alerts:
            if each.part_of is None and each.verdict is None and _is_part(each, share):
                each.part_of = share.alert
                incident.suppressed += 1
    incident.alerts.append(share)
    return "joined" if whole is None else "part"


def _keep_sealed(incident: Incident, alert: Alert) -> None:
    """The identities behind the names that the incident keeps."""
    if isinstance(alert.sealed, dict):
        known = incident.sealed if isinstance(incident.sealed, dict) else {}
        named = {*incident.subjects, *sorted(set(alert.actors))[:MAX_ACTORS], incident.group.id}
        fresh = {name: raw for name, raw in alert.sealed.items() if name in named}
        incident.sealed = {**known, **fresh}


def share_of(alert: Alert) -> Share:
    """What an incident keeps of an alert."""
    return Share(
        alert=alert.id,
        time=alert.time,
        ts=alert.ts,
        rule=alert.rule,
        actors=sorted(set(alert.actors))[:MAX_ACTORS],
        subjects=alert.subjects[:MAX_SUBJECTS],
        events=alert.events[:MAX_EVENTS],
        event_count=len(alert.events),
        score=alert.score,
        reasons=alert.reasons[:MAX_REASONS],
        speaks_for=alert.speaks_for[:MAX_REASONS],
        points=points_of(alert.rule.level),
        now=0.0,
        repeats=alert.suppressed,
    )


def _repeats(incident: Incident, alert: Alert) -> bool:
    """Whether the same was said before; if so, it is counted there."""
    subjects, actors = set(alert.subjects), set(alert.actors)
    for share in incident.alerts:
        is_same = share.rule.id == alert.rule.id and abs(share.ts - alert.ts) <= REPEAT_MS
        if is_same and subjects <= set(share.subjects) and actors <= set(share.actors):
            share.repeats += 1 + alert.suppressed
            return True
    return False


def _is_part(low: Share, high: Share) -> bool:
    """Whether all that an alert rests on is in one of a higher level: then it says nothing of its own."""
    if high.part_of is not None or rank_of([low.rule.level]) >= rank_of([high.rule.level]):
        return False
    # Lookups whose names were not kept may be others.
    is_known = low.event_count <= MAX_EVENTS and set(low.events) <= set(high.events)
    return bool(low.events) and is_known and set(low.actors) <= set(high.actors)
