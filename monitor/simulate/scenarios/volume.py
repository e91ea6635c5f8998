"""Too much at once, or a little for very long."""

from monitor.simulate.chance import pick
from monitor.simulate.force import Actor
from monitor.simulate.lookup import Purpose, Way
from monitor.simulate.population import Subject, plate
from monitor.simulate.scenarios.personal import ANYONE, POLICE
from monitor.simulate.scenarios.stage import Stage, When

EXPORT = Way("bvi", "export", ("address", "phones"))
PRINT = Way("bvi", "print", ("address", "antecedents"))
RESIDENTS = Way("brp", "list", ("residents",))
OWNER = Way("rdw", "search", ("owner",))
WEEK = 7


def bulk_harvest(stage: Stage) -> str:
    """Many subjects in a short time: people, plates in order, house numbers in order, or exports."""
    kind = ("many-people", "plates-in-order", "addresses-in-order", "exports")[stage.turn % 4]
    actor = stage.one(*(("registry", "traffic", "patrol") if kind == "plates-in-order" else POLICE))
    when = stage.moments(actor, 1)[0]
    purpose = stage.pretext(actor)
    count = stage.rng.randint(60, 140)
    if kind == "many-people":
        stage.session(
            actor, when, [stage.stranger(actor, "person") for _ in range(count)], purpose=purpose, pace=18_000
        )
    elif kind == "plates-in-order":
        stage.session(actor, when, _plates(stage, actor, count), OWNER, purpose=purpose, pace=9_000)
    elif kind == "addresses-in-order":
        first = stage.rng.randint(0, 1200)
        street = [f"a{number:06d}" for number in range(first, first + count)]
        stage.session(actor, when, [stage.person(ident) for ident in street], RESIDENTS, purpose=purpose, pace=12_000)
    else:
        _exports(stage, actor, when, purpose)
    return kind


def _plates(stage: Stage, actor: Actor, count: int) -> list[Subject]:
    first = stage.rng.randint(0, stage.land.numbers - count)
    row = [plate(number) for number in range(first, first + count)]
    return [
        stage.land.subjects.get(ident) or Subject(ident, "vehicle", actor.area, ident.replace("-", "")) for ident in row
    ]


def _exports(stage: Stage, actor: Actor, when: When, purpose: Purpose | None) -> None:
    for _ in range(stage.rng.randint(6, 15)):
        way = EXPORT if stage.rng.random() < 0.7 else PRINT
        stage.look(
            actor,
            when,
            stage.stranger(actor, "person"),
            way,
            purpose=purpose,
            results=stage.rng.randint(80, 900),
        )
        when = when._replace(ts=when.ts + stage.rng.randint(20, 200) * 1000)


def low_and_slow(stage: Stage) -> str:
    """A few unexplained lookups a week, all the time, over all systems: no day stands out."""
    actor = stage.one(*POLICE)
    weeks = max(1, stage.timeline.days // WEEK)
    for week in range(weeks):
        for when in stage.moments(actor, stage.rng.randint(2, 4), week / weeks, (week + 1) / weeks):
            kind = pick(stage.rng, ("person", "person", "vehicle", "address", "phone"))
            stage.look(actor, when, stage.stranger(actor, kind), purpose=stage.pretext(actor))
    return "trickle"


def grooming_slope(stage: Stage) -> str:
    """Clean at first; then one lookup, then more, then exports."""
    actor = stage.one(*ANYONE)
    for first, last, count in ((0.4, 0.5, 1), (0.5, 0.65, 3), (0.65, 0.8, 7), (0.8, 1.0, 14)):
        for when in stage.moments(actor, count, first, last):
            subject = stage.stranger(actor, pick(stage.rng, ("person", "person", "vehicle", "address")))
            export = first >= 0.8 and stage.rng.random() < 0.3 and subject.kind == "person"
            stage.look(actor, when, subject, EXPORT if export else None, purpose=stage.pretext(actor))
    return "slope"
