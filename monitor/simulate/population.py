"""The people, homes, vehicles, phones and companies of a made-up country."""

from dataclasses import dataclass, field
from random import Random

from monitor.simulate.chance import pick

AREAS = (
    "limburg",
    "brabant",
    "gelderland",
    "utrecht",
    "zeeland",
    "friesland",
    "drenthe",
    "overijssel",
    "groningen",
    "flevoland",
    "noord-holland",
    "zuid-holland",
)
SURNAMES = (
    "jansen",
    "de vries",
    "bakker",
    "visser",
    "smit",
    "meijer",
    "de boer",
    "mulder",
    "bos",
    "vos",
    "peters",
    "hendriks",
    "van dijk",
    "kok",
    "jacobs",
    "vermeulen",
    "kuipers",
    "yilmaz",
    "el amrani",
    "nowak",
    "schouten",
    "willems",
    "post",
    "hoekstra",
    "koster",
    "prins",
    "huisman",
    "peeters",
    "blom",
    "wolters",
    "tran",
    "santos",
    "brouwer",
    "kaya",
)
STREETS = (
    "dorpsstraat",
    "molenweg",
    "kerkstraat",
    "schoolstraat",
    "stationsweg",
    "nieuwstraat",
    "beatrixlaan",
    "eikenlaan",
)
LETTERS = "BDFGHJKLNPRSTVXZ"
TYPED_WRONG = 0.4  # share of plate numbers nobody has, so that a mistyped plate can be unknown


@dataclass(slots=True)
class Subject:
    """Who or what can be looked up; `text` is what one types to find it."""

    id: str
    kind: str
    area: str
    text: str
    owner: str | None = None
    address: str | None = None
    street: str | None = None
    number: int | None = None
    tags: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Population:
    """Everything that can be looked up, and who belongs to whom, in a fixed order."""

    areas: tuple[str, ...]
    subjects: dict[str, Subject] = field(default_factory=dict)
    pool: dict[tuple[str, str], list[Subject]] = field(default_factory=dict)  # (kind, area) → ordinary subjects
    residents: dict[str, list[str]] = field(default_factory=dict)  # address → persons
    plates: dict[str, list[str]] = field(default_factory=dict)  # person → plates
    phones: dict[str, str] = field(default_factory=dict)  # person → phone
    tagged: dict[str, list[Subject]] = field(default_factory=dict)
    persons: list[str] = field(default_factory=list)
    numbers: int = 0  # plate numbers run from 0 to here

    def add(self, subject: Subject, *, ordinary: bool = True) -> Subject:
        """Take `subject` in; an ordinary one can turn up in anybody's work."""
        self.subjects[subject.id] = subject
        if ordinary:
            self.pool.setdefault((subject.kind, subject.area), []).append(subject)
        return subject

    def tag(self, subject: Subject, tag: str) -> None:
        """Mark `subject` with `tag`, once."""
        if tag not in subject.tags:
            subject.tags.append(tag)
            self.tagged.setdefault(tag, []).append(subject)

    def anyone(self, rng: Random, kind: str, area: str) -> Subject:
        """An ordinary subject of this kind in this area."""
        return pick(rng, self.pool[kind, area])

    def around(self, person: str) -> list[Subject]:
        """What belongs to a person: home, vehicles, phone."""
        found = [self.subjects[plate] for plate in self.plates.get(person, ())]
        home = self.subjects[person].address
        if home is not None:
            found.append(self.subjects[home])
        if person in self.phones:
            found.append(self.subjects[self.phones[person]])
        return found


def plate(number: int) -> str:
    """The plate with this number; numbers in a row give plates in a row (BB-07-BD, BB-08-BD, …)."""
    block, digits = divmod(number, 100)
    high, low = divmod(block % 65_536, 256)
    return f"{LETTERS[high // 16]}{LETTERS[high % 16]}-{digits:02d}-{LETTERS[low // 16]}{LETTERS[low % 16]}"


