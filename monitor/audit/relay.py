"""What the monitor's own users looked at, as lookups like any other: whoever watches is watched by the same rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from monitor.audit.event import AuditEvent

#: The register that these lookups are of.
SYSTEM: Final = "lookup-monitor"
#: The events that are lookups about somebody, and what each is as a lookup.
ACTIONS: Final = {
    "search": "search",
    "view-incident": "read",
    "view-actor": "read",
    "view-subject": "read",
    "identity-see": "read",
    "privacy-export": "export",
}
LookupsOf = Callable[[AuditEvent], list[dict[str, Any]]]


def lookups_of(event: AuditEvent) -> list[dict[str, Any]]:
    """The lookups (DESIGN 4) that an event is: one for each actor and subject it is about; none for what is about nobody, or was refused.

    Their ids are made of the event's alone, so that a repeat is recognised as one.
    """
    action = ACTIONS.get(event.what)
    if action is None or not event.done:
        return []
    about = [("actor", name) for name in event.actors] + [("subject", name) for name in event.subjects]
    return [
        {
            "id": event.id if len(about) == 1 else f"{event.id}/{number}",
            "time": event.time,
            "system": SYSTEM,
            "action": action,
            "actor": {"id": event.by, **({"role": event.roles[0]} if event.roles else {})},
            "subject": {"kind": kind, "id": name},
            "purpose": _purpose(event),
            **({"client": {"ip": event.client}} if event.client else {}),
            "outcome": "success",
        }
        for number, (kind, name) in enumerate(about)
    ]


def _purpose(event: AuditEvent) -> dict[str, str]:
    made: dict[str, str] = {"code": event.what}
    if event.incident:
        made["case"] = event.incident
    if event.reason:
        made["text"] = event.reason
    return made
