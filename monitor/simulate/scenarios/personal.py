"""People who look for themselves, or for somebody they know."""

from monitor.simulate.chance import pick, some
from monitor.simulate.population import Subject
from monitor.simulate.scenarios.stage import Stage

POLICE = ("patrol", "detective", "traffic", "call")
ANYONE = (*POLICE, "registry", "tax")


def curiosity(stage: Stage) -> str:
    """A celebrity, somebody in the news, the people next door, a nice car: read once or twice."""
    actor = stage.one(*ANYONE)
    kind = ("celebrity", "in-the-news", "neighbours", "nice-car")[stage.turn % 4]
    subjects: list[Subject] = []
    if kind in ("celebrity", "in-the-news"):
        famous = pick(stage.rng, stage.land.tagged["vip" if kind == "celebrity" else "in-news"])
        subjects = [famous, famous, *stage.land.around(famous.id)][: stage.rng.randint(2, 5)]
    elif kind == "neighbours":
        subjects = some(stage.rng, stage.near(actor.home), 2, 6)
    if not subjects:
        car = stage.stranger(actor, "vehicle")
        subjects = [car, stage.person(car.owner)] if car.owner else [car]
    stage.session(actor, stage.moments(actor, 1)[0], subjects, purpose=stage.pretext(actor))
    return kind


def friend_favour(stage: Stage) -> str:
    """A friend or colleague asks: one subject, close to somebody the actor knows, a few times, then quiet."""
    actor = stage.one(*ANYONE)
    colleague = pick(stage.rng, stage.world.force.units[actor.unit].actors)
    known = [stage.person(ident) for ident in (*actor.relatives, *colleague.household, *colleague.relatives)]
    friend = pick(stage.rng, known)
    nearby = stage.near(friend.address) if friend.address else []
    target = pick(stage.rng, nearby) if nearby else stage.stranger(actor, "person")
    begin = stage.rng.random() * 0.85
    for when in stage.moments(actor, stage.rng.randint(1, 3), begin, begin + 0.12):
        around = some(stage.rng, stage.land.around(target.id), 0, 2)
        stage.session(actor, when, [target, *around], purpose=stage.pretext(actor))
    return "via-colleague" if friend.id not in actor.relatives else "via-relative"


def self_and_kin(stage: Stage) -> str:
    """Own name, own car, own house, the family, a colleague."""
    actor = stage.one(*ANYONE)
    kind = ("self", "household", "relatives", "colleague")[stage.turn % 4]
    colleague = pick(
        stage.rng,
        [other for other in stage.world.force.units[actor.unit].actors if other is not actor] or [actor],
    )
    wanted = {
        "self": [actor.person, *actor.plates, actor.home],
        "household": actor.household,
        "relatives": actor.relatives,
        "colleague": [colleague.person, colleague.home, *colleague.plates],
    }[kind]
    if not wanted:
        kind, wanted = "self", [actor.person, *actor.plates, actor.home]
    for when in stage.moments(actor, stage.rng.randint(1, 3)):
        stage.session(actor, when, [stage.person(ident) for ident in wanted[:4]], purpose=stage.pretext(actor))
    return kind


def honeytoken(stage: Stage) -> str:
    """Somebody who does not exist is found, by browsing or because a list with the name went round."""
    actor = stage.one(*ANYONE)
    bait = pick(stage.rng, stage.land.tagged["honeytoken"])
    stage.session(actor, stage.moments(actor, 1)[0], [bait] * stage.rng.randint(1, 3), purpose=stage.pretext(actor))
    return f"planted-{bait.kind}"


def outside_work_area(stage: Stage) -> str:
    """People and homes far from where the actor works, on a few days, without a task there."""
    actor = stage.one("patrol", "tax")
    area = stage.elsewhere(actor)
    begin = stage.rng.random() * 0.7
    for when in stage.moments(actor, stage.rng.randint(2, 4), begin, begin + 0.3):
        found = [
            stage.stranger(actor, pick(stage.rng, ("person", "address", "vehicle")), area)
            for _ in range(stage.rng.randint(2, 4))
        ]
        stage.session(actor, when, found, purpose=stage.pretext(actor))
    return "other-region"
