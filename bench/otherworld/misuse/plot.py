"""What every misuse story is made with: who plays in it, when they can look, from where, and what they give as a reason.

*Care* is how well somebody hides. Blatant (0): mostly no reason given, often off duty or from one's own phone. Middling (1): on
duty as a rule, with the code one always types. Careful (2): on duty, at the own desk, with the number of an own running case or
a code and a note nobody would wonder about; fewer lookups, further apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from bench.otherworld.calendar import DAY, HOUR, MINUTE, SECOND, stamp
from bench.otherworld.habits import AREAS
from bench.otherworld.log import NOTHING, Log, Where, Why, car, mobile, office
from bench.otherworld.people import People, Thing
from bench.otherworld.staff import Account, Duty, Staff
from bench.otherworld.tasks import Tasks

CARES: Final = ("blatant", "middling", "careful")
POLICE: Final = ("patrol", "community", "traffic", "detective", "intake", "analyst")
UNIFORM: Final = ("patrol", "community", "traffic", "intake")
_CODES: Final[dict[str, tuple[str, ...]]] = {
    "patrol": ("traffic-stop", "patrol", "dispatch"), "community": ("patrol",), "traffic": ("traffic-stop",),
    "detective": ("request", "intake"), "control-room": ("dispatch",), "intake": ("intake",), "analyst": ("request",),
    "registry": ("counter-service", "phone-call"), "inspector": ("audit",), "collector": ("phone-call",),
    "support": ("ticket",),
}  # fmt: skip
_NOTES: Final = ("controle", "aandacht", "navraag collega", "terugbellen", "melding burger", "verzoek", "dossier")
_OFF_DUTY: Final = (0.45, 0.15, 0.0)
_REGISTERS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "police": {
        "person": ("bvi", "bvi", "brp"), "vehicle": ("rdw",), "address": ("brp", "bvi"), "phone": ("phone",),
        "company": ("bvi",), "case": ("bvi",), "object": ("bvi",),
    },
    "registry": {"person": ("rdw", "brp"), "vehicle": ("rdw",), "address": ("brp",), "company": ("rdw",)},
    "tax": {"person": ("tax", "tax", "brp"), "address": ("tax",), "company": ("tax",)},
    "support": {"person": ("bvi", "brp", "tax"), "vehicle": ("rdw",), "address": ("brp",), "company": ("tax",), "case": ("bvi",)},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which a typology is committed: by whom, by how many; ``prepare`` changes their roster beforehand."""

    name: str
    tell: Callable[[Plot], None]
    jobs: tuple[str, ...]
    actors: int = 1
    prepare: Callable[[Random, Staff, Account], None] | None = None


