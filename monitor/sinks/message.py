"""What is told of an incident. The names of actors and subjects are put into messages here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from monitor.incidents.model import Incident, Notice, Share
from monitor.incidents.risk import counts

#: Of so many alerts a message has the words.
MAX_LINES = 10


class Person(msgspec.Struct, frozen=True):
    """An actor as a message names them, and the part of the risk that is about them."""

    name: str
    unit: str | None
    risk: float


class Message(msgspec.Struct, frozen=True):
    """A notice of an incident, for people and programs. ``key`` is the same whenever it is sent: ``<incident>/<number>``.

    Times are RFC 3339. ``typologies`` and ``rules`` (id, title) are those of the alerts that weigh something.
    """

    key: str
    incident: str
    number: int
    kind: str
    time: str
    level: str
    status: str
    queue: str
    watched: bool
    risk: float
    title: str
    reason: str
    about: str
    actors: list[Person]
    subjects: list[str]
    typologies: list[str]
    rules: list[tuple[str, str]]
    lines: list[str]
    alerts: list[str]
    alert_count: int
    opened: int
    first: int
    last: int
    disposition: str | None


def as_it_is(kind: str, name: str) -> str:
    """The name of an actor or subject, not masked."""
    return name


def message_of(incident: Incident, notice: Notice, shown: Callable[[str, str], str] = as_it_is) -> Message:
    """The message of a notice. ``shown`` says how an actor or subject (kind, id) is named to whoever gets it."""
    heavy = sorted(
        (each for each in incident.alerts if counts(each)), key=lambda each: (-each.now, each.ts, each.alert)
    )
    rules = dict.fromkeys((each.rule.id, each.rule.title) for each in heavy)
    kind, name = incident.group.kind, incident.group.id
    about = f"{kind} {shown('actor', name) if kind == 'actor' else shown('subject', name)}"
    first = heavy[0].rule.title if heavy else "nothing weighs any more"
    return Message(
        key=f"{incident.id}/{notice.number}",
        incident=incident.id,
        number=notice.number,
        kind=notice.kind,
        time=notice.time,
        level=notice.level,
        status=incident.status,
        queue=incident.queue,
        watched=incident.watched,
        risk=incident.risk,
        title=f"{notice.kind}: {first} ({notice.level}, {about})",
        reason=notice.reason,
        about=about,
        actors=[Person(shown("actor", each.actor), each.unit, each.risk) for each in incident.actors],
        subjects=[shown("subject", each) for each in incident.subjects],
        typologies=sorted({each.rule.typology for each in heavy if each.rule.typology}),
        rules=list(rules),
        lines=[_line(each) for each in heavy[:MAX_LINES]],
        alerts=[each.alert for each in heavy],
        alert_count=incident.alert_count,
        opened=incident.opened,
        first=incident.first,
        last=incident.last,
        disposition=incident.disposition,
    )


def text_of(message: Message) -> str:
    """The message in words, for mail and chat."""
    people = ", ".join(f"{each.name} ({each.unit or 'unit unknown'}, risk {each.risk:g})" for each in message.actors)
    lines = [
        f"{message.reason}",
        f"Level {message.level}, risk {message.risk:g}, {message.status}"
        + (", watched subject" if message.watched else ""),
        f"Actors: {people}" if people else f"About: {message.about}",
        f"Subjects: {', '.join(message.subjects)}" if message.subjects else "",
        *(f"- {line}" for line in message.lines),
        f"Incident {message.incident}; monitor incidents show {message.incident}",
    ]
    return "\n".join(line for line in lines if line)


def _line(share: Share) -> str:
    again = f", said {share.repeats} times more" if share.repeats else ""
    return f"{share.rule.title} ({share.rule.level}, adds {share.now:g} of {share.points:g}{again})"
