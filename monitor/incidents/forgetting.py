"""What incidents are forgotten, and what of the state goes with them.

An incident that has been closed for long enough is forgotten whole: its message gets a tombstone, and so does all that it is found by.
One that was cleared (explained or benign) is forgotten sooner. What is under a legal hold stays. It happens when a day begins (UTC, by
the journal's time), so that who reads the journal again forgets the same at the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final

import msgspec

from monitor.feedback.disposition import LABELS
from monitor.incidents.model import Incident, decode
from monitor.incidents.order import Order

#: Verdicts that say that there was nothing.
CLEARED: Final = frozenset(verdict for verdict, is_misuse in LABELS.items() if not is_misuse)


class _Age(msgspec.Struct):
    """The beginning of what has to be known of an incident."""

    status: str
    closed: int
    disposition: str | None


_age: Final = msgspec.json.Decoder(_Age)
_names: Final = msgspec.json.Decoder(list[str])
_sightings: Final = msgspec.json.Decoder(list[tuple[str, int]])


class Holds:
    """The legal holds in force, by the id of their order."""

    def __init__(self, orders: Mapping[str, Order]) -> None:
        self._held = frozenset(name for order in orders.values() for name in order.names)

    def has(self, incident: Incident) -> bool:
        """Whether an incident, or somebody or something in it, is held."""
        return bool(self._held) and not self._held.isdisjoint(names_of(incident))


def names_of(incident: Incident) -> set[str]:
    """All that an incident can be held or erased by: its id, what it is about, its actors, its subjects."""
    named = {incident.id, incident.group.id, *incident.members, *incident.subjects}
    for share in incident.alerts:
        named.update(share.actors, share.subjects)
    return named


def expired(store: Mapping[str, bytes], now: int, after_ms: int, cleared_ms: int, holds: Holds) -> list[str]:
    """The ids of incidents that have been closed for ``after_ms`` (cleared ones: ``cleared_ms``) at ``now``, and are not held."""
    found = []
    for key in [each for each in store if each.startswith("i/")]:
        raw = store[key]
        age = _age.decode(raw)
        kept_ms = min(cleared_ms, after_ms) if age.disposition in CLEARED else after_ms
        if age.status == "closed" and age.closed + kept_ms <= now and not holds.has(decode(raw)):
            found.append(key[2:])
    return sorted(found)


def forget(store: MutableMapping[str, bytes], gone: Iterable[str]) -> list[str]:
    """Take incidents, and all that leads to them, out of the state; the keys that have changed or are there no more, in order."""
    names = frozenset(gone)
    changed = []
    for key in sorted(store) if names else []:
        kind, _, rest = key.partition("/")
        if kind == "i":
            kept = None if rest in names else store[key]
        elif kind in ("a", "g"):
            kept = None if store[key].decode() in names else store[key]
        elif kind == "m":
            rings = [each for each in _names.decode(store[key]) if each not in names]
            kept = msgspec.json.encode(rings) if rings else None
        elif kind == "s":
            seen = [each for each in _sightings.decode(store[key]) if each[0] not in names]
            kept = msgspec.json.encode(seen) if seen else None
        else:
            continue
        if kept is None:
            del store[key]
            changed.append(key)
        elif kept != store[key]:
            store[key] = kept
            changed.append(key)
    return changed


def erased(incident: Incident, names: frozenset[str]) -> bool:
    """Whether an incident is forgotten whole when ``names`` are erased: nobody else is an actor in it, and it is closed."""
    return not incident.is_open and bool(incident.actors) and set(incident.members) <= names


def unsealed(incident: Incident, names: frozenset[str]) -> bool:
    """Take what is sealed of names out of an incident that stays; whether there was any."""
    if not isinstance(incident.sealed, dict) or names.isdisjoint(incident.sealed):
        return False
    incident.sealed = {name: raw for name, raw in incident.sealed.items() if name not in names}
    return True
