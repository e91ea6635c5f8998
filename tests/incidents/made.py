"""Journals for the tests of this folder."""

from __future__ import annotations

import random
import uuid
from collections.abc import MutableMapping

from monitor.alerts import Alert, Entity, RuleInfo
from monitor.feedback.disposition import VERDICTS, Disposition
from monitor.incidents.book import Book
from monitor.incidents.command import COMMANDS, Command
from monitor.incidents.journal import Asked, Entry, Judged, Raised, Source, Tick
from monitor.incidents.model import Incident
from monitor.incidents.response import DAY_MS, Policy
from monitor.review import Sampler

HOUR = 3_600_000
T0 = 1_790_000_000_000 // DAY_MS * DAY_MS
RULES = {
    level: RuleInfo(f"r-{level}", f"a {level} rule", level, "curiosity")
    for level in ("informational", "low", "medium", "high", "critical")
}
SAMPLER = Sampler(0.2, b"k" * 32)


def alert(
    name: str,
    level: str = "medium",
    actors: tuple[str, ...] = ("o-1",),
    subjects: tuple[str, ...] = ("p-1",),
    ts: int = T0,
    events: tuple[str, ...] = (),
    rule: str = "",
) -> Alert:
    info = RULES[level]
    return Alert(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        time="2026-09-21T12:00:00Z",
        ts=ts,
        rule=RuleInfo(rule or info.id, info.title, level, info.typology),
        entity=Entity("actor", actors[0]) if len(actors) == 1 else Entity("subject", subjects[0] if subjects else "s"),
        actors=list(actors),
        subjects=list(subjects),
        events=list(events) or [f"e-{name}"],
        score=0.5,
        reasons=["because"],
        kind="rule",
    )


class Desk:
    """A book and a clock, for stories: every call is one entry of the journal."""

    def __init__(self, policy: Policy | None = None, store: MutableMapping[str, bytes] | None = None) -> None:
        self.book = Book({} if store is None else store, policy or Policy(), SAMPLER)
        self.now = T0
        self.position = 0
        self.log: list[tuple[Entry, int]] = []
        self.fate = ""

    def take(self, entry: Entry) -> Incident | None:
        self.log.append((entry, self.now))
        self.position += 1
        self.fate, found = self.book.take(entry, self.now, self.position - 1)
        return found

    def source(self, name: str) -> Source:
        return Source(name, 0, self.position)

    def raised(self, one: Alert, watched: bool = False, unit: str = "north") -> Incident:
        """The incident after an alert, as it is in the store."""
        units = dict.fromkeys(one.actors, unit)
        found = self.take(Raised(self.source("alerts"), one, watched, units))
        home = self.book._store[f"a/{one.id}"].decode() if found is None else found.id
        return self.at(home)

    def asked(self, what: str, name: str, by: str = "desk-1", reason: str = "why") -> Incident:
        command = Command(command=what, incident=name, by=by, time="2026-09-21T12:00:00Z", reason=reason)  # type: ignore[arg-type]
        self.take(Asked(self.source("commands"), command))
        return self.at(name)

    def judged(self, verdict: str, one: str, incident: str | None = None, by: str = "desk-1") -> None:
        said = Disposition(verdict=verdict, by=by, time="2026-09-21T12:00:00Z", alert=one, incident=incident)  # type: ignore[arg-type]
        self.take(Judged(self.source("dispositions"), said))

    def tick(self, later: int) -> None:
        self.now += later
        self.take(Tick())

    def at(self, name: str) -> Incident:
        found = self.book.get(name)
        assert found is not None
        return found


def log(seed: int, size: int = 120, actors: int = 6) -> list[tuple[Entry, int]]:
    """Anything that can happen, in any order: (entry, received at)."""
    chance, now = random.Random(seed), T0
    made: list[tuple[Entry, int]] = []
    known: list[Alert] = []
    ends = {"alerts": 0, "dispositions": 0, "commands": 0}
    mirror = Desk(Policy(page_budget=4))
    for number in range(size):
        now += chance.choice([0, 1000, HOUR, 6 * HOUR])
        kind = chance.choices(["alert", "repeat", "judge", "command", "tick"], [10, 2, 3, 3, 1])[0]
        entry: Entry = Tick()
        if kind == "repeat" and known:
            entry = Raised(Source("alerts", 0, ends["alerts"]), chance.choice(known))
        elif kind == "judge" and known:
            one = chance.choice(known)
            home = mirror.book._store[f"a/{one.id}"].decode() if chance.random() < 0.6 else None
            said = Disposition(
                verdict=chance.choice(VERDICTS), by="desk-1", time="2026-09-21T12:00:00Z", alert=one.id, incident=home
            )  # type: ignore[arg-type]
            entry = Judged(Source("dispositions", 0, ends["dispositions"]), said)
        elif kind == "command" and mirror.book.open:
            name = chance.choice(sorted(mirror.book.open))
            asked = Command(
                command=chance.choice(COMMANDS), incident=name, by="desk-2", time="2026-09-21T12:00:00Z", reason="r"
            )  # type: ignore[arg-type]
            entry = Asked(Source("commands", 0, ends["commands"]), asked)
        elif kind == "alert":
            count = chance.choice([1, 1, 1, 2, 3])
            who = tuple(f"o-{n}" for n in chance.sample(range(actors), count))
            what = tuple(f"p-{n}" for n in chance.sample(range(8), chance.choice([0, 1, 1, 2])))
            late = chance.choice([0, 0, 0, 5 * DAY_MS])
            one = alert(f"{seed}-{number}", chance.choice(list(RULES)), who, what, now - late)
            known.append(one)
            entry = Raised(Source("alerts", 0, ends["alerts"]), one, chance.random() < 0.05, {who[0]: "north"})
        if not isinstance(entry, Tick):
            ends[entry.source.name] += 1
        made.append((entry, now))
        mirror.now = now
        mirror.take(entry)
    return made
