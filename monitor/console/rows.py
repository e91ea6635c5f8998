"""What the store keeps of a message: the rows of an incident, of an alert, of a rule. Pure: the same message gives the same rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from monitor.alerts import Alert
from monitor.feedback.disposition import Disposition
from monitor.incidents.model import RESPONSES, Incident, Share
from monitor.incidents.risk import rank_of
from monitor.rules import RuleSet
from monitor.rules.model import DAY_MS, LEVELS

#: Longer texts are cut where they are looked for; what is shown comes of the message itself.
MAX_NAME: Final = 512
MAX_WORDS: Final = 20_000
#: What ``status`` may be asked for; ``unclosed`` is what somebody has to work on.
STATUSES: Final = ("unclosed", "open", "acknowledged", "muted", "closed", "all")
_RISK_SPAN: Final = 10**12
_Row = dict[str, Any]


class RuleText(msgspec.Struct, frozen=True):
    """What the console shows of a rule. ``alerts``: whether it alerts by itself, or is only a part of another."""

    title: str
    level: str
    typology: str
    description: str
    playbook: str
    falsepositives: tuple[str, ...]
    alerts: bool
    path: str


def name_in(key: bytes | None) -> str:
    """The id in a message's key."""
    return clean((key or b"").decode(errors="replace"))


def clean(text: str) -> str:
    """A text as a database can keep and find it: PostgreSQL takes no NUL."""
    return text[:MAX_NAME].replace("\0", "\ufffd")


def urgency_of(incident: Incident) -> int:
    """The place in the queue, the highest first: the response, then the level, then the risk."""
    rank = RESPONSES.index(incident.response) * len(LEVELS) + rank_of([incident.level])
    return rank * _RISK_SPAN + min(_RISK_SPAN - 1, max(0, round(incident.risk * 1000)))


def by_weight(incident: Incident) -> list[Share]:
    """The alerts of an incident, the one that weighs most first."""
    return sorted(incident.alerts, key=lambda each: (each.part_of is not None, -each.now, -each.points, each.ts))


def incident_row(incident: Incident, raw: bytes) -> _Row:
    """The incident's row in the queue."""
    shares = by_weight(incident)
    typologies = list(dict.fromkeys(each.rule.typology for each in shares if each.rule.typology))
    return {
        "id": incident.id,
        "revision": incident.revision,
        "urgency": urgency_of(incident),
        "status": incident.status,
        "level": incident.level,
        "queue": clean(incident.queue),
        "kind": clean(incident.group.kind),
        "about": clean(incident.group.id),
        "risk": incident.risk,
        "opened": incident.opened,
        "last": incident.last,
        "alerts": incident.alert_count,
        "held": incident.held,
        "watched": incident.watched,
        "muted_by": incident.muted_by or "",
        "disposition": incident.disposition or "",
        "title": clean(shares[0].rule.title if shares else incident.group.kind),
        "typologies": clean(" ".join(typologies)),
        "raw": raw,
    }


def facets_of(incident: Incident) -> list[tuple[str, str]]:
    """What the incident can be filtered by. A muted one is in no queue: it is found as ``muted``, or among all."""
    is_muted = incident.is_open and incident.muted_by is not None
    found = {("status", "all"), ("status", "muted" if is_muted else incident.status)}
    if incident.is_open and not is_muted:
        found.add(("status", "unclosed"))
    found |= {("level", incident.level), ("response", incident.response), ("queue", clean(incident.queue))}
    found |= {("unit", clean(each)) for each in incident.units.values()}
    found |= {("typology", clean(each.rule.typology)) for each in incident.alerts if each.rule.typology}
    found |= {("rule", clean(each.rule.id)) for each in incident.alerts}
    return sorted(found)


def names_of(incident: Incident) -> list[tuple[str, str]]:
    """Whom the incident names, and the alerts it has kept."""
    found = {("actor", clean(each)) for each in incident.members}
    found |= {("subject", clean(each)) for each in incident.subjects}
    found |= {("alert", clean(each.alert)) for each in incident.alerts}
    return sorted(found)


def words_of(incident: Incident) -> str:
    """The texts an incident is found by: titles and reasons of its alerts, and what people said."""
    said: dict[str, None] = {}
    for share in by_weight(incident):
        said.update(dict.fromkeys((share.rule.title, *share.reasons, *share.speaks_for)))
    for step in reversed(incident.history):
        said.update(dict.fromkeys((step.reason, step.by)))
    return "\n".join(said)[:MAX_WORDS].replace("\0", " ")


def text_number(incident: str) -> int:
    """The number under which an incident's texts are kept: of its id alone, so that a store made anew has the same."""
    return int.from_bytes(hashlib.blake2b(incident.encode(), digest_size=8).digest(), "big") >> 1


def alert_row(alert: Alert, raw: bytes) -> _Row:
    """The alert's row."""
    return {"id": clean(alert.id), "ts": alert.ts, "rule": clean(alert.rule.id), "level": alert.rule.level, "raw": raw}


def alert_names_of(alert: Alert) -> Iterable[_Row]:
    """Whom the alert names, and the lookups it rests on."""
    for kind, names in (("actor", alert.actors), ("subject", alert.subjects), ("event", alert.events)):
        for name in dict.fromkeys(map(clean, names)):
            yield {"kind": kind, "name": name, "ts": alert.ts, "alert": clean(alert.id)}


def review_row(lookup: Mapping[str, Any], name: str, raw: bytes) -> _Row:
    """The row of a lookup of the sample for review. Raises ``KeyError`` or ``TypeError`` when it is none."""
    return {"name": clean(name), "ts": int(lookup["ts"]), "open": True, "raw": raw}


def disposition_row(at: int, received: int, said: Disposition) -> _Row:
    """The row of a verdict, by its offset and when Kafka received it (ms)."""
    return {
        "at": at,
        "about": clean(said.alert or said.lookup or ""),
        "incident": clean(said.incident or ""),
        "verdict": said.verdict,
        "by": clean(said.by),
        "received": received,
        "note": said.note.replace("\0", "\ufffd"),
    }


def age(kind: str, name: str, received: int) -> _Row:
    """The row that says since when something is there (ms)."""
    return {"received": received, "kind": kind, "name": name}


def sorted_by_key(found: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in the order of their keys: two writers lock them in the same order then."""
    return [found[name] for name in sorted(found)]


def day_of(ts: int) -> int:
    """The day (UTC, since the epoch) of an event time in milliseconds."""
    return ts // DAY_MS


def rule_texts(rules: RuleSet) -> dict[str, bytes]:
    """What is shown of each rule of a pack, by id."""
    found = {}
    for name, rule in rules.by_id.items():
        shown = RuleText(
            title=rule.title,
            level=rule.level,
            typology=rule.typology or "",
            description=rule.description,
            playbook=rule.playbook,
            falsepositives=rule.falsepositives,
            alerts=rule.alerts,
            path=rule.path,
        )
        found[clean(name)] = msgspec.json.encode(shown, order="deterministic")
    return found
