"""The staff: who works where and when, as it was, and as the rosters say it was.

A :class:`Duty` is what happened; the shift records are what was written down. They differ by unrecorded swaps, sick days and
overtime, as in every real roster, so an honest lookup may fall outside every recorded shift.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from bench.otherworld import habits
from bench.otherworld.calendar import DAY, HOUR, MINUTE, midnight, stamp
from bench.otherworld.chance import stream
from bench.otherworld.habits import AREAS, JOBS, Job, Settings
from bench.otherworld.people import People, Thing

#: Crews go early, early, late, late, night, night, and four days off.
_CYCLE: Final = ("early", "early", "late", "late", "night", "night", "", "", "", "")
_HOURS: Final = {"early": (7, 8), "late": (15, 8), "night": (23, 8), "day12": (7, 12), "night12": (19, 12)}
_NATIONAL: Final = {
    "control-room": "meldkamer", "analyst": "info-knooppunt", "registry": "kentekenbureau", "inspector": "belasting-controle",
    "collector": "belasting-invordering", "support": "ict-beheer",
}  # fmt: skip
_LOCAL: Final = {
    "patrol": "basisteam", "community": "basisteam", "traffic": "verkeersteam", "detective": "opsporing", "intake": "balie",
}  # fmt: skip


@dataclass(slots=True, eq=False)
class Account:
    """One of the staff, and what the registers know of them. ``forgets`` is their own rate of purposes left out."""

    id: str
    job: Job
    unit: str
    area: str
    person: Thing
    crew: int
    forgets: float
    pace: float
    desk: int
    starts: int = 0
    leaves: int | None = None
    moved: tuple[int, str, str] | None = None
    away: list[tuple[int, int]] = field(default_factory=list)
    duties: list[Duty] = field(default_factory=list)
    idle_until: int = 0
    weeks: list[float] = field(default_factory=list)

    def area_on(self, day: int) -> str:
        """The area where they work on that day."""
        return self.moved[2] if self.moved and day >= self.moved[0] else self.area

    def unit_on(self, day: int) -> str:
        """The unit where they work on that day."""
        return self.moved[1] if self.moved and day >= self.moved[0] else self.unit

    def on_duty(self, ms: int) -> bool:
        """Whether they were really at work."""
        at = bisect_right(self.duties, ms, key=lambda duty: duty.start)
        return at > 0 and ms < self.duties[at - 1].end


@dataclass(slots=True, eq=False)
class Duty:
    """A stretch of real work. ``day`` is the day it began; ``area`` is where it was."""

    who: Account
    day: int
    start: int
    end: int
    unit: str
    area: str
    kind: str
    mates: list[Account] = field(default_factory=list)

    @property
    def pace(self) -> float:
        """How much is done on it, 1 on average: people differ, and so do their weeks."""
        return self.who.pace * self.who.weeks[self.day // 7]


class Staff:
    """All accounts, their duties, and the shift records of the rosters."""

    def __init__(self, settings: Settings, people: People) -> None:
        self.settings = settings
        self.people = people
        self.zero = midnight(settings.start)
        self.end = self.zero + settings.days * DAY
        self.accounts: list[Account] = []
        self.shifts: list[dict[str, Any]] = []
        self.on_day: defaultdict[tuple[str, int], list[Duty]] = defaultdict(list)
        self._hire(stream(settings.seed, "hire"))
        rng = stream(settings.seed, "roster")
        for who in self.accounts:
            self._plan_absence(rng, who)
        for day in range(settings.days):
            self._roster(rng, day)
        for who in self.accounts:
            who.duties.sort(key=lambda duty: duty.start)

    def of(self, *jobs: str) -> list[Account]:
        """Those who do these kinds of work."""
        return [who for who in self.accounts if who.job.name in jobs]

    def _hire(self, rng: Random) -> None:
        adults = {area: [one for one in self.people.of_kind["person", area] if one.adult] for area in AREAS}
        for job in JOBS:
            count = max(2, round(job.share * self.settings.actors))
            if job is JOBS[-1]:
                count = max(2, self.settings.actors - len(self.accounts))
            for number in range(count):
                area = AREAS[number % len(AREAS)]
                # Two in five live outside the district where they work.
                lives = area if rng.random() < 0.6 else rng.choice(AREAS)
                person = adults[lives].pop(rng.randrange(len(adults[lives])))
                person.tags.append("employee")
                for car in self.people.cars[person.id]:
                    car.tags.append("employee")
                unit = f"{_LOCAL[job.name]}-{area}" if job.local else _NATIONAL[job.name]
                who = Account("", job, unit, area, person, number // len(AREAS), 0.0, rng.uniform(0.6, 1.5), 0)
                who.forgets = rng.betavariate(2.0, 2.0 * (1 - job.forgets) / job.forgets)
                self.accounts.append(who)
            group = self.accounts[-count:]
            factor = job.forgets * count / sum(who.forgets for who in group)
            for who in group:
                who.forgets = min(0.9, who.forgets * factor)
        # Account numbers say nothing of the work.
        numbers = rng.sample(range(20_000, 20_000 + 7 * len(self.accounts)), len(self.accounts))
        for number, who in zip(numbers, self.accounts, strict=True):
            who.id, who.desk = f"m{number}", number % 97

    def _plan_absence(self, rng: Random, who: Account) -> None:
        days = self.settings.days
        chance = rng.random()
        if chance < habits.STARTERS:
            who.starts = rng.randint(3, days // 2)
            who.forgets = min(0.5, who.forgets * 1.6)
        elif chance < habits.STARTERS + habits.LEAVERS:
            who.leaves = rng.randint(days // 2, days - 4)
        elif who.job.local and chance < habits.STARTERS + habits.LEAVERS + habits.TRANSFERS:
            to = rng.choice([area for area in AREAS if area != who.area])
            who.moved = (rng.randint(days // 4, 3 * days // 4), f"{_LOCAL[who.job.name]}-{to}", to)
        if who.job.name != "support" and rng.random() < habits.LONG_LEAVE:
            who.away.append((-20, round(days * rng.uniform(0.4, 0.7))))
        who.weeks = [rng.gammavariate(6.0, 1 / 6.0) for _ in range(days // 7 + 1)]
        for _ in range(1 + (rng.random() < days / 60)):
            if rng.random() < 0.7:
                first = rng.randint(-3, days - 3)
                who.away.append((first, first + rng.choice((2, 4, 7, 7, 9, 14))))

    def is_away(self, who: Account, day: int) -> bool:
        """Whether they are on leave, not yet here, or gone."""
        if day < max(who.starts, who.idle_until) or (who.leaves is not None and day >= who.leaves):
            return True
        return any(first <= day < last for first, last in who.away)

    def _kind(self, rng: Random, who: Account, day: int) -> str:
        """What the roster has for them on that day: a shift's name, ``office``, or nothing."""
        name, weekday = who.job.name, (self.settings.start.weekday() + day) % 7
        if name == "patrol":
            return _CYCLE[(day + 2 * (who.crew % 5)) % 10]
        if name == "control-room":
            return ("day12", "day12", "night12", "night12", "", "", "", "")[
                (day + 2 * (self.accounts.index(who) % 4)) % 8
            ]
        if name == "traffic":
            return ("early", "late")[(day // 7 + who.crew) % 2] if weekday < 6 and rng.random() < 0.8 else ""
        if name == "intake":
            return rng.choice(("early", "late")) if weekday < 6 and rng.random() < 0.78 else ""
        if name in ("detective", "community"):
            return "office" if rng.random() < (0.9 if weekday < 5 else 0.15) else ""
        if name == "support" and weekday >= 5:
            return "office" if rng.random() < 0.2 else ""
        return "office" if weekday < 5 and rng.random() < 0.9 else ""

    def _roster(self, rng: Random, day: int) -> None:
        planned: list[tuple[Account, str]] = []
        free: defaultdict[str, list[Account]] = defaultdict(list)
        for who in self.accounts:
            if self.is_away(who, day):
                returns = any(day == last - 1 for _, last in who.away) and rng.random() < habits.BACK_EARLY
                if returns:
                    self._work(rng, who, day, "office", recorded=False)
                continue
            kind = self._kind(rng, who, day)
            if kind:
                planned.append((who, kind))
            else:
                free[who.unit_on(day)].append(who)
        for who, kind in planned:
            if rng.random() < habits.SICK_DAYS:
                if rng.random() >= habits.SICK_RECORDED:
                    self._write(who, day, *self._span(rng, day, kind))
                continue
            others = free[who.unit_on(day)]
            if others and rng.random() < habits.SWAPS:
                other = others.pop(rng.randrange(len(others)))
                recorded = rng.random() < habits.SWAPS_RECORDED
                if not recorded:
                    self._write(who, day, *self._span(rng, day, kind))
                self._work(rng, other, day, kind, recorded=recorded)
            else:
                self._work(rng, who, day, kind, recorded=True)
        self._pair(rng, day)

    def _span(self, rng: Random, day: int, kind: str) -> tuple[int, int]:
        if kind == "office":
            start = self.zero + day * DAY + 8 * HOUR
            return start, start + 9 * HOUR
        hour, length = _HOURS[kind]
        start = self.zero + day * DAY + hour * HOUR
        return start, start + length * HOUR

    def _work(self, rng: Random, who: Account, day: int, kind: str, recorded: bool) -> None:
        start, end = self._span(rng, day, kind)
        real_start, real_end, written_end = start, end, end
        if kind == "office":
            real_start += rng.randint(-35, 60) * MINUTE
            real_end += rng.randint(-60, 45) * MINUTE
        if rng.random() < habits.OVERTIME:
            real_end = end + rng.randint(30, 180) * MINUTE
            if rng.random() < habits.OVERTIME_RECORDED:
                written_end = real_end
        if recorded:
            self._write(who, day, start, written_end)
        real_end = min(real_end, self.end - MINUTE)
        if real_end - real_start > HOUR:
            duty = Duty(who, day, max(real_start, self.zero), real_end, who.unit_on(day), who.area_on(day), kind)
            who.duties.append(duty)
            self.on_day[who.job.name, day].append(duty)

    def _write(self, who: Account, day: int, start: int, end: int) -> None:
        self.shifts.append(
            {
                "record": "shift",
                "id": f"rst-{len(self.shifts):06}",
                "actor": who.id,
                "from": stamp(start),
                "to": stamp(end),
            }
        )

    def forget_shifts(self, who: Account, first: int, last: int) -> None:
        """Take their shifts of these days out of the roster."""
        begin, end = stamp(self.zero + first * DAY), stamp(self.zero + last * DAY)
        self.shifts = [row for row in self.shifts if row["actor"] != who.id or not begin <= row["from"] < end]

    def _pair(self, rng: Random, day: int) -> None:
        """Patrols go out in twos; who is left over makes a three."""
        by_crew: defaultdict[tuple[str, str], list[Duty]] = defaultdict(list)
        for duty in self.on_day["patrol", day]:
            by_crew[duty.unit, duty.kind].append(duty)
        for key in sorted(by_crew):
            crew = by_crew[key]
            rng.shuffle(crew)
            for at in range(0, len(crew) - len(crew) % 2, 2):
                together = crew[at:] if at == len(crew) - 3 else crew[at : at + 2]
                for duty in together:
                    duty.mates = [other.who for other in together if other is not duty]

    def records(self) -> list[dict[str, Any]]:
        """Units, accounts and shifts, as the staff register knows them at the end of the world's span."""
        rng = stream(self.settings.seed, "staff register")
        units: list[dict[str, Any]] = [{"record": "unit", "id": area, "area": area} for area in AREAS]
        for name in sorted({unit for who in self.accounts for unit in (who.unit, who.unit_on(10**6))}):
            area = next((area for area in AREAS if name.endswith(area)), None)
            units.append({"record": "unit", "id": name, **({"area": area, "parent": area} if area else {})})
        return [*units, *(self._record(rng, who) for who in self.accounts), *self.shifts]

    def _record(self, rng: Random, who: Account) -> dict[str, Any]:
        areas = [who.area] if who.job.local else list(AREAS)
        if who.moved:
            areas = [who.moved[2]] if rng.random() < 0.4 else [who.moved[2], who.area]
        family = self.people.family[who.person.id]
        row: dict[str, Any] = {
            "record": "actor", "id": who.id, "unit": who.unit_on(10**6), "role": who.job.role, "areas": areas,
            "peer_group": who.job.peer_group, "person": who.person.id, "address": who.person.address,
            "plates": [car.id for car in self.people.cars[who.person.id]],
            "household": [one.id for one in self.people.household(who.person)],
            # Staff name their kin themselves; one in five is not named.
            "relatives": [one.id for one in family if rng.random() < 0.8],
            "leave": [
                {"from": stamp(self.zero + first * DAY), "to": stamp(self.zero + last * DAY)}
                for first, last in who.away
            ],
            "left": None if who.leaves is None else stamp(self.zero + who.leaves * DAY),
        }  # fmt: skip
        return row
