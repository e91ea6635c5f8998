"""The incident: one message of ``lookup.incidents.v1``, which is also all the state there is of it."""

from __future__ import annotations

import uuid
from typing import Any, Final, Literal, get_args

import msgspec

from monitor.alerts import NAMESPACE, RuleInfo
from monitor.feedback.disposition import VERDICTS
from monitor.rules.model import LEVELS

Status = Literal["open", "acknowledged", "closed"]
Response = Literal["none", "supervisor", "desk", "pager"]
NoticeKind = Literal["question", "desk", "page", "escalation", "acknowledged", "closed"]
STATUSES: Final[tuple[str, ...]] = get_args(Status)
#: From the least to the most urgent; ``none`` is an incident of which a higher one is told instead.
RESPONSES: Final[tuple[str, ...]] = get_args(Response)
NOTICE_KINDS: Final[tuple[str, ...]] = get_args(NoticeKind)
#: Who does what the monitor does; no person may be called so.
MONITOR: Final = "monitor"


class Group(msgspec.Struct, frozen=True):
    """What an incident is about: ``actor`` and the actor's id, ``ring`` and what its first alert was about, or another entity."""

    kind: str
    id: str


class Share(msgspec.Struct):
    """One alert of an incident and what it adds to the risk.

    ``points`` are what it was worth when it was raised, ``now`` what is left of them at the incident's ``last``; none when it is
    ``part_of`` another alert (its id), or its ``verdict`` cleared it. ``repeats`` counts how often the same was said again.
    """

    alert: str
    time: str
    ts: int
    rule: RuleInfo
    actors: list[str]
    subjects: list[str]
    events: list[str]
    event_count: int
    score: float
    reasons: list[str]
    speaks_for: list[str]
    points: float
    now: float
    repeats: int = 0
    part_of: str | None = None
    verdict: str | None = None


class Rest(msgspec.Struct):
    """The alerts of which an incident keeps only the sum: how many, and their points at the event time ``ts`` (ms)."""

    count: int = 0
    points: float = 0.0
    ts: int = 0


class ActorRisk(msgspec.Struct, frozen=True):
    """How much of the incident's alerts name one actor, in points at the incident's ``last``."""

    actor: str
    unit: str | None
    risk: float


class Notice(msgspec.Struct, frozen=True):
    """Something that people are to be told. ``<incident>/<number>`` names it for good: whoever delivered that delivers it no more."""

    number: int
    kind: NoticeKind
    time: str
    level: str
    reason: str


class Step(msgspec.Struct, frozen=True):
    """Who did what, when (as Kafka received it), and why. ``by`` is ``monitor`` for what nobody did."""

    time: str
    by: str
    what: str
    reason: str


class Incident(msgspec.Struct, kw_only=True):
    """One message of ``lookup.incidents.v1``, keyed by ``id``: the last one counts.

    ``revision`` is the place in ``lookup.incidents.journal.v1`` of what changed it last. ``first`` and ``last`` are event times of its
    alerts (ms), ``opened``, ``closed`` and ``due`` times of receipt (ms; ``due``: when the monitor does something by itself, 0 never).
    ``level`` is the highest since it was opened. ``queue`` is ``supervisor/<unit>``, ``desk`` or ``pager``; ``held``: it would be
    paged if the day's pages had not been used up. ``teams`` are those that have
    a subject of it in a sealed watch, if any. ``sealed`` has the identity behind each pseudonym, for who has the key; without
    pseudonyms it is not there. ``muted_by`` is the incident that is told instead of it.
    """

    id: str
    revision: int
    group: Group
    status: Status = "open"
    level: str = "informational"
    watched: bool = False
    risk: float = 0.0
    response: Response = "none"
    queue: str = ""
    held: bool = False
    escalations: int = 0
    due: int = 0
    opened: int
    closed: int = 0
    first: int
    last: int
    actors: list[ActorRisk] = []
    units: dict[str, str] = {}
    teams: list[str] | msgspec.UnsetType = msgspec.UNSET
    sealed: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    subjects: list[str] = []
    alerts: list[Share] = []
    rest: Rest = msgspec.field(default_factory=Rest)
    alert_count: int = 0
    suppressed: int = 0
    disposition: str | None = None
    muted_by: str | None = None
    related: list[str] = []
    notices: list[Notice] = []
    history: list[Step] = []

    @property
    def is_open(self) -> bool:
        """Whether it is not closed."""
        return self.status != "closed"

    @property
    def members(self) -> list[str]:
        """The ids of its actors, those with the highest risk first."""
        return [each.actor for each in self.actors]


_encoder: Final = msgspec.json.Encoder(order="deterministic")
_decoder: Final = msgspec.json.Decoder(Incident)


def incident_id(group: Group, alert: str) -> str:
    """UUIDv5 (RFC 9562) of what the incident is about and the alert that opened it."""
    name = msgspec.json.encode(["incident", group.kind, group.id, alert]).decode()
    return str(uuid.uuid5(NAMESPACE, name))


def encode(incident: Incident) -> bytes:
    """The incident as JSON; the same one gives the same bytes."""
    return _encoder.encode(incident)


def decode(raw: bytes) -> Incident:
    """The incident of :func:`encode`, or of an earlier version, which lacked some fields. Raises ``msgspec.MsgspecError``."""
    return _decoder.decode(raw)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``lookup.incidents.v1``."""
    (schema,), components = msgspec.json.schema_components([Incident], ref_template="#/$defs/{name}")
    components["Incident"]["properties"]["id"]["format"] = "uuid"
    components["Incident"]["properties"]["level"]["enum"] = list(LEVELS)
    components["Incident"]["properties"]["disposition"] = {"enum": [*VERDICTS, None], "default": None}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lookup.incidents.v1",
        **schema,
        "$defs": components,
    }
