"""Misuse for oneself and one's own circle.

``curiosity``: somebody reads what the evening paper, the window or the last shift made interesting; each subject once or
twice, no task. What tells it from work: no task brought this subject to this person. Careful ones look on duty, one a week.

``friend-favour``: a friend or relative wants to know about one subject; two to six lookups in a day or two, then never again.
What tells it: the subject has to do with the actor's own circle and with no task. Careful ones make a single look with an own case.

``self-and-kin``: the actor's own name, plate, home, household, relatives, or colleagues. What tells it: the relation itself.
Careful ones look at a relative's car once a fortnight, as a traffic stop.

``shared-interest``: three or four from different units look at one subject within days, without a case in common: a group chat
asks. What tells it: only the sum does; each lookup alone is a curiosity.

``honeytoken``: a made-up person or plate is asked for, because a list was bought or a name was planted. One is enough.
"""

from __future__ import annotations

from bench.otherworld.calendar import DAY, HOUR, MINUTE
from bench.otherworld.misuse.plot import POLICE, UNIFORM, Plot, Variant
from bench.otherworld.people import Thing

_ANY = (*POLICE, "registry", "inspector", "collector")


def _star(plot: Plot) -> None:
    """A concert in town: the star and one or two more famous people, the same evening (Frankfurt, 2018)."""
    who = plot.who
    night = plot.moment(who, plot.at(0.2), plot.at(0.9))
    for famous in plot.rng.sample(plot.people.famous, plot.of_care(4, 2, 1)):
        night = plot.look_round(who, night, famous, plot.of_care(4, 2, 2)) + plot.rng.randint(1, 9) * MINUTE


def _paper(plot: Plot) -> None:
    """People in the news, within two days of it, by somebody who has no part in it."""
    who = plot.who
    fit = [
        news for news in plot.tasks.news if who.area != news.area and (news.case is None or who not in news.case.team)
    ]
    for news in plot.rng.sample(fit or plot.tasks.news, min(len(fit or plot.tasks.news), plot.of_care(4, 3, 2))):
        at = plot.moment(who, news.ms, min(plot.at(1), news.ms + 3 * DAY))
        plot.look_round(who, at, news.person, plot.of_care(4, 2, 1))


def _street(plot: Plot) -> None:
    """The neighbours, one after the other, over weeks: who they are and whose car that is (New Zealand, 2023)."""
    who = plot.who
    near = plot.people.neighbours(plot.people.home(who.person), 14)
    near = near or plot.people.neighbours(plot.people.home(who.person), 60)
    chosen = plot.rng.sample(near, min(len(near), plot.of_care(9, 6, 4)))
    for one, at in zip(chosen, plot.spread(who, max(1, len(chosen)), 0.2, 0.9), strict=False):
        plot.look_round(who, at, one, plot.of_care(3, 2, 1))


def _victim(plot: Plot) -> None:
    """Somebody met at work, looked at again when the work is over (abuse of position, HMIC 2016)."""
    who = plot.who
    met = [
        look
        for look in plot.log.looks
        if look.who is who and look.kind == "person" and look.story < 0 and look.ms < plot.at(0.6)
    ]
    met = [look for look in met if look.subject not in plot.log.own(who)]
    for look in plot.rng.sample(met, min(len(met), plot.of_care(3, 2, 1))):
        person = plot.people.things[look.subject]
        for _ in range(plot.of_care(4, 3, 3)):
            at = plot.moment(who, look.ms + 4 * DAY, min(plot.at(1), look.ms + 22 * DAY))
            plot.look_round(who, at, person, plot.of_care(3, 2, 1))


def _partner(plot: Plot) -> None:
    """The new friend of somebody's former wife: who, which car, where, and who else lives there (West Sweden, 2022)."""
    who = plot.who
    family = plot.people.family[who.person.id]
    asker = plot.rng.choice(family) if family else who.person
    target = plot.stranger(asker.area)
    plot.tie(asker, target)
    start = plot.moment(who, plot.at(0.25), plot.at(0.9))
    for _ in range(plot.of_care(3, 2, 1)):
        plot.look_round(who, start, target, plot.of_care(4, 3, 2))
        start = plot.moment(who, start + HOUR, start + 2 * DAY)


def _seller(plot: Plot) -> None:
    """A friend buys a car: the plate, then the owner, then whether the police know him."""
    who = plot.who
    target = plot.stranger(known=0.1)
    while not plot.people.cars[target.id]:
        target = plot.stranger(known=0.1)
    at = plot.moment(who, plot.at(0.2), plot.at(0.95))
    why, where = plot.excuse(who, at), plot.place(who, at)
    at = plot.look(who, at, plot.people.cars[target.id][0], why=why, where=where)
    at = plot.look(who, at + 30_000, target, why=why, where=where)
    if plot.care < 2:
        plot.look(who, at + 60_000, plot.people.home(target), why=why, where=where)


