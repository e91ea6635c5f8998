"""What explains a lookup: cases and their links, watches, dispatches, and the batches of the desks."""

from dataclasses import dataclass, field
from random import Random

from monitor.simulate.chance import pick, some, stream
from monitor.simulate.force import Actor, Force, Unit
from monitor.simulate.population import Population, Subject
from monitor.simulate.roster import Roster
from monitor.simulate.timeline import DAY, HOUR, MINUTE, Timeline

# New cases per actor and day, and how many days a case stays open. Desks work on day batches instead.
PACE = {"patrol": (0.14, 5, 25), "traffic": (0.08, 3, 15), "detective": (0.10, 20, 90), "tax": (0.2, 15, 60)}
BATCH = {"registry": ("rdw", 26, 40), "support": ("inc", 8, 14)}
ON_THE_ROAD = {"patrol": (2, 5), "traffic": (2, 4), "call": (18, 25)}


@dataclass(slots=True)
class Case:
    """A case file; `linked` are subjects reached over a link from the first of `subjects`. Times in ms."""

    id: str
    unit: str
    area: str
    actors: list[str]
    subjects: list[str]
    opened: int
    closed: int | None
    linked: list[tuple[str, str]] = field(default_factory=list)  # (relation, subject)

    def open_at(self, ms: int) -> bool:
        """Whether the case explains anything at this moment."""
        return self.opened <= ms and (self.closed is None or ms < self.closed)


@dataclass(slots=True)
class Watch:
    """A subject is observed, and only `may_know` may know it. Times in ms."""

    id: str
    subjects: list[str]
    may_know: list[str]
    begin: int
    end: int | None


@dataclass(slots=True)
class Dispatch:
    """Somebody was sent somewhere, or took a call. Times in ms."""

    id: str
    unit: str
    area: str
    actors: list[str]
    subjects: list[str]
    begin: int
    end: int


@dataclass(slots=True)
class Casework:
    """All cases and watches of a run, by unit and by actor."""

    cases: list[Case] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    by_actor: dict[str, list[Case]] = field(default_factory=dict)
    by_unit: dict[str, list[Case]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)

    def own(self, actor: Actor, ms: int) -> list[Case]:
        """The cases of an actor which are open at this moment."""
        return [case for case in self.by_actor.get(actor.id, ()) if case.open_at(ms)]

    def team(self, actor: Actor, ms: int) -> list[Case]:
        """The cases of the actor's unit which are open at this moment."""
        return [case for case in self.by_unit.get(actor.unit, ()) if case.open_at(ms)]

    def touches(self, actor: Actor, subject: str) -> bool:
        """Whether any case of the actor's unit, open or closed, concerns this subject."""
        return any(
            subject in case.subjects or any(subject == other for _, other in case.linked)
            for case in self.by_unit.get(actor.unit, ())
        )


def open_cases(rng: Random, timeline: Timeline, land: Population, force: Force) -> Casework:
    """Plan every case of the run, and those opened before it which may still be open."""
    work = Casework()
    drafts: list[tuple[int, int, Unit]] = []
    for unit in force.units.values():
        if unit.trade.name not in PACE:
            continue
        rate, short, long = PACE[unit.trade.name]
        for _ in range(round(rate * len(unit.actors) * (timeline.days + long))):
            opened = timeline.at(rng.randint(-long, timeline.days - 1), 7 + rng.random() * 13)
            drafts.append((opened, opened + int(rng.uniform(short, long) * DAY), unit))
    drafts.sort(key=lambda draft: draft[0])
    number = 100_000
    for opened, closed, unit in drafts:
        number += rng.randint(1, 9)  # other forces number from the same series
        year = timeline.date(timeline.day_of(opened)).year
        _file(
            work,
            _case(rng, land, unit, f"{year}-{number:06d}", opened, None if rng.random() < 0.05 else closed),
        )
    for case in work.cases:
        if force.units[case.unit].trade.name == "detective" and rng.random() < 0.35:
            begin = case.opened + rng.randint(1, 5) * DAY
            watched = [ident for ident in case.subjects if land.subjects[ident].kind in ("person", "vehicle")]
            work.watches.append(Watch(f"w-{len(work.watches) + 1}", watched[:3], list(case.actors), begin, case.closed))
    return work


def _case(rng: Random, land: Population, unit: Unit, ident: str, opened: int, closed: int | None) -> Case:
    trade = unit.trade.name
    area = unit.area if trade != "traffic" else pick(rng, land.areas)
    staff = [actor for actor in unit.actors if actor.left is None or actor.left > opened] or unit.actors
    actors = [actor.id for actor in some(rng, staff, 1, 4 if trade == "detective" else 2)]
    subjects: dict[str, None] = {}
    for _ in range(rng.randint(1, 4 if trade == "detective" else 2)):
        away = trade == "detective" and rng.random() < 0.1
        person = land.anyone(rng, "person", pick(rng, land.areas) if away else area)
        subjects[person.id] = None
        subjects.update((other.id, None) for other in land.around(person.id))
    if trade == "tax" or rng.random() < 0.08:
        subjects[land.anyone(rng, "company", area).id] = None
    case = Case(ident, unit.id, area, actors, list(subjects), opened, closed)
    if trade == "detective":
        _network(rng, land, case)
    return case


