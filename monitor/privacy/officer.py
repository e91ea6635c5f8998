"""What a privacy officer orders: to hold, to lift, to erase. Audited first, then written; without the audit log not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from monitor.access.roles import Person, Right, may
from monitor.audit.event import Audit, AuditEvent, What
from monitor.incidents.order import Order
from monitor.privacy.desk import NotAllowed, Stamp
from monitor.privacy.pseudonym import kind_of


async def give(
    person: Person, order: Order, audit: Audit, write: Callable[[Order], Awaitable[None]], stamp: Stamp
) -> None:
    """Give an order. Raises :class:`monitor.privacy.desk.NotAllowed` and :class:`monitor.audit.event.AuditUnavailable`."""
    await allow(
        person, "privacy-erase" if order.order == "erase" else "privacy-hold", order.names, order.reason, audit, stamp
    )
    await write(order)


async def allow(person: Person, what: What, names: Sequence[str], reason: str, audit: Audit, stamp: Stamp) -> None:
    """Put into the audit log that somebody does something about what is held of people, or that they may not. Raises as :func:`give`.

    ``names`` are pseudonyms, or ids of incidents.
    """
    event = AuditEvent(
        id=stamp.id,
        time=stamp.time,
        by=person.name,
        what=what,
        roles=tuple(sorted(person.roles)),
        actors=tuple(sorted(each for each in names if kind_of(each) == "actor")),
        subjects=tuple(sorted(each for each in names if kind_of(each) != "actor")),
        reason=reason,
        client=stamp.client,
    )
    if not may(person, Right.PRIVACY):
        await audit.write(msgspec.structs.replace(event, done=False))
        raise NotAllowed(f"{person.name} may not decide what is held of people")
    await audit.write(event)
