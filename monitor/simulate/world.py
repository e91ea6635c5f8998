"""The made-up country, its force, and what the force works on: everything but the lookups."""

from dataclasses import dataclass

from monitor.simulate.casework import Case, Casework, Dispatch, batches, dispatches, open_cases
from monitor.simulate.chance import stream
from monitor.simulate.force import Force, raise_force
from monitor.simulate.population import AREAS, Population, people
from monitor.simulate.roster import Roster, plan_absence
from monitor.simulate.timeline import Timeline


@dataclass(frozen=True, slots=True)
class World:
    """All of it, fixed by the seed. What belongs to one day is made when that day is asked for."""

    seed: int
    timeline: Timeline
    land: Population
    force: Force
    roster: Roster
    casework: Casework

    def dispatches(self, day: int) -> list[Dispatch]:
        """The dispatches of the shifts that begin on `day`."""
        return dispatches(self.seed, self.roster, self.land, day)

    def batches(self, day: int) -> list[Case]:
        """The desks' piles of `day`."""
        return batches(self.seed, self.roster, self.land, day)


def build(seed: int, timeline: Timeline, actors: int) -> World:
    """A world with `actors` actors and about 2.4 * (1500 + 10 * actors) persons."""
    areas = AREAS[: min(len(AREAS), max(3, actors // 40))]
    land = people(stream(seed, "people"), areas, 1500 + 10 * actors)
    force = raise_force(stream(seed, "force"), land, actors)
    plan_absence(stream(seed, "absence"), timeline, force)
    casework = open_cases(stream(seed, "cases"), timeline, land, force)
    return World(seed, timeline, land, force, Roster(seed, timeline, force), casework)
