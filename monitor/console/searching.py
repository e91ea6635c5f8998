"""Search: ids by how they begin, and incidents by the words of their titles, reasons and comments.

Words are found by SQLite's FTS5 or PostgreSQL's tsvector. Nothing that is typed is a pattern or a query of either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Connection, Engine, Row, select, text

from monitor.console import schema as db
from monitor.console.reading import begins, incidents_of, listed
from monitor.console.rows import clean
from monitor.console.schema import reading
from monitor.privacy.pseudonym import Pseudonyms, read

#: So many characters of what is typed are looked for, so many words of it, and so many of each kind are found.
MAX_QUERY: Final = 200
MAX_WORDS: Final = 8
MANY: Final = 10
MANY_TEXTS: Final = 50
_WORDS: Final = re.compile(r"\w+", re.UNICODE).findall
#: More incidents with the same words than this are not put in order.
_LOOKED_AT: Final = 500


class Found(NamedTuple):
    """``names`` by kind (``actor``, ``subject``, ``event``); ``alerts`` with the incident of each; ``incidents`` by id, then by words."""

    names: dict[str, list[str]]
    alerts: list[tuple[str, str | None]]
    incidents: Sequence[Row[Any]]
    texts: Sequence[Row[Any]]
    more: bool
    #: The incident of a lookup that was found, by the lookup's id.
    homes: dict[str, str]


def stored_as(pseudonyms: Pseudonyms | None) -> Callable[[str], list[str]]:
    """The names under which what somebody types may stand in alerts; without ``pseudonyms`` as it was typed.

    With them: what an actor and a subject of this id are called by every key, and a pseudonym as it is written when one was typed.
    """
    if pseudonyms is None:
        return lambda typed: [typed]

    def names_of(typed: str) -> list[str]:
        with suppress(ValueError):
            return [read(typed)]  # which is nobody's id
        return [*pseudonyms.every("actor", typed), *pseudonyms.every("subject", typed)]

    return names_of


def search(engine: Engine, names: Sequence[str], words: str) -> Found:
    """Actors and subjects that begin with one of ``names``; lookups, alerts and incidents that begin with, or incidents that have, ``words``."""
    starts = [clean(each) for each in names if each]
    with reading(engine) as connection:
        by_kind = {
            kind: list(dict.fromkeys(name for start in starts for name in _names(connection, kind, start)))[:MANY]
            for kind in ("actor", "subject")
        }
        by_kind["event"] = _names(connection, "event", clean(words))
        alerts = _ids(connection, db.alerts.c.id, clean(words))
        homes = [connection.execute(incidents_of("alert", name)).first() for name in alerts]
        ids = _ids(connection, db.incidents.c.id, clean(words))
        texts = _texts(connection, words)
        found = sorted(listed(connection, texts), key=lambda row: -row.urgency)
        return Found(
            by_kind,
            [(name, None if home is None else home.id) for name, home in zip(alerts, homes, strict=True)],
            listed(connection, ids),
            found[:MANY_TEXTS],
            len(found) > MANY_TEXTS,
            _homes_of_events(connection, by_kind["event"]),
        )


def _homes_of_events(connection: Connection, events: list[str]) -> dict[str, str]:
    """The newest incident with an alert that rests on each lookup, of those that incidents have kept."""
    names = db.alert_names.c
    found: dict[str, str] = {}
    for name in events:
        asked = select(names.alert).where(names.kind == "event", names.name == name).order_by(names.ts.desc())
        for alert in connection.execute(asked.limit(MANY)).scalars():
            home = connection.execute(incidents_of("alert", alert)).first()
            if home is not None:
                found.setdefault(name, home.id)
    return found


def _names(connection: Connection, kind: str, start: str) -> list[str]:
    """The different names that begin so: from each to the next, over all the rows of one at once."""
    found: list[str] = []
    name = db.alert_names.c.name
    asked = select(name).where(db.alert_names.c.kind == kind, begins(name, start)).order_by(name).limit(1)
    while len(found) < MANY:
        following = asked if not found else asked.where(name > found[-1])
        one = connection.execute(following).scalar()
        if one is None:
            break
        found.append(one)
    return found


def _ids(connection: Connection, column: Column[str], start: str) -> list[str]:
    return list(connection.execute(select(column).where(begins(column, start)).order_by(column).limit(MANY)).scalars())


def _texts(connection: Connection, words: str) -> list[str]:
    terms = _WORDS(words)[:MAX_WORDS]
    if not terms:
        return []
    if connection.dialect.name == "sqlite":
        asked, query = "SELECT incident FROM texts WHERE texts MATCH :query LIMIT :many", _fts5(terms)
    else:
        asked = "SELECT incident FROM texts WHERE words @@ to_tsquery('simple', :query) LIMIT :many"
        query = _tsquery(terms)
    return list(connection.execute(text(asked), {"query": query, "many": _LOOKED_AT}).scalars())


def _fts5(terms: list[str]) -> str:
    return " AND ".join(f'words:"{each}"' for each in terms) + "*"


def _tsquery(terms: list[str]) -> str:
    return " & ".join(f"'{each}'" for each in terms) + ":*"
