"""The book: journal entries in, incidents out. The same entries give the same incidents, byte for byte.

An alert goes to the open incident about its actor, or to the ring it belongs to; when there is none it opens one. One that comes late,
about a time for which its incident was closed already, goes there too: it opens that again when it says something new, and no
second one. A ring mutes the incidents about its members that are not higher than itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Final, Literal

import msgspec

from monitor.alerts import Alert
from monitor.feedback.disposition import BadDisposition, Disposition
from monitor.incidents.command import BadCommand, Command
from monitor.incidents.forgetting import Holds, erased, expired, forget, names_of, unsealed
from monitor.incidents.head import HEAD, Brief, brief_of, load_head
from monitor.incidents.joining import join
from monitor.incidents.journal import Asked, Entry, Judged, Ordered, Raised
from monitor.incidents.links import Links
from monitor.incidents.model import MONITOR, Group, Incident, decode, encode, incident_id
from monitor.incidents.order import Order
from monitor.incidents.response import DAY_MS, Policy, Responder, notify, step
from monitor.incidents.risk import rank_of, weigh
from monitor.review import Sampler

#: With so many steps an incident takes no further commands, and with so many no further verdicts: all of them are kept.
MAX_STEPS: Final = 500
MAX_VERDICTS: Final = 1_000
_WORST: Final = ("true-misuse", "unsure", "explained", "benign")
Fate = Literal["opened", "joined", "part", "repeat", "late", "reopened", "duplicate", "done", "passed", "seen"]
#: What becomes of an alert.
FATES: Final[tuple[Fate, ...]] = ("opened", "joined", "part", "repeat", "late", "reopened", "duplicate")


class Book:
    """All incidents. ``store`` holds them and what they are found by, under texts: as it was saved, or empty.

    Raises :class:`BadState`.
    """

    def __init__(self, store: MutableMapping[str, bytes], policy: Policy, sampler: Sampler) -> None:
        self._store = store
        self._policy = policy
        self.head = load_head(store.get(HEAD))
        self._responder = Responder(policy, sampler, self.head.budget)
        self._dirty: dict[str, None] = {}
        self._told: dict[str, None] = {}
        self._links = Links(self._get, self._put)
        #: The open incidents.
        self.open: dict[str, Brief] = {}
        for incident in self.all(only_open=True):
            self.open[incident.id] = brief_of(incident)

    def all(self, only_open: bool = False) -> Iterator[Incident]:
        """Every incident, in the order of their ids."""
        for key in [each for each in self._store if each.startswith("i/")]:
            raw = self._store[key]
            # No text in JSON can have this in it: its quotes would be escaped.
            if not only_open or b'"status":"closed"' not in raw:
                yield decode(raw)

    def get(self, name: str) -> Incident | None:
        """The incident of an id."""
        raw = self._get(f"i/{name}")
        return None if raw is None else decode(raw)

    @property
    def pages_left(self) -> int:
        """How many pages the day has left."""
        return self._responder.left()

    @property
    def done(self) -> Counter[str]:
        """What was done so far in this process: pages by why (``PAGED``), ``held``, ``escalation``, ``muted``."""
        return self._responder.done

    def skip(self, position: int) -> None:
        """Pass over an entry that cannot be read."""
        self.head.position = max(self.head.position, position + 1)

    @property
    def due(self) -> int | None:
        """When something is to happen by itself (time of receipt, ms)."""
        return min((each.due for each in self.open.values() if each.due), default=None)

    def take(self, entry: Entry, at: int, position: int) -> tuple[Fate, Incident | None]:
        """Take in the entry at ``position`` of the journal, received at ``at`` (ms); say what became of it, and of which incident.

        Raises :class:`monitor.incidents.command.BadCommand` or :class:`monitor.feedback.disposition.BadDisposition` for what cannot
        be done; it counts as taken in.
        """
        if position < self.head.position:
            return "seen", None
        self.head.position = position + 1
        self._advance(max(self.head.now, at))
        if not isinstance(entry, Raised | Judged | Asked | Ordered):
            return "done", None
        if entry.source.offset < self.head.sources.get(entry.source.key, 0):
            return "seen", None
        self.head.sources[entry.source.key] = entry.source.offset + 1
        if isinstance(entry, Raised):
            return self._raise(entry)
        if isinstance(entry, Ordered):
            return self._order(entry.order)
        return self._judge(entry.disposition) if isinstance(entry, Judged) else self._ask(entry.command)

    def changed(self) -> list[tuple[str, bytes | None]]:
        """The incidents that have changed since this was last asked: id and message, ``None`` for one that was forgotten."""
        names, self._told = self._told, {}
        return [(name, self._get(f"i/{name}")) for name in names]

    def save(self) -> list[tuple[str, bytes | None]]:
        """What has changed of the state since this was last asked, ``None`` for what is there no more, :data:`HEAD` last."""
        self.head.budget = self._responder.budget
        self._store[HEAD] = msgspec.msgpack.encode(self.head)
        names, self._dirty = self._dirty, {}
        return [*((name, self._get(name)) for name in names), (HEAD, self._store[HEAD])]

    def _advance(self, now: int) -> None:
        if now // DAY_MS > self.head.now // DAY_MS:
            policy = self._policy
            self._forget(expired(self._store, now, policy.forget_ms, policy.forget_cleared_ms, Holds(self.head.holds)))
        self.head.now = now
        self._responder.begin_day(now)
        late = ((each.due, -each.risk, name) for name, each in self.open.items() if 0 < each.due <= now)
        for _, _, name in sorted(late):
            incident = self._known(name)
            self._responder.due(incident, now)
            self._keep(incident)

    # What is kept no longer.

    def _order(self, order: Order) -> tuple[Fate, Incident | None]:
        if order.order == "hold":
            self.head.holds[order.id] = order
        elif order.order == "lift":
            self.head.holds.pop(order.id, None)
        else:
            names, holds = frozenset(order.names), Holds(self.head.holds)
            found = [each for each in self.all() if names & names_of(each) and not holds.has(each)]
            self._forget([each.id for each in found if erased(each, names)])
            for each in found:
                if not each.is_open and not erased(each, names) and unsealed(each, names):
                    step(each, self.head.now, order.by, "erased", order.reason)
                    self._keep(each)
        return "done", None

    def _forget(self, names: Iterable[str]) -> None:
        gone = dict.fromkeys(names)
        self._dirty.update(dict.fromkeys(forget(self._store, gone)))
        self._told.update(gone)

    # What came of alerts.

    def _raise(self, entry: Raised) -> tuple[Fate, Incident | None]:
        alert = entry.alert
        if self._get(f"a/{alert.id}") is not None:
            return "duplicate", None
        home = self._home(alert)
        incident = home or self._new(alert)
        before, was_closed = incident.level, not incident.is_open
        incident.watched |= entry.watched
        incident.units.update(entry.units)
        if entry.teams:
            known = incident.teams if isinstance(incident.teams, list) else []
            incident.teams = sorted({*known, *entry.teams})
        fate: Fate = join(incident, alert)
        self._put(f"a/{alert.id}", incident.id.encode())
        if was_closed and fate == "joined":
            fate = "reopened"
            incident.status, incident.disposition, incident.closed = "open", None, 0
            incident.response, incident.level = "none", "informational"
            step(incident, self.head.now, MONITOR, "reopened", f"a late alert says something new: {alert.rule.title}")
        elif was_closed:
            fate = "late"
        elif home is None:
            fate = "opened"
            self._links.begin(incident)
            step(incident, self.head.now, MONITOR, "opened", alert.rule.title)
        weigh(incident, self._policy.half_life_ms)
        if incident.is_open:
            self._follow(incident, alert, before, fate)
        self._keep(incident)
        self._mute_members(incident)
        return fate, incident

    def _follow(self, incident: Incident, alert: Alert, before: str, fate: Fate) -> None:
        now, why = self.head.now, alert.rule.title
        if fate == "joined" and rank_of([incident.level]) > rank_of([before]):
            step(incident, now, MONITOR, "raised", f"{before} to {incident.level}, risk {incident.risk:g}: {why}")
        if fate in ("joined", "opened", "reopened"):
            for other in self._links.by_subject(incident, alert):
                self._keep(self._link(other, incident.id))
                self._link(incident, other.id)
        self._mute(incident)
        self._responder.respond(incident, now, why)

    def _new(self, alert: Alert) -> Incident:
        actors = set(alert.actors)
        group = Group(alert.entity.kind, alert.entity.id)
        if len(actors) > 1:
            group = Group("ring", f"{alert.entity.kind}/{alert.entity.id}")
        elif actors:
            group = Group("actor", min(actors))
        return Incident(
            id=incident_id(group, alert.id),
            revision=self.head.position - 1,
            group=group,
            opened=self.head.now,
            first=alert.ts,
            last=alert.ts,
        )

    def _home(self, alert: Alert) -> Incident | None:
        actors = set(alert.actors)
        found = self._of_rings(alert, actors)
        if found is None and len(actors) < 2:
            kind, name = ("actor", min(actors)) if actors else (alert.entity.kind, alert.entity.id)
            last = self._get(f"g/{kind}/{name}")
            found = None if last is None else self._known(last.decode())
        if found is None or found.is_open or alert.ts <= found.last:
            return found
        return None

    def _of_rings(self, alert: Alert, actors: set[str]) -> Incident | None:
        rings = [self._known(name) for name in self._links.rings(sorted(actors))]
        fitting = [each for each in rings if fits(each, actors, set(alert.subjects))]
        is_open = [each for each in fitting if each.is_open]
        is_late = [each for each in fitting if not each.is_open and alert.ts <= each.last and len(actors) > 1]
        return min(is_open or is_late, key=lambda each: (each.opened, each.id), default=None)

    # What came of people.

    def _judge(self, said: Disposition) -> tuple[Fate, Incident | None]:
        if said.alert is None:
            return "passed", None
        home = self._get(f"a/{said.alert}")
        if said.incident is not None and (home is None or home.decode() != said.incident):
            raise BadDisposition("unknown-incident", "there is no such incident with such an alert")
        if home is None:
            return "passed", None  # the ranker refuses it
        incident = self._known(home.decode())
        if len(incident.history) >= MAX_VERDICTS:
            raise BadDisposition("too-many-steps", f"the incident has {MAX_VERDICTS} steps and takes no more verdicts")
        if said.incident is not None:
            for share in incident.alerts:
                share.verdict = said.verdict
            self._close(incident, said.verdict, said.by, said.note)
        else:
            self._judge_alert(incident, said, said.alert)
        weigh(incident, self._policy.half_life_ms)
        self._keep(incident)
        self._mute_members(incident)
        return "done", incident

    def _judge_alert(self, incident: Incident, said: Disposition, alert: str) -> None:
        for share in incident.alerts:
            if share.alert == alert:
                share.verdict = said.verdict
        step(incident, self.head.now, said.by, "judged", f"alert {alert}: {said.verdict}. {said.note}".strip())
        given = {share.verdict for share in incident.alerts if share.part_of is None}
        if None in given or incident.rest.count:
            if incident.status == "open":
                self._acknowledge(incident, said.by)
            return
        worst = min((each for each in given if each is not None), key=_WORST.index)
        if worst != incident.disposition:
            self._close(incident, worst, said.by, "all of its alerts have a verdict")

    def _close(self, incident: Incident, verdict: str, by: str, note: str) -> None:
        now, was_open = self.head.now, incident.is_open
        incident.status, incident.disposition = "closed", verdict
        incident.due, incident.held, incident.muted_by = 0, False, None
        incident.closed = now
        step(incident, now, by, "closed" if was_open else "judged anew", f"{verdict}. {note}".strip())
        if was_open:
            notify(incident, "closed", now, verdict)

    def _ask(self, asked: Command) -> tuple[Fate, Incident | None]:
        incident, now = self.get(asked.incident), self.head.now
        if incident is None:
            raise BadCommand("unknown-incident", "there is no such incident")
        if len(incident.history) >= MAX_STEPS:
            raise BadCommand("too-many-steps", f"the incident has {MAX_STEPS} steps and takes no more commands")
        if asked.command != "comment" and not incident.is_open:
            raise BadCommand("closed", "the incident is closed")
        step(incident, now, asked.by, asked.command, asked.reason)
        if asked.command == "acknowledge":
            self._acknowledge(incident, asked.by)
        elif asked.command == "escalate":
            self._responder.escalate(incident, now, f"asked for: {asked.reason}")
        self._keep(incident)
        return "done", incident

    def _acknowledge(self, incident: Incident, by: str) -> None:
        was_open = incident.status == "open"
        incident.status, incident.due, incident.held = "acknowledged", 0, False
        if was_open:
            notify(incident, "acknowledged", self.head.now, f"by {by}")

    # Rings and their members.

    def _mute_members(self, ring: Incident) -> None:
        if ring.group.kind != "ring":
            return
        for actor in ring.members:
            last = self._get(f"g/actor/{actor}")
            own = None if last is None else self._known(last.decode())
            if own is None or not own.is_open:
                continue
            before = encode(own)
            if ring.is_open:
                self._link(own, ring.id)
                self._keep(self._link(self._known(ring.id), own.id))
            self._mute(own)
            if encode(own) != before:
                self._keep(own)

    def _mute(self, own: Incident) -> None:
        if own.group.kind != "actor":
            return
        rings = [self._known(name) for name in self._links.rings([own.group.id])]
        over = [each.id for each in rings if each.is_open and rank_of([each.level]) >= rank_of([own.level])]
        by = own.muted_by if own.muted_by in over else min(over, default=None)
        if by == own.muted_by:
            return
        was_muted, own.muted_by = own.muted_by is not None, by
        if by is not None:
            own.due, own.held = 0, False
            self.done["muted"] += 1
            step(own, self.head.now, MONITOR, "muted", f"incident {by} about a ring is told instead")
        elif was_muted:
            step(own, self.head.now, MONITOR, "unmuted", "no incident is told instead of it any more")
            self._responder.resume(own, self.head.now, "told by itself again")

    @staticmethod
    def _link(incident: Incident, other: str) -> Incident:
        if other not in incident.related and len(incident.related) < Links.MAX_RELATED:
            incident.related = sorted([*incident.related, other])
        return incident

    # The store.

    def _known(self, name: str) -> Incident:
        return decode(self._store[f"i/{name}"])

    def _keep(self, incident: Incident) -> None:
        incident.revision = self.head.position - 1
        self._put(f"i/{incident.id}", encode(incident))
        self._told[incident.id] = None
        if incident.is_open:
            self.open[incident.id] = brief_of(incident)
        else:
            self.open.pop(incident.id, None)
        self._links.keep(incident)

    def _get(self, key: str) -> bytes | None:
        return self._store.get(key)

    def _put(self, key: str, value: bytes) -> None:
        self._store[key] = value
        self._dirty[key] = None


def fits(ring: Incident, actors: Iterable[str], subjects: Iterable[str]) -> bool:
    """Whether an alert is about a ring: two of its actors, or one and a subject, and the ring has room for the others."""
    members, named = set(ring.members), set(actors)
    shared = len(named & members)
    has_room = named <= members or len(named | members) <= Links.MAX_MEMBERS
    return has_room and (shared >= 2 or (shared == 1 and not set(subjects).isdisjoint(ring.subjects)))
