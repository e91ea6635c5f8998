"""Honest work of the vehicle registry, the tax office and those who keep the systems running.

Much of it looks like harvesting: a recall of one model goes through hundreds of cars by plate, a dealer registers forty in a
row, a round of reminders goes down a street. Two in three such rounds are on record as a task; the rest only say ``audit``.
"""

from __future__ import annotations

from random import Random
from typing import Final

from bench.otherworld import habits
from bench.otherworld.calendar import HOUR, MINUTE, SECOND
from bench.otherworld.chance import poisson, some, stream
from bench.otherworld.habits import AREAS
from bench.otherworld.log import Log, Why, mobile, office
from bench.otherworld.people import Thing
from bench.otherworld.staff import Account, Duty
from bench.otherworld.tasks import Tasks

_COUNTER: Final = 16.0
_CALLS: Final = 15.0
#: Rounds over many cars or debtors, a day and a clerk.
_ROUNDS: Final = 0.07
_TICKETS: Final = 2.5
#: How many duties of support have a call at night besides: something is down.
_CALLED_OUT: Final = 0.06


class Offices:
    """The work of registry, tax and support. :meth:`work` does all of it."""

    def __init__(self, tasks: Tasks, log: Log) -> None:
        self.tasks, self.log = tasks, log
        self.staff, self.people = tasks.staff, tasks.people
        self._seed = self.staff.settings.seed
        for who in self.staff.accounts:
            self.people.things[f"acc-{who.id}"] = Thing("object", f"acc-{who.id}", who.area, who.id)

    def work(self) -> None:
        """Every duty of every day."""
        for who in self.staff.of("registry", "inspector", "collector", "support"):
            rng = stream(self._seed, "offices", who.id)
            for duty in who.duties:
                if who.job.name == "registry":
                    self._registry(rng, duty)
                elif who.job.name == "inspector":
                    self._inspector(rng, duty)
                elif who.job.name == "collector":
                    self._collector(rng, duty)
                else:
                    self._support(rng, duty)
        for job in ("patrol", "registry", "collector", "detective"):
            for who in self.staff.of(job):
                if who.starts:
                    self._learn(stream(self._seed, "learn", who.id), who)

    def _registry(self, rng: Random, duty: Duty) -> None:
        """Citizens at the counter and on the phone, about their car: who they are, the car, now and then the address."""
        who = duty.who
        if rng.random() < _ROUNDS:
            self._round(rng, duty)
            return
        if rng.random() < 0.06 and self.people.fleets:
            self._fleet(rng, duty)
        for _ in range(poisson(rng, _COUNTER * duty.pace)):
            at = rng.randint(duty.start, duty.end)
            citizen = self.people.anyone(rng, rng.choice(AREAS), 0.08)
            code = rng.choice(("counter-service", "phone-call"))
            said = self.log.purpose(
                rng, who, Why(code=code, note=f"z{rng.randint(10_000, 99_999)}" if rng.random() < 0.4 else None)
            )
            where = office(who, duty.area, rng)
            for car in self.people.cars[citizen.id][:2]:
                at = self.log.ask(rng, at, who, "rdw", car, said, where)
            if not self.people.cars[citizen.id] or rng.random() < 0.5:
                at = self.log.ask(rng, at, who, "rdw", citizen, said, where)
            if rng.random() < 0.2:
                self.log.ask(rng, at, who, "brp", citizen, said, where)

    def _round(self, rng: Random, duty: Duty) -> None:
        """A recall or an inspection: every so many cars of one area by plate, some of it as an export."""
        who, area = duty.who, rng.choice(AREAS)
        cars = sorted(self.people.of_kind["vehicle", area], key=lambda car: car.id)
        first = rng.randrange(max(1, len(cars) - 300))
        chosen = cars[first : first + 300 : rng.choice((1, 1, 2, 5))][: rng.randint(50, 160)]
        at = duty.start + rng.randint(10, 60) * MINUTE
        if rng.random() < habits.TASK_RECORDED:
            self.tasks.dispatch(who.unit, [who], chosen, area, duty.start - HOUR, duty.end + 4 * HOUR)
        said = Why(code="audit", note=rng.choice(("terugroepactie", "apk-controle", "steekproef")))
        where = office(who, duty.area, rng)
        for car in chosen:
            self.log.ask(rng, at, who, "rdw", car, said if rng.random() < 0.97 else Why(), where, exact=True)
            at += rng.randint(20, 150) * SECOND
        if rng.random() < 0.4:
            self.log.ask(rng, at, who, "rdw", chosen[-1], said, where, action="export", exact=True)

    def _fleet(self, rng: Random, duty: Duty) -> None:
        """A dealer brings papers of new cars, whose plates follow each other."""
        at, fleet = rng.randint(duty.start, duty.end - HOUR), rng.choice(self.people.fleets)
        firm = self.people.things[fleet[0].owner or ""]
        said = self.log.purpose(rng, duty.who, Why(code="counter-service", note=firm.text))
        where = office(duty.who, duty.area, rng)
        at = self.log.ask(rng, at, duty.who, "rdw", firm, said, where)
        for car in fleet:
            at = self.log.ask(rng, at, duty.who, "rdw", car, said, where, exact=True)

    def _inspector(self, rng: Random, duty: Duty) -> None:
        who = duty.who
        for _ in range(poisson(rng, 2.2 * duty.pace)):
            at = rng.randint(duty.start, duty.end)
            files = self.tasks.open_of(who, at)
            if not files:
                continue
            file = rng.choice(files)
            said = self.log.purpose(rng, who, Why(case=file.id, code="audit" if rng.random() < 0.6 else None))
            where = office(who, duty.area, rng) if rng.random() < 0.75 else mobile(who, who.person.area)
            for thing in some(rng, file.things, 1, 4):
                at = self.log.ask(rng, at, who, "tax", thing, said, where) + rng.randint(0, 8) * MINUTE
                if thing.kind == "person" and rng.random() < 0.3:
                    at = self.log.ask(rng, at, who, "brp", thing, said, where)
            if rng.random() < 0.15 and file.people:
                # Partners and landlords belong to a return, but not to the file.
                other = rng.choice(self.people.household(file.people[0]) or file.people)
                self.log.ask(rng, at, who, "tax", other, said, where)
            if rng.random() < 0.05:
                self.log.ask(rng, at, who, "tax", file.things[0], said, where, action="export", exact=True)

    def _collector(self, rng: Random, duty: Duty) -> None:
        """Calls of people who owe, and now and then a round down a list of them."""
        who = duty.who
        if rng.random() < _ROUNDS:
            area, at = rng.choice(AREAS), duty.start + 30 * MINUTE
            debtors = some(rng, [one for one in self.people.of_kind["person", area] if one.adult], 40, 110)
            if rng.random() < habits.TASK_RECORDED:
                self.tasks.dispatch(who.unit, [who], debtors, area, duty.start - HOUR, duty.end + 3 * HOUR)
            where = office(who, duty.area, rng)
            for one in debtors:
                said = self.log.purpose(rng, who, Why(code="audit", note="aanmaning"))
                self.log.ask(rng, at, who, "tax", one, said, where, exact=True)
                at += rng.randint(60, 240) * SECOND
            return
        for _ in range(poisson(rng, _CALLS * duty.pace)):
            at = rng.randint(duty.start, duty.end)
            caller = self.people.anyone(rng, rng.choice(AREAS), 0.1)
            said, where = self.log.purpose(rng, who, Why(code="phone-call")), office(who, duty.area, rng)
            at = self.log.ask(rng, at, who, "tax", caller, said, where)
            if rng.random() < 0.2:
                self.log.ask(rng, at, who, "brp", caller, said, where)

    def _support(self, rng: Random, duty: Duty) -> None:
        """Tickets: somebody's account, practice persons, and one time in twelve the very record that makes trouble."""
        who = duty.who
        moments = [rng.randint(duty.start, duty.end) for _ in range(poisson(rng, _TICKETS * duty.pace))]
        if rng.random() < _CALLED_OUT:
            moments.append(duty.end + rng.randint(3, 12) * HOUR)
        for at in moments:
            asker = rng.choice(self.staff.accounts)
            said = self.log.purpose(
                rng,
                who,
                Why(
                    code="ticket",
                    note=f"t{rng.randint(100_000, 999_999)}",
                    behalf=asker.id if rng.random() < 0.5 else None,
                ),
            )
            where = office(who, duty.area, rng)
            account = self.people.things[f"acc-{asker.id}"]
            at = self.log.ask(rng, at, who, "bvi", account, said, where, exact=True, fields=("account", "sessions"))
            if rng.random() < 0.3:
                self.log.ask(rng, at, who, "bvi", rng.choice(self.people.practice), said, where)
            elif rng.random() < 0.12:
                self.log.ask(
                    rng, at, who, rng.choice(("bvi", "brp")), self.people.anyone(rng, asker.area, 0.3), said, where
                )

    def _learn(self, rng: Random, who: Account) -> None:
        """The first days of somebody new: practice persons, under the code of a course."""
        for duty in who.duties[:5]:
            at = rng.randint(duty.start, duty.end)
            for pupil in some(rng, self.people.practice, 1, 4):
                said = self.log.purpose(rng, who, Why(code="training"))
                at = self.log.ask(rng, at, who, "bvi", pupil, said, office(who, duty.area, rng))
