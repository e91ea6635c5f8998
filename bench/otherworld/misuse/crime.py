"""Misuse for others who pay or threaten.

``followed-check``: a client fears that he is followed: unmarked cars he has seen are asked for, or his own plates for
observation flags, again and again. What tells it: the same plates at a pace of their own, with no stop and no case.

``investigation-check``: is he under investigation: case files and observations about a subject outside one's own cases. Careful
ones ask once a fortnight under an own case number.

``low-and-slow``: two to four lookups a week through all of the span, over several registers; no day stands out. What tells it:
only the sum of what no task explains.

``grooming-slope``: nothing for a third of the span; then one, two, four a week; at the end lists and exports (the moles of the
Dutch files began with one favour).

``sleeper``: an account that looks up nothing for more than half of the span; then exact reads, without a search, of a few
subjects of one network, and silence again.

``leak-trace``: a leaker reads subjects of cases that are not theirs, one here, one there; some days later each is known
outside (``leaked`` in the label: subject and date). Each lookup alone is plain; the tip makes them a set.
"""

from __future__ import annotations

from random import Random

from bench.otherworld.calendar import DAY, HOUR, MINUTE, stamp
from bench.otherworld.misuse.plot import POLICE, UNIFORM, Plot, Variant
from bench.otherworld.people import Thing
from bench.otherworld.staff import Account, Staff
from bench.otherworld.tasks import Case

_INSIDE = ("patrol", "traffic", "detective", "intake", "analyst", "community")


def _foreign(plot: Plot, ms: int | None = None) -> list[Case]:
    """Cases of detectives in which none of the actors has a part."""
    return [
        case
        for case in plot.tasks.cases
        if case.unit.startswith("opsporing") and case.people and (ms is None or case.is_open(ms))
        and not any(who in case.team or who.unit_on(0) == case.unit for who in plot.actors)
    ]  # fmt: skip


def _network(plot: Plot) -> list[Thing]:
    return plot.rng.choice(plot.people.networks)


def _tails(plot: Plot) -> None:
    """Cars that the client saw behind him, the night he saw them; some of them are the police's."""
    who = plot.who
    area = plot.rng.choice((who.area, plot.elsewhere(who)))
    mine = [car for car in plot.people.unmarked if car.area == area]
    for at in plot.spread(who, plot.of_care(9, 6, 5), 0.2, 0.95):
        seen = [plot.rng.choice(mine)] if plot.rng.random() < 0.7 else []
        seen += plot.rng.sample(plot.people.of_kind["vehicle", area], plot.of_care(2, 1, 1) if seen else 1)
        why, where = plot.excuse(who, at), plot.place(who, at)
        for car in seen:
            at = plot.look(who, at, car, why=why, where=where, fields=("owner",)) + plot.rng.randint(1, 4) * MINUTE


def _client_plates(plot: Plot) -> None:
    """The client's own plates, every few days: are they flagged, is there an observation."""
    who, network = plot.who, _network(plot)
    cars = [car for one in network for car in plot.people.cars[one.id]][: plot.of_care(4, 3, 2)]
    cars = cars or plot.rng.sample(plot.people.of_kind["vehicle", who.area], 2)
    for at in plot.spread(who, plot.of_care(14, 9, 6), 0.2, 0.95):
        why, where = plot.excuse(who, at), plot.place(who, at)
        for car in cars:
            system = "obs" if plot.rng.random() < plot.of_care(6, 4, 2) / 10 else "rdw"
            fields = ("observations", "wanted") if system == "obs" else ("wanted",)
            at = plot.look(who, at, car, system=system, why=why, where=where, fields=fields, exact=True)


def _client_name(plot: Plot) -> None:
    """The client and his two nearest men by name, week after week, in case list and observations."""
    who, target = plot.who, _network(plot)[:3]
    for at in plot.spread(who, plot.of_care(10, 6, 4), 0.2, 0.95):
        why, where = plot.excuse(who, at), plot.place(who, at)
        for person in target[: plot.of_care(3, 2, 1)]:
            at = plot.look(who, at, person, system="bvi", why=why, where=where, fields=("cases", "wanted"))
            if plot.rng.random() < 0.6:
                at = plot.look(who, at, person, system="obs", why=why, where=where)


