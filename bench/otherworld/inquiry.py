"""Honest work of detectives and analysts, and of everybody when somebody comes into the news.

Detectives read around their cases: the file, those in it, and whoever a tip names, of which the file knows nothing yet. They
help out in a colleague's case, go back to a closed one for the court, and prepare tomorrow at the kitchen table.
"""

from __future__ import annotations

from random import Random
from typing import Final

from bench.otherworld import habits
from bench.otherworld.calendar import HOUR, MINUTE
from bench.otherworld.chance import poisson, some, stream
from bench.otherworld.habits import AREAS
from bench.otherworld.log import Log, Where, Why, mobile, office
from bench.otherworld.people import Thing
from bench.otherworld.staff import Account, Duty
from bench.otherworld.tasks import Case, News, Tasks

_BLOCKS: Final = 2.4
_HELPS: Final = 0.08
_CLOSED: Final = 0.03
_TIPS: Final = 0.10
#: How many duties bring a question from a team elsewhere, asked by telephone and answered out of its case.
_ASKED: Final = 0.05
_BY_KIND: Final = {
    "person": ("bvi", "bvi", "bvi", "brp", "brp", "obs", "phone", "tax"),
    "vehicle": ("rdw", "rdw", "bvi", "obs"),
    "address": ("brp", "bvi", "bvi", "obs"),
    "phone": ("phone",),
    "company": ("tax", "bvi", "rdw"),
}


