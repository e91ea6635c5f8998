"""Lookup + reference data → enriched lookup: relation, explanation, purpose.status, in_area, on_shift.

Everything is asked as of the lookup's own time. What the reference data does not know stays absent from the result, so
it neither matches a rule nor explains a lookup.
"""

from __future__ import annotations

from typing import Any

from monitor.reference import Actor, Reference, Subject, Timed


def enrich(lookup: dict[str, Any], reference: Reference) -> dict[str, Any]:
    """Add to ``lookup`` (changed in place and returned) what ``reference`` knows at the lookup's time."""
    ts: int = lookup["ts"]
    actor = reference.actors.get(lookup["actor.id"])
    subject_id: str | None = lookup.get("subject.id")
    subject = reference.subjects.get(subject_id) if subject_id is not None else None
    if actor is not None:
        _add_actor(lookup, actor, reference, ts)
    if subject is not None:
        _add_subject(lookup, subject)
    if subject_id is not None:
        _add_watched(lookup, subject_id, reference, ts)
    if actor is not None and subject_id is not None:
        relation = relation_of(actor, subject_id, subject, reference)
        if relation is not None:
            lookup["relation"] = relation
    names = explanations(lookup, actor, reference, ts) if actor is not None else None
    if names is not None:
        lookup["explanation"] = names or ["none"]
    lookup["purpose.status"] = purpose_status(lookup, names, reference, ts)
    inside = in_area(lookup, reference)
    if inside is not None:
        lookup["in_area"] = inside
    return lookup


def _add_actor(lookup: dict[str, Any], actor: Actor, reference: Reference, ts: int) -> None:
    # The staff register is right where the event and it differ: the event is what the query system was told.
    for name, value in (
        ("actor.unit", actor.unit),
        ("actor.role", actor.role),
        ("actor.areas", actor.areas),
        ("actor.peer_group", actor.peer_group),
    ):
        if value is not None:
            lookup[name] = value
    lookup["actor.has_left"] = ts >= reference.left[actor.id]
    if actor.leave is not None:
        lookup["actor.on_leave"] = any(start <= ts < end for start, end in reference.leave[actor.id])
    shifts = reference.shifts_by_actor.get(actor.id)
    if shifts:
        lookup["on_shift"] = any(start <= ts < end for start, end in shifts.values())


def _add_subject(lookup: dict[str, Any], subject: Subject) -> None:
    for name, value in (
        ("subject.kind", subject.kind),
        ("subject.area", subject.area),
        ("subject.owner", subject.owner),
        ("subject.address", subject.address),
        ("subject.tags", subject.tags),
    ):
        if value is not None:
            lookup[name] = value


def _add_watched(lookup: dict[str, Any], subject_id: str, reference: Reference, ts: int) -> None:
    """``subject.watched``: somebody observes the subject now, and this actor is not among those who may know."""
    watches = reference.watches_by_subject.get(subject_id)
    running = [watch.record for watch in watches.values() if watch.holds(ts)] if watches else ()
    if running:
        lookup["subject.watched"] = not any(lookup["actor.id"] in (watch.may_know or ()) for watch in running)


def relation_of(actor: Actor, subject_id: str, subject: Subject | None, reference: Reference) -> str | None:
    """How the subject is related to the person behind the account; ``None`` when that cannot be known.

    ``none`` is an answer, not a default: it takes the actor's person, household and relatives to be known.
    """
    owner = subject.owner if subject is not None else None
    people = {subject_id, owner} - {None}
    if actor.person is not None and subject_id == actor.person:
        return "self"
    if subject_id in (actor.plates or ()) or (actor.person is not None and owner == actor.person):
        return "own-vehicle"
    addresses = {subject_id, subject.address if subject is not None else None} - {None}
    if people & set(actor.household or ()) or (actor.address is not None and actor.address in addresses):
        return "household"
    if people & set(actor.relatives or ()):
        return "relative"
    if any(actor.id not in reference.actors_by_person.get(str(person), (actor.id,)) for person in people):
        return "colleague"
    if actor.person is None or actor.household is None or actor.relatives is None:
        return None
    return "none"


