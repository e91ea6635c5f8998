"""The alert of a suspect, so that the trace becomes an incident like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from math import log, log10
from typing import Final

from msgspec import structs

from monitor.alerts import Alert, Entity, RuleInfo, alert_id
from monitor.trace.likelihood import counts
from monitor.trace.model import Leak, Look, Suspect
from monitor.trace.outcome import Ask
from monitor.when import rfc3339

RULE_ID: Final = "3b9e1f0a-6c52-5b1d-8f47-9d2a7c4e5b10"
TITLE: Final = "Had looked at what leaked"
#: The corrected chance from which on a suspect is for the desk, and for the pager.
DESK, PAGER = 0.01, 0.0001


#: Whoever is less likely than the first suspect by more than this factor is named, and no alert is raised about them.
MUCH_LESS: Final = 1000.0


def to_raise(suspects: Sequence[Suspect]) -> list[Suspect]:
    """Those about whom an alert is raised: chance does not explain them, and the first suspect is not much likelier.

    Colleagues of whoever leaked share their subjects more than chance has it, so chance alone would accuse them too.
    """
    if not suspects:
        return []
    least = suspects[0].evidence - log(MUCH_LESS)
    return [each for each in suspects if each.corrected <= DESK and each.evidence >= least]


def of_outcome(found: Iterable[tuple[Ask, Sequence[Suspect], Sequence[Look]]]) -> list[Alert]:
    """The alerts of an outcome: what it asked for, with the suspects and lookups of each answer.

    An alert is raised only about somebody who had looked at a subject that the outcome adds: others are none the more suspect for it, and were told
    of before if they were at all. Of two answers about one actor the one with more evidence counts. Having asked twice
    is corrected for (Bonferroni). Ids are those of ``monitor trace`` over the same list.
    """
    answers = list(found)
    best: dict[str, tuple[float, Alert]] = {}
    for ask, suspects, looks in answers:
        asked = [structs.replace(each, corrected=min(1.0, each.corrected * len(answers))) for each in suspects]
        for suspect in to_raise(asked):
            if ask.new.isdisjoint(suspect.hits):
                continue
            if suspect.actor not in best or suspect.evidence > best[suspect.actor][0]:
                best[suspect.actor] = (suspect.evidence, alert_of(suspect, ask.leaks, looks))
    return [best[actor][1] for actor in sorted(best)]


def alert_of(suspect: Suspect, leaks: Sequence[Leak], looks: Iterable[Look]) -> Alert:
    """The alert. The same list and the same lookups give the same one; it is of the time by which the last of them had leaked."""
    mine = sorted(
        (look for look in looks if look.actor == suspect.actor and counts(look)),
        key=lambda look: (look.time, look.system, look.id),
    )
    hits = set(suspect.hits)
    ts = max(round(leak.by.timestamp() * 1000) for leak in leaks if leak.subject in hits)
    listed = hashlib.sha256("\n".join(sorted(f"{leak.subject}\t{leak.by.isoformat()}" for leak in leaks)).encode())
    trigger = "/".join([listed.hexdigest(), *(f"{look.system}/{look.id}" for look in mine)])
    level = "high" if suspect.corrected <= PAGER else "medium" if suspect.corrected <= DESK else "low"
    return Alert(
        id=alert_id(RULE_ID, [("actor.id", suspect.actor)], trigger),
        time=rfc3339(ts),
        ts=ts,
        rule=RuleInfo(RULE_ID, TITLE, level, "leak-trace"),
        entity=Entity("actor", suspect.actor),
        actors=[suspect.actor],
        subjects=suspect.hits,
        events=[look.id for look in mine],
        score=round(1 - suspect.corrected, 6),
        reasons=reasons(suspect, len(leaks)),
        kind="rule",
    )


def reasons(suspect: Suspect, leaks: int) -> list[str]:
    """What is to be said of a suspect, in sentences."""
    said = [
        f"looked at {len(suspect.hits)} of {leaks} leaked subjects before they had leaked, and no record explains it;"
        f" {suspect.expected:.2g} were to be expected of so much work",
        f"the chance of that for somebody of the force is {chance(suspect.corrected)} (all actors were asked about)",
    ]
    if suspect.explained:
        said.append(
            f"looked at {len(suspect.explained)} more of them with a record that explains it; these do not count"
        )
    return said


def chance(value: float) -> str:
    """A probability in words."""
    if value >= 0.01:
        return f"{value:.0%}" if value < 1 else "no less than chance gives"
    return f"1 in {10 ** -log10(value):,.0f}" if value > 1e-15 else "less than 1 in 10^15"
