"""The explanations that hold when nobody says otherwise: those of the pack, ``rules/explanations``, word for word."""

from __future__ import annotations

from typing import Final

from monitor.explanations.model import Explanation

_HOUR: Final = 3_600_000

BUILT_IN: Final = (
    Explanation(
        name="area-task",
        title="Task in an area",
        description="The actor, or the actor's unit, is sent to the area in which the subject is; the dispatch names nobody.",
        records=("dispatch",),
        actors=("member", "unit"),
        subject="area",
        strength=0.7,
    ),
    Explanation(
        name="case-link",
        title="Linked to a case",
        description="The subject is linked to one that a case of the actor or the actor's unit names. Over two links it is too "
        "weak to explain a lookup alone.",
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
        description="The lookup was made for a colleague (purpose.for) who works on a case or dispatch that names the subject, "
        "and who shares a unit or a case with the actor.",
        records=("case", "dispatch"),
        actors=("requester",),
        subject="listed",
        strength=0.8,
        within_ms=24 * _HOUR,
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
        name="shift-area",
        title="At work in one's own area",
        description="The actor is on shift, says for which kind of task, and the subject is in the actor's own area. It does not "
        "explain a lookup alone.",
        records=("shift",),
        actors=("member",),
        subject="area",
        when=(("purpose.code", frozenset({"*"})),),
        strength=0.3,
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