def explanations(lookup: dict[str, Any], actor: Actor, reference: Reference, ts: int) -> list[str] | None:
    """The names of what explains the lookup, sorted; empty when nothing does; ``None`` when it cannot be known."""
    subject_id: str | None = lookup.get("subject.id")
    unit = lookup.get("actor.unit")
    found: set[str] = set()
    if subject_id is not None:
        found |= _case_names(reference.cases_by_subject.get(subject_id), actor, unit, ts)
        if subject_id in reference.cases:
            # The subject of the lookup is a case file itself.
            found |= _case_names({subject_id: reference.cases[subject_id]}, actor, unit, ts)
        for linked in (reference.linked.get(subject_id) or {}).values():
            if _case_names(reference.cases_by_subject.get(linked), actor, unit, ts):
                found.add("case-link")
        watches = reference.watches_by_subject.get(subject_id) or {}
        if any(watch.holds(ts) and actor.id in (watch.record.may_know or ()) for watch in watches.values()):
            found.add("watch")
    elif lookup.get("purpose.case") in reference.cases:
        # A list or search without one subject: the case it was made for is all there is to ask.
        timed = reference.cases[lookup["purpose.case"]]
        found |= _case_names({"": timed}, actor, unit, ts)
    found |= _dispatch_names(lookup, actor, unit, reference, ts)
    if not found and subject_id is None and lookup.get("purpose.case") is None:
        return None
    return sorted(found)


def _case_names(cases: dict[str, Timed] | None, actor: Actor, unit: str | None, ts: int) -> set[str]:
    names: set[str] = set()
    for timed in (cases or {}).values():
        if not timed.holds(ts):
            continue
        if actor.id in (timed.record.actors or ()):
            names.add("own-case")
        elif unit is not None and timed.record.unit == unit:
            names.add("unit-case")
    return names


def _dispatch_names(lookup: dict[str, Any], actor: Actor, unit: str | None, reference: Reference, ts: int) -> set[str]:
    names: set[str] = set()
    subject_id, area = lookup.get("subject.id"), lookup.get("subject.area")
    by_unit = reference.dispatches_by_unit.get(unit) if unit is not None else None
    for dispatches in (reference.dispatches_by_actor.get(actor.id), by_unit):
        for timed in (dispatches or {}).values():
            if not timed.holds(ts):
                continue
            if subject_id is not None and subject_id in (timed.record.subjects or ()):
                names.add("dispatch")
            elif not timed.record.subjects and area is not None and timed.record.area == area:
                names.add("area-task")
    return names


def purpose_status(lookup: dict[str, Any], names: list[str] | None, reference: Reference, ts: int) -> str:
    """``false`` (the case is wrong), ``explained`` (something explains it), ``claimed`` or ``missing``."""
    case = lookup.get("purpose.case")
    if case is not None and _is_false(case, lookup.get("subject.id"), reference, ts):
        return "false"
    if names:
        return "explained"
    claimed = any(lookup.get(name) is not None for name in ("purpose.case", "purpose.code", "purpose.text"))
    return "claimed" if claimed else "missing"


def _is_false(case: str, subject_id: str | None, reference: Reference, ts: int) -> bool:
    """A case that does not exist, is not open at ``ts``, or does not concern the subject or anything linked to it."""
    if not reference.cases:
        return False
    timed = reference.cases.get(case)
    if timed is None or not timed.holds(ts):
        return True
    subjects = timed.record.subjects
    if subject_id is None or subject_id == case or subjects is None or subject_id in subjects:
        return False
    return not any(linked in subjects for linked in (reference.linked.get(subject_id) or {}).values())


def in_area(lookup: dict[str, Any], reference: Reference) -> bool | None:
    """Whether the subject lies in the areas of the actor or the actor's unit; ``None`` when either is unknown."""
    area = lookup.get("subject.area")
    areas = set(lookup.get("actor.areas") or ()) | reference.areas_of_unit(lookup.get("actor.unit"))
    return area in areas if area is not None and areas else None
