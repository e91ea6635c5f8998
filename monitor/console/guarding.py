"""Who may see and do what in the console, and the audit event before it: what cannot be recorded is neither shown nor done."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from starlette.requests import Request

from monitor.access.roles import OF_UNIT, Person, Right, may
from monitor.audit.event import Audit, AuditEvent, What
from monitor.incidents.model import Incident
from monitor.when import rfc3339

#: So many actors and subjects of an incident are named in the audit log.
MAX_NAMES: Final = 256
MAX_REASON: Final = 2048


class Refused(Exception):
    """A page that is an answer all the same: ``what`` names its text, ``code`` is HTTP's."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(what)
        self.what, self.code = what, code


def person_of(request: Request) -> Person:
    """Who asks, as the guard before us found out."""
    found = request.state.person
    assert isinstance(found, Person)
    return found


def sees_all(person: Person, right: Right = Right.SEE_INCIDENTS) -> bool:
    """Whether a right holds for every incident, not only for those of one unit."""
    return may(person, right)


def only_unit(person: Person) -> str | None:
    """The unit whose questions are all that somebody sees; None: they see all. Raises :class:`Refused` for who sees none."""
    if sees_all(person):
        return None
    if person.unit and may(person, Right.SEE_INCIDENTS, frozenset({person.unit})):
        return person.unit
    raise Refused("forbidden", 403)


def sees(person: Person, right: Right, incident: Incident) -> bool:
    """Whether somebody has a right for an incident. Supervisors have it while the incident is a question to their unit.

    What has gone on to the desk, or is told by a ring's incident, is not theirs any more: whoever is asked about may be their friend.
    """
    if sees_all(person, right):
        return True
    is_question = incident.queue == f"supervisor/{person.unit}" and incident.muted_by is None
    return is_question and bool(OF_UNIT & person.roles) and may(person, right, frozenset({person.unit or ""}))


class Recorder:
    """Writes audit events. ``now`` gives milliseconds since the epoch."""

    def __init__(self, audit: Audit, now: Callable[[], int]) -> None:
        self._audit = audit
        self._now = now

    async def record(
        self,
        request: Request,
        what: What,
        *,
        done: bool = True,
        incident: Incident | None = None,
        actors: Sequence[str] = (),
        subjects: Sequence[str] = (),
        reason: str = "",
        sealed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Put on record what is about to be shown or done, or was refused. Raises :class:`monitor.audit.event.AuditUnavailable`.

        ``sealed`` may have the identities of names, and of others, which are left out; an incident's are those of the incident.
        """
        person = person_of(request)
        if incident is not None:
            actors = incident.members
            sealed = incident.sealed if isinstance(incident.sealed, dict) else {}
        actors, subjects = tuple(actors[:MAX_NAMES]), tuple(subjects[:MAX_NAMES])
        event = AuditEvent(
            id=str(uuid.uuid4()),
            time=rfc3339(self._now()),
            by=person.name,
            what=what,
            done=done,
            roles=tuple(sorted(person.roles)),
            incident=None if incident is None else incident.id,
            actors=actors,
            subjects=subjects,
            reason=reason[:MAX_REASON],
            client=None if request.client is None else request.client.host,
            sealed={name: sealed[name] for name in (*actors, *subjects) if name in sealed},
        )
        await self._audit.write(event)

    async def need(self, request: Request, allowed: bool, what: What, incident: Incident | None = None) -> None:
        """Refuse, on record, what is not allowed. Raises :class:`Refused`."""
        if not allowed:
            await self.record(request, what, done=False, incident=incident)
            raise Refused("forbidden", 403)
