"""What there was to do: cases, incidents, standing tasks, observations, news, and how much of it the registers know.

Each task is real; its reference record knows only a part, because people on the street do not register everybody they
meet, and a case file runs behind the case.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from bench.otherworld import habits
from bench.otherworld.calendar import DAY, HOUR, MINUTE, day_of, stamp
from bench.otherworld.chance import some, stream
from bench.otherworld.habits import AREAS
from bench.otherworld.people import Thing
from bench.otherworld.staff import Account, Duty, Staff

_BEFORE: Final = 90
#: Open cases a detective works on at a time, those of colleagues included.
_LOAD: Final = 3.0


@dataclass(slots=True, eq=False)
class Case:
    """A case: ``things`` is what it is really about, of which the file names only a part."""

    id: str
    unit: str
    area: str
    team: list[Account]
    things: list[Thing]
    opened: int
    closed: int | None

    def is_open(self, ms: int) -> bool:
        """Whether it runs at that time."""
        return self.opened <= ms and (self.closed is None or ms < self.closed)

    @property
    def people(self) -> list[Thing]:
        """The persons in it."""
        return [thing for thing in self.things if thing.kind == "person"]


@dataclass(frozen=True, slots=True)
class News:
    """Somebody comes into the news: when, who, where; the case that follows, if it is one for the police."""

    ms: int
    person: Thing
    area: str
    case: Case | None


class Tasks:
    """All tasks of a world. ``records`` are their reference records, in the order in which they arose."""

    def __init__(self, staff: Staff) -> None:
        self.staff = staff
        self.people = staff.people
        self.records: list[dict[str, Any]] = []
        self.cases: list[Case] = []
        self.of_actor: defaultdict[str, list[Case]] = defaultdict(list)
        self.of_unit: defaultdict[str, list[Case]] = defaultdict(list)
        self.news: list[News] = []
        self.watched: list[tuple[Case, list[Thing]]] = []
        self._room: list[Duty] = []
        for duties in (staff.on_day["control-room", day] for day in range(staff.settings.days)):
            self._room += duties
        rng = stream(staff.settings.seed, "cases")
        self._numbers = iter(range(310_017, 10**6, 3))
        self._incidents = 0
        self._found_cases(rng)
        self._found_files(rng)
        self._standing(rng)
        self._make_news(rng)
        self._observe(rng)

    def open_case(
        self,
        rng: Random,
        unit: str,
        area: str,
        team: list[Account],
        things: list[Thing],
        opened: int,
        closed: int | None,
    ) -> Case:
        """A case is opened; its file can be looked up too."""
        case = Case(f"{day_of(opened)[:4]}-{next(self._numbers)}", unit, area, team, things, opened, closed)
        self.cases.append(case)
        self.of_unit[unit].append(case)
        for who in team:
            self.of_actor[who.id].append(case)
        self.people.things[case.id] = Thing("case", case.id, area, case.id)
        self.records.append(
            {
                "record": "case", "id": case.id, "unit": unit, "area": area, "actors": [who.id for who in team],
                "subjects": [thing.id for thing in things if rng.random() < habits.CASE_KNOWS],
                "opened": stamp(opened), "closed": None if closed is None else stamp(closed),
            }
        )  # fmt: skip
        return case

    def dispatch(
        self, unit: str | None, team: list[Account], things: list[Thing], area: str, begin: int, end: int
    ) -> str:
        """A task is given out; return its name. Without ``things`` it is about the area."""
        self._incidents += 1
        name = f"inc-{day_of(begin)[2:].replace('-', '')}-{self._incidents:06}"
        row: dict[str, Any] = {"record": "dispatch", "id": name, "area": area, "from": stamp(begin), "to": stamp(end)}
        if unit is not None:
            row["unit"] = unit
        if team:
            row["actors"] = [who.id for who in team]
        if things:
            row["subjects"] = list(dict.fromkeys(thing.id for thing in things))
        self.records.append(row)
        return name

    def call_taker(self, rng: Random, ms: int) -> Account | None:
        """One of those in the control room at that time, if anybody is."""
        at = bisect_left(self._room, ms - 36 * HOUR, key=lambda duty: duty.day * DAY + self.staff.zero)
        there = []
        for duty in self._room[at:]:
            if duty.day * DAY + self.staff.zero > ms:
                break
            if duty.start <= ms < duty.end:
                there.append(duty.who)
        return rng.choice(there) if there else None

    def open_of(self, who: Account, ms: int) -> list[Case]:
        """Their own cases at that time."""
        return [case for case in self.of_actor[who.id] if case.is_open(ms)]

    def _things_of(self, rng: Random, area: str) -> list[Thing]:
        """Who and what a case is about: part of a network or some who are known, those hurt, and what belongs to them."""
        near = [network for network in self.people.networks if network[0].area == area]
        if near and rng.random() < 0.5:
            persons = some(rng, rng.choice(near), 2, 5)
        else:
            persons = [
                self.people.anyone(rng, area if rng.random() < 0.85 else rng.choice(AREAS), 0.7)
                for _ in range(rng.randint(1, 3))
            ]
        persons += [self.people.anyone(rng, area, 0.1) for _ in range(rng.randint(1, 2))]
        things: list[Thing] = []
        for person in persons:
            things += [thing for thing in self.people.around(person) if thing is person or rng.random() < 0.7]
        return list({thing.id: thing for thing in things}.values())

    def _found_cases(self, rng: Random) -> None:
        days = self.staff.settings.days
        for area in AREAS:
            unit = f"opsporing-{area}"
            team = [who for who in self.staff.of("detective") if who.unit == unit]
            if not team:
                continue
            wanted = max(4, round(len(team) * _LOAD / 3 * (days + _BEFORE) / 55))
            for _ in range(wanted):
                opened = self.staff.zero + rng.randint(-_BEFORE * DAY, (days - 2) * DAY)
                closed = opened + rng.randint(15, 110) * DAY
                members = some(rng, team, 2, min(5, len(team)))
                if rng.random() < 0.12:
                    members.append(rng.choice(self.staff.of("detective")))
                if rng.random() < 0.2:
                    members.append(rng.choice(self.staff.of("analyst")))
                things = self._things_of(rng, area)
                self.open_case(
                    rng,
                    unit,
                    area,
                    list(dict.fromkeys(members)),
                    things,
                    opened,
                    closed if closed < self.staff.end else None,
                )

    def _found_files(self, rng: Random) -> None:
        """Tax inspectors' files: a company or a person, with a yearly round of audits."""
        days = self.staff.settings.days
        for who in self.staff.of("inspector"):
            for _ in range(round(9 + days / 6)):
                area = rng.choice(AREAS)
                if rng.random() < 0.5:
                    firm = rng.choice(self.people.of_kind["company", area])
                    things = [firm] + ([self.people.things[firm.owner]] if firm.owner in self.people.things else [])
                else:
                    person = self.people.anyone(rng, area, 0.1)
                    things = [person, *self.people.companies[person.id]]
                opened = self.staff.zero + rng.randint(-40 * DAY, (days - 1) * DAY)
                self.open_case(rng, who.unit, area, [who], things, opened, opened + rng.randint(10, 60) * DAY)

    def _standing(self, rng: Random) -> None:
        """Tasks for an area: neighbourhood work, and operations where others come to help."""
        days, zero = self.staff.settings.days, self.staff.zero
        for area in AREAS:
            for unit in (f"basisteam-{area}", f"verkeersteam-{area}"):
                if rng.random() < habits.TASK_RECORDED:
                    self.dispatch(unit, [], [], area, zero - 10 * DAY, zero + (days + 10) * DAY)
        for start in range(5, days - 1, 9):
            area = rng.choice(AREAS)
            day = start + rng.randint(0, 5)
            duties = [
                duty
                for duty in self.staff.on_day["patrol", day] + self.staff.on_day["detective", day]
                if duty.area != area
            ]
            guests = some(rng, duties, 3, 8)
            for duty in guests:
                duty.area = area
            if guests and rng.random() < habits.OPERATION_RECORDED:
                begin = min(duty.start for duty in guests)
                self.dispatch(None, [duty.who for duty in guests], [], area, begin, begin + 16 * HOUR)

    def _make_news(self, rng: Random) -> None:
        days, zero = self.staff.settings.days, self.staff.zero
        for start in range(2, days - 2, 6):
            ms = zero + (start + rng.randint(0, 3)) * DAY + rng.randint(9, 22) * HOUR
            area = rng.choice(AREAS)
            if rng.random() < 0.4:
                famous = rng.choice(self.people.famous)
                self.news.append(News(ms, famous, famous.area, None))
                continue
            person = self.people.anyone(rng, area, 0.3)
            if rng.random() < habits.NEWS_TAGGED and "in-news" not in person.tags:
                person.tags.append("in-news")
            team = [who for who in self.staff.of("detective") if who.area == area]
            things = list(self.people.around(person)) + self.people.household(person)[:2]
            case = self.open_case(
                rng, f"opsporing-{area}", area, some(rng, team, 3, 7), things, ms + rng.randint(20, 180) * MINUTE, None
            )
            self.news.append(News(ms, person, area, case))

    def _observe(self, rng: Random) -> None:
        """One in five cases has people under observation; the team may know."""
        for case in list(self.cases):
            persons = case.people
            if not case.unit.startswith("opsporing") or not persons or rng.random() >= 0.2:
                continue
            seen = [thing for person in persons[:2] for thing in (person, *self.people.cars[person.id][:1])]
            begin = case.opened + rng.randint(2, 12) * DAY
            end = begin + rng.randint(10, 45) * DAY
            self.watched.append((case, seen))
            self.records.append(
                {
                    "record": "watch", "id": f"obs-{len(self.watched):04}", "subjects": [thing.id for thing in seen],
                    "may_know": [who.id for who in case.team], "from": stamp(begin), "to": stamp(end),
                }
            )  # fmt: skip
