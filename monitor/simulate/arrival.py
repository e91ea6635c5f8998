"""How lookups reach the log: a little late, sometimes hours late, sometimes twice."""

from collections.abc import Iterator
from random import Random

from monitor.simulate.chance import pick, stream
from monitor.simulate.lookup import Draft, Event, write_down
from monitor.simulate.timeline import HOUR, MINUTE
from monitor.simulate.world import World

TWICE = 0.003  # share of lookups that arrive a second time
SECONDS_LATE = 0.03
MINUTES_LATE = 0.005
OFFLINE_PER_ACTOR = 0.008  # terminals that lose the line, for each actor and day

Arrival = tuple[int, int, Event]  # when (ms), a number that keeps the order, the event


class Line:
    """The line between the systems and the log; holds back only what is still on its way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._waiting: list[Arrival] = []
        self._count = 0

    def day(self, day: int, drafts: list[Draft], events: dict[int, list[str]]) -> Iterator[Event]:
        """The events that arrive on `day`, given its lookups; ids of labelled ones go to `events`."""
        rng = stream(self.world.seed, "line", day)
        drafts.sort(key=_time)
        dead = self._outages(rng, drafts, day)
        stamp = str(self.world.timeline.date(day))
        numbers: dict[str, int] = {}
        for draft in drafts:
            system = draft.way.system
            number = numbers[system] = numbers.get(system, 0) + 1
            ident = f"{system}-{stamp}-{number:06d}"
            event = write_down(draft, ident, self.world.timeline, rng.random())
            if draft.label >= 0:
                events[draft.label].append(ident)
            self._send(rng, draft, event, dead)
        return self._deliver(self.world.timeline.midnight(day + 1))

    def rest(self) -> Iterator[Event]:
        """What was still on its way when the run ended."""
        return self._deliver(None)

    def _send(self, rng: Random, draft: Draft, event: Event, dead: dict[str, tuple[int, int]]) -> None:
        arrives, draw = draft.ts, rng.random()
        if draw < MINUTES_LATE:
            arrives += int(rng.uniform(1, 12) * MINUTE)
        elif draw < MINUTES_LATE + SECONDS_LATE:
            arrives += int(rng.uniform(1, 40) * 1000)
        outage = dead.get(draft.seat.terminal)
        if outage and outage[0] <= arrives < outage[1]:
            arrives = outage[1] + (arrives - outage[0]) // 1000
        self._count += 2
        self._waiting.append((arrives, self._count, event))
        if rng.random() < TWICE:
            again = arrives + int(rng.random() ** 3 * 20 * MINUTE)
            self._waiting.append((again, self._count + 1, _copy(event)))

    def _outages(self, rng: Random, drafts: list[Draft], day: int) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for _ in range(max(1, round(OFFLINE_PER_ACTOR * len(self.world.force.actors)))):
            if drafts:
                victim = pick(rng, drafts)
                begin = victim.ts - int(rng.random() * HOUR)
                found[victim.seat.terminal] = (begin, begin + int(rng.uniform(2, 7) * HOUR))
        return found

    def _deliver(self, until: int | None) -> Iterator[Event]:
        self._waiting.sort(key=_order)
        arrived = self._waiting if until is None else [item for item in self._waiting if item[0] < until]
        self._waiting = [] if until is None else self._waiting[len(arrived) :]
        for item in arrived:
            yield item[2]


def _time(draft: Draft) -> int:
    return draft.ts


def _order(item: Arrival) -> tuple[int, int]:
    return item[0], item[1]


def _copy(event: Event) -> Event:
    return {name: dict(value) if isinstance(value, dict) else value for name, value in event.items()}