def people(rng: Random, areas: tuple[str, ...], homes: int) -> Population:
    """A population of about 2.4 persons for each of `homes` homes, spread evenly over `areas`."""
    land = Population(areas)
    vehicles = homes * 3 // 2
    land.numbers = int(vehicles / (1 - TYPED_WRONG))
    numbers = rng.sample(range(land.numbers), vehicles)
    for index in range(homes):
        _home(land, rng, index, areas[index * len(areas) // homes], numbers)
    for index in range(max(len(areas) * 4, homes // 15)):
        area = areas[index % len(areas)]
        owner = land.anyone(rng, "person", area)
        land.add(Subject(f"c{index:05d}", "company", area, f"{owner.text.split(' 1')[0]} bv {index}", owner=owner.id))
    _special(land, rng, numbers)
    return land


def _home(land: Population, rng: Random, index: int, area: str, numbers: list[int]) -> None:
    street = STREETS[(index // 40) % len(STREETS)]
    door = index % 40 + 1
    # A street of this name there is in every village.
    place = Subject(
        f"a{index:06d}", "address", area, f"{street} {door} {area}", street=f"{street} {index // 320} {area}"
    )
    place.number = door
    home = land.add(place)
    surname = pick(rng, SURNAMES)
    here = land.residents[home.id] = []
    for _ in range(1 + int(rng.random() * 3.8)):
        ident = f"p{len(land.persons):06d}"
        year, month, day = (low + int(rng.random() * span) for low, span in ((1940, 68), (1, 12), (1, 28)))
        born = f"{year}-{month:02d}-{day:02d}"
        land.add(Subject(ident, "person", area, f"{surname} {born}", address=home.id))
        here.append(ident)
        land.persons.append(ident)
        if rng.random() < 0.7:
            number = f"06-00{len(land.phones):06d}"
            land.phones[ident] = number
            land.add(Subject(number, "phone", area, number, owner=ident))
        if len(numbers) > 5 * len(land.areas) and rng.random() < 0.62:
            _vehicle(land, ident, home, numbers.pop())


def _vehicle(land: Population, owner: str, home: Subject, number: int) -> None:
    ident = plate(number)
    land.add(Subject(ident, "vehicle", home.area, ident.replace("-", ""), owner=owner, address=home.id))
    land.plates.setdefault(owner, []).append(ident)


def _special(land: Population, rng: Random, numbers: list[int]) -> None:
    for tag in ("vip", "in-news"):
        for ident in rng.sample(land.persons, max(6, len(land.persons) // 1500)):
            land.tag(land.subjects[ident], tag)
    for area in land.areas:
        for _ in range(4):
            _unmarked_car(land, area, numbers.pop())
        _honeytokens(land, rng, area, numbers)
    for index in range(8):
        trainee = land.add(Subject(f"p{990_000 + index}", "person", land.areas[0], f"oefening {index}"), ordinary=False)
        land.tag(trainee, "training")


def _unmarked_car(land: Population, area: str, number: int) -> None:
    ident = plate(number)
    car = land.add(Subject(ident, "vehicle", area, ident.replace("-", "")), ordinary=False)
    land.tag(car, "police-vehicle")


def _honeytokens(land: Population, rng: Random, area: str, numbers: list[int]) -> None:
    # Same shape as the real ones: who looks one up must not be able to tell.
    home = land.anyone(rng, "address", area)
    ident = f"p{len(land.persons):06d}"
    land.persons.append(ident)
    text = f"{pick(rng, SURNAMES)} {1950 + int(rng.random() * 50)}-04-1{int(rng.random() * 10)}"
    person = land.add(Subject(ident, "person", area, text, address=home.id), ordinary=False)
    number = plate(numbers.pop())
    car = land.add(
        Subject(number, "vehicle", area, number.replace("-", ""), owner=ident, address=home.id),
        ordinary=False,
    )
    for subject in (person, car):
        land.tag(subject, "honeytoken")
