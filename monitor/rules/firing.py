"""From a window that holds, or a lookup that matches, to what fires."""

from __future__ import annotations

from typing import Final

from monitor.rules.kinds import Hit
from monitor.rules.kinds.kind import MAX_EVIDENCE
from monitor.rules.model import Correlation, Detection, Firing, Group, Lookup

_ACTOR: Final = "actor.id"


def make_firing(rule: Correlation, group: Group, lookup: Lookup, hit: Hit, suppressed: int) -> Firing:
    """The firing of a correlation whose condition holds for the window of ``hit``."""
    subjects = sorted({entry.subject for entry in hit.inside if entry.subject is not None})
    return Firing(
        rule=rule,
        group=group,
        trigger=f"{lookup['system']}/{lookup['id']}",
        ts=lookup["ts"],
        time=lookup["time"],
        actors=sorted({entry.actor for entry in hit.inside}),
        subjects=subjects[:MAX_EVIDENCE],
        events=[entry.id for entry in hit.inside][-MAX_EVIDENCE:],
        count=hit.amount,
        reasons=[hit.reason, rule.title],
        suppressed=suppressed,
    )


def of_detection(rule: Detection, lookup: Lookup, suppressed: int = 0) -> Firing:
    """The firing of a detection that matches a lookup."""
    subject = lookup.get("subject.id")
    return Firing(
        rule=rule,
        group=((_ACTOR, lookup[_ACTOR]),),
        trigger=f"{lookup['system']}/{lookup['id']}",
        ts=lookup["ts"],
        time=lookup["time"],
        actors=[lookup[_ACTOR]],
        subjects=[subject] if subject is not None else [],
        events=[lookup["id"]],
        count=1,
        reasons=[rule.title, *([rule.description] if rule.description else [])],
        suppressed=suppressed,
    )
