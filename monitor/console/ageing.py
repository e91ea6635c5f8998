"""What is older than it may be kept goes from the store, as it goes from Kafka: alerts, verdicts, lookups of the sample.

Counts by rule stay: there is nobody in them.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, delete, select, tuple_

from monitor import alerts as alert_messages
from monitor.console import rows
from monitor.console import schema as db
from monitor.console.schema import writing

#: So many at most go in one transaction: pages and the filler wait for it.
_MANY: Final = 400


def forget(engine: Engine, before: int) -> int:
    """Remove what Kafka received before a time (ms since the epoch); return how much that was. Raises ``SQLAlchemyError``."""
    count = 0
    while True:
        with engine.connect() as connection, writing(connection):
            found = connection.execute(
                select(db.ages.c.received, db.ages.c.kind, db.ages.c.name)
                .where(db.ages.c.received < before)
                .order_by(*db.ages.primary_key)
                .limit(_MANY)
            ).all()
            for kind, some in groupby(sorted(found, key=lambda each: each.kind), key=lambda each: each.kind):
                _REMOVES[kind](connection, [each.name for each in some])
            if found:
                connection.execute(
                    delete(db.ages).where(tuple_(*db.ages.primary_key).in_([tuple(each) for each in found]))
                )
        count += len(found)
        if len(found) < _MANY:
            return count


def _remove_alerts(connection: Connection, ids: list[str]) -> None:
    names: list[dict[str, Any]] = []
    for (raw,) in connection.execute(select(db.alerts.c.raw).where(db.alerts.c.id.in_(ids))):
        try:
            names += rows.alert_names_of(alert_messages.decode(raw))
        except msgspec.MsgspecError:  # it was read when it came in, by a program that knew it
            continue
    key = tuple_(*db.alert_names.primary_key)
    wanted = [tuple(row[column.name] for column in db.alert_names.primary_key) for row in names]
    for start in range(0, len(wanted), _MANY // 2):
        connection.execute(delete(db.alert_names).where(key.in_(wanted[start : start + _MANY // 2])))
    connection.execute(delete(db.priorities).where(db.priorities.c.alert.in_(ids)))
    connection.execute(delete(db.verdicts).where(db.verdicts.c.alert.in_(ids)))
    connection.execute(delete(db.alerts).where(db.alerts.c.id.in_(ids)))


def _remove_reviews(connection: Connection, names: list[str]) -> None:
    connection.execute(delete(db.reviews).where(db.reviews.c.name.in_(names)))


def _remove_dispositions(connection: Connection, offsets: list[str]) -> None:
    connection.execute(delete(db.dispositions).where(db.dispositions.c.at.in_([int(each) for each in offsets])))


_REMOVES: Final = {"alert": _remove_alerts, "review": _remove_reviews, "disposition": _remove_dispositions}
