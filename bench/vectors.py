"""The feature vectors of simulated worlds, with the truth about each lookup: what detectors are compared on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from monitor import events
from monitor.detector import peer_group_of
from monitor.enrich import enrich
from monitor.model.features import measure
from monitor.model.state import FeatureState
from monitor.reference import Reference, decode
from monitor.simulate import Settings, simulate

#: The seeds that things may be tuned on. No other seed is ever looked at here.
TUNING = range(101, 113)
START = datetime.fromisoformat("2026-03-02T00:00:00+00:00")


class Seen(NamedTuple):
    """One lookup: its peer group, the actor and their unit, the time, the vector, and whether it is misuse."""

    group: str
    actor: str
    unit: str
    ts: int
    values: list[float]
    is_misuse: bool


class World(NamedTuple):
    """A simulated world: all lookups in order of arrival; the misusers by typology; all actors; the weeks it lasted."""

    seen: list[Seen]
    misusers: dict[str, set[str]]
    actors: set[str]
    weeks: float


def world_of(seed: int, actors: int = 300, days: int = 28) -> World:
    """The world of a tuning seed. Raises ``ValueError`` for any other: they are kept for the verdict."""
    if seed not in TUNING:
        raise ValueError(f"seed {seed} is not one of {TUNING.start} to {TUNING.stop - 1}, which are for tuning")
    run = simulate(Settings(START, seed, days, actors))
    reference = Reference(decode(orjson.dumps(record)) for record in run.reference)
    made = list(_measured(run.events(), reference))
    misuse = {event for label in run.labels for event in label["events"]}
    misusers: dict[str, set[str]] = {}
    for label in run.labels:
        misusers.setdefault(label["typology"], set()).update(label["actors"])
    seen = [one._replace(is_misuse=name in misuse) for name, one in made]
    return World(seen, misusers, {one.actor for one in seen}, days / 7)


def _measured(lookups: Iterator[Any], reference: Reference) -> Iterator[tuple[str, Seen]]:
    states: dict[str, FeatureState] = {}
    for event in lookups:
        try:
            lookup = enrich(events.decode(orjson.dumps(event), received_ms=2**45), reference)
        except (events.BadEvent, events.Notice):
            continue
        actor = lookup["actor.id"]
        values = measure(states.setdefault(actor, FeatureState()), lookup)
        unit = str(lookup.get("actor.unit", ""))
        yield lookup["id"], Seen(peer_group_of(lookup), actor, unit, lookup["ts"], values, False)
