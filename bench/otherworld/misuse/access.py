"""Misuse of access: too far, too much, with somebody else's key.

``outside-work-area``: persons and homes in a district where the actor never works, or a register that is not their task. What
tells it: place or task. Careful ones do one or two a week under an own case number.

``bulk-harvest``: a car park plate by plate, a street door by door, lists and exports. What tells it: number and order, with no
round on record. Careful ones take sixty a day, out of order, between their ordinary work.

``support-staff``: those who keep the systems running read content. What tells it: people and cases instead of accounts. Careful
ones give ticket numbers, one person a time.

``account-misuse``: an account at work where its owner is not: two places at once, a leaver's, one on leave, a colleague's machine
at night. The label names the account. Careful ones do it once, within the hour.
"""

from __future__ import annotations

from random import Random

from bench.otherworld.calendar import DAY, HOUR, MINUTE, SECOND
from bench.otherworld.habits import AREAS
from bench.otherworld.log import NOTHING, Where, Why, office
from bench.otherworld.misuse.plot import POLICE, UNIFORM, Plot, Variant
from bench.otherworld.people import Thing
from bench.otherworld.staff import Account, Staff


def _far(plot: Plot) -> None:
    """People of one far district over weeks: somebody there pays."""
    who, area = plot.who, plot.elsewhere(plot.who)
    for at in plot.spread(who, plot.of_care(14, 9, 6), 0.2, 0.95):
        plot.look_round(who, at, plot.stranger(area, known=0.5), plot.of_care(3, 2, 1))


def _far_evening(plot: Plot) -> None:
    """One evening, one street far away: everybody who lives at a handful of homes."""
    who, area = plot.who, plot.elsewhere(plot.who)
    homes = plot.people.of_kind["address", area]
    first = plot.rng.randrange(len(homes) - 20)
    at = plot.moment(who, plot.at(0.25), plot.at(0.9))
    why, where = plot.excuse(who, at), plot.place(who, at)
    for home in homes[first : first + plot.of_care(9, 6, 4)]:
        at = plot.look(who, at, home, system="brp", why=why, where=where) + plot.rng.randint(20, 90) * SECOND
        for one in plot.people.residents[home.id][: plot.of_care(2, 1, 1)]:
            at = plot.look(who, at, one, why=why, where=where)


def _other_task(plot: Plot) -> None:
    """A register that has nothing to do with the work: the beat reads tax returns, the tax office reads cars."""
    who = plot.who
    for at in plot.spread(who, plot.of_care(10, 7, 5), 0.2, 0.95):
        person = plot.stranger(plot.elsewhere(who), known=0.3)
        if who.job.name in ("inspector", "collector"):
            for car in plot.people.cars[person.id][:1]:
                at = plot.look(who, at, car, system="rdw")
            plot.look(who, at, person, system="brp")
        else:
            plot.look(who, at, person, system="tax")


def _car_park(plot: Plot) -> None:
    """Plates in order, as they were issued."""
    who = plot.who
    cars = sorted(plot.people.of_kind["vehicle", who.area], key=lambda car: car.id)
    count = plot.of_care(140, 90, 50)
    first = plot.rng.randrange(len(cars) - count)
    at = plot.moment(who, plot.at(0.25), plot.at(0.9))
    why, where = plot.excuse(who, at), plot.place(who, at)
    for car in cars[first : first + count]:
        at = plot.look(who, at, car, system="rdw", why=why, where=where, exact=True) - plot.rng.randint(0, 7) * SECOND


def _door_to_door(plot: Plot) -> None:
    """A street, house by house: who lives there, and the first one's file."""
    who = plot.who
    homes = plot.people.of_kind["address", plot.rng.choice(AREAS)]
    count = plot.of_care(70, 45, 30)
    first = plot.rng.randrange(len(homes) - count)
    at = plot.moment(who, plot.at(0.25), plot.at(0.9))
    why, where = plot.excuse(who, at), plot.place(who, at)
    system = "tax" if who.job.name == "collector" else "brp"
    for home in homes[first : first + count]:
        at = plot.look(who, at, home, system=system, why=why, where=where, exact=True)