class Inquiry:
    """The work of detectives and analysts. :meth:`work` does all of it, and the rush on news."""

    def __init__(self, tasks: Tasks, log: Log) -> None:
        self.tasks, self.log = tasks, log
        self.staff, self.people = tasks.staff, tasks.people
        self._seed = self.staff.settings.seed
        self._by_person = {one.id: network for network in self.people.networks for one in network}

    def work(self) -> None:
        """Every duty of every day, then the news."""
        for who in self.staff.of("detective"):
            rng = stream(self._seed, "inquiry", who.id)
            for duty in who.duties:
                self._detective(rng, duty)
        for who in self.staff.of("analyst"):
            rng = stream(self._seed, "analysis", who.id)
            for duty in who.duties:
                self._analyst(rng, duty)
        for number, news in enumerate(self.tasks.news):
            self._rush(stream(self._seed, "news", number), news)

    def _case(self, rng: Random, who: Account, ms: int) -> Case | None:
        """Which case they take up: nearly always one of their own."""
        own = self.tasks.open_of(who, ms)
        chance = rng.random()
        if chance < _CLOSED:
            own = [case for case in self.tasks.of_actor[who.id] if case.closed is not None and case.closed < ms] or own
        elif chance < _CLOSED + _HELPS:
            unit = who.unit_on((ms - self.staff.zero) // (24 * HOUR))
            own = [case for case in self.tasks.of_unit[unit] if case.is_open(ms)] or own
        return rng.choice(own) if own else None

    def _detective(self, rng: Random, duty: Duty) -> None:
        who = duty.who
        for _ in range(poisson(rng, _BLOCKS * duty.pace)):
            at = rng.randint(duty.start, max(duty.start + 1, duty.end - 50 * MINUTE))
            case = self._case(rng, who, at)
            if case is None:
                continue
            where = office(who, duty.area, rng) if rng.random() < 0.85 else mobile(who, duty.area)
            self._block(rng, at, who, case, where, rng.randint(3, 9))
        if rng.random() < _ASKED:
            self._asked(rng, duty)
        if rng.random() < habits.AFTER_HOURS * 2:
            at = duty.end + rng.randint(30, 260) * MINUTE
            case = self._case(rng, who, at)
            if case is not None:
                self._block(rng, at, who, case, mobile(who, who.person.area), rng.randint(1, 5))

    def _block(self, rng: Random, at: int, who: Account, case: Case, where: Where, count: int) -> None:
        """A while at one case: its file first, one time in three; then those in it, and whom a tip or a link leads to."""
        said = self.log.purpose(rng, who, Why(case=case.id, note=rng.choice((None, None, None, "onderzoek", "pv"))))
        if rng.random() < 0.33:
            at = self.log.ask(rng, at, who, "bvi", self.people.things[case.id], said, where)
        for _ in range(count):
            thing = rng.choice(case.things)
            if rng.random() < _TIPS:
                thing = self._lead(rng, case)
            system = rng.choice(_BY_KIND[thing.kind])
            action = rng.choices(("read", "list", "print", "export"), (0.9, 0.05, 0.035, 0.015))[0]
            at = self.log.ask(rng, at, who, system, thing, said, where, action=action)
            at += rng.choice((0, 0, 1, 3, 10)) * MINUTE

    def _asked(self, rng: Random, duty: Duty) -> None:
        """A colleague from another district asks; not everybody writes down whose case it is, and for whom."""
        at = rng.randint(duty.start, duty.end)
        running = [
            case
            for case in self.tasks.cases
            if case.unit.startswith("opsporing") and case.area != duty.area and case.is_open(at)
        ]
        if not running:
            return
        case = rng.choice(running)
        behalf = rng.choice(case.team).id if rng.random() < 0.6 else None
        why = Why(case=case.id if rng.random() < 0.7 else None, code="request", behalf=behalf)
        said, where = self.log.purpose(rng, duty.who, why), office(duty.who, duty.area, rng)
        for thing in some(rng, case.things, 1, 4):
            at = self.log.ask(rng, at, duty.who, rng.choice(_BY_KIND[thing.kind]), thing, said, where)

    def _lead(self, rng: Random, case: Case) -> Thing:
        """Somebody new: from the network of one in the case, of their family, or anybody."""
        person = rng.choice(case.people) if case.people else self.people.anyone(rng, case.area)
        circle = [*self._by_person.get(person.id, []), *self.people.family[person.id], *self.people.household(person)]
        other = rng.choice(circle) if circle and rng.random() < 0.7 else self.people.anyone(rng, case.area, 0.6)
        return rng.choice(list(self.people.around(other)))

    def _analyst(self, rng: Random, duty: Duty) -> None:
        """Requests of detectives: a network drawn out, a list of cars past a camera; named by the case, and for whom."""
        who = duty.who
        for _ in range(poisson(rng, 1.6 * duty.pace)):
            at = rng.randint(duty.start, max(duty.start + 1, duty.end - 2 * HOUR))
            running = [case for case in self.tasks.cases if case.unit.startswith("opsporing") and case.is_open(at)]
            if not running:
                continue
            case = rng.choice(running)
            behalf = rng.choice(case.team).id if case.team and rng.random() < 0.7 else None
            said = self.log.purpose(rng, who, Why(case=case.id, code="request", behalf=behalf))
            where = office(who, duty.area, rng)
            if rng.random() < 0.25:
                cars = self.people.of_kind["vehicle", case.area]
                for car in some(rng, cars, 15, 60):
                    at = self.log.ask(rng, at, who, "rdw", car, said, where, exact=True) - rng.randint(0, 6) * 1000
                continue
            for person in case.people[:3]:
                for other in [person, *self._by_person.get(person.id, [])][: rng.randint(2, 8)]:
                    for thing in some(rng, list(self.people.around(other)), 1, 3):
                        at = self.log.ask(rng, at, who, rng.choice(_BY_KIND[thing.kind]), thing, said, where)
            if rng.random() < 0.3 and case.things:
                self.log.ask(rng, at, who, "bvi", rng.choice(case.things), said, where, action="export")

    def _rush(self, rng: Random, news: News) -> None:
        """Many look within two days, and rightly: the team, patrols who are briefed, the control room, the information desk.

        The first of them look before there is a case.
        """
        end = news.ms + 44 * HOUR
        area_units = [who for who in self.staff.of("patrol", "community", "intake") if who.area == news.area]
        crowd = some(rng, area_units, 3, 9) + some(rng, self.staff.of("control-room", "analyst"), 1, 4)
        if news.case is not None:
            crowd += news.case.team
        for who in crowd:
            duties = [duty for duty in who.duties if duty.end > news.ms and duty.start < end]
            if not duties:
                continue
            duty = rng.choice(duties)
            at = rng.randint(max(duty.start, news.ms), min(duty.end, end))
            case = news.case if news.case is not None and news.case.opened < at and rng.random() < 0.6 else None
            code = (
                "request" if who.job.name == "analyst" else "dispatch" if who.job.name == "control-room" else "patrol"
            )
            note = rng.choice((None, "briefing", "bewaken", "veiligheid"))
            said = self.log.purpose(rng, who, Why(case=case.id if case else None, code=code, note=note))
            where = office(who, duty.area if duty.area in AREAS else news.area, rng)
            at = self.log.ask(rng, at, who, "bvi", news.person, said, where)
            for thing in some(rng, list(self.people.around(news.person)), 0, 2):
                system = {"vehicle": "rdw", "phone": "phone", "company": "bvi"}.get(thing.kind, "brp")
                at = self.log.ask(rng, at, who, system, thing, said, where)
