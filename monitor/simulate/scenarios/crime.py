"""People who look for somebody who pays, or is afraid of an investigation."""

from monitor.simulate.casework import Case
from monitor.simulate.chance import pick, some
from monitor.simulate.force import Actor
from monitor.simulate.lookup import Purpose, Way
from monitor.simulate.population import Subject
from monitor.simulate.scenarios.personal import POLICE
from monitor.simulate.scenarios.stage import CASES, OBSERVATIONS, Stage
from monitor.simulate.timeline import HOUR, MINUTE

PLATE = Way("bvi", "read", ("owner", "observations"))
REGISTRATION = Way("rdw", "read", ("owner", "insurance"))
FILE = Way("bvi", "read", ("file",))


def followed_check(stage: Stage) -> str:
    """Is this a police car, is this car being watched: the same plate again and again."""
    actor = stage.one("patrol", "traffic", "detective")
    watched = [
        ident
        for watch in stage.world.casework.watches
        if actor.id not in watch.may_know
        for ident in watch.subjects
        if stage.person(ident).kind == "vehicle" and not stage.world.casework.touches(actor, ident)
    ]
    kind = ("police-car", "watched-plate", "friends-plate")[stage.turn % 3]
    if kind == "watched-plate" and watched:
        plate = stage.person(pick(stage.rng, watched))
    elif kind == "police-car":
        plate = pick(stage.rng, stage.land.tagged["police-vehicle"])
    else:
        kind, plate = "friends-plate", stage.stranger(actor, "vehicle")
    begin = stage.rng.random() * 0.7
    for when in stage.moments(actor, stage.rng.randint(4, 10), begin, begin + 0.3):
        stage.look(
            actor,
            when,
            plate,
            pick(stage.rng, (PLATE, PLATE, OBSERVATIONS, REGISTRATION)),
            purpose=stage.pretext(actor),
        )
    return kind


def investigation_check(stage: Stage) -> str:
    """Is this person under investigation: case and observation systems, about a case of others."""
    actor = stage.one("patrol", "detective", "call")
    case = _foreign_case(stage, actor)
    people = [ident for ident in case.subjects if stage.person(ident).kind == "person"] if case else []
    target = stage.person(people[0]) if people else stage.stranger(actor, "person")
    begin = stage.rng.random() * 0.6
    for when in stage.moments(actor, stage.rng.randint(2, 3), begin, begin + 0.4):
        purpose = stage.pretext(actor)
        stage.session(actor, when, [target], CASES, purpose=purpose)
        later = when._replace(ts=when.ts + stage.rng.randint(1, 6) * MINUTE)
        stage.session(actor, later, [target], OBSERVATIONS, purpose=purpose)
        if case and stage.rng.random() < 0.6:
            dossier = Subject(case.id, "case", case.area, case.id)
            stage.look(actor, later._replace(ts=later.ts + MINUTE), dossier, FILE, purpose=purpose)
    return "case-of-others" if people else "fishing"


def _foreign_case(stage: Stage, actor: Actor) -> Case | None:
    middle = (stage.timeline.begin + stage.timeline.end) // 2
    cases = [
        case
        for case in stage.world.casework.cases
        if case.unit.startswith("recherche")
        and case.unit != actor.unit
        and case.open_at(middle)
        and not stage.world.casework.touches(actor, case.subjects[0])
    ]
    return pick(stage.rng, cases) if cases else None


def shared_interest(stage: Stage) -> str:
    """A ring: people of different units look at the same subject within days, and no case joins them."""
    actors = stage.cast(
        ("patrol", "detective", "traffic", "tax", "registry", "call"),
        stage.rng.randint(3, 5),
        units_apart=True,
    )
    target = stage.stranger(actors[0], "person")
    around = stage.land.around(target.id)
    begin = stage.rng.random() * 0.8
    for actor in actors:
        for when in stage.moments(actor, 1, begin, begin + 0.15):
            stage.session(actor, when, [target, *some(stage.rng, around, 0, 2)], purpose=stage.pretext(actor))
    return "ring"


def sleeper(stage: Stage) -> str:
    """An account that did nothing for most of the run, then exact hits on a few people of one network."""
    asleep = [actor for actor in stage.world.force.actors if actor.dormant_until is not None]
    actor = asleep[stage.turn % len(asleep)]
    stage.used.add(actor.id)
    case = _foreign_case(stage, actor)
    network = (
        [stage.person(ident) for ident in case.subjects[:4]]
        if case
        else [stage.stranger(actor, "person") for _ in range(3)]
    )
    woken = (actor.dormant_until or 0) / stage.timeline.days
    for when in stage.moments(actor, stage.rng.randint(2, 3), woken, 1.0):
        stage.session(actor, when, some(stage.rng, network, 2, 4), purpose=stage.pretext(actor), pace=25_000)
    return "network-of-a-case" if case else "network"


def leak_trace(stage: Stage) -> str:
    """Several subjects turned up in the wrong hands: one actor had looked at all of them, others at some.

    `before` says for each subject by when it was out. The lookups of the others are part of no label.
    """
    actor, *others = stage.cast(POLICE, 4)
    leaked = [
        stage.stranger(actor, pick(stage.rng, ("person", "address", "vehicle")), pick(stage.rng, stage.land.areas))
        for _ in range(stage.rng.randint(4, 8))
    ]
    leaked = list({subject.id: subject for subject in leaked}.values())
    for subject in leaked:
        when = stage.moments(actor, 1, 0.0, 0.8)[0]
        stage.look(actor, when, subject, purpose=stage.pretext(actor))
        out = stage.drafts[-1].ts + stage.rng.randint(2, 72) * HOUR
        stage.before[subject.id] = min(out, stage.timeline.end)
    for other in others:
        for subject in some(stage.rng, leaked, 1, len(leaked) // 2):
            code = Purpose(None, "traffic-stop" if subject.kind == "vehicle" else "intake")
            stage.look(other, stage.moments(other, 1)[0], subject, purpose=code, label=-1)
    return "list-on-the-street"
