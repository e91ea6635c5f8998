"""Lookup + reference data → enriched lookup: relation, explanation, purpose.status, in_area, on_shift.

Everything is asked as of the lookup's own time. What the reference data does not know stays absent from the result, so
it neither matches a rule nor explains a lookup.
"""

from __future__ import annotations

from typing import Any, Final

from monitor.explanations import NONE, Asked, Explanations, explain_later
from monitor.known import About, CaseFile, Claim, Staff
from monitor.reference import NOTHING, Reference

_DEFAULT: Final = Explanations.default()
#: Up to how many house numbers away somebody is a neighbour.
NEAR: Final = 6
_HOUR_MS: Final = 3_600_000


def enrich(lookup: dict[str, Any], reference: Reference, explanations: Explanations = _DEFAULT) -> dict[str, Any]:
    """Add to ``lookup`` (changed in place and returned) what ``reference`` knows at the lookup's time."""
    ts: int = lookup["ts"]
    actor = reference.actors.get(lookup["actor.id"])
    subject_id: str | None = lookup.get("subject.id")
    about = reference.about(subject_id) if subject_id is not None else NOTHING
    if actor is not None:
        _add_actor(lookup, actor, reference, ts)
    if about.known:
        _add_subject(lookup, about)
    if about.cases:
        _add_cases(lookup, about.cases, ts)
    if about.watches:
        _add_watched(lookup, about.watches, ts)
    if actor is not None and subject_id is not None:
        relation = relation_of(actor, subject_id, about, reference)
        if relation is not None:
            lookup["relation"] = relation
    inside = reference.is_inside(lookup.get("subject.area"), lookup.get("actor.areas"), lookup.get("actor.unit"))
    if inside is not None:
        lookup["in_area"] = inside
    _add_explanation(lookup, actor, about, reference, explanations)
    return lookup


def _add_actor(lookup: dict[str, Any], actor: Staff, reference: Reference, ts: int) -> None:
    # The staff register is right where the event and it differ: the event is what the query system was told.
    lookup.update(actor.fields)
    lookup["actor.has_left"] = ts >= actor.left
    if actor.leave is not None:
        lookup["actor.on_leave"] = any(start <= ts < end for start, end in actor.leave)
    shifts = reference.shifts.get(actor.id)
    if shifts is not None:
        lookup["on_shift"] = is_on = shifts.holds(ts)
        away = None if is_on else shifts.away(ts)
        if away is not None:
            lookup["off_shift_hours"] = away // _HOUR_MS


def _add_subject(lookup: dict[str, Any], about: About) -> None:
    if about.kind is not None:
        lookup["subject.kind"] = about.kind
    if about.area is not None:
        lookup["subject.area"] = about.area
    if about.owner is not None:
        lookup["subject.owner"] = about.owner
    if about.address is not None:
        lookup["subject.address"] = about.address
    if about.tags is not None:
        lookup["subject.tags"] = about.tags


def _add_cases(lookup: dict[str, Any], cases: tuple[Claim, ...], ts: int) -> None:
    """``subject.cases``: the running cases that name the subject, or the case file that it is."""
    own = lookup["subject.id"]
    found = [case.id for case in cases if case.from_ms <= ts < case.to_ms or case.id == own]
    if found:
        lookup["subject.cases"] = found


def _add_watched(lookup: dict[str, Any], watches: tuple[Claim, ...], ts: int) -> None:
    """``subject.watched``: somebody observes the subject now, and this actor is not among those who may know."""
    running = [watch for watch in watches if watch.from_ms <= ts < watch.to_ms]
    if running:
        lookup["subject.watched"] = not any(lookup["actor.id"] in watch.actors for watch in running)


def relation_of(actor: Staff, subject_id: str, about: About, reference: Reference) -> str | None:
    """How the subject is related to the person behind the account; ``None`` when that cannot be known.

    ``none`` is an answer, not a default: it takes the actor's person, household and relatives to be known.
    """
    person, owner = actor.person, about.owner
    if person is not None and subject_id == person:
        return "self"
    if subject_id in actor.plates or (person is not None and owner == person):
        return "own-vehicle"
    household, relatives = actor.household, actor.relatives
    if household and (subject_id in household or owner in household):
        return "household"
    if actor.address is not None and (subject_id == actor.address or about.address == actor.address):
        return "household"
    if relatives and (subject_id in relatives or owner in relatives):
        return "relative"
    for one in (subject_id, owner):
        accounts = reference.actors_by_person.get(one) if one is not None else None
        if accounts is not None and actor.id not in accounts:
            return "colleague"
    if actor.address is not None and _is_near(actor.address, about, reference):
        return "neighbour"
    return None if person is None or household is None or relatives is None else "none"


