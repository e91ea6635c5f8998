"""The population: households in streets, families, cars, phones, companies, and the few that the police know well.

Everything that can be looked up is a :class:`Thing`. Who belongs to whom is kept beside, as real registers do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from bench.otherworld import habits
from bench.otherworld.chance import some, stream
from bench.otherworld.habits import AREAS, Settings

_SURNAMES: Final = (
    "aalders", "achterberg", "akkerman", "baars", "bakels", "bouwmeester", "brandsma", "celik", "coenen", "dalhuisen", "demir",
    "dijkgraaf", "driessen", "el idrissi", "engels", "fennema", "ferreira", "geerlings", "goossens", "haakma", "hofman",
    "hoekstra", "ibrahim", "jonker", "kaya", "keizer", "kowalski", "kuiper", "lammers", "leenstra", "lopes", "maas", "martina",
    "mulder", "nauta", "nijland", "oosting", "ozturk", "pinas", "postma", "quist", "ramdin", "reitsma", "roelofs", "santos",
    "schipper", "smeets", "steenbergen", "tahiri", "terpstra", "tuinman", "uyttewaal", "verhagen", "vos", "wagenaar",
    "wiersma", "yilmaz", "zandstra", "zwart",
)  # fmt: skip
_STREETS: Final = (
    "Beukenlaan", "Dijkweg", "Eikenhof", "Fabrieksstraat", "Havenkade", "Iepenplein", "Kanaalweg", "Kerkpad", "Lindengracht",
    "Marktveld", "Molenwerf", "Oude Baan", "Parklaan", "Rietdijk", "Schoolstraat", "Stationsplein", "Tuinstraat", "Veerweg",
    "Vijverhof", "Wilgenkade", "Zandpad", "Zonnehof",
)  # fmt: skip
_LETTERS: Final = "BDFGHJKLNPRSTVXZ"


@dataclass(slots=True)
class Thing:
    """What can be looked up. ``text`` is what people type to find it; persons have their ``surname`` apart."""

    kind: str
    id: str
    area: str
    text: str
    owner: str | None = None
    address: str | None = None
    street: str | None = None
    number: int | None = None
    surname: str = ""
    adult: bool = True
    tags: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """The reference record of it."""
        row: dict[str, Any] = {"record": "subject", "id": self.id, "kind": self.kind, "area": self.area}
        for name in ("owner", "address", "street", "number"):
            value = getattr(self, name)
            if value is not None:
                row[name] = value
        row["tags"] = list(self.tags)
        return row


def plate(number: int) -> str:
    """The plate of this number; neighbours in number are neighbours on the plate."""
    rest, last = divmod(number, 16)
    rest, fourth = divmod(rest, 16)
    rest, digits = divmod(rest, 100)
    rest, second = divmod(rest, 16)
    first = rest % 16
    return f"{_LETTERS[first]}{_LETTERS[second]}-{digits:02}-{_LETTERS[fourth]}{_LETTERS[last]}"


class People:
    """The population of a world. ``things`` has everything by id; the other mappings say who belongs to whom."""

    def __init__(self, settings: Settings) -> None:
        self.things: dict[str, Thing] = {}
        self.of_kind: defaultdict[tuple[str, str], list[Thing]] = defaultdict(list)
        self.residents: defaultdict[str, list[Thing]] = defaultdict(list)
        self.cars: defaultdict[str, list[Thing]] = defaultdict(list)
        self.phones: defaultdict[str, list[Thing]] = defaultdict(list)
        self.companies: defaultdict[str, list[Thing]] = defaultdict(list)
        self.family: defaultdict[str, list[Thing]] = defaultdict(list)
        self.fleets: list[list[Thing]] = []
        self.networks: list[list[Thing]] = []
        self.links: list[dict[str, Any]] = []
        self.famous: list[Thing] = []
        self.decoys: list[Thing] = []
        self.practice: list[Thing] = []
        self.unmarked: list[Thing] = []
        self.regulars: dict[str, list[Thing]] = {}
        self._next_plate = 700_003
        rng = stream(settings.seed, "people")
        each = habits.CITIZENS * settings.actors // len(AREAS)
        for area in AREAS:
            self._settle(rng, area, each)
        self._wed(rng)
        for area in AREAS:
            self._trade(rng, area)
            people = self.of_kind["person", area]
            self.regulars[area] = rng.sample([one for one in people if one.adult], len(people) // habits.ONE_IN_KNOWN)
            self._gang(rng, area)
        self._special(rng)

    def _add(self, thing: Thing) -> Thing:
        self.things[thing.id] = thing
        self.of_kind[thing.kind, thing.area].append(thing)
        return thing

    def _settle(self, rng: Random, area: str, wanted: int) -> None:
        street, number, count = 0, 0, 0
        while count < wanted:
            number += rng.choice((1, 1, 2, 2, 2, 3))
            if number > 90 + rng.randint(0, 60):
                street, number = street + 1, 1
            name = _STREETS[street % len(_STREETS)] + (
                "" if street < len(_STREETS) else f" {street // len(_STREETS) + 1}"
            )
            home = self._add(Thing("address", f"adr-{len(self.things):06}", area, f"{name} {number} {area}"))
            home.street, home.number = f"{name}, {area}", number
            family = rng.choice(_SURNAMES)
            size = rng.choice((1, 1, 1, 2, 2, 2, 3, 4, 4, 5))
            for place in range(size):
                own = family if place != 1 or rng.random() < 0.5 else rng.choice(_SURNAMES)
                self._birth(rng, area, home, own, place < 2 or rng.random() < 0.15)
            count += size

    def _birth(self, rng: Random, area: str, home: Thing, surname: str, adult: bool) -> None:
        year = rng.randint(1942, 2006) if adult else rng.randint(2007, 2025)
        born = f"{year}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        one = self._add(Thing("person", f"per-{len(self.things):06}", area, f"{surname} {born}", address=home.id))
        one.surname, one.adult = surname, adult
        self.residents[home.id].append(one)
        if adult and rng.random() < 0.62:
            self._register(area, one, home, rng.choice((1, 3, 7, 19, 40)))
        if adult and rng.random() < 0.9:
            number = f"06-{30_000_000 + len(self.things) * 37 + rng.randint(0, 30)}"
            self.phones[one.id].append(
                self._add(Thing("phone", number, area, number.replace("-", ""), owner=one.id, address=home.id))
            )

    def _register(self, area: str, owner: Thing, home: Thing | None, gap: int) -> Thing:
        self._next_plate += gap
        name = plate(self._next_plate)
        car = self._add(Thing("vehicle", name, area, name.replace("-", ""), owner=owner.id))
        car.address = home.id if home else None
        self.cars[owner.id].append(car)
        return car

    def _wed(self, rng: Random) -> None:
        """Families over several households: parents, brothers, sisters; most share a surname, as do many who are no kin."""
        by_name: defaultdict[str, list[Thing]] = defaultdict(list)
        for area in AREAS:
            for one in self.of_kind["person", area]:
                if one.adult:
                    by_name[one.surname].append(one)
        for name in sorted(by_name):
            group = by_name[name]
            rng.shuffle(group)
            for start in range(0, len(group) - 3, 4):
                kin = group[start : start + rng.randint(2, 4)]
                for one in kin:
                    self.family[one.id].extend(other for other in kin if other.address != one.address)

    def _trade(self, rng: Random, area: str) -> None:
        people = [one for one in self.of_kind["person", area] if one.adult]
        for _ in range(max(20, len(people) // 30)):
            boss, where = rng.choice(people), rng.choice(self.of_kind["address", area])
            firm = Thing(
                "company",
                f"com-{len(self.things):06}",
                area,
                f"{boss.surname} {rng.choice(('bouw', 'transport', 'handel'))} bv",
            )
            firm.owner, firm.address = boss.id, where.id
            self.companies[boss.id].append(self._add(firm))
            if rng.random() < 0.2:
                self.fleets.append([self._register(area, firm, where, 1) for _ in range(rng.randint(6, 40))])

    def _gang(self, rng: Random, area: str) -> None:
        """Networks of those the police know: who meets whom, and whose car who drives."""
        known = list(self.regulars[area])
        rng.shuffle(known)
        for start in range(0, min(len(known), 48), 8):
            members = known[start : start + rng.randint(5, 8)]
            self.networks.append(members)
            for one in members:
                for other in some(rng, [each for each in members if each is not one], 1, 2):
                    self.link(one, other, "associate")
                for car in self.cars[rng.choice(members).id][:1]:
                    self.link(one, car, "uses")

    def link(self, one: Thing, other: Thing, relation: str) -> None:
        """Two belong together, and a register knows it."""
        name = f"lnk-{len(self.links):05}"
        self.links.append(
            {"record": "link", "id": name, "from_subject": one.id, "to_subject": other.id, "relation": relation}
        )

    def _special(self, rng: Random) -> None:
        for area in AREAS:
            adults = [one for one in self.of_kind["person", area] if one.adult]
            for one in rng.sample(adults, 4):
                one.tags.append("vip")
                self.famous.append(one)
            for number in range(3):
                ghost = Thing(
                    "person", f"per-{len(self.things):06}", area, f"{rng.choice(_SURNAMES)} 1971-0{number + 2}-17"
                )
                ghost.address, ghost.tags = rng.choice(self.of_kind["address", area]).id, ["honeytoken"]
                self.things[ghost.id] = ghost
                self.decoys.append(ghost)
            self._next_plate += 11
            car = Thing(
                "vehicle",
                plate(self._next_plate),
                area,
                plate(self._next_plate).replace("-", ""),
                owner=self.decoys[-1].id,
            )
            car.tags = ["honeytoken"]
            self.things[car.id] = car
            self.decoys.append(car)
            for number in range(4):
                pupil = Thing(
                    "person", f"per-{len(self.things):06}", area, f"oefening 1980-01-0{number + 1}", tags=["training"]
                )
                self.things[pupil.id] = pupil
                self.practice.append(pupil)
            pool = Thing("company", f"com-{len(self.things):06}", area, f"politie {area}")
            self.things[pool.id] = pool
            for _ in range(6):
                unmarked = self._register(area, pool, None, rng.choice((3, 17, 60)))
                unmarked.tags = ["police-vehicle"]
                self.unmarked.append(unmarked)

    def home(self, person: Thing) -> Thing:
        """Where a person lives."""
        assert person.address is not None
        return self.things[person.address]

    def household(self, person: Thing) -> list[Thing]:
        """The others who live there."""
        return [one for one in self.residents[person.address or ""] if one is not person]

    def around(self, person: Thing) -> Iterator[Thing]:
        """A person and what belongs to them: car, home, phone, company."""
        yield person
        yield from self.cars[person.id]
        yield self.home(person)
        yield from self.phones[person.id]
        yield from self.companies[person.id]

    def neighbours(self, home: Thing, within: int) -> list[Thing]:
        """Those who live in the same street, at most ``within`` house numbers away."""
        near = [
            other
            for other in self.of_kind["address", home.area]
            if other.street == home.street
            and other is not home
            and abs((other.number or 0) - (home.number or 0)) <= within
        ]
        return [one for each in near for one in self.residents[each.id] if one.adult]

    def anyone(self, rng: Random, area: str, known: float = 0.45) -> Thing:
        """An adult of the area; with the chance ``known`` one of the few whom the police meet again and again."""
        if rng.random() < known:
            return rng.choice(self.regulars[area])
        while True:
            one = rng.choice(self.of_kind["person", area])
            if one.adult:
                return one
