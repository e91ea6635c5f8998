"""A simulated force whose lookups are archived, and leaks that are played in it one at a time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from monitor import events
from monitor.archive.rows import PLACE, row_of
from monitor.archive.store import Archive
from monitor.enrich import enrich
from monitor.history.ask import History
from monitor.reference import Reference, decode
from monitor.rules import load_texts, read_dir
from monitor.settings import pack_dir
from monitor.simulate import Settings as World
from monitor.simulate import simulate
from monitor.trace.model import Leak

START = datetime(2026, 3, 2, tzinfo=UTC)
#: How far before its date the leaker had looked: two hours to ten days.
SHORTEST, LONGEST = timedelta(hours=2), timedelta(days=10)


class Play(NamedTuple):
    """One leak: who did it, what leaked by when, and the lookups that were added for it."""

    leaker: str
    leaks: list[Leak]
    added: list[dict[str, Any]]


class Force:
    """One force. What is played is added to what is asked, never to the archive."""

    def __init__(self, folder: Path, seed: int, days: int, actors: int) -> None:
        self.end = START + timedelta(days=days)
        simulation = simulate(World(seed=seed, days=days, actors=actors, start=START))
        known = Reference(decode(orjson.dumps(record)) for record in simulation.reference)
        explanations = load_texts(read_dir(pack_dir()), known.lists).rules.explanations
        rows = []
        received = round(self.end.timestamp() * 1000)
        for number, event in enumerate(simulation.events()):
            lookup = events.decode(orjson.dumps(event), received_ms=received, headers=None)
            enrich(lookup, known, explanations)
            rows.append(row_of({**lookup, PLACE: (lookup["ts"], 0, number, received, "v1")}))
        self.archive = Archive(folder / "archive")
        self.archive.create()
        self.archive.append(rows, {})
        self.history = History(self.archive, threads=1)
        db = self.history.db
        db.execute("CREATE TABLE archived AS SELECT * FROM lookups")
        db.execute("CREATE TABLE added AS SELECT * FROM archived LIMIT 0")
        db.execute("DROP VIEW lookups")
        db.execute("CREATE VIEW lookups AS SELECT * FROM archived UNION ALL SELECT * FROM added")
        self._actors = [name for (name,) in db.execute("SELECT DISTINCT actor FROM archived ORDER BY 1").fetchall()]
        self._subjects = db.execute(
            "SELECT DISTINCT subject, subject_area FROM archived WHERE subject_kind IN ('person', 'vehicle', 'address') ORDER BY 1"
        ).fetchall()

    def play(self, seed: int, elsewhere: float = 0.1) -> Play:
        """A leak of 5 to 20 subjects. ``elsewhere`` is the share that the leaker did not look up. One of ten of his lookups has a
        record by chance, so it does not count; three others looked at up to half of the subjects, as often without a record."""
        rng = random.Random(seed)
        leaker, *others = rng.sample(self._actors, 4)
        picked = rng.sample(self._subjects, rng.randint(5, 20))
        days = (self.end - START).days
        leaks = [Leak(name, START + timedelta(days=rng.uniform(days / 4, days))) for name, _ in picked]
        added = []
        for (_, area), leak in zip(picked, leaks, strict=True):
            if rng.random() >= elsewhere:
                added.append(self._look(rng, leaker, leak, area))
        for other in others:
            for place in rng.sample(range(len(leaks)), rng.randint(1, len(leaks) // 2)):
                added.append(self._look(rng, other, leaks[place], picked[place][1]))
        self._put(added)
        return Play(leaker, leaks, added)

    def _look(self, rng: random.Random, actor: str, leak: Leak, area: str | None) -> dict[str, Any]:
        before = SHORTEST + (LONGEST - SHORTEST) * rng.random()
        kind = rng.choices(["none", "plausible", "record"], [6, 3, 1])[0]
        return {
            "id": f"added-{rng.getrandbits(48)}",
            "system": "bvi",
            "time": leak.by - before,
            "actor": actor,
            "subject": leak.subject,
            "subject_area": area,
            "explanation": kind,
        }

    def _put(self, added: list[dict[str, Any]]) -> None:
        db = self.history.db
        db.execute("DELETE FROM added")
        columns = list(added[0])
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join("?" for _ in columns)
        db.executemany(
            f"INSERT INTO added ({names}) VALUES ({marks})", [[row[name] for name in columns] for row in added]
        )