def _lists(plot: Plot) -> None:
    """Lists and exports of people who have nothing in common but their price."""
    who = plot.who
    for at in plot.spread(who, plot.of_care(4, 3, 2), 0.3, 0.9):
        why, where = plot.excuse(who, at), plot.place(who, at)
        for _ in range(plot.of_care(25, 14, 8)):
            person = plot.stranger(known=0.3)
            action = plot.rng.choices(("export", "list", "print"), (0.5, 0.3, 0.2))[0]
            at = plot.look(who, at, person, why=why, where=where, action=action) + plot.rng.randint(5, 50) * SECOND


def _scrape(plot: Plot) -> None:
    """Dozens a day for some days, out of order, between the ordinary work."""
    who = plot.who
    first = plot.rng.randint(len(who.duties) // 3, max(len(who.duties) // 3, len(who.duties) - 6))
    duties = who.duties[first : first + plot.of_care(3, 4, 5)]
    for duty in duties:
        for _ in range(plot.of_care(110, 80, 60)):
            at = plot.rng.randint(duty.start, duty.end - MINUTE)
            plot.look(who, at, plot.stranger(known=0.1), exact=True)


def _ticket(plot: Plot) -> Why:
    """What support writes: nothing, the code, or a number that looks like all others."""
    if plot.care == 0:
        return NOTHING
    return Why(code="ticket", note=f"t{plot.rng.randint(100_000, 999_999)}" if plot.care == 2 else None)


def _content(plot: Plot) -> None:
    """An administrator reads people, week after week."""
    for at in plot.spread(plot.who, plot.of_care(14, 9, 6), 0.2, 0.95):
        person = plot.stranger(known=0.5)
        why = _ticket(plot)
        at = plot.look(plot.who, at, person, system="bvi", why=why)
        if plot.rng.random() < 0.5:
            plot.look(plot.who, at, person, system=plot.rng.choice(("obs", "tax", "brp")), why=why)


def _night(plot: Plot) -> None:
    """At night, when nobody else of support is there: the famous, and open cases."""
    who = plot.who
    for _ in range(plot.of_care(3, 2, 1)):
        day = plot.rng.randint(plot.days // 4, plot.days - 2)
        at = plot.staff.zero + day * DAY + plot.rng.randint(0, 4 * HOUR)
        where = office(who, who.area, plot.rng)
        for _ in range(plot.of_care(8, 6, 4)):
            running = [case for case in plot.tasks.cases if case.is_open(at)]
            thing = (
                plot.rng.choice(plot.people.famous)
                if plot.rng.random() < 0.4
                else plot.people.things[plot.rng.choice(running).id]
            )
            at = (
                plot.look(who, at, thing, system="bvi", why=_ticket(plot), where=where, exact=True)
                + plot.rng.randint(1, 9) * MINUTE
            )


def _session(plot: Plot) -> None:
    """One person is asked for in every register there is, after a colleague's hint; and printed."""
    who, target = plot.who, plot.stranger(known=0.4)
    for at in plot.spread(who, plot.of_care(4, 3, 2), 0.3, 0.9):
        why, where = _ticket(plot), plot.place(who, at)
        for system in ("bvi", "brp", "tax", "obs")[: plot.of_care(4, 3, 2)]:
            at = plot.look(who, at, target, system=system, why=why, where=where)
        if plot.care == 0:
            plot.look(who, at, target, system="bvi", why=why, where=where, action="print")


def _borrowed(plot: Plot, area: str) -> Where:
    """A machine that is not the account's: of another desk, in this area."""
    desk = plot.rng.choice([number for number in range(97) if number != plot.who.desk])
    return Where(f"st-{area[:4]}-{desk:02}", f"10.{40 + AREAS.index(area)}.2.{desk + 10}", area)


def _targets(plot: Plot) -> list[Thing]:
    return [plot.stranger(known=0.6) for _ in range(plot.of_care(9, 6, 3))]


def _two_places(plot: Plot) -> None:
    """While the owner works, the account works in another town too."""
    who = plot.who
    own = [look for look in plot.log.looks if look.who is who and look.story < 0 and look.ms > plot.at(0.2)]
    where = _borrowed(plot, plot.elsewhere(who))
    for look in plot.rng.sample(own, min(len(own), plot.of_care(3, 2, 1))):
        at = look.ms + plot.rng.randint(-4, 6) * MINUTE
        for person in _targets(plot):
            at = plot.look(who, at, person, where=where) + plot.rng.randint(10, 80) * SECOND


def _depart(rng: Random, staff: Staff, who: Account) -> None:
    """They leave the service in the middle of the span; nobody closes the account."""
    last = round(staff.settings.days * rng.uniform(0.4, 0.6))
    who.leaves = last
    for duty in [duty for duty in who.duties if duty.day >= last]:
        who.duties.remove(duty)
        staff.on_day[who.job.name, duty.day].remove(duty)
    staff.forget_shifts(who, last, staff.settings.days + 3)


def _leaver(plot: Plot) -> None:
    """The account of one who has left."""
    who = plot.who
    begin = plot.staff.zero + (who.leaves or 0) * DAY + DAY
    where = _borrowed(plot, who.area)
    for person in _targets(plot):
        day = plot.rng.randint(begin, max(begin + HOUR, plot.at(0.98))) // DAY * DAY
        plot.look(who, max(day + plot.rng.randint(6 * HOUR, 20 * HOUR), begin), person, where=where)


def _holiday(rng: Random, staff: Staff, who: Account) -> None:
    """They are on leave for two weeks in the second half."""
    first = round(staff.settings.days * rng.uniform(0.45, 0.6))
    last = min(first + 12, staff.settings.days - 1)
    who.away.append((first, last))
    for duty in [duty for duty in who.duties if first <= duty.day < last]:
        who.duties.remove(duty)
        staff.on_day[who.job.name, duty.day].remove(duty)
    staff.forget_shifts(who, first, last)


def _on_leave(plot: Plot) -> None:
    """The account of one who is abroad."""
    who = plot.who
    first, last = who.away[-1]
    where = _borrowed(plot, who.area)
    for person in _targets(plot):
        at = plot.staff.zero + plot.rng.randint(first + 1, last - 1) * DAY + plot.rng.randint(8 * HOUR, 21 * HOUR)
        plot.look(who, at, person, where=where)


def _night_desk(plot: Plot) -> None:
    """At night, at a machine of the station, by somebody who knows the password of one who sleeps at home."""
    who = plot.who
    for _ in range(plot.of_care(4, 3, 1)):
        for _ in range(200):
            at = plot.staff.zero + plot.rng.randint(plot.days // 5, plot.days - 2) * DAY + plot.rng.randint(0, 5 * HOUR)
            if not any(who.on_duty(at + step * HOUR) for step in range(-3, 4)):
                break
        where = _borrowed(plot, who.area)
        for person in _targets(plot):
            at = plot.look(who, at, person, where=where) + plot.rng.randint(10, 200) * SECOND


VARIANTS = {
    "outside-work-area": (
        Variant("far-district", _far, (*UNIFORM, "detective")), Variant("far-street", _far_evening, (*UNIFORM, "detective")),
        Variant("other-register", _other_task, ("patrol", "community", "intake", "inspector", "collector")),
    ),
    "bulk-harvest": (
        Variant("plates-in-order", _car_park, ("patrol", "traffic", "registry", "intake")),
        Variant("door-to-door", _door_to_door, ("intake", "patrol", "collector")),
        Variant("lists", _lists, (*POLICE, "registry", "collector")),
        Variant("scrape", _scrape, ("registry", "collector", "detective", "intake")),
    ),
    "support-staff": (
        Variant("content", _content, ("support",)), Variant("at-night", _night, ("support",)), Variant("one-person", _session, ("support",)),
    ),
    "account-misuse": (
        Variant("two-places", _two_places, (*UNIFORM, "detective")),
        Variant("leaver", _leaver, ("detective", "intake", "registry", "traffic"), prepare=_depart),
        Variant("on-leave", _on_leave, ("detective", "intake", "registry", "inspector"), prepare=_holiday),
        Variant("night-desk", _night_desk, ("detective", "intake", "registry", "inspector", "collector")),
    ),
}  # fmt: skip
