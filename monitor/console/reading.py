"""What pages read of the store. Every list is read along an index and has an end; a further page begins where the last one ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, func, select, tuple_

from monitor import alerts as alert_messages
from monitor.alerts import Alert
from monitor.console import schema as db
from monitor.console.rows import RuleText, clean
from monitor.console.schema import reading
from monitor.incidents.model import Incident
from monitor.incidents.model import decode as decode_incident

#: Rows on a page of a list.
PAGE: Final = 50
#: So many of the newest alerts about somebody are added up on their page.
NEWEST: Final = 300
#: So many incidents of one person, or beside an incident, are listed.
MANY: Final = 50
#: What the queue can be filtered by; the names of the fields of the form.
FILTERS: Final[tuple[str, ...]] = ("status", "response", "level", "unit", "typology", "rule", "queue")
#: A place in a list: the number and the id of the last row seen.
Key = tuple[int, str]


class Page(NamedTuple):
    """A part of a list, and where the next one begins (None: there is no more)."""

    rows: Sequence[Any]
    after: Key | None


class Whole(NamedTuple):
    """All that an incident's page shows: its alerts by id, the places the ranker gave them, the rules, the other incidents."""

    incident: Incident
    alerts: Mapping[str, Alert]
    chances: Mapping[str, float]
    rules: Mapping[str, RuleText]
    related: Sequence[Row[Any]]


class About(NamedTuple):
    """What is known about an actor or a subject: the incidents, and one page of alerts with the incident of each, if it is known."""

    incidents: Sequence[Row[Any]]
    alerts: Page
    homes: Mapping[str, str]
    #: Of the newest alerts: who else is in them, by id: how many alerts, the first, the last (ms).
    others: Mapping[str, tuple[int, int, int]]
    more: bool


