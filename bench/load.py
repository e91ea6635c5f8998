"""The made-up lookups every contender reads, and the number of alerts a right count of them gives.

Pure: the same :class:`Load` gives the same bytes, so two runs, machines or contenders can be compared.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

import orjson

#: The job of every counting contender: alert once when an actor reaches this many lookups ...
THRESHOLD: Final = 30
#: ... within one tumbling window of event time, aligned to the epoch.
WINDOW_MS: Final = 10 * 60 * 1000

#: A working day that is past on every machine: the monitor refuses lookups from the future.
START: Final = datetime.fromisoformat("2025-03-03T08:00:00.000+01:00")
#: 200,000 lookups then fill a working day of eight hours.
MEAN_GAP_MS: Final = 144.0
#: A few desks look up all day and most people now and then: weight 1/rank^SKEW, so ten of the 2,000
#: actors pass the threshold, and the busiest makes 2 % of the lookups.
SKEW: Final = 0.6

UNITS: Final = ("limburg-noord", "limburg-zuid", "brabant-oost", "brabant-west", "zeeland", "gelderland")
SYSTEMS: Final = ("bvi", "rdw", "bvh", "brp")
ACTIONS: Final = ("search", "read", "read", "read", "list", "print")
CODES: Final = ("traffic-stop", "dispatch", "investigation", "desk")


@dataclass(frozen=True, slots=True)
class Load:
    """How much to make: ``messages`` lookups by ``actors`` actors; another ``seed`` gives other lookups."""

    messages: int = 200_000
    actors: int = 2_000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Lookup:
    """One message: its Kafka key (the actor), its event time in ms since the epoch, and its JSON."""

    key: bytes
    ts: int
    value: bytes


def lookups(load: Load) -> Iterator[Lookup]:
    """The lookups of ``load`` in the order of their event time, about 330 bytes each."""
    chance = random.Random(load.seed)
    weights = list(accumulate(1 / rank**SKEW for rank in range(1, load.actors + 1)))
    actors = [f"o-{10_000 + number}" for number in range(load.actors)]
    chance.shuffle(actors)
    elapsed_ms = 0.0
    for number in range(load.messages):
        elapsed_ms += chance.expovariate(1 / MEAN_GAP_MS)
        when = START + timedelta(milliseconds=int(elapsed_ms))
        actor = chance.choices(actors, cum_weights=weights)[0]
        value = orjson.dumps(_event(chance, number, actor, when))
        yield Lookup(actor.encode(), int(when.timestamp() * 1000), value)


def _event(chance: random.Random, number: int, actor: str, when: datetime) -> dict[str, object]:
    system = chance.choice(SYSTEMS)
    home = int(actor.removeprefix("o-"))
    unit = UNITS[home % len(UNITS)]
    event: dict[str, object] = {
        "id": f"{system}-{when:%Y-%m-%d}-{number:07d}",
        "time": when.isoformat(timespec="milliseconds"),
        "system": system,
        "action": chance.choice(ACTIONS),
        "actor": {"id": actor, "unit": unit, "role": "officer"},
        "subject": {"kind": "vehicle", "id": _plate(chance)},
        "results": chance.randrange(4),
    }
    if chance.random() < 0.85:
        event["purpose"] = {"case": f"2025-{chance.randrange(1_000_000):06d}", "code": chance.choice(CODES)}
    event["client"] = {"ip": f"10.2.{home % 250}.{home % 199}", "terminal": f"wp-{home % 900:03d}"}
    event["outcome"] = "success"
    return event


def _plate(chance: random.Random) -> str:
    letters = "BDFGHJKLNPRSTVXZ"
    left, middle, right = (chance.choice(letters) + chance.choice(letters) for _ in range(3))
    return f"{left}-{middle}-{right[0]}{chance.randrange(10)}"


def expected_alerts(
    counted: Iterable[tuple[bytes, int]], threshold: int = THRESHOLD, window_ms: int = WINDOW_MS
) -> int:
    """How many alerts a right count gives: the (actor, window) pairs that reach ``threshold``.

    ``counted`` are pairs of an actor and an event time in ms since the epoch.
    """
    windows = Counter((actor, ts // window_ms) for actor, ts in counted)
    return sum(1 for count in windows.values() if count >= threshold)


def tells_right_from_wrong(counted: Sequence[tuple[bytes, int]]) -> bool:
    """Whether a count that is off by one gives another number of alerts than a right one, in both directions.

    Without windows that only just pass or miss the threshold, the number of alerts would check nothing.
    """
    right = expected_alerts(counted)
    return all(expected_alerts(counted, THRESHOLD + off) != right for off in (-1, 1))