def _debtor(plot: Plot) -> None:
    """An address for a relative who is owed money: the person is followed through moves and cars on two days."""
    who = plot.who
    target = plot.stranger(known=0.5)
    family = plot.people.household(who.person) or plot.people.family[who.person.id]
    if family:
        plot.tie(plot.rng.choice(family), target)
    first = plot.moment(who, plot.at(0.3), plot.at(0.85))
    plot.look_round(who, first, target, plot.of_care(4, 3, 2))
    if plot.care < 2:
        plot.look_round(who, plot.moment(who, first + 6 * HOUR, first + 3 * DAY), target, 3)


def _own_name(plot: Plot) -> None:
    """The own name and plate, to see what is there (Supreme Court of Sweden, of an officer in Kronoberg)."""
    who = plot.who
    things = [who.person, *plot.people.cars[who.person.id][:1], plot.people.home(who.person)]
    for at in plot.spread(who, plot.of_care(5, 3, 2), 0.2, 0.9):
        plot.look(who, at, plot.rng.choice(things))


def _family(plot: Plot) -> None:
    """Household and relatives: a grown-up child, a brother-in-law, their cars."""
    who = plot.who
    kin = [one for one in plot.people.household(who.person) + plot.people.family[who.person.id] if one.adult]
    for at in plot.spread(who, plot.of_care(6, 4, 2), 0.2, 0.9):
        person = plot.rng.choice(kin) if kin else who.person
        cars = plot.people.cars[person.id]
        plot.look(who, at, cars[0] if cars and plot.care == 2 else person)


def _colleagues(plot: Plot) -> None:
    """Colleagues, those of the own team first: where they live, what they drive (New Zealand, 2023)."""
    who = plot.who
    team = [other for other in plot.staff.accounts if other.unit == who.unit and other is not who]
    if len(team) < 6:
        team = [other for other in plot.staff.accounts if other.area == who.area and other is not who]
    chosen = plot.rng.sample(team, min(len(team), plot.of_care(6, 4, 3)))
    for other, at in zip(chosen, plot.spread(who, max(1, len(chosen)), 0.3, 0.9), strict=False):
        plot.look_round(who, at, other.person, plot.of_care(3, 2, 1))


def _ring(plot: Plot) -> None:
    """A link goes round in a chat; each of them looks once or twice within a few days."""
    start = plot.rng.randint(plot.at(0.25), plot.at(0.85))
    target = plot.stranger(known=0.15)
    for who in plot.actors:
        duty = plot.duty(who, start, start + plot.of_care(2, 3, 5) * DAY)
        at = plot.moment(who, duty.start, duty.start + DAY) if duty else plot.off_duty(who, start, start + 3 * DAY)
        plot.look_round(who, at, target, plot.of_care(3, 2, 1))


def _ring_family(plot: Plot) -> None:
    """The same, of a colleague who is said to be under investigation: he, his wife, his car."""
    start = plot.rng.randint(plot.at(0.25), plot.at(0.85))
    mates = [other for other in plot.staff.accounts if other not in plot.actors]
    target = plot.rng.choice(mates).person
    for who in plot.actors:
        duty = plot.duty(who, start, start + plot.of_care(2, 3, 5) * DAY)
        at = plot.moment(who, duty.start, duty.start + DAY) if duty else plot.off_duty(who, start, start + 3 * DAY)
        plot.look_round(who, at, target, plot.of_care(3, 2, 1))


def _decoy(plot: Plot, extra: int) -> None:
    who = plot.who
    at = plot.moment(who, plot.at(0.2), plot.at(0.9))
    why, where = plot.excuse(who, at), plot.place(who, at)
    fit = [thing for thing in plot.people.decoys if plot.register(who, thing) is not None]
    names: list[Thing] = [plot.rng.choice(fit), *(plot.stranger() for _ in range(extra))]
    plot.rng.shuffle(names)
    for thing in names:
        at = plot.look(who, at, thing, why=why, where=where, exact=True) + plot.rng.randint(1, 5) * MINUTE


def _planted(plot: Plot) -> None:
    """A name was planted in a talk; the actor looks for it, and for nothing else."""
    _decoy(plot, 0)


def _bought_list(plot: Plot) -> None:
    """A list was bought; among its real names is one that does not exist."""
    _decoy(plot, plot.of_care(6, 4, 2))


VARIANTS = {
    "curiosity": (
        Variant("star-in-town", _star, POLICE), Variant("evening-paper", _paper, _ANY), Variant("own-street", _street, POLICE),
        Variant("met-at-work", _victim, (*UNIFORM, "collector")),
    ),
    "friend-favour": (
        Variant("new-partner", _partner, POLICE), Variant("used-car", _seller, UNIFORM), Variant("debtor", _debtor, POLICE),
    ),
    "self-and-kin": (
        Variant("own-name", _own_name, POLICE), Variant("family", _family, (*UNIFORM, "detective", "registry")),
        Variant("colleagues", _colleagues, POLICE),
    ),
    "shared-interest": (Variant("chat", _ring, POLICE, 4), Variant("colleague-in-trouble", _ring_family, POLICE, 3)),
    "honeytoken": (Variant("planted-name", _planted, POLICE), Variant("bought-list", _bought_list, (*POLICE, "registry"))),
}  # fmt: skip
