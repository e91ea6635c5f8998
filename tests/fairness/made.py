"""Histories made up for the tests of this folder: who looks up how much, and whom alerts fall upon."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import orjson

from monitor.alerts import Alert, Entity, RuleInfo
from monitor.fairness.counts import Cell, Cells

T0 = 1_788_134_400_000  # a Monday's midnight
SHIFTS = ("day", "late", "night")


def poisson(chance: random.Random, mean: float) -> int:
    """A Poisson number (the product method)."""
    count, left = 0, chance.random()
    while left > 2.718281828459045**-mean:
        count += 1
        left *= chance.random()
    return count


def cells(seed: int, actors: int = 400, factor: float = 1.0, heavy: float = 1e6, confirmed: float = 0.4) -> Cells:
    """Twelve units; alerts fall upon the actors of ``u3`` (a twelfth of all) ``factor`` times as often. The smaller ``heavy``, the
    more actors differ among themselves."""
    chance, made = random.Random(seed), Cells()
    for number in range(actors):
        actor, unit = f"a{number}", f"u{number % 12}"
        rate = 2.0 * chance.gammavariate(heavy, 1 / heavy) * (factor if unit == "u3" else 1.0)
        groups = [("unit", unit), ("role", chance.choice(["officer", "officer", "clerk"])), ("site", f"s{number % 5}")]
        for shift in SHIFTS:
            lookups, count = chance.randrange(60, 200), poisson(chance, rate / 3)
            right = sum(chance.random() < confirmed for _ in range(count))
            for group in [*groups, ("shift", shift)]:
                cell = made.setdefault(group, {}).setdefault(actor, Cell(weeks=4))
                cell.lookups += lookups
                cell.episodes += count
                cell.judged += count
                cell.confirmed += right
    return made


def thinned(of: Cells, seed: int, keep: float, unit: str = "", keep_there: float = 1.0) -> Cells:
    """What rules would leave that raise some of the alerts no more, and in a unit fewer yet; and a few others."""
    chance, made = random.Random(seed), Cells()
    for group, actors in of.items():
        for actor, cell in actors.items():
            share = keep * (keep_there if actor in of.get(("unit", unit), ()) else 1.0)
            left = sum(chance.random() < share for _ in range(cell.episodes)) + (chance.random() < 0.1)
            made.setdefault(group, {})[actor] = Cell(cell.lookups, cell.weeks, left)
    return made


def event(number: int, actor: str, ts: int, unit: str = "u1", site: str | None = "limburg") -> bytes:
    """A lookup as query systems write it."""
    made = {
        "id": f"e-{number}", "time": datetime.fromtimestamp(ts / 1000, UTC).isoformat(timespec="milliseconds"), "system": "bvi",
        "action": "read", "actor": {"id": actor, "unit": unit, "role": "officer"}, "client": {"area": site} if site else {},
    }  # fmt: skip
    return orjson.dumps(made)


def alert(name: str, actors: list[str], events: list[str], ts: int = T0, rule: str = "r-1") -> Alert:
    at = datetime.fromtimestamp(ts / 1000, UTC).isoformat(timespec="milliseconds")
    info = RuleInfo(rule, "a rule", "medium", "curiosity")
    return Alert(name, at, ts, info, Entity("actor", actors[0]), actors, [], events, 0.5, [], "rule")


def biased(seed: int, factor: float, actors: int = 240) -> tuple[list[bytes], list[Alert]]:
    """A log and its alerts: lookups of eight units over four weeks, of which ``u3`` meets ``factor`` times as many alerts."""
    chance, log, alerts = random.Random(seed), [], []
    for number in range(actors):
        actor, unit = f"o-{number}", f"u{number % 8}"
        mine = []
        for _ in range(40):
            ts = T0 + chance.randrange(28 * 24 * 60) * 60_000
            log.append(event(len(log), actor, ts, unit, chance.choice(["limburg", "brabant"])))
            mine.append((f"e-{len(log) - 1}", ts))
        for at in range(poisson(chance, 3.0 * (factor if unit == "u3" else 1.0))):
            of, ts = chance.choice(mine)
            alerts.append(alert(f"{actor}-{at}", [actor], [of], ts, f"r-{at}"))
    return log, alerts
