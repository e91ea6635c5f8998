"""What people are like: the sizes and rates of the world, in one place, with what each rests on.

No published audit gives rates by role, so each is a choice inside a range that the sources bound; ``docs/otherworld.md`` lists
them. All are shares from 0 to 1 unless the name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of work: its share of the staff, and how often a purpose is left out altogether."""

    name: str
    role: str
    peer_group: str
    share: float
    forgets: float
    local: bool


JOBS: Final = (
    Job("patrol", "officer", "officer", 0.30, 0.18, True),
    Job("community", "officer", "officer", 0.06, 0.25, True),
    Job("traffic", "officer", "traffic-officer", 0.06, 0.15, True),
    Job("detective", "detective", "detective", 0.17, 0.12, True),
    Job("control-room", "call-taker", "call-taker", 0.06, 0.10, False),
    Job("intake", "officer", "intake", 0.06, 0.10, True),
    Job("analyst", "analyst", "analyst", 0.03, 0.06, False),
    Job("registry", "clerk", "registry-clerk", 0.10, 0.08, False),
    Job("inspector", "tax-inspector", "tax-inspector", 0.06, 0.06, False),
    Job("collector", "clerk", "tax-clerk", 0.05, 0.12, False),
    Job("support", "support", "support", 0.05, 0.20, False),
)
FORGETS: Final = {job.name: job.forgets for job in JOBS}

#: Four districts of one region; nobody else has districts of these names.
AREAS: Final = ("noordkust", "veenland", "oostrand", "zuidstad")

#: Citizens for each of the staff (the Netherlands have some 290 for each of the police; registry and tax come on top).
CITIZENS: Final = 120
#: One in so many is known to the police and met again and again.
ONE_IN_KNOWN: Final = 40

# The roster.
SICK_DAYS: Final = 0.035
SICK_RECORDED: Final = 0.6
SWAPS: Final = 0.04
SWAPS_RECORDED: Final = 0.7
OVERTIME: Final = 0.12
OVERTIME_RECORDED: Final = 0.5
TRANSFERS: Final = 0.04
STARTERS: Final = 0.04
LEAVERS: Final = 0.03
BACK_EARLY: Final = 0.05
#: Parental or long sick leave: away from the beginning, and back in the second half.
LONG_LEAVE: Final = 0.025

# The keyboard.
TYPOS: Final = 0.03
WRONG_CASE: Final = 0.015
DENIED: Final = 0.004
LATE_DELIVERY: Final = 0.004
#: Lookups after the shift, at home or in the train, that are work: preparing the next day, a tip that came late.
AFTER_HOURS: Final = 0.02
#: Incidents where the caller is a relative or neighbour of one of the crew.
KIN_CALLS: Final = 0.008

# What the registers of tasks know of what really happened.
DISPATCH_KNOWS: Final = 0.6
CASE_KNOWS: Final = 0.8
TASK_RECORDED: Final = 0.75
OPERATION_RECORDED: Final = 0.8
NEWS_TAGGED: Final = 0.6


@dataclass(frozen=True, slots=True)
class Settings:
    """A world: its seed, first day, days and staff. Raises :class:`ValueError` for one too small to hold every typology."""

    seed: int = 1
    days: int = 30
    actors: int = 200
    start: date = date(2026, 1, 5)

    def __post_init__(self) -> None:
        if self.days < 20:
            raise ValueError("a world has at least 20 days: the slopes and sleepers need them")
        if self.actors < 80:
            raise ValueError("a world has at least 80 actors: every typology needs its own")

    @property
    def per_typology(self) -> int:
        """How many scenarios of each typology there are."""
        return max(1, round(self.actors / 100))