def _case_files(plot: Plot) -> None:
    """Files of other teams are opened, and printed if nobody minds."""
    who = plot.who
    for at in plot.spread(who, plot.of_care(8, 5, 3), 0.25, 0.95):
        there = _foreign(plot, at) or _foreign(plot)
        case = plot.rng.choice(there)
        why, where = plot.excuse(who, at), plot.place(who, at)
        at = plot.look(who, at, plot.people.things[case.id], system="bvi", why=why, where=where, exact=True)
        for person in case.people[: plot.of_care(3, 2, 1)]:
            system = plot.rng.choice(("bvi", "obs"))
            action = "print" if plot.care == 0 and plot.rng.random() < 0.4 else "read"
            at = plot.look(who, at, person, system=system, why=why, where=where, action=action)


def _own_inquiry(plot: Plot) -> None:
    """A case about a friend: the actor follows its file as it grows (a sergeant in London did so with his own)."""
    who = plot.who
    case = plot.rng.choice(_foreign(plot, plot.at(0.4)) or _foreign(plot))
    for at in plot.spread(who, plot.of_care(9, 6, 4), 0.3, 0.95):
        why, where = plot.excuse(who, at), plot.place(who, at)
        at = plot.look(who, at, plot.people.things[case.id], system="bvi", why=why, where=where, exact=True)
        if plot.rng.random() < 0.5:
            plot.look(who, at, case.people[0], system="obs", why=why, where=where)


