"""From what the work knows to what people are told: the one place where ids become pseudonyms.

Workers, rules and models go on with ids, as they must know who is whose kin. When an alert is finished it goes through :meth:`Mask.alert`,
and so it does in a replay, so that live and replay are the same byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import orjson

from monitor.alerts import Alert, Entity
from monitor.privacy.identity import Identities
from monitor.privacy.pseudonym import Kind, Pseudonyms

#: Fields that an alert may be grouped by and that name nobody and nothing that was looked at.
OPEN: Final = frozenset(
    {"all", "system", "action", "actor.unit", "actor.role", "actor.peer_group", "subject.kind", "subject.area", "client.area"}
)  # fmt: skip
#: Fields of a lookup that goes to review which say what was done and why, and not who or what it was about.
TOLD: Final = (
    "id", "time", "ts", "system", "action", "outcome", "results", "actor.unit", "actor.role", "actor.peer_group", "subject.kind", "subject.area",
    "client.area", "relation", "explanation", "explanation.kind", "explanation.strength", "purpose.status", "purpose.code", "in_area", "on_shift",
    "act.folded", "query.fields",
)  # fmt: skip


class Mask:
    """Pseudonyms with the identities sealed beside them. ``identities`` may be missing where nothing is sealed."""

    def __init__(self, pseudonyms: Pseudonyms, identities: Identities | None) -> None:
        self._pseudonyms = pseudonyms
        self._identities = identities
        self._sealed: dict[str, str] = {}

    def alert(self, alert: Alert) -> Alert:
        """The alert under pseudonyms; its id, which is made of an id, becomes a keyed number of it.

        One that names nobody stays as it is, byte for byte: it has to be the same whoever raises it, key or none.
        """
        is_open = set(alert.entity.kind.split(",")) <= OPEN
        if is_open and not alert.actors and not alert.subjects:
            return alert
        sealed: dict[str, str] = {}
        # In the order of the pseudonyms: that of the ids would tell who comes before whom.
        actors = sorted(self.name("actor", each, sealed) for each in alert.actors)
        subjects = sorted(self.name("subject", each, sealed) for each in alert.subjects)
        entity = alert.entity if is_open else self._entity(alert.entity, sealed)
        return msgspec.structs.replace(
            alert,
            id=str(self._pseudonyms.number(alert.id)),
            entity=entity,
            actors=actors,
            subjects=subjects,
            sealed=dict(sorted(sealed.items())),
        )

    def lookup(self, lookup: Mapping[str, Any]) -> bytes:
        """A lookup that goes to review, under pseudonyms: what was done and what explains it, and none of what was typed."""
        sealed: dict[str, str] = {}
        told = {name: lookup[name] for name in TOLD if lookup.get(name) is not None}
        for field, kind in _WHO.items():
            if isinstance(lookup.get(field), str):
                told[field] = self.name(kind, lookup[field], sealed)
        return orjson.dumps({**told, "sealed": dict(sorted(sealed.items()))})

    def each(self) -> list[Mask]:
        """One for each key of the pseudonyms, the one of now first."""
        return [Mask(each, self._identities) for each in self._pseudonyms.each()]

    @property
    def print(self) -> str:
        """As :attr:`Pseudonyms.print`."""
        return self._pseudonyms.print

    def _entity(self, entity: Entity, sealed: dict[str, str]) -> Entity:
        kind = _ENTITIES.get(entity.kind, "group")
        return Entity(entity.kind, self.name(kind, entity.id if kind != "group" else _named(entity), sealed))

    def name(self, kind: Kind, name: str, sealed: dict[str, str]) -> str:
        """The pseudonym of an id; the id, sealed, is put into ``sealed``."""
        made = self._pseudonyms.of(kind, name)
        if self._identities is not None:
            known = self._sealed.get(made)
            if known is None:
                if len(self._sealed) >= _KEPT:
                    self._sealed.clear()
                known = self._sealed[made] = self._identities.seal(made, name)
            sealed[made] = known
        return made


_KEPT: Final = 1 << 14
_ENTITIES: Final[Mapping[str, Kind]] = {"actor": "actor", "subject": "subject"}
_WHO: Final[Mapping[str, Kind]] = {"actor.id": "actor", "subject.id": "subject"}


def _named(entity: Entity) -> str:
    """The value of a group with its fields: the same text in another field is something else."""
    return f"{entity.kind}={entity.id}"


def named(found: Iterable[Alert], pseudonyms: Pseudonyms, actors: Iterable[str]) -> list[Alert]:
    """Alerts with the ids of the actors in the place of their pseudonyms, as far as they are among ``actors``.

    For reports that count by unit or role: what comes out must not name anybody.
    """
    known = pseudonyms.find("actor", actors)
    return [
        msgspec.structs.replace(each, actors=sorted(known.get(actor, actor) for actor in each.actors)) for each in found
    ]


def has_names(alert: Alert) -> bool:
    """Whether an alert names people or subjects as they are: it was raised without pseudonyms."""
    return alert.sealed is msgspec.UNSET and bool(alert.actors or alert.subjects)
