"""Accounts that read what they should not, or are used by somebody else."""

from collections.abc import Callable

from monitor.simulate.chance import pick
from monitor.simulate.force import Actor
from monitor.simulate.lookup import Purpose, Seat
from monitor.simulate.population import Subject
from monitor.simulate.scenarios.personal import POLICE
from monitor.simulate.scenarios.stage import OBSERVATIONS, Stage, When
from monitor.simulate.timeline import DAY, HOUR, MINUTE


def support_staff(stage: Stage) -> str:
    """Service desk, ICT, the evening shift: people and observations are read, and no ticket is about them."""
    actor = stage.one("support")
    kind = ("service-desk", "administrator", "evening-shift")[stage.turn % 3]
    begin = stage.rng.random() * 0.7
    for when in stage.moments(actor, stage.rng.randint(2, 4), begin, begin + 0.3):
        if kind == "evening-shift":
            when = when._replace(ts=stage.timeline.at(when.day, 19) + int(stage.rng.random() * 2 * HOUR))
        purpose = Purpose(None, "ticket") if stage.rng.random() < 0.5 else None
        stage.session(actor, when, _content(stage, actor), purpose=purpose)
        if kind == "administrator":
            stage.look(actor, when, _content(stage, actor)[0], OBSERVATIONS, purpose=purpose)
    return kind


def _content(stage: Stage, actor: Actor) -> list[Subject]:
    area = pick(stage.rng, stage.land.areas)
    kinds = ("person", "address", "vehicle")
    return [stage.stranger(actor, pick(stage.rng, kinds), area) for _ in range(stage.rng.randint(2, 4))]


def account_misuse(stage: Stage) -> str:
    """An account at two places, at a strange terminal, at night, on leave, or after its owner left."""
    variants: tuple[Callable[[Stage], str | None], ...] = (
        _two_places,
        _strange_terminal,
        _at_night,
        _on_leave,
        _leaver,
    )
    return variants[stage.turn % len(variants)](stage) or _at_night(stage) or "off-shift"


def _two_places(stage: Stage) -> str | None:
    actor = stage.one(*POLICE)
    when = stage.moments(actor, 1)[0]
    away = _strange_seat(stage, actor)
    stage.session(actor, when, _people(stage, actor, 2), purpose=stage.pretext(actor))
    stage.session(
        actor,
        when._replace(ts=when.ts + 4 * MINUTE),
        _people(stage, actor, 2),
        purpose=stage.pretext(actor),
        seat=away,
    )
    stage.session(actor, when._replace(ts=when.ts + 7 * MINUTE), _people(stage, actor, 1), purpose=stage.pretext(actor))
    return "two-places"


def _strange_terminal(stage: Stage) -> str | None:
    actor = stage.one(*POLICE)
    seat = _strange_seat(stage, actor)
    for when in stage.moments(actor, stage.rng.randint(1, 2)):
        stage.session(
            actor,
            when,
            _people(stage, actor, stage.rng.randint(2, 5)),
            purpose=stage.pretext(actor),
            seat=seat,
        )
    return "terminal-of-another"


def _at_night(stage: Stage) -> str | None:
    actor = stage.one("patrol", "detective", "tax", "registry")
    stage.session(
        actor,
        stage.night(actor),
        _people(stage, actor, stage.rng.randint(3, 7)),
        purpose=stage.pretext(actor),
    )
    return "off-shift"


def _on_leave(stage: Stage) -> str | None:
    first, last = stage.timeline.begin, stage.timeline.end
    away = [
        (actor, max(begin, first), min(end, last))
        for actor in stage.world.force.actors
        for begin, end in actor.leave
        if min(end, last) - max(begin, first) >= DAY and actor.left is None and actor.trade.name in POLICE
    ]
    if not away:
        return None
    actor, begin, end = pick(stage.rng, away)
    stage.used.add(actor.id)
    ts = begin + int(stage.rng.random() * (end - begin - HOUR))
    when = When(ts, stage.timeline.day_of(ts))
    stage.session(actor, when, _people(stage, actor, stage.rng.randint(2, 5)), purpose=stage.pretext(actor))
    return "during-leave"


def _leaver(stage: Stage) -> str | None:
    gone = [
        actor for actor in stage.world.force.actors if actor.left is not None and actor.left < stage.timeline.end - DAY
    ]
    if not gone:
        return None
    actor = pick(stage.rng, gone)
    stage.used.add(actor.id)
    ts = max(stage.timeline.begin, (actor.left or 0) + HOUR)
    ts += int(stage.rng.random() * (stage.timeline.end - ts - HOUR))
    when = When(ts, stage.timeline.day_of(ts))
    stage.session(actor, when, _people(stage, actor, stage.rng.randint(2, 6)), purpose=stage.pretext(actor))
    return "leaver"


def _strange_seat(stage: Stage, actor: Actor) -> Seat:
    others = [other for other in stage.world.force.actors if other.area != actor.area] or stage.world.force.actors
    other = pick(stage.rng, others)
    return Seat(other.terminal, other.ip, other.area)


def _people(stage: Stage, actor: Actor, count: int) -> list[Subject]:
    return [stage.stranger(actor, pick(stage.rng, ("person", "person", "vehicle"))) for _ in range(count)]
