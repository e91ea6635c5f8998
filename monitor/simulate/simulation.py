"""A run of the simulation: its reference data, its events in order of arrival, and the truth about them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from monitor.simulate.arrival import Line
from monitor.simulate.lookup import Draft, Event
from monitor.simulate.records import Record, records
from monitor.simulate.scenarios import Scene, play
from monitor.simulate.timeline import Timeline
from monitor.simulate.work import Workday
from monitor.simulate.world import World, build

FEWEST_ACTORS = 20
Label = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What to simulate.

    `start` is required and has an offset; the run begins at the local midnight of its date and
    lasts `days` days.
    Raises ValueError when something cannot be simulated.
    """

    start: datetime
    seed: int = 1
    days: int = 30
    actors: int = 200

    def __post_init__(self) -> None:
        Timeline(self.start, self.days)
        if self.actors < FEWEST_ACTORS:
            raise ValueError(f"actors is {self.actors}: a force needs at least {FEWEST_ACTORS} to have all its units")


@dataclass(frozen=True)
class Counts:
    """How many lines were written."""

    events: int
    reference: int
    labels: int


class Simulation:
    """One run. The same settings give the same bytes, whenever and wherever it is run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._labels: list[Label] | None = None

    @cached_property
    def world(self) -> World:
        """The country and the force."""
        return build(self.settings.seed, Timeline(self.settings.start, self.settings.days), self.settings.actors)

    @cached_property
    def scenes(self) -> list[Scene]:
        """The misuse that will be played."""
        return play(self.world, self.settings.actors)

    @cached_property
    def reference(self) -> list[Record]:
        """Every reference record, as of the end of the run (records carry their own times)."""
        return list(records(self.world))

    @property
    def labels(self) -> list[Label]:
        """The truth: one label for each scenario that was played.

        Ids are given while events are made: this makes all events when nobody has consumed them yet.
        """
        if self._labels is None:
            for _ in self.events():
                pass
        return self._labels or []

    def events(self) -> Iterator[Event]:
        """All lookups in order of arrival, made day by day; every call starts again from the first day."""
        world, scenes = self.world, self.scenes
        line = Line(world)
        named: dict[int, list[str]] = {index: [] for index in range(len(scenes))}
        planned: dict[int, list[Draft]] = {}
        for draft in (labelled for scene in scenes for labelled in scene.drafts):
            planned.setdefault(world.timeline.day_of(draft.ts), []).append(draft)
        overnight: list[Draft] = []
        for day in range(-1, world.timeline.days):
            midnight = world.timeline.midnight(day + 1)
            drafts = overnight + Workday(world, day).run() + planned.get(day, [])
            overnight = [draft for draft in drafts if draft.ts >= midnight]
            if day >= 0:  # the day before gives only the night shift that runs into the first day
                yield from line.day(day, [draft for draft in drafts if draft.ts < midnight], named)
        yield from line.rest()
        self._labels = [_label(world.timeline, scene, named[index]) for index, scene in enumerate(scenes)]


def _label(timeline: Timeline, scene: Scene, events: list[str]) -> Label:
    own = sorted((draft for draft in scene.drafts if draft.label >= 0), key=lambda draft: draft.ts)
    label: Label = {
        "typology": scene.typology,
        "scenario": scene.scenario,
        "actors": list(dict.fromkeys(draft.actor.id for draft in own)),
        "subjects": list(dict.fromkeys(draft.subject.id for draft in own)),
        "events": events,
        "from": timeline.text(own[0].ts),
        "to": timeline.text(own[-1].ts),
    }
    if scene.before:
        label["before"] = {subject: timeline.text(ms) for subject, ms in scene.before.items()}
    return label


def simulate(settings: Settings) -> Simulation:
    """A run with these settings; nothing is made before it is asked for."""
    return Simulation(settings)


def live(simulation: Simulation) -> Iterator[Event]:
    """The events for a demonstration; whoever shows them sets the pace."""
    return simulation.events()


def write(simulation: Simulation, out: Path) -> Counts:
    """Write events.jsonl, reference.jsonl and labels.jsonl to the folder `out`, made when missing."""
    out.mkdir(parents=True, exist_ok=True)
    events = _lines(out / "events.jsonl", simulation.events())
    reference = _lines(out / "reference.jsonl", records(simulation.world))
    return Counts(events, reference, _lines(out / "labels.jsonl", iter(simulation.labels)))


def _lines(path: Path, items: Iterator[dict[str, Any]]) -> int:
    count = 0
    with path.open("wb") as file:
        for item in items:
            file.write(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count