def _drip(plot: Plot) -> None:
    """A buyer asks two or three names a week; each is looked up in a different register."""
    who = plot.who
    weeks = max(3, plot.days // 7)
    for at in plot.spread(who, weeks * plot.of_care(4, 3, 2), 0.05, 0.98):
        person = plot.stranger(known=0.5)
        thing = plot.rng.choice([thing for thing in plot.people.around(person) if plot.register(who, thing)])
        plot.look(who, at, thing)


def _drip_addresses(plot: Plot) -> None:
    """Addresses only, for collectors of other people's debts; the register of persons, now and then that of cars."""
    who = plot.who
    weeks = max(3, plot.days // 7)
    for at in plot.spread(who, weeks * plot.of_care(4, 3, 2), 0.05, 0.98):
        person = plot.stranger(known=0.2)
        plot.look(who, at, person, system="brp", fields=("address",))


def _slope(plot: Plot) -> None:
    """From one favour to an errand boy: each week more than the last, and at the end whole lists."""
    who = plot.who
    begin = 0.35
    weeks = max(3, round((0.97 - begin) * plot.days / 7))
    for week in range(weeks):
        first = begin + (0.97 - begin) * week / weeks
        count = min(plot.of_care(16, 10, 6), round(plot.of_care(20, 17, 14) ** (week / max(1, weeks - 1) * 0.9)))
        for at in plot.spread(who, count, first, first + (0.97 - begin) / weeks):
            plot.look_round(who, at, plot.stranger(known=0.7), plot.rng.randint(1, 3))
        if week >= weeks - 2:
            at = plot.moment(who, plot.at(first), plot.at(first + 0.1))
            for person in plot.rng.sample(_network(plot), plot.of_care(4, 3, 1)):
                at = plot.look(who, at, person, action=plot.rng.choice(("export", "print", "list")))


def _sleep(rng: Random, staff: Staff, who: Account) -> None:
    """Their account is not used for two thirds of the span; half of them are on leave for it, the rest do other work."""
    wake = round(staff.settings.days * rng.uniform(0.6, 0.75))
    who.idle_until = wake
    for duty in [duty for duty in who.duties if duty.day < wake]:
        who.duties.remove(duty)
        staff.on_day[who.job.name, duty.day].remove(duty)
    if rng.random() < 0.5:
        who.away = [(-60, wake - 1)]
        staff.forget_shifts(who, -60, wake)


def _awake(plot: Plot, thorough: bool) -> None:
    who, network = plot.who, _network(plot)
    first = plot.staff.zero + plot.who.idle_until * DAY
    people = network[: plot.of_care(7, 5, 4)]
    end = min(plot.at(0.97), first + plot.of_care(3, 6, 12) * DAY)
    for person in people:
        at = plot.moment(who, first, end)
        why, where = plot.excuse(who, at), plot.place(who, at)
        things = [thing for thing in plot.people.around(person) if plot.register(who, thing)]
        for thing in things[: 3 if thorough else 1]:
            at = plot.look(who, at, thing, why=why, where=where, exact=True)


def _hits(plot: Plot) -> None:
    """Exact hits on a network: persons only."""
    _awake(plot, thorough=False)


def _hits_all(plot: Plot) -> None:
    """The same with cars and homes."""
    _awake(plot, thorough=True)


def _leak(plot: Plot, subjects: list[Thing], per_day: int) -> None:
    """Each subject is read once, at another time; it is known outside three to ten days later."""
    leaked: dict[str, str] = {}
    moments = plot.spread(plot.who, max(1, len(subjects) // per_day), 0.1, 0.8)
    for number, thing in enumerate(subjects):
        at = moments[min(len(moments) - 1, number // per_day)] + (number % per_day) * 3 * MINUTE
        plot.look(plot.who, at, thing)
        leaked[thing.id] = stamp(at + plot.rng.randint(3 * 24, 10 * 24) * HOUR)
    plot.extra["leaked"] = leaked


def _raids(plot: Plot) -> None:
    """Suspects of other teams' cases; the raids find empty houses."""
    people = [case.people[0] for case in _foreign(plot)]
    people = list({one.id: one for one in people}.values())
    _leak(plot, plot.rng.sample(people, min(len(people), plot.of_care(18, 12, 8))), 2 if plot.care == 0 else 1)


def _witnesses(plot: Plot) -> None:
    """Those who are protected or watched: persons and cars under observation, one here, one there."""
    seen = [thing for case, things in plot.tasks.watched if plot.who not in case.team for thing in things]
    seen = list({thing.id: thing for thing in seen}.values())
    seen += [plot.stranger(known=1.0) for _ in range(6)]
    _leak(plot, plot.rng.sample(seen, min(len(seen), plot.of_care(16, 10, 7))), 2 if plot.care == 0 else 1)


def _homes(plot: Plot) -> None:
    """Home addresses of people who were attacked later (explosives at front doors)."""
    _leak(plot, [plot.stranger(known=0.3) for _ in range(plot.of_care(16, 11, 7))], 2 if plot.care == 0 else 1)


VARIANTS = {
    "followed-check": (Variant("cars-behind-me", _tails, _INSIDE), Variant("client-plates", _client_plates, _INSIDE)),
    "investigation-check": (
        Variant("client-by-name", _client_name, _INSIDE), Variant("files-of-others", _case_files, (*UNIFORM, "detective")),
        Variant("one-growing-file", _own_inquiry, (*UNIFORM, "detective")),
    ),
    "low-and-slow": (
        Variant("names-for-a-buyer", _drip, POLICE), Variant("addresses", _drip_addresses, ("intake", "patrol", "traffic")),
    ),
    "grooming-slope": (Variant("errand-boy", _slope, (*POLICE, "registry", "collector")),),
    "sleeper": (
        Variant("persons", _hits, ("detective", "traffic", "community", "inspector"), prepare=_sleep),
        Variant("network", _hits_all, ("detective", "traffic", "registry", "intake"), prepare=_sleep),
    ),
    "leak-trace": (
        Variant("failed-raids", _raids, _INSIDE), Variant("watched-people", _witnesses, ("patrol", "detective", "intake", "analyst")),
        Variant("front-doors", _homes, ("patrol", "registry", "collector", "intake")),
    ),
}  # fmt: skip
