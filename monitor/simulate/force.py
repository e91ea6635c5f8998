"""The made-up force: its units, and the people who work there."""

from dataclasses import dataclass, field
from random import Random

from monitor.simulate.chance import pick
from monitor.simulate.population import Population, Subject


@dataclass(frozen=True, slots=True)
class Trade:
    """A kind of work: how many do it, how they are organised, when they work, how much they look up."""

    name: str
    share: float
    role: str
    peer_group: str
    prefix: str
    crew: int  # about how many work in one unit
    round_the_clock: bool
    nationwide: bool
    lookups: tuple[int, int]  # on a working day


TRADES = (
    Trade("patrol", 0.44, "officer", "officer", "o", 9, True, False, (15, 34)),
    Trade("detective", 0.16, "detective", "detective", "o", 7, False, False, (16, 36)),
    Trade("traffic", 0.07, "officer", "traffic-officer", "o", 8, True, True, (20, 40)),
    Trade("call", 0.07, "officer", "call-taker", "o", 16, True, True, (40, 60)),
    Trade("registry", 0.10, "clerk", "registry-clerk", "c", 14, False, True, (38, 60)),
    Trade("tax", 0.10, "tax-inspector", "tax-inspector", "t", 10, False, False, (20, 40)),
    Trade("support", 0.06, "support", "support", "s", 12, False, True, (15, 24)),
)
NAMES = {
    "detective": "recherche",
    "traffic": "verkeer",
    "call": "meldkamer",
    "registry": "rdw-loket",
    "tax": "belasting",
    "support": "servicedesk",
}
SIDES = ("noord", "zuid", "oost", "west")


@dataclass(slots=True)
class Actor:
    """Somebody with an account. Times are milliseconds since the epoch; `number` is the place in the list."""

    id: str
    number: int
    trade: Trade
    unit: str
    area: str
    areas: list[str]
    pair: int  # who shares a car, and so a shift pattern
    terminal: str
    ip: str
    person: str = ""
    home: str = ""
    plates: list[str] = field(default_factory=list)
    household: list[str] = field(default_factory=list)
    relatives: list[str] = field(default_factory=list)
    leave: list[tuple[int, int]] = field(default_factory=list)
    left: int | None = None
    dormant_until: int | None = None  # the account sleeps until this day of the run

    @property
    def role(self) -> str:
        """What the personnel record says."""
        return self.trade.role


@dataclass(slots=True)
class Unit:
    """A team with an area and a room full of terminals."""

    id: str
    area: str
    parent: str
    trade: Trade
    number: int
    actors: list[Actor] = field(default_factory=list)


@dataclass(slots=True)
class Force:
    """All units and actors, in a fixed order."""

    units: dict[str, Unit]
    actors: list[Actor]
    by_id: dict[str, Actor]
    accounts: list[Subject]  # the things the service desk works on


def raise_force(rng: Random, land: Population, size: int) -> Force:
    """Hire `size` actors from the population and put them in units."""
    units: dict[str, Unit] = {}
    actors: list[Actor] = []
    for trade in TRADES:
        heads = size - len(actors) if trade is TRADES[-1] else max(2, round(size * trade.share))
        crews = _units(trade, max(2, heads), land.areas, len(units))
        for index in range(max(2, heads)):
            unit = crews[index % len(crews)]
            actors.append(_hire(rng, land, unit, len(actors)))
        units.update((unit.id, unit) for unit in crews)
    for actor in actors:
        _family(rng, land, actor)
    accounts = [
        land.add(Subject(f"acc-{actor.id}", "object", actor.area, actor.id), ordinary=False) for actor in actors
    ]
    return Force(units, actors, {actor.id: actor for actor in actors}, accounts)


def _units(trade: Trade, heads: int, areas: tuple[str, ...], known: int) -> list[Unit]:
    count = max(1, round(heads / trade.crew))
    units = []
    for index in range(count):
        area, turn = areas[index % len(areas)], index // len(areas)
        if trade.name == "patrol":
            ident = f"{area}-{SIDES[turn % 4]}{turn // 4 or ''}"
        elif trade.nationwide:
            ident = NAMES[trade.name] + (f"-{index + 1}" if count > 1 else "")
        else:
            ident = f"{NAMES[trade.name]}-{area}{turn + 1 if turn else ''}"
        units.append(Unit(ident, area, "landelijk" if trade.nationwide else area, trade, known + index))
    return units


def _hire(rng: Random, land: Population, unit: Unit, number: int) -> Actor:
    trade, seat = unit.trade, len(unit.actors)
    areas = list(land.areas) if trade.nationwide else [unit.area]
    if trade.name == "detective" and len(land.areas) > 3 and rng.random() < 0.2:
        areas.append(pick(rng, [area for area in land.areas if area != unit.area]))
    ip = f"10.{unit.number % 250}.{seat // 200}.{seat % 200 + 10}"
    actor = Actor(
        f"{trade.prefix}-{10_000 + number * 7}",
        number,
        trade,
        unit.id,
        unit.area,
        areas,
        seat // 2,
        f"wp-{1000 + number}",
        ip,
    )
    unit.actors.append(actor)
    return actor


def _family(rng: Random, land: Population, actor: Actor) -> None:
    area = actor.area if rng.random() < 0.8 else pick(rng, land.areas)
    person = land.anyone(rng, "person", area)
    while "employee" in person.tags or person.address is None:
        person = land.anyone(rng, "person", area)
    actor.person, actor.home = person.id, person.address
    actor.plates = list(land.plates.get(person.id, ()))
    actor.household = [other for other in land.residents[person.address] if other != person.id]
    actor.relatives = [
        land.anyone(rng, "person", pick(rng, (area, area, pick(rng, land.areas)))).id for _ in range(rng.randint(1, 4))
    ]
    land.tag(person, "employee")
    for ident in actor.plates:
        land.tag(land.subjects[ident], "employee")