class Reader:
    """Reads a store. Its methods block; each sees one state of it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def counts(self) -> dict[tuple[str, str], int]:
        """How many incidents there are by each value of each filter."""
        with reading(self.engine) as connection:
            return _counts(connection)

    def queue(self, asked: Mapping[str, str], after: Key | None = None, size: int = PAGE) -> Page:
        """Incidents by urgency. ``asked`` are values of :data:`FILTERS` that must all hold."""
        with reading(self.engine) as connection:
            counts = _counts(connection, asked.items())
            wanted = sorted(asked.items(), key=lambda each: counts.get(each, 0))
            if any(each not in counts for each in wanted):
                return Page([], None)
            found = connection.execute(queue_query(wanted, after, size)).all()
            return _page(found, size, lambda row: (row.urgency, row.id))

    def incident(self, name: str) -> Incident | None:
        """An incident as it is now."""
        with reading(self.engine) as connection:
            return _incident(connection, name)

    def whole(self, name: str) -> Whole | None:
        """All that is shown of an incident."""
        with reading(self.engine) as connection:
            incident = _incident(connection, name)
            if incident is None:
                return None
            ids = [clean(each.alert) for each in incident.alerts]
            raws = connection.execute(select(db.alerts.c.id, db.alerts.c.raw).where(db.alerts.c.id.in_(ids))).all()
            chances = connection.execute(
                select(db.priorities.c.alert, db.priorities.c.probability).where(db.priorities.c.alert.in_(ids))
            ).all()
            beside = list(dict.fromkeys([*([incident.muted_by] if incident.muted_by else []), *incident.related]))
            related = connection.execute(_listed().where(db.incidents.c.id.in_(beside[:MANY]))).all()
            rules = _rules(connection, {clean(each.rule.id) for each in incident.alerts})
            return Whole(
                incident,
                {each.id: alert_messages.decode(each.raw) for each in raws},
                {each.alert: each.probability for each in chances},
                rules,
                sorted(related, key=lambda row: -row.urgency),
            )

    def about(self, kind: str, name: str, after: Key | None = None) -> About:
        """What is known about an ``actor`` or a ``subject``; the other kind is who is beside them."""
        other = "subjects" if kind == "actor" else "actors"
        with reading(self.engine) as connection:
            incidents = connection.execute(incidents_of(kind, clean(name))).all()
            newest = connection.execute(alerts_of(kind, clean(name), None, NEWEST)).all()
            shown = newest if after is None else connection.execute(alerts_of(kind, clean(name), after, PAGE)).all()
            page = _page(shown[: PAGE + 1], PAGE, lambda row: (row.ts, row.id))
            decoded = [alert_messages.decode(row.raw) for row in page.rows]
            others: dict[str, tuple[int, int, int]] = {}
            for row in newest[:NEWEST]:
                for each in getattr(alert_messages.decode(row.raw), other):
                    count, first, last = others.get(each, (0, row.ts, row.ts))
                    others[each] = (count + 1, min(first, row.ts), max(last, row.ts))
            homes = _homes(connection, [clean(each.id) for each in decoded])
            return About(incidents, Page(decoded, page.after), homes, others, len(newest) > NEWEST)

    def sealed_of(self, kind: str, names: Sequence[str]) -> dict[str, str]:
        """The sealed identities of names, as far as the newest alert about each has one; ``kind`` as of :meth:`about`."""
        found: dict[str, str] = {}
        with reading(self.engine) as connection:
            for name in names[:MANY]:
                row = connection.execute(alerts_of(kind, clean(name), None, 0)).first()
                sealed = None if row is None else alert_messages.decode(row.raw).sealed
                if isinstance(sealed, dict) and name in sealed:
                    found[name] = sealed[name]
        return found

    def dispositions(self, after: Key | None = None) -> Page:
        """Verdicts, the newest first, each with the incident of its alert if that is known."""
        table = db.dispositions.c
        asked = select(*db.dispositions.c).order_by(table.at.desc()).limit(PAGE + 1)
        if after is not None:
            asked = asked.where(table.at < after[0])
        with reading(self.engine) as connection:
            page = _page(connection.execute(asked).all(), PAGE, lambda row: (row.at, ""))
            homes = _homes(connection, [row.about for row in page.rows])
            return Page([(row, row.incident or homes.get(row.about)) for row in page.rows], page.after)

    def verdicts_of(self, incident: Incident) -> Sequence[Row[Any]]:
        """The verdicts about an incident or one of its alerts, the newest first."""
        table = db.dispositions.c
        about = [clean(each.alert) for each in incident.alerts]
        with reading(self.engine) as connection:
            return connection.execute(
                select(*table).where(table.about.in_(about)).order_by(table.at.desc()).limit(MANY)
            ).all()

    def reviews(self, after: Key | None = None) -> Page:
        """Lookups of the sample about which nobody has said anything, the oldest first."""
        table = db.reviews.c
        asked = select(table.name, table.ts, table.raw).where(table.open.is_(True))
        if after is not None:
            asked = asked.where(tuple_(table.ts, table.name) > after)  # type: ignore[arg-type]
        with reading(self.engine) as connection:
            found = connection.execute(asked.order_by(table.ts, table.name).limit(PAGE + 1)).all()
            return _page(found, PAGE, lambda row: (row.ts, row.name))

    def review(self, name: str) -> Row[Any] | None:
        """A lookup of the sample."""
        with reading(self.engine) as connection:
            return connection.execute(select(*db.reviews.c).where(db.reviews.c.name == clean(name))).first()


def queue_query(wanted: Sequence[tuple[str, str]], after: Key | None, size: int) -> Select[Any]:
    """Incidents for which all of ``wanted`` hold, by urgency: read along the first, the others are asked of each."""
    facet, value = wanted[0]
    along = db.facets.alias("along")
    asked = (
        _listed()
        .select_from(along.join(db.incidents, db.incidents.c.id == along.c.incident))
        .where(along.c.facet == facet, along.c.value == value)
    )
    for facet, value in wanted[1:]:
        has = db.facets.alias()
        asked = asked.where(
            select(has.c.incident)
            .where(has.c.incident == along.c.incident, has.c.facet == facet, has.c.value == value)
            .exists()
        )
    if after is not None:
        asked = asked.where(tuple_(along.c.urgency, along.c.incident) < after)  # type: ignore[arg-type]
    return asked.order_by(along.c.urgency.desc(), along.c.incident.desc()).limit(size + 1)


def alerts_of(kind: str, name: str, after: Key | None, size: int) -> Select[Any]:
    """The alerts that name somebody, the newest first."""
    names = db.alert_names.c
    asked = (
        select(names.ts, db.alerts.c.id, db.alerts.c.raw)
        .select_from(db.alert_names.join(db.alerts, db.alerts.c.id == names.alert))
        .where(names.kind == kind, names.name == name)
    )
    if after is not None:
        asked = asked.where(tuple_(names.ts, names.alert) < after)  # type: ignore[arg-type]
    return asked.order_by(names.ts.desc(), names.alert.desc()).limit(size + 1)


def incidents_of(kind: str, name: str) -> Select[Any]:
    """The incidents that name somebody, or have an alert, the newest first."""
    names = db.incident_names.c
    return (
        _listed()
        .select_from(db.incident_names.join(db.incidents, db.incidents.c.id == names.incident))
        .where(names.kind == kind, names.name == name)
        .order_by(names.last.desc(), names.incident.desc())
        .limit(MANY)
    )


def listed(connection: Connection, names: Sequence[str]) -> Sequence[Row[Any]]:
    """Incidents as lists show them, by their ids."""
    return connection.execute(_listed().where(db.incidents.c.id.in_(names))).all()


def _listed() -> Select[Any]:
    return select(*(column for column in db.incidents.c if column.name != "raw"))


def _counts(connection: Connection, only: Iterable[tuple[str, str]] | None = None) -> dict[tuple[str, str], int]:
    table = db.facet_counts.c
    asked = select(table.facet, table.value, table.n)
    if only is not None:
        asked = asked.where(tuple_(table.facet, table.value).in_(list(only)))
    return {(each.facet, each.value): each.n for each in connection.execute(asked)}


def _incident(connection: Connection, name: str) -> Incident | None:
    raw = connection.execute(select(db.incidents.c.raw).where(db.incidents.c.id == name)).scalar()
    return None if raw is None else decode_incident(raw)


def _homes(connection: Connection, alerts: list[str]) -> dict[str, str]:
    """Which incident each alert is in, of those that incidents have kept."""
    names = db.incident_names.c
    asked = select(names.name, names.incident).where(names.kind == "alert", names.name.in_(alerts))
    return {each.name: each.incident for each in connection.execute(asked)}


def _rules(connection: Connection, ids: set[str]) -> dict[str, RuleText]:
    """What is said of rules: in the version at work, else in the last one that had them."""
    current = connection.execute(select(db.meta.c.value).where(db.meta.c.key == "rules")).scalar()
    found: dict[str, tuple[tuple[bool, int], bytes]] = {}
    table = db.rules.c
    last = select(table.rule, func.max(table.at).label("at")).where(table.rule.in_(ids)).group_by(table.rule).subquery()
    newest = (table.rule == last.c.rule) & (table.at == last.c.at)
    asked = select(table.rule, table.version, table.at, table.raw).join(last, newest)
    at_work = select(table.rule, table.version, table.at, table.raw).where(
        table.rule.in_(ids), table.version == (current or "")
    )
    for query in (asked, at_work):
        for row in connection.execute(query):
            found[row.rule] = ((row.version == current, row.at), row.raw)
    return {rule: msgspec.json.decode(raw, type=RuleText) for rule, (_, raw) in found.items()}


def _page(found: Sequence[Any], size: int, key: Any) -> Page:
    is_more = len(found) > size
    return Page(found[:size], key(found[size - 1]) if is_more else None)


def begins(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether a name begins with a text, so that an index finds it."""
    return (column >= text) & (column < text + "\U0010ffff")
