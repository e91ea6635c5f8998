"""Honest work of those in uniform: patrols, neighbourhood and traffic officers, the control room, and the counter.

Nothing here is misuse, however it looks: persons met at an incident whom nobody registered, lookups for the report hours
later, the neighbourhood officer who reads the same people every week without a case, a colleague who was burgled.
"""

from __future__ import annotations

from random import Random
from typing import Final

from bench.otherworld import habits
from bench.otherworld.calendar import DAY, HOUR, MINUTE, SECOND
from bench.otherworld.chance import poisson, some, stream
from bench.otherworld.habits import AREAS
from bench.otherworld.log import Log, Where, Why, car, mobile, office
from bench.otherworld.people import Thing
from bench.otherworld.staff import Account, Duty
from bench.otherworld.tasks import Tasks

_INCIDENTS: Final = 4.0
_STOPS: Final = 4.5
#: Reports of one shift at the counter.
_REPORTS: Final = 9.0
#: How often an officer lets the control room look.
_BY_RADIO: Final = 0.18
_FOR_GIVEN: Final = 0.7
#: How many stops are of one of the few cars that everybody in the district knows and stops again and again.
_HOT: Final = 0.12
#: How many incidents somebody of the crew comes back to, days later: how the victim is, whether the quarrel goes on.
_AFTERCARE: Final = 0.08