def _is_near(home: str, about: About, reference: Reference) -> bool:
    """Whether the subject, or its address, is in the same street as ``home`` and within a few numbers of it."""
    street, number, area = reference.home(home)
    if street is None or number is None or (area is not None and about.area is not None and area != about.area):
        return False
    if about.street is None and about.address is not None:
        about = reference.about(about.address)
    return about.street == street and about.number is not None and abs(about.number - number) <= NEAR


def _add_explanation(
    lookup: dict[str, Any], actor: Staff | None, about: About, reference: Reference, explanations: Explanations
) -> None:
    case_id: str | None = lookup.get("purpose.case")
    case = _claimed(case_id, about, reference) if case_id is not None else None
    if case is not None and lookup.get("subject.id") is None:
        # A list or search without one subject: the case it was made for is all there is to ask.
        about = About(cases=(Claim(str(case_id), case.from_ms, case.to_ms, case.unit, case.actors),))
    asked = Asked(lookup, about, reference)
    found = explanations.explain(asked) if actor is not None else None
    if found is not None:
        lookup["explanation"], lookup["explanation.strength"], lookup["explanation.kind"] = found
    flaws = flaws_of(case, asked, explanations.reach) if case_id is not None and reference.has_cases else None
    if flaws:
        lookup["purpose.flaws"] = flaws
    lookup["purpose.status"] = status_of(lookup)


def _claimed(case_id: str, about: About, reference: Reference) -> CaseFile | None:
    """The case that was claimed. Most often it names the subject, and is known from there without another read."""
    for claim in about.cases:
        if claim.id == case_id:
            return CaseFile(claim.unit, claim.actors, None, claim.from_ms, claim.to_ms)
    return reference.case(case_id)


def flaws_of(case: CaseFile | None, asked: Asked, reach: int) -> list[str]:
    """What is wrong with the claim that the lookup was made for ``case`` (``None``: there is no such case), sorted.

    ``unknown-case``; ``closed-case``; ``not-yet-open``, or ``opened-after`` when it is the actor who is the first in it (the
    case may have been made up for the lookup); ``unrelated-subject`` (the case names neither the subject nor one within ``reach``
    links of it).
    """
    if case is None:
        return ["unknown-case"]
    flaws, ts = [], asked.ts
    if ts >= case.to_ms:
        flaws.append("closed-case")
    if ts < case.from_ms:
        own = case.actors[:1] == (asked.actor_id,)
        flaws.append("opened-after" if own else "not-yet-open")
    if not _concerns(case, asked, reach):
        flaws.append("unrelated-subject")
    return flaws


def _concerns(case: CaseFile, asked: Asked, reach: int) -> bool:
    subject_id, named = asked.lookup.get("subject.id"), case.subjects
    if named is None or subject_id is None or subject_id in named or subject_id == asked.lookup["purpose.case"]:
        return True
    return any(name in named for far in range(1, reach + 1) for name in asked.neighbours.at(far))


def status_of(lookup: dict[str, Any]) -> str:
    """``false`` (something is wrong with the case), ``explained`` (something explains it), ``claimed`` or ``missing``."""
    if "purpose.flaws" in lookup:
        return "false"
    explanation = lookup.get("explanation")
    if explanation is not None and NONE not in explanation:
        return "explained"
    claimed = any(lookup.get(name) is not None for name in ("purpose.case", "purpose.code", "purpose.text"))
    return "claimed" if claimed else "missing"


def explains_later(
    reference: Reference,
    actor_id: str,
    subject_id: str | None,
    ts: int,
    until: int,
    explanations: Explanations = _DEFAULT,
) -> bool:
    """Whether a lookup made at ``ts`` is explained when paperwork that began by ``until`` counts too: it follows the work."""
    if subject_id is None:
        return False
    found = explain_later(reference, explanations, actor_id, subject_id, ts, until)
    return bool(found) and NONE not in found
