"""The explanations that hold when nobody says otherwise: those of the pack, ``rules/explanations``, word for word."""

from __future__ import annotations

from typing import Final

from monitor.explanations.model import MISSING, PLAUSIBLE, Explanation

_HOUR: Final = 3_600_000

BUILT_IN: Final = (
    Explanation(
        name="analysis",
        title="Analysis for a running case",
        description="An analyst names a running case on which others work. Analysts draw networks, whose people are not "
        "in the file yet.",
        records=("case",),
        actors=("member", "unit", "requester", "others"),
        subject="claimed",
        when=(("actor.role", frozenset({"analyst"})),),
        kind=PLAUSIBLE,
    ),
    Explanation(
        name="area-task",
        title="Task in an area",
        description="The actor, or the actor's unit, is sent to the area in which the subject is; the dispatch names "
        "nobody.",
        records=("dispatch",),
        actors=("member", "unit"),
        subject="area",
        strength=0.7,
    ),
    Explanation(
        name="beat",
        title="On the beat",
        description="Somebody in uniform, on shift in their own area, says that they are on patrol or at a call. Standing tasks are "
        "not entered everywhere.",
        records=("shift",),
        actors=("member",),
        subject="area",
        when=(
            ("actor.role", frozenset({"officer"})),
            ("purpose.case", frozenset({MISSING})),
            ("purpose.code", frozenset({"dispatch", "patrol"})),
        ),
        kind=PLAUSIBLE,
    ),
    Explanation(
        name="call-out",
        title="Others were sent there by the control room",
        description="Somebody in the control room looks up a subject to whom others are sent at that time, or within the "
        "hour.",
        records=("dispatch",),
        actors=("others",),
        subject="listed",
        when=(("actor.peer_group", frozenset({"call-taker"})),),
        strength=0.8,
        within_ms=_HOUR,
    ),
    Explanation(
        name="call-taking",
        title="Call-taking",
        description="Somebody in the control room, on shift, answers a call or a question by radio, and claims no case. "
        "Whom a caller speaks of is on no record, and what for is often not entered.",
        records=("shift",),
        actors=("member",),
        subject="any",
        when=(("actor.peer_group", frozenset({"call-taker"})), ("purpose.case", frozenset({MISSING}))),
        kind=PLAUSIBLE,
    ),
    Explanation(
        name="case-link",
        title="Linked to a case",
        description="The subject is linked to one that a case of the actor or the actor's unit names. Over two links it "
        "is too weak to explain a lookup alone.",
        records=("case",),
        actors=("member", "unit"),
        subject="listed",
        distance=2,
        strength=0.7,
        within_ms=24 * _HOUR,
    ),
    Explanation(
        name="colleague-request",
        title="On behalf of a colleague",
        description="The lookup was made for a colleague (purpose.for) who works on a case or dispatch that names the "
        "subject, and who shares a unit or a case with the actor.",
        records=("case", "dispatch"),
        actors=("requester",),
        subject="listed",
        strength=0.8,
        within_ms=24 * _HOUR,
    ),
    Explanation(
        name="counter-work",
        title="At the counter or on the telephone",
        description="Counter staff of the police, the registry or the tax office, on shift, say that a citizen came or "
        "called, or nothing at all. No record says who it was.",
        records=("shift",),
        actors=("member",),
        subject="any",
        when=(
            ("actor.peer_group", frozenset({"intake", "registry-clerk", "tax-clerk"})),
            ("purpose.case", frozenset({MISSING})),
            ("purpose.code", frozenset({MISSING, "counter-service", "intake", "phone-call"})),
        ),
        kind=PLAUSIBLE,
    ),
    Explanation(
        name="desk-work",
        title="At the security desk",
        description="Somebody of the security desk, on shift, searches in the monitor or sees an identity. Whom an incident "
        "leads to is on no record; rules of its own ask for the incident, and count the names.",
        records=("shift",),
        actors=("member",),
        subject="any",
        when=(("system", frozenset({"lookup-monitor"})),),
        kind=PLAUSIBLE,
    ),
    Explanation(
        name="dispatch",
        title="Dispatch about the subject",
        description="The actor, or the actor's whole unit, is sent there, and the dispatch names the subject.",
        records=("dispatch",),
        actors=("member", "unit"),
        subject="listed",
        strength=1.0,
        within_ms=24 * _HOUR,
    ),
    Explanation(
        name="lead",
        title="A lead in a case of one's own",
        description="A detective or tax inspector names a running case that they or their unit work on, and the subject "
        "is not in its file, or not yet.",
        records=("case",),
        actors=("member", "unit"),
        subject="claimed",
        when=(("actor.role", frozenset({"detective", "tax-inspector"})),),
        kind=PLAUSIBLE,
    ),
    Explanation(
        name="own-case",
        title="A case of one's own",
        description="The actor works on a case that names the subject, or whose file it is.",
        records=("case",),
        actors=("member",),
        subject="listed",
        strength=1.0,
        within_ms=24 * _HOUR,
    ),
    Explanation(
        name="request",
        title="At the request of those on the case",
        description="The lookup was made for a colleague (purpose.for) who works on the running case that it names, "
        "though the file does not name the subject.",
        records=("case",),
        actors=("requester",),
        subject="claimed",
        when=(("purpose.for", frozenset({"*"})),),
        kind=PLAUSIBLE,
    ),
    Explanation(
        name="round",
        title="A round",
        description="Staff of the registry or the tax office, on shift, say that they work through a list: a recall, a "
        "renewal, an audit. Not every list is entered as a case.",
        records=("shift",),
        actors=("member",),
        subject="any",
        when=(
            ("actor.peer_group", frozenset({"registry-clerk", "tax-clerk", "tax-inspector"})),
            ("purpose.case", frozenset({MISSING})),
            ("purpose.code", frozenset({"audit"})),
        ),
        kind=PLAUSIBLE,
    ),
    Explanation(
        name="service-ticket",
        title="A ticket",
        description="Service staff, on shift, say that they work on a ticket. Tickets are in a system that the monitor "
        "does not see.",
        records=("shift",),
        actors=("member",),
        subject="any",
        when=(
            ("actor.peer_group", frozenset({"support"})),
            ("purpose.case", frozenset({MISSING})),
            ("purpose.code", frozenset({MISSING, "ticket"})),
        ),
        kind=PLAUSIBLE,
    ),
    Explanation(
        name="shift-area",
        title="At work in one's own area",
        description="The actor is on shift, says for which kind of task, and the subject is in the actor's own area. It "
        "does not explain a lookup alone.",
        records=("shift",),
        actors=("member",),
        subject="area",
        when=(("purpose.code", frozenset({"*"})),),
        strength=0.3,
    ),
    Explanation(
        name="traffic-stop",
        title="A traffic stop",
        description="Somebody in uniform, on shift, looks up a vehicle or who is in it and says that it was stopped. It "
        "may come from anywhere, and a stop that leads to nothing is not always written up.",
        records=("shift",),
        actors=("member",),
        subject="any",
        when=(
            ("actor.role", frozenset({"officer"})),
            ("purpose.case", frozenset({MISSING})),
            ("purpose.code", frozenset({"traffic-stop"})),
            ("subject.kind", frozenset({"person", "vehicle"})),
        ),
        kind=PLAUSIBLE,
    ),
    Explanation(
        name="unit-case",
        title="A case of one's unit",
        description="Colleagues of the actor's unit work on a case that names the subject, or whose file it is.",
        records=("case",),
        actors=("unit",),
        subject="listed",
        strength=0.9,
        within_ms=24 * _HOUR,
    ),
    Explanation(
        name="watch",
        title="An observation one may know of",
        description="The subject is under observation, and the actor is one of those who may know.",
        records=("watch",),
        actors=("member",),
        subject="listed",
        strength=0.9,
    ),
)
