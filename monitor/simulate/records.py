"""The reference records of a world, as the personnel, case and roster systems would deliver them."""

from collections.abc import Iterator
from typing import Any

from monitor.simulate.casework import Case, Dispatch
from monitor.simulate.chance import coin
from monitor.simulate.force import Actor
from monitor.simulate.work import Workday
from monitor.simulate.world import World

Record = dict[str, Any]
_LACKS = 4
# What some personnel records lack, and the share of records that lacks each.
GAPS = (("peer_group",), ("areas",), ("household", "relatives"), ("address", "plates"))
GAP_SHARE = 0.01


def records(world: World) -> Iterator[Record]:
    """Every reference record of the run, a day's records made when they are reached."""
    yield from _units(world)
    for actor in world.force.actors:
        yield _actor(world, actor)
    yield from _subjects(world)
    number = 0
    for case in world.casework.cases:
        yield _case(world, case)
        for relation, subject in case.linked:
            number += 1
            yield {
                "record": "link",
                "id": f"l-{number}",
                "from_subject": case.subjects[0],
                "to_subject": subject,
                "relation": relation,
            }
    for watch in world.casework.watches:
        yield {
            "record": "watch",
            "id": watch.id,
            "subjects": watch.subjects,
            "may_know": watch.may_know,
            "from": _text(world, watch.begin),
            "to": _text(world, watch.end),
        }
    for day in range(-1, world.timeline.days):
        yield from _day(world, day)


def _text(world: World, ms: int | None) -> str | None:
    return None if ms is None else world.timeline.text(ms)


def _units(world: World) -> Iterator[Record]:
    for unit in world.force.units.values():
        record = {"record": "unit", "id": unit.id, "area": unit.area, "parent": unit.parent}
        if unit.trade.nationwide:
            del record["area"]
        yield record


def _actor(world: World, actor: Actor) -> Record:
    record: Record = {
        "record": "actor",
        "id": actor.id,
        "unit": actor.unit,
        "role": actor.role,
        "areas": list(actor.areas),
        "peer_group": actor.trade.peer_group,
        "person": actor.person,
        "address": actor.home,
        "plates": list(actor.plates),
        "household": list(actor.household),
        "relatives": list(actor.relatives),
        "leave": [{"from": _text(world, begin), "to": _text(world, end)} for begin, end in actor.leave],
        "left": _text(world, actor.left),
    }
    for index, gap in enumerate(GAPS):
        if coin(world.seed, _LACKS, actor.number, index) < GAP_SHARE:
            for name in gap:
                record.pop(name)
    return record


def _subjects(world: World) -> Iterator[Record]:
    for subject in world.land.subjects.values():
        record: Record = {"record": "subject", "id": subject.id, "kind": subject.kind, "area": subject.area}
        if subject.owner is not None:
            record["owner"] = subject.owner
        if subject.address is not None:
            record["address"] = subject.address
        if subject.street is not None:
            record |= {"street": subject.street, "number": subject.number}
        record["tags"] = list(subject.tags)
        yield record
    for case in world.casework.cases:
        yield {"record": "subject", "id": case.id, "kind": "case", "area": case.area, "tags": []}


def _case(world: World, case: Case) -> Record:
    return {
        "record": "case",
        "id": case.id,
        "unit": case.unit,
        "area": case.area,
        "actors": list(case.actors),
        "subjects": list(case.subjects),
        "opened": _text(world, case.opened),
        "closed": _text(world, case.closed),
    }


def _day(world: World, day: int) -> Iterator[Record]:
    stamp = world.timeline.stamp(day)
    for actor in world.force.actors:
        shift = world.roster.shift(actor, day)
        if shift is not None and world.roster.recorded(actor, day):
            yield {
                "record": "shift",
                "id": f"s-{stamp}-{actor.number}",
                "actor": actor.id,
                "from": _text(world, shift[0]),
                "to": _text(world, shift[1]),
            }
    for case in world.batches(day):
        yield _case(world, case)
    for dispatch in (*world.dispatches(day), *_reports(world, day)):
        yield {
            "record": "dispatch",
            "id": dispatch.id,
            "unit": dispatch.unit,
            "actors": dispatch.actors,
            "subjects": dispatch.subjects,
            "area": dispatch.area,
            "from": _text(world, dispatch.begin),
            "to": _text(world, dispatch.end),
        }


def _reports(world: World, day: int) -> list[Dispatch]:
    """What the day's work left in the records afterwards. It takes the work itself to know, so that is done once more."""
    workday = Workday(world, day)
    workday.run()
    return workday.reports
