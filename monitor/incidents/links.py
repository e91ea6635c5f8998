"""What incidents are found by: the rings of an actor, the incident about an actor or another entity, those about a subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from monitor.alerts import Alert
from monitor.incidents.model import Incident, decode
from monitor.incidents.risk import rank_of

#: Alerts of different actors about one subject within so long (event time, ms) of each other link their incidents.
NEAR_MS: Final = 7 * 24 * 3600 * 1000
_KEPT: Final = 16
_names: Final = msgspec.json.Decoder(list[str])
_sightings: Final = msgspec.json.Decoder(list[tuple[str, int]])


class Links:
    """Keys of the store: ``g/<kind>/<id>`` the last incident about it, ``m/<actor>`` its last rings, ``s/<subject>`` who alerted on it."""

    #: So many actors a ring takes in, and so many other incidents one names.
    MAX_MEMBERS: Final = 64
    MAX_RELATED: Final = 64

    def __init__(self, get: Callable[[str], bytes | None], put: Callable[[str, bytes], None]) -> None:
        self._get = get
        self._put = put

    def rings(self, actors: Iterable[str]) -> list[str]:
        """The last rings that actors are in, each once, the oldest first for each actor."""
        found: dict[str, None] = {}
        for actor in actors:
            raw = self._get(f"m/{actor}")
            found.update(dict.fromkeys(_names.decode(raw) if raw is not None else ()))
        return list(found)

    def begin(self, incident: Incident) -> None:
        """Let a new incident be found by what it is about, in the place of the one before it."""
        if incident.group.kind != "ring":
            self._set(f"g/{incident.group.kind}/{incident.group.id}", incident.id.encode())

    def keep(self, incident: Incident) -> None:
        """Let a ring be found by its members."""
        if incident.group.kind != "ring":
            return
        for actor in incident.members:
            known = self.rings([actor])
            if incident.id not in known:
                self._put(f"m/{actor}", msgspec.json.encode([*known, incident.id][-_KEPT:]))

    def by_subject(self, incident: Incident, alert: Alert) -> list[Incident]:
        """The open incidents about other actors with an alert of level medium or more near this one, about a subject of it.

        They are said to be related and no more than that: whether people who look at the same subject belong together is for
        rules to say, which know their cases. What is below medium has no place here.
        """
        if rank_of([alert.rule.level]) < rank_of(["medium"]):
            return []
        found = {}
        for subject in sorted(set(alert.subjects)):
            raw = self._get(f"s/{subject}")
            seen = [] if raw is None else _sightings.decode(raw)
            near = {name for name, ts in seen if name != incident.id and abs(ts - alert.ts) <= NEAR_MS}
            for name in sorted(near):
                other = self._get(f"i/{name}")
                if other is not None and (one := decode(other)).is_open:
                    found[name] = one
            kept = [each for each in seen if each[0] != incident.id][1 - _KEPT :]
            self._set(f"s/{subject}", msgspec.json.encode([*kept, (incident.id, alert.ts)]))
        return list(found.values())

    def _set(self, key: str, value: bytes) -> None:
        if self._get(key) != value:
            self._put(key, value)
