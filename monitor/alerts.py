"""The alert: what the security desk is told, with its evidence, under an id that a repeat of the work gives again."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from monitor.model.explain import Factor
from monitor.rules import Firing, Rule

#: The namespace of alert ids; it must never change, or old and new alerts would not be recognised as the same.
NAMESPACE: Final = uuid.UUID("6f2d3c1e-5a0b-5c57-9d34-0b7c6b1f9a42")
#: How sure a rule of a level is, as the score of its alerts; the model's alerts carry the model's own score.
LEVEL_SCORES: Final = {"informational": 0.1, "low": 0.3, "medium": 0.5, "high": 0.8, "critical": 1.0}
MODEL_RULE_ID: Final = "c0b0a3f4-2f1e-5d0e-8b55-7f3f2d9a6e01"


class RuleInfo(msgspec.Struct, frozen=True):
    """The rule (or model) that raised the alert."""

    id: str
    title: str
    level: str
    typology: str


class Entity(msgspec.Struct, frozen=True):
    """What the alert is about: the group of the rule, ``kind`` such as ``actor`` or ``subject``."""

    kind: str
    id: str


class Alert(msgspec.Struct, frozen=True):
    """One message of ``lookup.alerts.v1``. ``ts`` is ``time`` in milliseconds since the epoch; ``score`` is 0 to 1.

    ``pack`` is the version of the rules that were running; ``suppressed`` counts how often the rule would have alerted about
    the same group since its last alert, had it not kept quiet. Alerts of the model have ``factors``, the features that made the
    score, and ``speaks_for``, what speaks for the actor, as sentences. Once it is under pseudonyms (:mod:`monitor.privacy.mask`), ``sealed`` has
    the identity behind each, for who has the key; before, it is not there.
    """

    id: str
    time: str
    ts: int
    rule: RuleInfo
    entity: Entity
    actors: list[str]
    subjects: list[str]
    events: list[str]
    score: float
    reasons: list[str]
    kind: Literal["rule", "model"]
    pack: str = ""
    suppressed: int = 0
    factors: list[Factor] = []
    speaks_for: list[str] = []
    sealed: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


#: A question rather than an accusation: to be unusual is no misuse. Rules of the type ``anomaly`` have levels of their own.
MODEL_RULE: Final = RuleInfo(MODEL_RULE_ID, "Unusual for the peer group", "low", "")
#: The leak meter: :mod:`monitor.model.meter`.
METER_RULE: Final = RuleInfo(
    "5d7a1c52-90b4-5f0e-9a8f-1b6f5d8e2c47", "More lookups that led to nothing than peers have", "medium", "low-and-slow"
)
_encoder: Final = msgspec.json.Encoder(order="deterministic")
_decoder: Final = msgspec.json.Decoder(Alert)


def alert_id(rule_id: str, group: Sequence[tuple[str, str]], trigger: str) -> str:
    """UUIDv5 (RFC 9562) of the rule, the group's fields and values, and the lookup that triggered it."""
    name = msgspec.json.encode([rule_id, [list(pair) for pair in group], trigger]).decode()
    return str(uuid.uuid5(NAMESPACE, name))


def from_firing(firing: Firing, pack: str = "") -> Alert:
    """The alert of a rule's firing, under the rules of the version ``pack``."""
    rule = firing.rule
    return Alert(
        id=alert_id(rule.id, firing.group, firing.trigger),
        time=firing.time,
        ts=firing.ts,
        rule=info_of(rule),
        entity=entity_of(firing.group),
        actors=firing.actors,
        subjects=firing.subjects,
        events=firing.events,
        score=LEVEL_SCORES.get(rule.level, 0.5),
        reasons=firing.reasons,
        kind="rule",
        pack=pack,
        suppressed=firing.suppressed,
    )


def info_of(rule: Rule) -> RuleInfo:
    """What an alert says of its rule."""
    return RuleInfo(rule.id, rule.title, rule.level, rule.typology or "")


def from_model(
    lookup: Mapping[str, Any],
    score: float,
    reasons: list[str],
    pack: str = "",
    rule: RuleInfo = MODEL_RULE,
    factors: Sequence[Factor] = (),
    speaks_for: Sequence[str] = (),
) -> Alert:
    """The alert of the model (or of an ``anomaly`` rule) about one lookup.

    ``score`` is 0 to 1, ``reasons`` name the features in words; the rest as in :class:`Alert`.
    """
    actor, subject = lookup["actor.id"], lookup.get("subject.id")
    return Alert(
        id=alert_id(rule.id, [("actor.id", actor)], f"{lookup['system']}/{lookup['id']}"),
        time=lookup["time"],
        ts=lookup["ts"],
        rule=rule,
        entity=Entity("actor", actor),
        actors=[actor],
        subjects=[subject] if subject is not None else [],
        events=[lookup["id"]],
        score=round(score, 6),
        reasons=reasons,
        kind="model",
        pack=pack,
        factors=list(factors),
        speaks_for=list(speaks_for),
    )


def entity_of(group: Sequence[tuple[str, str]]) -> Entity:
    """The entity of a group: the actor when the actor is in it, else its fields and values joined."""
    values = dict(group)
    if "actor.id" in values:
        return Entity("actor", values["actor.id"])
    kind = ",".join(field.removesuffix(".id") for field in values) or "all"
    return Entity(kind, "|".join(values.values()))


def encode(alert: Alert) -> bytes:
    """The alert as JSON; the same alert gives the same bytes."""
    return _encoder.encode(alert)


def decode(raw: bytes) -> Alert:
    """The alert of :func:`encode`. Raises :class:`msgspec.ValidationError` when it is none."""
    return _decoder.decode(raw)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``lookup.alerts.v1``."""
    (schema,), components = msgspec.json.schema_components([Alert], ref_template="#/$defs/{name}")
    components["Alert"]["properties"]["score"].update(minimum=0, maximum=1)
    components["Alert"]["properties"]["id"]["format"] = "uuid"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lookup.alerts.v1",
        **schema,
        "$defs": components,
    }
