"""The stage on which one scenario is played: who acts, when, with which pretext."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

from monitor.simulate.chance import pick
from monitor.simulate.force import Actor
from monitor.simulate.lookup import Draft, Purpose, Seat, Way, hits, ways
from monitor.simulate.population import Subject
from monitor.simulate.timeline import HOUR, MINUTE
from monitor.simulate.work import LOOSE_CODES, TEXTS
from monitor.simulate.world import World

OBSERVATIONS = Way("obs", "read", ("observations",))
CASES = Way("bvi", "read", ("cases",))
TRIES = 40


class When(NamedTuple):
    """A moment (ms), and the day on which the shift it lies in began."""

    ts: int
    day: int


class Stage:
    """One instance of a scenario while it is being played.

    `turn` counts the instances of a typology, so that its variants take turns; `used` are actors who
    already play a part elsewhere in the run. What is played ends up in `drafts` (with `label`) and `before`.
    """

    def __init__(self, world: World, rng: Random, label: int, turn: int, used: set[str]) -> None:
        self.world, self.rng, self.label, self.turn, self.used = world, rng, label, turn, used
        self.land, self.timeline, self.roster = world.land, world.timeline, world.roster
        self.drafts: list[Draft] = []
        self.before: dict[str, int] = {}

    def cast(self, trades: Sequence[str], count: int = 1, *, units_apart: bool = False) -> list[Actor]:
        """`count` actors of these trades who work during the run; those without a part elsewhere come first.

        Fewer when the force has no more; with `units_apart` each from another unit.
        """
        able = [
            actor for actor in self.world.force.actors if actor.trade.name in trades and actor.dormant_until is None
        ]
        self.rng.shuffle(able)
        able.sort(key=lambda actor: actor.id in self.used)
        chosen: list[Actor] = []
        idle: list[Actor] = []
        for actor in able:
            if units_apart and any(actor.unit == other.unit for other in chosen):
                continue
            (chosen if self._works(actor) else idle).append(actor)
            if len(chosen) == count:
                break
        chosen += [actor for actor in idle if actor.left is None][: count - len(chosen)]
        self.used.update(actor.id for actor in chosen)
        return chosen

    def one(self, *trades: str) -> Actor:
        """One actor of these trades."""
        return self.cast(trades)[0]

    def _works(self, actor: Actor) -> bool:
        days = self.timeline.days
        spread = range(days) if days <= 15 else self.rng.sample(range(days), 15)
        return any(self.roster.shift(actor, day) for day in spread)

    def moments(self, actor: Actor, count: int, first: float = 0.0, last: float = 1.0) -> list[When]:
        """`count` moments in the actor's shifts, in order, from `first` to `last` (0..1, shares of the run).

        An actor who has no shift in that part works overtime in the daytime.
        """
        days = self.timeline.days
        low = min(days - 1, int(first * days))
        span = range(low, max(low + 1, round(last * days)))
        shifts = [(day, shift) for day in span if (shift := self.roster.shift(actor, day)) is not None]
        if not shifts:
            shifts = [(day, (self.timeline.at(day, 9), self.timeline.at(day, 17))) for day in span]
        found = []
        for _ in range(count):
            day, (begin, end) = pick(self.rng, shifts)
            end = min(end, self.timeline.end)
            found.append(When(begin + int(self.rng.random() * max(MINUTE, end - begin - 20 * MINUTE)), day))
        return sorted(found)

    def pretext(self, actor: Actor) -> Purpose | None:
        """What somebody enters who has no reason: nothing, a code, or a case about others."""
        draw = self.rng.random()
        if draw < 0.45:
            return None
        code = pick(self.rng, LOOSE_CODES[actor.trade.name])
        if draw < 0.78:
            return Purpose(None, code, pick(self.rng, TEXTS) if draw < 0.55 else None)
        own = self.world.casework.own(actor, self.timeline.begin)
        if own and draw < 0.95:
            return Purpose(pick(self.rng, own).id)
        return Purpose(f"{self.timeline.first.year}-{100_000 + int(self.rng.random() * 30_000)}")

    def look(
        self,
        actor: Actor,
        when: When,
        subject: Subject,
        way: Way | None = None,
        *,
        purpose: Purpose | None = None,
        seat: Seat | None = None,
        results: int | None = None,
        label: int | None = None,
    ) -> None:
        """One lookup, from the actor's own place unless `seat` says otherwise."""
        way = way or pick(self.rng, ways(actor, subject))
        if seat is None:
            seat = Seat(*self.roster.seat(actor, when.day), actor.area)
        ts = max(self.timeline.begin, min(when.ts, self.timeline.end - 1))
        found = hits(self.rng, way.action) if results is None else results
        outcome = "denied" if way.system == "obs" and self.rng.random() < 0.1 else "success"
        self.drafts.append(
            Draft(ts, actor, seat, way, subject, purpose, found, outcome, self.label if label is None else label)
        )

    def session(
        self,
        actor: Actor,
        when: When,
        subjects: Iterable[Subject],
        way: Way | None = None,
        *,
        purpose: Purpose | None = None,
        seat: Seat | None = None,
        pace: int = 50_000,
    ) -> None:
        """Lookups one after the other, about `pace` ms apart."""
        ts = when.ts
        for subject in subjects:
            self.look(actor, When(ts, when.day), subject, way, purpose=purpose, seat=seat)
            ts += 2500 + int(self.rng.random() * pace)

    def stranger(self, actor: Actor, kind: str, area: str | None = None) -> Subject:
        """Somebody (or something) that no case of the actor's unit is about."""
        area = area or actor.area
        for _ in range(TRIES):
            subject = self.land.anyone(self.rng, kind, area)
            if not self.world.casework.touches(actor, subject.id):
                break
        return subject

    def person(self, ident: str) -> Subject:
        """The subject with this id."""
        return self.land.subjects[ident]

    def near(self, address: str) -> list[Subject]:
        """Persons who live within a few doors of this address."""
        here = int(address[1:])
        doors = [f"a{here + step:06d}" for step in (-3, -2, -1, 1, 2, 3)]
        return [self.person(ident) for door in doors for ident in self.land.residents.get(door, ())]

    def elsewhere(self, actor: Actor) -> str:
        """An area which is not the actor's."""
        return pick(self.rng, [area for area in self.land.areas if area != actor.area])

    def night(self, actor: Actor) -> When:
        """A moment in the small hours, far from the actor's shifts when there is such a day."""
        days = list(range(self.timeline.days))
        self.rng.shuffle(days)
        for day in days[:TRIES]:
            if not any(self.roster.shift(actor, near) for near in (day - 1, day)):
                break
        return When(self.timeline.at(day, 2) + int(self.rng.random() * 2 * HOUR), day)
