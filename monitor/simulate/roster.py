"""Who works when: shift patterns, leave, leavers, accounts that sleep, colleagues who cover."""

from random import Random

from monitor.simulate.chance import coin
from monitor.simulate.force import Actor, Force
from monitor.simulate.timeline import DAY, HOUR, Timeline

ROUND = (
    7.0,
    7.0,
    15.0,
    15.0,
    23.0,
    23.0,
    None,
    None,
    None,
    None,
)  # start hour on each day of the ten-day cycle
COVERS = 0.02  # chance that somebody who is off stands in for a colleague
UNRECORDED = 0.01  # chance that a shift never reached the roster system
SHARED_DESK = 0.12  # chance that somebody sits at a shared terminal
_COVER, _UNRECORDED, _DESK = 1, 2, 3


class Roster:
    """Answers who works when; the same question always has the same answer."""

    def __init__(self, seed: int, timeline: Timeline, force: Force) -> None:
        self.seed = seed
        self.timeline = timeline
        self.force = force

    def shift(self, actor: Actor, day: int) -> tuple[int, int] | None:
        """The rostered shift that begins on `day` (from, to in ms), or None when the actor is off or away."""
        hours = _pattern(actor, day, self.timeline.weekday(day))
        if hours is None:
            return None
        begin = self.timeline.at(day, hours[0])
        return None if self.away(actor, begin) else (begin, begin + int(hours[1] * HOUR))

    def cover(self, actor: Actor, day: int) -> tuple[int, int] | None:
        """A shift worked for a colleague, which the roster does not know; None on most days."""
        if _pattern(actor, day, self.timeline.weekday(day)) or coin(self.seed, _COVER, actor.number, day) >= COVERS:
            return None
        begin = self.timeline.at(day, 8.0 if not actor.trade.round_the_clock else 15.0)
        return None if self.away(actor, begin) else (begin, begin + 8 * HOUR)

    def away(self, actor: Actor, ms: int) -> bool:
        """Whether the actor is on leave, gone, or not yet back at work at this moment."""
        if actor.left is not None and ms >= actor.left - 8 * HOUR:
            return True
        if actor.dormant_until is not None and ms < self.timeline.midnight(actor.dormant_until):
            return True
        return any(begin <= ms + 8 * HOUR and ms < end for begin, end in actor.leave)

    def recorded(self, actor: Actor, day: int) -> bool:
        """Whether the shift of this day is in the roster system."""
        return coin(self.seed, _UNRECORDED, actor.number, day) >= UNRECORDED

    def seat(self, actor: Actor, day: int) -> tuple[str, str]:
        """Terminal and ip the actor works at on this day: mostly one's own, sometimes a shared one."""
        draw = coin(self.seed, _DESK, actor.number, day)
        if draw >= SHARED_DESK:
            return actor.terminal, actor.ip
        unit = self.force.units[actor.unit]
        desk = int(draw / SHARED_DESK * 3)
        return f"sh-{unit.number}-{desk}", f"10.{unit.number % 250}.9.{desk + 1}"


def _pattern(actor: Actor, day: int, weekday: int) -> tuple[float, float] | None:
    if actor.trade.round_the_clock:
        hour = ROUND[(day + actor.pair * 3) % 10]
        return None if hour is None else (hour, 8.0)
    if weekday > 4 or (actor.number % 4 == 0 and weekday == actor.number // 4 % 5):
        return None
    if actor.trade.name == "detective" and (day + actor.number) % 9 == 0:
        return (13.0, 9.0)
    return (8.0 + actor.number % 3 / 2, 8.5)


def plan_absence(rng: Random, timeline: Timeline, force: Force) -> None:
    """Give some actors leave, let a few go, and let a few accounts sleep for most of the run."""
    for actor in force.actors:
        if rng.random() < 0.3:
            begin = timeline.midnight(rng.randint(-20, timeline.days + 20))
            actor.leave.append((begin, begin + rng.randint(3, 16) * DAY))
    one_in_fifty = max(1, len(force.actors) // 50)
    leavers = rng.sample(force.actors, one_in_fifty * 2)
    for index, actor in enumerate(leavers):
        # Every other leaver was gone before the run: an account nobody closed.
        day = rng.randint(-60, -1) if index % 2 == 0 else rng.randint(0, timeline.days)
        actor.left = timeline.at(day, 17.0)
    here = [
        actor
        for actor in force.actors
        if actor.left is None and actor.trade.name in ("patrol", "detective", "tax", "registry")
    ]
    for actor in rng.sample(here, max(1, len(force.actors) // 100)):
        actor.leave.clear()
        actor.dormant_until = int(timeline.days * rng.uniform(0.6, 0.85))