def _network(rng: Random, land: Population, case: Case) -> None:
    # Calls from a phone bill or plates seen at a lock-up: the batches that detectives look up in one go.
    if rng.random() < 0.4:
        kind, relation = pick(rng, (("phone", "calls"), ("vehicle", "seen-with")))
        for _ in range(rng.randint(20, 40)):
            case.linked.append((relation, land.anyone(rng, kind, case.area).id))
    for _ in range(rng.randint(0, 3)):
        case.linked.append(("associate", land.anyone(rng, "person", case.area).id))


def _file(work: Casework, case: Case) -> None:
    work.cases.append(case)
    work.ids.add(case.id)
    work.by_unit.setdefault(case.unit, []).append(case)
    for actor in case.actors:
        work.by_actor.setdefault(actor, []).append(case)


def dispatches(seed: int, roster: Roster, land: Population, day: int) -> list[Dispatch]:
    """Who was sent where in the shifts that begin on `day`."""
    rng = stream(seed, "dispatch", day)
    stamp, found = roster.timeline.stamp(day), list[Dispatch]()
    for unit in roster.force.units.values():
        if unit.trade.name not in ON_THE_ROAD:
            continue
        cars: dict[int, list[tuple[Actor, tuple[int, int]]]] = {}
        for actor in unit.actors:
            shift = roster.shift(actor, day)
            if shift is not None:
                alone = unit.trade.name == "call"
                cars.setdefault(actor.number if alone else actor.pair, []).append((actor, shift))
        for crew in cars.values():
            for _ in range(rng.randint(*ON_THE_ROAD[unit.trade.name])):
                found.append(_dispatch(rng, land, unit, crew, f"d-{stamp}-{len(found) + 1:04d}"))
    _assistance(rng, roster, found, day)
    return found


def _dispatch(
    rng: Random, land: Population, unit: Unit, crew: list[tuple[Actor, tuple[int, int]]], ident: str
) -> Dispatch:
    begin, end = crew[0][1]
    begin += int(rng.random() * (end - begin - HOUR))
    area = unit.area if unit.trade.name == "patrol" else pick(rng, land.areas)
    subjects: list[Subject] = []
    if unit.trade.name == "traffic":
        subjects = [land.anyone(rng, "vehicle", area) for _ in range(rng.randint(3, 8))]
    else:
        home = land.anyone(rng, "address", area)
        subjects = [home, *(land.subjects[ident] for ident in land.residents[home.id][:3])]
        subjects += [other for other in land.around(subjects[1].id) if other is not home]
        if rng.random() < 0.3:
            subjects.append(land.anyone(rng, "vehicle", area))
    return Dispatch(
        ident,
        unit.id,
        area,
        [actor.id for actor, _ in crew],
        [subject.id for subject in subjects],
        begin,
        begin + rng.randint(20, 70) * MINUTE,
    )


def _assistance(rng: Random, roster: Roster, found: list[Dispatch], day: int) -> None:
    # Now and then a car of the next unit comes to help: lookups far from the own area, with a reason.
    patrol = [actor for actor in roster.force.actors if actor.trade.name == "patrol" and roster.shift(actor, day)]
    for dispatch in found:
        if patrol and rng.random() < 0.05:
            helper = pick(rng, patrol)
            shift = roster.shift(helper, day)
            if shift and helper.id not in dispatch.actors and shift[0] <= dispatch.begin < shift[1]:
                dispatch.actors.append(helper.id)


def batches(seed: int, roster: Roster, land: Population, day: int) -> list[Case]:
    """The applications and tickets on the desks on `day`: each desk gets its pile in the morning."""
    rng = stream(seed, "batch", day)
    stamp, found = roster.timeline.stamp(day), list[Case]()
    opened = roster.timeline.at(day, 6.5)
    for actor in roster.force.actors:
        if actor.trade.name not in BATCH or roster.shift(actor, day) is None:
            continue
        prefix, low, high = BATCH[actor.trade.name]
        subjects: dict[str, None] = {}
        for _ in range(rng.randint(low, high) // 2):
            if prefix == "inc":
                subjects[pick(rng, roster.force.accounts).id] = None
                continue
            vehicle = land.anyone(rng, "vehicle", pick(rng, land.areas))
            subjects[vehicle.id] = None
            subjects[vehicle.owner or vehicle.id] = None
        found.append(
            Case(
                f"{prefix}-{stamp}-{actor.number}",
                actor.unit,
                actor.area,
                [actor.id],
                list(subjects),
                opened,
                opened + 2 * DAY,
            )
        )
    return found