class Street:
    """The work of the uniformed. :meth:`work` does all of it."""

    def __init__(self, tasks: Tasks, log: Log) -> None:
        self.tasks, self.log = tasks, log
        self.staff, self.people = tasks.staff, tasks.people
        self._seed = self.staff.settings.seed
        rng = stream(self._seed, "known cars")
        known = {
            area: [car for one in self.people.regulars[area] for car in self.people.cars[one.id]] for area in AREAS
        }
        self._hot = {area: rng.sample(cars, min(len(cars), 8)) for area, cars in known.items()}

    def work(self) -> None:
        """Every duty of every day."""
        for who in self.staff.of("patrol", "community", "traffic", "intake"):
            rng = stream(self._seed, "street", who.id)
            usual = self._caseload(rng, who) if who.job.name == "community" else []
            for duty in who.duties:
                if who.job.name == "patrol":
                    self._patrol(rng, duty)
                elif who.job.name == "community":
                    self._neighbourhood(rng, duty, usual)
                elif who.job.name == "traffic":
                    self._traffic(rng, duty)
                else:
                    self._counter(rng, duty)

    def _radio(
        self, rng: Random, ms: int, who: Account, system: str, thing: Thing, why: Why, where: Where, given: bool
    ) -> int:
        """Look oneself, or ask the control room to: then it is they who look, mostly saying for whom."""
        taker = self.tasks.call_taker(rng, ms) if rng.random() < _BY_RADIO else None
        if taker is None:
            return self.log.ask(rng, ms, who, system, thing, why, where)
        behalf = who.id if rng.random() < _FOR_GIVEN else None
        said = why._replace(behalf=behalf) if given else self.log.purpose(rng, taker, why._replace(behalf=behalf))
        return self.log.ask(rng, ms, taker, system, thing, said, office(taker, AREAS[taker.crew % 4], rng))

    def _patrol(self, rng: Random, duty: Duty) -> None:
        """The first of a crew draws the crew's incidents; every one makes stops of their own."""
        crew = [duty.who, *duty.mates]
        if duty.who.id == min(who.id for who in crew):
            for _ in range(poisson(rng, _INCIDENTS)):
                self._incident(rng, duty, crew, rng.randint(duty.start, max(duty.start + 1, duty.end - 40 * MINUTE)))
        for _ in range(poisson(rng, _STOPS * duty.pace / len(crew))):
            self._stop(rng, duty, rng.randint(duty.start, duty.end))

    def _near(self, rng: Random, crew: list[Account]) -> Thing | None:
        """Now and then the caller is a relative or a neighbour of one of the crew, and nobody else is free to go."""
        if rng.random() >= habits.KIN_CALLS:
            return None
        who = rng.choice(crew)
        circle = self.people.family[who.person.id]
        if not circle or rng.random() < 0.5:
            circle = self.people.neighbours(self.people.home(who.person), 20)
        return rng.choice(circle) if circle else None

    def _scene(self, rng: Random, area: str, crew: list[Account]) -> tuple[Thing, list[Thing], list[Thing]]:
        """Where, who is there, and whose cars stand there."""
        caller = self._near(rng, crew) or self.people.anyone(rng, area, 0.5)
        place = self.people.home(caller) if rng.random() < 0.7 else rng.choice(self.people.of_kind["address", area])
        persons = [caller, *some(rng, self.people.residents[place.id], 0, 2)]
        persons += [self.people.anyone(rng, area, 0.5) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
        persons = list({one.id: one for one in persons if one.adult}.values())
        cars = [one for person in persons for one in self.people.cars[person.id] if rng.random() < 0.5]
        return place, persons, cars

    def _incident(self, rng: Random, duty: Duty, crew: list[Account], ms: int) -> None:
        place, persons, cars = self._scene(rng, duty.area, crew)
        end = ms + rng.randint(15, 110) * MINUTE
        known = [place, *(thing for thing in persons + cars if rng.random() < habits.DISPATCH_KNOWS)]
        name = self.tasks.dispatch(duty.unit, crew, known, duty.area, ms, end)
        taker = self.tasks.call_taker(rng, ms)
        why = Why(code="dispatch", note=name if rng.random() < 0.8 else None)
        if taker is not None:
            said, desk = self.log.purpose(rng, taker, why), office(taker, AREAS[taker.crew % 4], rng)
            at = self.log.ask(rng, ms - rng.randint(-60, 120) * SECOND, taker, "bvi", place, said, desk)
            for thing in some(rng, [*persons, *cars, *self.people.phones[persons[0].id]], 0, 2):
                system = {"vehicle": "rdw", "phone": "phone"}.get(thing.kind, "bvi")
                at = self.log.ask(rng, at, taker, system, thing, said, desk)
        helpers = list(crew)
        if rng.random() < 0.15:
            others = [
                other.who
                for other in self.staff.on_day["patrol", duty.day]
                if other.unit == duty.unit and other.start <= ms < other.end
            ]
            helpers += some(rng, others, 0, 1)
        at = ms + rng.randint(2, 12) * MINUTE
        for thing in [place] * (rng.random() < 0.6) + persons + cars:
            if rng.random() < 0.75:
                who = rng.choice(helpers)
                where = car(who, duty.area, duty.day) if rng.random() < 0.6 else mobile(who, duty.area)
                system = "rdw" if thing.kind == "vehicle" else rng.choice(("bvi", "bvi", "brp"))
                at = self._radio(rng, at, who, system, thing, self.log.purpose(rng, who, why), where, True)
                at += rng.randint(0, 6) * MINUTE
        if rng.random() < _AFTERCARE:
            self._aftercare(rng, rng.choice(crew), persons[0], end)
        self._report(rng, duty, crew, [place, *persons, *cars], why, end)

    def _aftercare(self, rng: Random, who: Account, victim: Thing, end: int) -> None:
        """A visit days later, without a task or a number."""
        later = [duty for duty in who.duties if end + 2 * DAY < duty.start < end + 20 * DAY]
        if later:
            duty = rng.choice(later)
            said = self.log.purpose(rng, who, Why(code="patrol", note=rng.choice((None, "nazorg"))))
            at = rng.randint(duty.start, duty.end)
            for thing in [victim, self.people.home(victim)][: rng.randint(1, 2)]:
                at = self.log.ask(rng, at, who, "bvi", thing, said, mobile(who, duty.area))

    def _report(self, rng: Random, duty: Duty, crew: list[Account], things: list[Thing], why: Why, end: int) -> None:
        """Half of the incidents are written up later, often at the end of the shift; one in six gets a case only then."""
        if rng.random() < 0.5:
            return
        who = rng.choice(crew)
        at = rng.randint(end, max(end + 1, duty.end))
        if rng.random() < 0.17:
            opened = at + rng.randint(0, 40) * MINUTE
            case = self.tasks.open_case(rng, duty.unit, duty.area, crew, things, opened, opened + 30 * 24 * HOUR)
            why = Why(case=case.id, code="dispatch")
        said = self.log.purpose(rng, who, why)
        for thing in some(rng, things, 1, 3):
            system = "rdw" if thing.kind == "vehicle" else "bvi"
            at = self.log.ask(rng, at, who, system, thing, said, office(who, duty.area, rng))

    def _stop(self, rng: Random, duty: Duty, ms: int) -> None:
        """A car is stopped, or its plate only read in passing; three in ten come from elsewhere."""
        who, area = duty.who, duty.area if rng.random() < 0.7 else rng.choice(AREAS)
        vehicle = rng.choice(self.people.of_kind["vehicle", area])
        if rng.random() < _HOT:
            area = duty.area
            vehicle = rng.choice(self._hot[area])
        said = self.log.purpose(
            rng, who, Why(code="traffic-stop", note=rng.choice((None, None, "controle", "verlichting", "rijgedrag")))
        )
        where = car(who, duty.area, duty.day) if rng.random() < 0.7 else mobile(who, duty.area)
        at = self._radio(rng, ms, who, "rdw", vehicle, said, where, True)
        owner = self.people.things.get(vehicle.owner or "")
        if rng.random() < 0.5 and owner is not None and owner.kind == "person":
            driver = owner if rng.random() < 0.8 else rng.choice([*self.people.household(owner), owner])
            at = self._radio(rng, at, who, "bvi", driver, said, where, True)
        if rng.random() < 0.1:
            self.log.ask(rng, at, who, "bvi", self.people.anyone(rng, area, 0.6), said, where)

    def _traffic(self, rng: Random, duty: Duty) -> None:
        """Controls at one place for an hour or so: many plates in a short time, then the next place."""
        for _ in range(poisson(rng, 2.2)):
            at = rng.randint(duty.start, max(duty.start + 1, duty.end - 70 * MINUTE))
            for _ in range(poisson(rng, 7 * duty.pace)):
                self._stop(rng, duty, at)
                at += rng.randint(1, 9) * MINUTE

    def _caseload(self, rng: Random, who: Account) -> list[Thing]:
        """Whom a neighbourhood officer keeps an eye on, month after month, without a case."""
        persons = [self.people.anyone(rng, who.area_on(0), 0.85) for _ in range(rng.randint(18, 35))]
        if rng.random() < 0.5:
            persons += rng.choice([network for network in self.people.networks if network[0].area == who.area_on(0)])
        return list({one.id: one for one in persons}.values())

    def _neighbourhood(self, rng: Random, duty: Duty, usual: list[Thing]) -> None:
        for _ in range(poisson(rng, 3.5 * duty.pace)):
            at = rng.randint(duty.start, duty.end)
            persons = some(rng, usual, 1, 2)
            if rng.random() < 0.3:
                persons.append(self.people.anyone(rng, duty.area, 0.4))
            note = rng.choice((None, "aandacht", "huisbezoek", "overlast", "zorgmelding"))
            said = self.log.purpose(rng, duty.who, Why(code="patrol", note=note))
            where = mobile(duty.who, duty.area) if rng.random() < 0.5 else office(duty.who, duty.area, rng)
            for person in persons:
                at = self.log.ask(rng, at, duty.who, rng.choice(("bvi", "bvi", "brp")), person, said, where)
                if rng.random() < 0.3:
                    at = self.log.ask(rng, at, duty.who, "brp", self.people.home(person), said, where)
        if rng.random() < 2 * habits.AFTER_HOURS:
            at = duty.end + rng.randint(40, 240) * MINUTE
            for person in some(rng, usual, 1, 4):
                said = self.log.purpose(rng, duty.who, Why(code="patrol", note="voorbereiding"))
                at = self.log.ask(rng, at, duty.who, "bvi", person, said, mobile(duty.who, duty.area))

    def _counter(self, rng: Random, duty: Duty) -> None:
        """People come to report; two in five reports become a case, and its number exists only afterwards."""
        who = duty.who
        for _ in range(poisson(rng, _REPORTS * duty.pace)):
            at = rng.randint(duty.start, duty.end)
            citizen = self.people.anyone(rng, duty.area, 0.1)
            where, why = office(who, duty.area, rng), Why(code="intake")
            if rng.random() < 0.12 and self.tasks.of_unit[duty.unit]:
                old = rng.choice(self.tasks.of_unit[duty.unit][-40:])
                said = self.log.purpose(rng, who, Why(case=old.id, code="intake"))
                at = self.log.ask(rng, at, who, "bvi", self.people.things[old.id], said, where)
                self.log.ask(rng, at, who, "bvi", rng.choice(old.things), said, where)
                continue
            said = self.log.purpose(rng, who, why)
            at = self.log.ask(rng, at, who, "brp", citizen, said, where)
            about = [citizen]
            if rng.random() < 0.4:
                other = self.people.anyone(rng, duty.area, 0.5)
                about += [other, *self.people.cars[other.id][:1]]
                at = self.log.ask(rng, at, who, "bvi", other, said, where)
            if rng.random() < 0.4:
                opened = at + rng.randint(10, 90) * MINUTE
                self.tasks.open_case(rng, duty.unit, duty.area, [who], about, opened, opened + 40 * 24 * HOUR)
