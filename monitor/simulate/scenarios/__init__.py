"""The misuse scenarios: one function for each typology, and how often each is played."""

from collections.abc import Callable
from dataclasses import dataclass

from monitor.simulate.chance import stream
from monitor.simulate.lookup import Draft
from monitor.simulate.scenarios import account, crime, personal, volume
from monitor.simulate.scenarios.stage import Stage
from monitor.simulate.world import World

TYPOLOGIES: dict[str, Callable[[Stage], str]] = {
    "curiosity": personal.curiosity,
    "friend-favour": personal.friend_favour,
    "self-and-kin": personal.self_and_kin,
    "followed-check": crime.followed_check,
    "investigation-check": crime.investigation_check,
    "outside-work-area": personal.outside_work_area,
    "bulk-harvest": volume.bulk_harvest,
    "low-and-slow": volume.low_and_slow,
    "grooming-slope": volume.grooming_slope,
    "sleeper": crime.sleeper,
    "support-staff": account.support_staff,
    "shared-interest": crime.shared_interest,
    "account-misuse": account.account_misuse,
    "honeytoken": personal.honeytoken,
    "leak-trace": crime.leak_trace,
}
# Instances in a run of 200 actors and 30 days; the rest scales with actors and days.
RATE = {
    "curiosity": 8,
    "friend-favour": 4,
    "self-and-kin": 4,
    "followed-check": 3,
    "investigation-check": 3,
    "outside-work-area": 3,
    "bulk-harvest": 4,
    "support-staff": 3,
    "shared-interest": 2,
    "account-misuse": 5,
    "honeytoken": 3,
    "leak-trace": 1,
}
# These take the whole run, however long it is: their number scales with actors only.
WHOLE_RUN = {"low-and-slow": 2, "grooming-slope": 2, "sleeper": 2}


@dataclass(frozen=True, slots=True)
class Scene:
    """One played scenario. `before` says by when (ms) each leaked subject was out."""

    typology: str
    scenario: str
    drafts: list[Draft]
    before: dict[str, int]


def instances(typology: str, actors: int, days: int) -> int:
    """How many times a typology is played: at least once."""
    if typology in WHOLE_RUN:
        return max(1, round(WHOLE_RUN[typology] * actors / 200))
    return max(1, round(RATE[typology] * actors * days / 6000))


def play(world: World, actors: int) -> list[Scene]:
    """All misuse of a run, in a fixed order; the label of a draft is the place of its scene in the list."""
    scenes: list[Scene] = []
    used: set[str] = set()
    for typology, act in TYPOLOGIES.items():
        for turn in range(instances(typology, actors, world.timeline.days)):
            stage = Stage(world, stream(world.seed, "scene", typology, turn), len(scenes), turn + world.seed, used)
            scenario = act(stage)
            scenes.append(Scene(typology, scenario, stage.drafts, stage.before))
    return scenes
