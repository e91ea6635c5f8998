"""How long the console's pages take over a store of a million alerts: ``python -m bench.console [--alerts N] [--store URL] [--keep]``.

The store is made up through the filler's own way in (so it says too how fast that is), the pages are asked for through the
application, with an audit log in memory and nobody else at work. Wall time and time on the processor, of each page's requests.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import orjson
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor import alerts
from monitor.access.roles import Person, Role
from monitor.alerts import MODEL_RULE, Alert, Entity, RuleInfo
from monitor.audit.event import AuditEvent
from monitor.console.app import console
from monitor.console.filling import Filling, Message, Place
from monitor.console.health import Health
from monitor.console.schema import open_store
from monitor.feedback import disposition
from monitor.feedback.disposition import VERDICTS, Disposition
from monitor.incidents.command import Command
from monitor.incidents.joining import share_of
from monitor.incidents.model import ActorRisk, Group, Incident, Rest, Step, encode
from monitor.model.explain import Factor
from monitor.rules.model import DAY_MS, LEVELS, TYPOLOGIES
from monitor.stream import topics
from monitor.when import rfc3339

NOW: Final = 1_790_000_000_000
YEARS: Final = 5
ACTORS, SUBJECTS, UNITS, RULES = 20_000, 300_000, 300, 90
#: One incident for so many alerts, as on the worlds of docs/incidents.md; of so many one is not closed.
PER_INCIDENT, PER_OPEN = 9, 33
BATCH: Final = 5_000
#: What one actor and one subject have: as a share of all alerts.
BUSIEST: Final = 0.01
_FACTORS: Final = [
    Factor("unexplained_30d", "lookups", 61.0, 0.0, 4.0, 17.0, 0.31),
    Factor("out_of_area", "%", 48.2, 2.0, 8.5, 19.0, 0.14),
    Factor("polling", "returns", 6.3, 0.0, 0.4, 1.9, 0.07),
]


class World:
    """Alerts, incidents and verdicts as they stand in the topics; the same for the same seed."""

    def __init__(self, count: int, seed: int) -> None:
        self._chance, self._count = random.Random(seed), count
        self._rules = [
            RuleInfo(
                f"rule-{n}", f"Rule number {n} about register use", LEVELS[1 + n % 4], TYPOLOGIES[n % len(TYPOLOGIES)]
            )
            for n in range(RULES)
        ]

    def messages(self) -> Iterator[tuple[str, bytes]]:
        """Every message: (topic, value)."""
        made = 0
        while made < self._count:
            size = min(self._count - made, 1 + int(self._chance.expovariate(1 / (PER_INCIDENT - 1))))
            end = NOW - int((1 - made / self._count) * YEARS * 365 * DAY_MS)
            raised = self._alerts(size, end)
            made += size
            for one in raised:
                yield topics.ALERTS, alerts.encode(one)
                likely = self._chance.random()
                yield topics.PRIORITIES, orjson.dumps({"alert": one.id, "priority": likely, "probability": likely})
            yield topics.INCIDENTS, encode(self._incident(raised, end, steps=self._chance.randint(2, 12)))
            if self._chance.random() < 0.9:
                yield topics.DISPOSITIONS, self._verdict(raised[0])
            if self._chance.random() < 0.5:
                yield topics.REVIEW, self._lookup(end)
        most = self._alerts(100, NOW)
        for one in most:
            yield topics.ALERTS, alerts.encode(one)
        yield topics.INCIDENTS, encode(self._incident(most, NOW, steps=500, is_open=True))

    def _id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def _alerts(self, size: int, end: int) -> list[Alert]:
        chance = self._chance
        actor = "o-00000" if chance.random() < BUSIEST else f"o-{int(ACTORS * chance.random() ** 2):05d}"
        return [self._alert(actor, end - chance.randrange(5 * DAY_MS)) for _ in range(size)]

    def _alert(self, actor: str, ts: int) -> Alert:
        chance, rule = self._chance, self._rules[int(RULES * self._chance.random() ** 2)]
        is_model = chance.random() < 0.2
        named = [f"p-{int(SUBJECTS * chance.random() ** 1.5):06d}" for _ in range(chance.choice([1, 1, 1, 2, 3]))]
        if chance.random() < BUSIEST:
            named.append("p-hot")
        return Alert(
            id=self._id(),
            time=rfc3339(ts),
            ts=ts,
            rule=MODEL_RULE if is_model else rule,
            entity=Entity("actor", actor),
            actors=[actor],
            subjects=named,
            events=[f"bvi-{chance.getrandbits(48):012x}" for _ in range(chance.choice([1, 1, 2, 4, 8]))],
            score=0.5,
            reasons=[
                "a large share without an explanation in the work",
                f"{chance.randrange(10**6)} within ten minutes",
            ],
            kind="model" if is_model else "rule",
            factors=_FACTORS if is_model else [],
            speaks_for=["the actor was on shift"],
        )

    def _incident(self, raised: Sequence[Alert], end: int, steps: int, is_open: bool | None = None) -> Incident:
        chance, actor = self._chance, raised[0].actors[0]
        is_open = chance.random() < 1 / PER_OPEN if is_open is None else is_open
        shares = [share_of(each) for each in raised[:100]]
        for share in shares:
            share.now = share.points
        response: Any = chance.choice(["supervisor", "desk", "desk", "pager"])
        unit = f"unit-{int(actor[2:]) % UNITS:03d}"
        return Incident(
            id=self._id(),
            revision=1,
            group=Group("actor", actor),
            status="open" if is_open else "closed",
            level=max((each.rule.level for each in shares), key=LEVELS.index),
            risk=round(sum(each.points for each in shares) * chance.random(), 3),
            response=response,
            queue=f"supervisor/{unit}" if response == "supervisor" else response,
            opened=end - 5 * DAY_MS,
            first=end - 5 * DAY_MS,
            last=end,
            actors=[ActorRisk(actor, unit, 10.0)],
            units={actor: unit},
            subjects=sorted({name for each in raised for name in each.subjects})[:256],
            alerts=shares,
            rest=Rest(),
            alert_count=len(raised),
            disposition=None if is_open else chance.choice(VERDICTS),
            history=[
                Step(rfc3339(end), "monitor", "raised", f"low to medium, risk {chance.random():.3f}")
                for _ in range(steps)
            ],
        )

    def _verdict(self, one: Alert) -> bytes:
        verdict: Any = self._chance.choice(VERDICTS)
        said = Disposition(
            verdict=verdict, by="desk-1", time="2026-09-21T12:00:00Z", alert=one.id, note="asked the unit"
        )
        return disposition.encode(said)

    def _lookup(self, ts: int) -> bytes:
        name = f"{self._chance.getrandbits(48):012x}"
        return orjson.dumps({"id": name, "system": "bvi", "ts": ts, "actor.id": "o-00001", "subject.id": "p-000001"})


def fill(engine: Engine, count: int, seed: int) -> tuple[int, float, float]:
    """Make the store; returns how many messages that were, and the seconds of wall and processor in the filler."""
    filling, at = Filling(engine, lambda files: {}), dict[Place, int]()
    ends: dict[str, int] = {}
    wall = busy = 0.0
    batch: list[Message] = []

    def put() -> None:
        nonlocal at, wall, busy
        began, used = time.perf_counter(), time.process_time()
        at = filling.fill(batch, at)
        wall, busy = wall + time.perf_counter() - began, busy + time.process_time() - used
        batch.clear()

    for topic, value in World(count, seed).messages():
        batch.append(Message(topic, 0, ends.get(topic, 0), None, value, NOW))
        ends[topic] = ends.get(topic, 0) + 1
        if len(batch) == BATCH:
            put()
    put()
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()
    return sum(ends.values()), wall, busy


class _Desk:
    """An audit log that takes all, a desk that sends nothing, and a monitor that does well."""

    async def write(self, event: AuditEvent) -> None:
        return

    async def command(self, what: Command) -> None:
        return

    async def dispose(self, what: Disposition) -> None:
        return

    async def look(self) -> Health:
        return Health([], 1000.0, [], [])


class _Guarded:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {}).update(person=Person("desk-1", frozenset({Role.DESK})), csrf="t")
        await self._app(scope, receive, send)


def pages(engine: Engine) -> dict[str, list[str]]:
    """The pages, and the addresses each is asked for at: ordinary ones, and the heaviest there are."""
    with engine.connect() as connection:

        def names(query: str) -> list[str]:
            return list(connection.execute(text(query)).scalars())

        ids = names("SELECT id FROM incidents ORDER BY id LIMIT 200")
        heaviest = names("SELECT id FROM incidents ORDER BY length(raw) DESC LIMIT 1")
        actors = names("SELECT DISTINCT name FROM alert_names WHERE kind = 'actor' ORDER BY name DESC LIMIT 100")
        subjects = names(
            "SELECT DISTINCT name FROM alert_names WHERE kind = 'subject' AND name < 'p-h' ORDER BY name DESC LIMIT 100"
        )
        event = names("SELECT name FROM alert_names WHERE kind = 'event' ORDER BY name DESC LIMIT 1")[0]
        middle = names("SELECT urgency FROM incidents ORDER BY urgency LIMIT 1 OFFSET 20000")
    deep = middle[0] if middle else 10**12
    return {
        "queue": ["/"],
        "queue, all, far down": [f"/?status=all&after={deep}.x"],
        "queue, one unit and typology of all": [
            f"/?status=all&unit=unit-{n:03d}&typology=curiosity" for n in range(100)
        ],
        "queue, four common filters": ["/?status=closed&response=desk&level=critical&typology=curiosity"],
        "queue, nothing has both": ["/?status=all&rule=rule-1&queue=pager&level=low&response=pager"],
        "incident": [f"/incidents/{each}" for each in ids],
        "incident, 100 alerts and 500 steps": [f"/incidents/{heaviest[0]}"],
        "actor": [f"/actor?id={each}" for each in actors],
        f"actor with {BUSIEST:.0%} of all alerts": ["/actor?id=o-00000"],
        "subject": [f"/subject?id={each}" for each in subjects],
        f"subject with {BUSIEST:.0%} of all alerts": ["/subject?id=p-hot"],
        "rules": ["/rules"],
        "verdicts": ["/dispositions", "/dispositions?after=50000."],
        "sample": ["/review"],
        "search, how ids begin": ["/search?q=o-1", "/search?q=p-0", f"/search?q={event}", f"/search?q={ids[0][:8]}"],
        "search, words nearly all have": ["/search?q=register+use+explanation"],
        "search, a rare word": [f"/search?q={n}" for n in range(123400, 123500)],
        "live": ["/live"],
    }


class Took(NamedTuple):
    """Milliseconds of a page: median and 99th percentile of wall time, the median on the processor; kB of the answer."""

    p50: float
    p99: float
    busy: float
    size: float


async def measure(app: ASGIApp, paths: Sequence[str], times: int) -> Took:
    """Ask for a page again and again, one after the other, at its addresses in turn."""
    walls, busies, size = [], [], 0
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://console") as client:
        for number in range(times + 2):
            began, used = time.perf_counter(), time.process_time()
            answer = await client.get(paths[number % len(paths)])
            wall, busy = time.perf_counter() - began, time.process_time() - used
            if answer.status_code != 200:
                raise SystemExit(f"{paths[number % len(paths)]}: {answer.status_code}")
            if number >= 2:
                walls.append(1000 * wall)
                busies.append(1000 * busy)
                size = max(size, len(answer.content))
    cuts = statistics.quantiles(walls, n=100, method="inclusive")
    return Took(statistics.median(walls), cuts[98], statistics.median(busies), size / 1000)


@contextmanager
def filled(url: str, alerts: int, say: Callable[[str], None], fresh: bool = True) -> Iterator[Engine]:
    """A store with so many alerts, or with ``fresh`` off the one that is there; what it holds is told to ``say``."""
    engine = open_store(url, fresh=fresh)
    if fresh:
        count, wall, busy = fill(engine, alerts, 1)
        say(f"filled: {count:,} messages, {count / wall:,.0f} a second ({1e6 * busy / count:.0f} µs of processor each)")
    with engine.connect() as connection:
        sizes = {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in ("alerts", "incidents", "alert_names", "facets", "dispositions", "reviews")
        }
    say(", ".join(f"{name} {size:,}" for name, size in sizes.items()))
    yield engine
    engine.dispose()


def took_of(engine: Engine, times: int) -> dict[str, Took]:
    """What each page took, asked for so many times. Raises ``SystemExit`` when one is not answered."""
    desk = _Desk()
    app = _Guarded(console(engine, desk, desk, desk, now=lambda: NOW))
    return {name: asyncio.run(measure(app, paths, times)) for name, paths in pages(engine).items()}


def main() -> None:
    """Make a store, or take the one that was kept, and measure every page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=100, help="requests of each page")
    parser.add_argument("--store", help="URL of the store; by default SQLite in a temporary folder")
    parser.add_argument("--keep", action="store_true", help="measure the store as it is: it was made by an earlier run")
    given = parser.parse_args()
    out = Console(highlight=False, width=140)
    with tempfile.TemporaryDirectory() as folder:
        url = given.store or f"sqlite:///{Path(folder) / 'console.db'}"
        with filled(url, given.alerts, out.print, fresh=not given.keep) as engine:
            table = Table("page", "p50 ms", "p99 ms", "processor p50 ms", "kB", title=f"{given.times} requests of each")
            for name, took in took_of(engine, given.times).items():
                table.add_row(name, *(f"{each:.1f}" for each in took))
            out.print(table)


if __name__ == "__main__":
    main()
