"""What people at the desk search for, look at and unmask goes through the monitor as any lookup does: who watches is watched.

The lookups of an audit event are valid messages of ``lookup.events.v1`` of the system ``lookup-monitor``, under the audit event's own id, so
that one that is relayed twice is dropped. Only what was done is one; what was refused showed nothing (it is in the audit log).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from monitor.audit.event import AuditEvent, What
from monitor.events import MAX_ID_CHARS
from monitor.privacy.pseudonym import kind_of

SYSTEM: Final = "lookup-monitor"
#: What was done, as an action of a lookup. All else that is audited is about no one person.
ACTIONS: Final[Mapping[What, str]] = {
    "search": "search",
    "view-actor": "read",
    "view-subject": "read",
    "identity-see": "read",
    "privacy-export": "export",
}
#: What is said of each as ``purpose.code``; ``incident`` is what explains it (``rules/explanations/desk-work.yml``).
CODES: Final = {"privacy-export": "access-request"}


def lookups_of(event: AuditEvent, opened: Callable[[str], str | None] = lambda pseudonym: None) -> list[bytes]:
    """The lookups of an audit event: one for each name it is about, none for what is no lookup.

    ``opened`` gives the id behind a pseudonym, where the caller knows it: rules about kin, areas and observations ask the reference data,
    which knows ids alone. Without it the lookup is about the pseudonym, and counts for how many there are and whether an incident is
    behind them. The first has the event's id, the others that and a number.
    """
    action = ACTIONS.get(event.what)
    if action is None or not event.done:
        return []
    names = [*(("actor", each) for each in event.actors), *(("subject", each) for each in event.subjects)]
    return [
        orjson.dumps(_lookup(event, action, number, kind, opened(name) or name))
        for number, (kind, name) in enumerate(names or [("", "")])
    ]


def _lookup(event: AuditEvent, action: str, number: int, kind: str, name: str) -> dict[str, Any]:
    ident = event.id if number == 0 else f"{event.id[: MAX_ID_CHARS - 8]}/{number}"
    found: dict[str, Any] = {
        "id": ident[:MAX_ID_CHARS],
        "time": event.time,
        "system": SYSTEM,
        "action": action,
        "actor": {"id": event.by[:MAX_ID_CHARS]},
        "desk": {"what": event.what},
        "outcome": "success",
    }
    if name:
        found["subject"] = {"id": name[:MAX_ID_CHARS]}
        if kind == "actor" or kind_of(name) == "actor":
            found["subject"]["kind"] = "person"
    purpose = {"code": CODES.get(event.what, "incident" if event.incident else None), "text": event.reason or None}
    if said := {key: value for key, value in purpose.items() if value is not None}:
        found["purpose"] = said
    if event.incident is not None:
        found["desk"]["incident"] = event.incident
    if event.client is not None:
        found["client"] = {"ip": event.client}
    return found
