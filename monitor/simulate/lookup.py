"""One lookup: what was done, and how each system writes it down."""

from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from monitor.simulate.force import Actor
from monitor.simulate.population import Subject
from monitor.simulate.timeline import Timeline

Event = dict[str, Any]
PURPOSE = ("case", "code", "text")
LACKING = 0.012  # share of events which lost an optional field
_UTC = Timeline(datetime(1970, 1, 1, tzinfo=UTC), 1)


class Way(NamedTuple):
    """A system, what is done in it, and which fields are asked for."""

    system: str
    action: str
    fields: tuple[str, ...]


class Purpose(NamedTuple):
    """What the actor entered as the reason; every part may be missing."""

    case: str | None = None
    code: str | None = None
    text: str | None = None


class Seat(NamedTuple):
    """Where the actor sat."""

    terminal: str
    ip: str
    area: str


class Draft(NamedTuple):
    """A lookup before it has an id. `label` is the number of its scenario, or -1 for ordinary work."""

    ts: int  # ms since the epoch
    actor: Actor
    seat: Seat
    way: Way
    subject: Subject
    purpose: Purpose | None
    results: int
    outcome: str = "success"
    label: int = -1


def _ways(*weighted: tuple[int, str, str, str]) -> tuple[Way, ...]:
    return tuple(
        Way(system, action, tuple(fields.split())) for weight, system, action, fields in weighted for _ in range(weight)
    )


# How police, tax and desk staff usually look at a kind of subject; numbers are weights.
POLICE: dict[str, tuple[Way, ...]] = {
    "person": _ways(
        (9, "bvi", "search", "name born"),
        (12, "bvi", "read", "address antecedents"),
        (6, "bvi", "read", "cases"),
        (6, "brp", "read", "address household"),
        (2, "bvi", "list", "cases"),
        (1, "bvi", "print", "antecedents"),
        (2, "obs", "read", "observations"),
    ),
    "vehicle": _ways(
        (9, "rdw", "search", "owner"),
        (12, "rdw", "read", "owner insurance inspection"),
        (6, "bvi", "read", "owner observations"),
        (1, "bvi", "follow", "observations"),
        (1, "obs", "read", "observations"),
    ),
    "address": _ways(
        (5, "bvi", "search", "residents"),
        (8, "bvi", "read", "incidents residents"),
        (6, "brp", "list", "residents"),
        (1, "obs", "read", "observations"),
    ),
    "phone": _ways(
        (6, "phone", "read", "subscriber"),
        (3, "phone", "search", "subscriber"),
        (2, "bvi", "search", "cases"),
    ),
    "company": _ways((4, "bvi", "read", "owner cases"), (2, "bvi", "search", "owner")),
    "case": _ways(
        (8, "bvi", "read", "file"),
        (2, "bvi", "list", "documents"),
        (1, "bvi", "print", "file"),
        (1, "bvi", "export", "file"),
    ),
    "object": _ways((1, "bvi", "read", "account")),
}
DESK: dict[str, tuple[Way, ...]] = {
    "vehicle": _ways(
        (8, "rdw", "search", "owner"),
        (14, "rdw", "read", "owner insurance"),
        (3, "rdw", "list", "history"),
        (3, "rdw", "print", "registration"),
    ),
    "person": _ways((8, "brp", "search", "name born"), (10, "brp", "read", "address"), (5, "rdw", "list", "vehicles")),
    "address": _ways(
        (4, "brp", "list", "residents"),
    ),
}
TAX: dict[str, tuple[Way, ...]] = {
    "person": _ways(
        (6, "tax", "search", "name born"),
        (14, "tax", "read", "income assets"),
        (4, "brp", "read", "address household"),
        (2, "tax", "list", "returns"),
        (1, "tax", "export", "returns"),
    ),
    "company": _ways((4, "tax", "search", "name"), (10, "tax", "read", "returns owner"), (2, "tax", "list", "returns")),
    "vehicle": _ways(
        (4, "rdw", "read", "owner value"),
    ),
    "address": _ways((4, "brp", "list", "residents"), (2, "tax", "read", "property")),
    "phone": _ways(
        (2, "tax", "search", "contact"),
    ),
}
SUPPORT: dict[str, tuple[Way, ...]] = {
    "object": _ways(
        (4, "bvi", "read", "account"),
        (3, "bvi", "list", "sessions"),
        (2, "rdw", "read", "account"),
        (2, "tax", "read", "account"),
        (1, "bvi", "search", "account"),
    ),
}
WAYS = {
    "patrol": POLICE,
    "detective": POLICE,
    "traffic": POLICE,
    "call": POLICE,
    "registry": DESK,
    "tax": TAX,
    "support": SUPPORT,
}


def ways(actor: Actor, subject: Subject) -> tuple[Way, ...]:
    """How this actor usually looks at this kind of subject (the police way when the trade has none)."""
    return WAYS[actor.trade.name].get(subject.kind) or POLICE[subject.kind]


def hits(rng: Random, action: str) -> int:
    """How many results such an action gives."""
    if action == "search":
        return 1 + int(rng.random() ** 6 * 12)
    return 1 if action in ("read", "follow") else 1 + int(rng.random() * 9)


def write_down(draft: Draft, ident: str, timeline: Timeline, lack: float) -> Event:
    """The event as its system logs it.

    The systems have habits: `phone` logs in UTC, `rdw` knows neither the actor's role nor fields, `tax` has
    no client area and adds a field of its own, `obs` counts no results. `lack` in [0, 1) decides which
    optional field, if any, was lost on the way.
    """
    ts, actor, seat, way, subject, purpose, results, outcome, _ = draft
    system, action, fields = way
    who = {"id": actor.id, "unit": actor.unit}
    query: dict[str, Any] = {"text": subject.text}
    client = {"ip": seat.ip, "terminal": seat.terminal}
    event: Event = {
        "id": ident,
        "time": (_UTC if system == "phone" else timeline).text(ts),
        "system": system,
        "action": action,
        "actor": who,
        "subject": {"kind": subject.kind, "id": subject.id},
        "query": query,
    }
    if system != "rdw":
        who["role"] = actor.trade.role
        query["fields"] = list(fields)
    if system != "obs":
        event["results"] = results
    if purpose is not None:
        event["purpose"] = {name: value for name, value in zip(PURPOSE, purpose, strict=True) if value is not None}
    if system == "tax":
        event["channel"] = "desk"
    else:
        client["area"] = seat.area
    event |= {"client": client, "outcome": outcome}
    if lack < LACKING:
        _lose(event, lack / LACKING)
    return event


def _lose(event: Event, share: float) -> None:
    name = ("client", "query", "outcome", "results", "unit", "role", "terminal", "subject")[int(share * 8)]
    if name == "subject" and event["action"] != "search":
        return
    for holder in (event, event["actor"], event.get("client", event)):
        holder.pop(name, None)