@dataclass(slots=True, eq=False)
class Plot:
    """One story: its actors are cast before the ordinary work is made, and it is told after that."""

    number: int
    typology: str
    variant: Variant
    care: int
    actors: list[Account]
    rng: Random
    staff: Staff
    tasks: Tasks = field(init=False)
    people: People = field(init=False)
    log: Log = field(init=False)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def who(self) -> Account:
        """The one actor, or the first of a ring."""
        return self.actors[0]

    @property
    def days(self) -> int:
        """The days of the world."""
        return self.staff.settings.days

    def of_care(self, blatant: int, middling: int, careful: int) -> int:
        """A number that depends on how careful they are."""
        return (blatant, middling, careful)[self.care]

    def at(self, share: float) -> int:
        """The moment when this share of the span has passed."""
        return self.staff.zero + round(share * self.days * DAY)

    def duty(self, who: Account, begin: int, end: int) -> Duty | None:
        """One of their duties between two moments, if they have any."""
        there = [duty for duty in who.duties if begin <= duty.start < end]
        return self.rng.choice(there) if there else None

    def moment(self, who: Account, begin: int, end: int) -> int:
        """When they look: on duty, or, if they are not careful, now and then off duty.

        The careful wait for their next duty when there is none between the two moments, or take the last.
        """
        duty = self.duty(who, begin, end)
        if duty is None and self.care == 2 and who.duties:
            duty = min(who.duties, key=lambda one: abs(one.start - end))
        if duty is not None and self.rng.random() >= _OFF_DUTY[self.care]:
            return self.rng.randint(duty.start + 10 * MINUTE, duty.end - 15 * MINUTE)
        return self.off_duty(who, begin, end)

    def off_duty(self, who: Account, begin: int, end: int) -> int:
        """A moment of the day or evening when they are not at work."""
        for _ in range(50):
            day = self.rng.randint(begin // DAY, max(begin // DAY, end // DAY - 1))
            ms = day * DAY + self.rng.randint(6 * HOUR, 22 * HOUR)
            if begin <= ms < end and not who.on_duty(ms):
                return ms
        return self.rng.randint(begin, max(begin, end - 1))

    def spread(self, who: Account, count: int, begin: float, end: float) -> list[int]:
        """So many moments over a part of the span, in order."""
        first, last = self.at(begin), self.at(end)
        step = (last - first) / count
        return sorted(
            self.moment(who, round(first + at * step), round(first + (at + 1) * step) + DAY // 4) for at in range(count)
        )

    def place(self, who: Account, ms: int) -> Where:
        """Where they sit: the car or the desk on duty, else their own phone."""
        area = who.area_on((ms - self.staff.zero) // DAY)
        if not who.on_duty(ms):
            return mobile(who, who.person.area)
        if who.job.name in ("patrol", "traffic") and self.rng.random() < 0.5:
            return car(who, area, (ms - self.staff.zero) // DAY)
        return office(who, area, self.rng)

    def excuse(self, who: Account, ms: int) -> Why:
        """What they write as the purpose."""
        code, roll = self.rng.choice(_CODES[who.job.name]), self.rng.random()
        if self.care == 0:
            return NOTHING if roll < 0.85 else Why(code=code)
        if self.care == 1:
            return NOTHING if roll < 0.3 else Why(code=code)
        own = self.tasks.open_of(who, ms)
        if own and roll < 0.6:
            return Why(case=self.rng.choice(own).id)
        return Why(code=code, note=self.rng.choice(_NOTES) if roll < 0.85 else None)

    def register(self, who: Account, thing: Thing) -> str | None:
        """A register that they have and that knows such things."""
        name = who.job.name
        group = (
            "registry"
            if name == "registry"
            else "tax"
            if name in ("inspector", "collector")
            else "support"
            if name == "support"
            else "police"
        )
        choice = _REGISTERS[group].get(thing.kind)
        return self.rng.choice(choice) if choice else None

    def look(
        self,
        who: Account,
        ms: int,
        thing: Thing,
        *,
        system: str | None = None,
        why: Why | None = None,
        where: Where | None = None,
        action: str = "read",
        exact: bool = False,
        fields: tuple[str, ...] = (),
    ) -> int:
        """A lookup of this story; what is left open is chosen as their job and care have it. Returns when it is read."""
        used = system or self.register(who, thing)
        if used is None:
            return ms
        return self.log.ask(
            self.rng, ms, who, used, thing, self.excuse(who, ms) if why is None else why, where or self.place(who, ms),
            action=action, story=self.number, exact=exact, fields=fields,
        )  # fmt: skip

    def look_round(self, who: Account, ms: int, person: Thing, most: int) -> int:
        """A person and some of what belongs to them, in one go, under one excuse."""
        why, where = self.excuse(who, ms), self.place(who, ms)
        around = list(self.people.around(person))
        for thing in [around[0], *self.rng.sample(around[1:], min(len(around) - 1, max(0, most - 1)))]:
            ms = self.look(who, ms, thing, why=why, where=where) + self.rng.randint(5, 60) * SECOND
        return ms

    def stranger(self, area: str | None = None, known: float = 0.3) -> Thing:
        """A person whom none of them should know of."""
        own = {thing for who in self.actors for thing in self.log.own(who)}
        while True:
            one = self.people.anyone(self.rng, area or self.rng.choice(AREAS), known)
            if one.id not in own:
                return one

    def tie(self, one: Thing, other: Thing) -> None:
        """Half of the ties between people outside are known to some register."""
        if self.rng.random() < 0.5:
            self.people.link(one, other, "knows")

    def elsewhere(self, who: Account) -> str:
        """An area where they have never worked."""
        return self.rng.choice([area for area in AREAS if area not in (who.area, who.area_on(10**6))])

    def label(self, named: list[tuple[str, int, str]]) -> dict[str, Any]:
        """What is known afterwards; ``named`` are this story's lookups: id, time, subject."""
        times = [ms for _, ms, _ in named]
        return {
            "typology": self.typology, "scenario": self.variant.name, "care": CARES[self.care],
            "actors": [who.id for who in self.actors], "subjects": list(dict.fromkeys(subject for _, _, subject in named)),
            "events": [name for name, _, _ in named], "from": stamp(min(times)), "to": stamp(max(times)), **self.extra,
        }  # fmt: skip
