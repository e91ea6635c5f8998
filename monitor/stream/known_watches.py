"""What ``monitor incidents run`` asks of the reference data: who is under observation, and which unit an actor is of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from monitor.alerts import Alert
from monitor.privacy.pseudonym import Kind, Pseudonyms
from monitor.records import FOREVER, Actor, BadRecord, Watch, decode, milliseconds

_PREFIXES: Final = (b"watch/", b"actor/")


class KnownWatches:
    """The watches and units in ``lookup.reference.v1``, by the names that alerts have: pseudonyms, unless they are off."""

    def __init__(self, pseudonyms: Pseudonyms | None = None) -> None:
        self._pseudonyms = pseudonyms
        self._units: dict[str, str] = {}
        self._watches: dict[bytes, tuple[frozenset[str], frozenset[str], int, int]] = {}
        self._by_subject: dict[str, set[bytes]] = {}
        #: The next offset to read.
        self.position = 0

    def take(self, records: Iterable[Any]) -> None:
        """Take in the next records of the topic. What cannot be read the workers refuse and report."""
        for record in records:
            self.position = record.offset + 1
            key = record.key or b""
            if not key.startswith(_PREFIXES):
                continue
            try:
                self._take(key, None if record.value is None else decode(record.value))
            except BadRecord:
                continue

    def _take(self, key: bytes, found: object) -> None:
        if key.startswith(b"actor/"):
            for name in self._names("actor", [key[6:].decode()]):
                self._units.pop(name, None)
                if isinstance(found, Actor) and found.unit is not None:
                    self._units[name] = found.unit
            return
        begins, ends = 0, 0
        if isinstance(found, Watch):
            begins, ends = milliseconds(found.from_, -FOREVER), milliseconds(found.to, FOREVER)
        if key in self._watches:
            for subject in self._watches.pop(key)[0]:
                self._by_subject[subject].discard(key)
        if isinstance(found, Watch):
            subjects = self._names("subject", found.subjects or ())
            self._watches[key] = subjects, self._names("actor", found.may_know or ()), begins, ends
            for subject in subjects:
                self._by_subject.setdefault(subject, set()).add(key)

    def _names(self, kind: Kind, names: Iterable[str]) -> frozenset[str]:
        # As they are too: alerts of before pseudonyms were on, or raised while they were off, may still come.
        found = set(names)
        if self._pseudonyms is not None:
            found |= self._pseudonyms.find(kind, list(found)).keys()
        return frozenset(found)

    def is_watched(self, alert: Alert) -> bool:
        """Whether a subject of the alert was under observation at its time, and one of its actors not to know of it."""
        for subject in alert.subjects:
            for key in self._by_subject.get(subject, ()):
                _, may_know, begins, ends = self._watches[key]
                if begins <= alert.ts < ends and not set(alert.actors) <= may_know:
                    return True
        return False

    def units_of(self, alert: Alert) -> dict[str, str]:
        """The units of the alert's actors, as far as they are known."""
        return {actor: self._units[actor] for actor in sorted(set(alert.actors)) if actor in self._units}
