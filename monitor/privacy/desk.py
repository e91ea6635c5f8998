"""What people do about identities: ask, approve, refuse, see. Each is written to the audit log, or it is not done.

For the console and the command line alike. Where steps are kept and audited is handed in; nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import msgspec

from monitor.access.roles import Person, Right, may
from monitor.audit.event import Audit, AuditEvent, What
from monitor.events import parse_ms
from monitor.incidents.model import Incident
from monitor.privacy.identity import Identities, NotOpened
from monitor.privacy.pseudonym import kind_of
from monitor.privacy.unmasking import Answer, Ask, Refused, Request, Seen, Signer, Step, Unmaskings, encode, key_of


class Stamp(NamedTuple):
    """What a step and its audit event are told apart by: an ``id`` that no other has, and the sender's time (RFC 3339)."""

    id: str
    time: str
    client: str | None = None


class NotAllowed(Exception):
    """Somebody has no right to what they tried; the text says which."""


class Steps(Protocol):
    """The log of steps."""

    async def read(self) -> Sequence[tuple[bytes | None, bytes | None, int]]:
        """What has come since the last call, all of it: key, value and Kafka's time (ms)."""

    async def write(self, key: bytes, raw: bytes) -> None:
        """Return when it is in the log."""


class UnmaskingDesk:
    """All that is done about identities in one process. Only one with ``identities`` can show any."""

    def __init__(self, book: Unmaskings, signer: Signer, steps: Steps, audit: Audit, identities: Identities) -> None:
        self._book, self._signer, self._steps = book, signer, steps
        self._audit, self._identities = audit, identities

    async def requests(self) -> list[Request]:
        """Every request, the newest first."""
        await self._catch_up()
        return sorted(self._book.requests.values(), key=lambda each: (-each.asked, each.id))

    async def ask(self, person: Person, incident: Incident, names: Sequence[str], reason: str, stamp: Stamp) -> Request:
        """Ask for the identities behind pseudonyms of an incident.

        Raises :class:`NotAllowed`, :class:`Refused` and :class:`monitor.audit.event.AuditUnavailable`.
        """
        step = Ask(stamp.id, person.name, stamp.time, incident.id, list(names), reason)
        event = _event("identity-ask", person, stamp, incident.id, names, reason)
        units = frozenset(incident.units.values())
        await self._allow(may(person, Right.ASK_IDENTITY, units), "ask for identities", event)
        sealed = incident.sealed if isinstance(incident.sealed, dict) else {}
        await self._allow(set(names) <= set(sealed), "ask for names that the incident does not have", event)
        await self._do(step, event)
        return self._book.requests[step.id]

    async def answer(self, person: Person, request: str, approve: bool, reason: str, stamp: Stamp) -> Request:
        """Approve or refuse what another asked for. An approval may be taken back by refusing. Raises as :meth:`ask`."""
        found = await self._found(request)
        what: What = "identity-approve" if approve else "identity-refuse"
        event = _event(what, person, stamp, found.incident, found.names, reason)
        await self._allow(may(person, Right.APPROVE_IDENTITY), "approve or refuse", event)
        await self._do(Answer(stamp.id, person.name, stamp.time, request, approve, reason), event)
        return found

    async def show(self, person: Person, request: str, incident: Incident, stamp: Stamp) -> dict[str, str]:
        """The identities of a request, by pseudonym, to who asked and while it is approved. Raises as :meth:`ask`.

        What the incident no longer has, or no key opens, is left out. The time that counts is Kafka's when it takes in that it was seen;
        whatever is shown is in the audit log before.
        """
        found = await self._found(request)
        event = _event("identity-see", person, stamp, found.incident, found.names, found.reason)
        await self._allow(may(person, Right.ASK_IDENTITY, frozenset(incident.units.values())), "see identities", event)
        await self._allow(incident.id == found.incident, "see identities of another incident", event)
        sealed = incident.sealed if isinstance(incident.sealed, dict) else {}
        about = {name: sealed[name] for name in found.names if name in sealed}
        await self._do(Seen(stamp.id, person.name, stamp.time, request), msgspec.structs.replace(event, sealed=about))
        opened = {}
        for name in found.names:
            with suppress(KeyError, NotOpened):
                opened[name] = self._identities.unseal(name, sealed[name])
        return opened

    async def _found(self, request: str) -> Request:
        await self._catch_up()
        found = self._book.requests.get(request)
        if found is None:
            raise Refused("unknown-request")
        return found

    async def _catch_up(self, own: Step | None = None) -> Refused | None:
        """Take in what has come; why our own step was not taken, when it was not."""
        why: Refused | None = None if own is None else Refused("unreadable")
        for key, raw, at in await self._steps.read():
            is_own = own is not None and key == key_of(own)
            try:
                self._book.take(key, raw, at)
            except Refused as refused:
                why = refused if is_own and why is not None and why.why == "unreadable" else why
            else:
                why = None if is_own else why
        return why

    async def _do(self, step: Step, event: AuditEvent) -> None:
        """Do a step that the log would take: first it is audited, then written, and it counts only if the log did take it.

        What came between, or that Kafka's clock is another, may still refuse it; that is audited too.
        """
        await self._catch_up()
        try:
            self._book.check(step, parse_ms(step.time))
        except Refused:
            await self._audit.write(_not_done(event))
            raise
        await self._audit.write(event)
        await self._steps.write(key_of(step), encode(step, self._signer))
        refused = await self._catch_up(step)
        if refused is not None:
            await self._audit.write(_not_done(msgspec.structs.replace(event, id=f"{event.id}/refused")))
            raise refused

    async def _allow(self, is_allowed: bool, what: str, event: AuditEvent) -> None:
        if not is_allowed:
            await self._audit.write(_not_done(event))
            raise NotAllowed(f"{event.by} may not {what}")


def _event(what: What, person: Person, stamp: Stamp, incident: str, names: Sequence[str], reason: str) -> AuditEvent:
    return AuditEvent(
        id=stamp.id,
        time=stamp.time,
        by=person.name,
        what=what,
        roles=tuple(sorted(person.roles)),
        incident=incident,
        actors=tuple(sorted(each for each in names if kind_of(each) == "actor")),
        subjects=tuple(sorted(each for each in names if kind_of(each) in ("subject", "group"))),
        reason=reason,
        client=stamp.client,
    )


def _not_done(event: AuditEvent) -> AuditEvent:
    return msgspec.structs.replace(event, done=False)
