"""Messages into the store: a batch of them and how far it was read, in one transaction.

Whatever is killed and whenever, each message counts once: either the batch and its offsets are in the store, or neither is. The order
in which topics are read does not matter: a store that is made anew has the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import orjson
import structlog
from sqlalchemy import Connection, Engine, Table, case, delete, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from monitor import alerts as alert_messages
from monitor.alerts import Alert
from monitor.console import rows
from monitor.console import schema as db
from monitor.console.schema import writing
from monitor.feedback import disposition
from monitor.feedback.disposition import BadDisposition, Disposition
from monitor.incidents import model as incident_messages
from monitor.incidents.model import Incident
from monitor.review import name_of
from monitor.rules.load import version_of
from monitor.stream import topics
from monitor.stream.versions import CURRENT, Files
from monitor.stream.versions import decode as decode_pack

log = structlog.get_logger(__name__)
#: The topics the store is filled from.
TOPICS: Final = (
    topics.RULES,
    topics.ALERTS,
    topics.PRIORITIES,
    topics.INCIDENTS,
    topics.DISPOSITIONS,
    topics.REVIEW,
)
#: So many keys are asked for at once.
_MANY: Final = 400
Place = tuple[str, int]


class Overtaken(Exception):
    """Somebody else has filled the store since: what was read is in it already."""


class Message(NamedTuple):
    """One record of a topic: ``at`` is its offset, ``received`` its time stamp (ms)."""

    topic: str
    part: int
    at: int
    key: bytes | None
    value: bytes | None
    received: int


class Ranked(msgspec.Struct, frozen=True):
    """What the store takes of ``monitor.feedback.desk.Priority``, whose module brings all that the ranker learns with."""

    alert: str
    priority: float
    probability: float


class Filling:
    """Writes into a store. ``load`` gives what is shown of the rules of a pack; ``bad`` is told the topic of what cannot be read."""

    def __init__(
        self,
        engine: Engine,
        load: Callable[[Files], Mapping[str, bytes]],
        bad: Callable[[str], None] = lambda topic: None,
    ) -> None:
        self._engine = engine
        self._load = load
        self._bad = bad
        self._insert: Any = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert

    def offsets(self) -> dict[Place, int]:
        """The next offset to read of each partition that was read before."""
        with self._engine.connect() as connection:
            found = connection.execute(select(db.offsets)).all()
            return {(each.topic, each.part): each.next for each in found}

    def fill(self, messages: Sequence[Message], read_from: Mapping[Place, int]) -> dict[Place, int]:
        """Take messages in, those of a partition in its order; ``read_from`` is where reading began. Return where it goes on.

        Raises :class:`Overtaken` when the store is not where reading began: nothing has changed then.
        """
        ends = dict(read_from)
        by_topic: dict[str, list[Message]] = {}
        for each in messages:
            by_topic.setdefault(each.topic, []).append(each)
            ends[each.topic, each.part] = max(ends.get((each.topic, each.part), 0), each.at + 1)
        takes = {
            topics.RULES: self._take_rules,
            topics.ALERTS: self._take_alerts,
            topics.PRIORITIES: self._take_priorities,
            topics.INCIDENTS: self._take_incidents,
            topics.DISPOSITIONS: self._take_dispositions,
            topics.REVIEW: self._take_reviews,
        }
        with self._engine.connect() as connection, writing(connection):
            for place, end in ends.items():
                if end > read_from.get(place, 0):
                    self._move(connection, place, read_from.get(place, 0), end)
            for topic in TOPICS:
                if topic in by_topic:
                    takes[topic](connection, by_topic[topic])
        return ends

    def _move(self, connection: Connection, place: Place, start: int, end: int) -> None:
        keys = {"topic": place[0], "part": place[1]}
        at = (db.offsets.c.topic == place[0]) & (db.offsets.c.part == place[1])
        if connection.execute(select(db.offsets.c.next).where(at)).first() is None:
            made = self._insert(db.offsets).on_conflict_do_nothing().returning(db.offsets.c.next)
            is_ours = start == 0 and connection.execute(made.values(next=end, **keys)).first() is not None
        else:
            moved = update(db.offsets).where(at, db.offsets.c.next == start).values(next=end)
            is_ours = connection.execute(moved).rowcount == 1
        if not is_ours:
            raise Overtaken(f"{place[0]}/{place[1]}")

    def _refuse(self, message: Message, what: str) -> None:
        self._bad(message.topic)
        log.error(f"{what} cannot be read", topic=message.topic, partition=message.part, offset=message.at)

    def _put(
        self, connection: Connection, table: Table, found: list[dict[str, Any]], add: tuple[str, ...] = ()
    ) -> None:
        """Insert rows, or replace those of the same key; the columns of ``add`` are added to what is there."""
        if not found:
            return
        made = self._insert(table)
        changed = {
            column.name: column + made.excluded[column.name] if column.name in add else made.excluded[column.name]
            for column in table.columns
            if not column.primary_key
        }
        keys = list(table.primary_key)
        made = (
            made.on_conflict_do_update(index_elements=keys, set_=changed) if changed else made.on_conflict_do_nothing()
        )
        connection.execute(made, found)

    # Alerts, and what is counted of them.

    def _take_alerts(self, connection: Connection, messages: list[Message]) -> None:
        found: dict[str, tuple[Alert, bytes]] = {}
        received: dict[str, int] = {}
        for message in messages:
            try:
                alert = alert_messages.decode(raw := message.value or b"")
            except msgspec.MsgspecError:
                self._refuse(message, "an alert")
                continue
            found.setdefault(rows.clean(alert.id), (alert, raw))
            received.setdefault(rows.clean(alert.id), message.received)
        for name in _known(connection, db.alerts.c.id, found):
            del found[name]
        if not found:
            return
        connection.execute(insert(db.alerts), [rows.alert_row(*each) for each in found.values()])
        self._put(connection, db.ages, [rows.age("alert", name, received[name]) for name in found])
        names = [row for alert, _ in found.values() for row in rows.alert_names_of(alert)]
        if names:
            connection.execute(insert(db.alert_names), names)
        self._count([alert for alert, _ in found.values()], connection)
        judged = Counter(
            (rows.clean(found[alert][0].rule.id), verdict) for alert, verdict in _verdicts(connection, found).items()
        )
        self._count_verdicts(connection, judged)

    def _count(self, raised: list[Alert], connection: Connection) -> None:
        by_rule: dict[str, dict[str, Any]] = {}
        days: Counter[tuple[str, int]] = Counter()
        for alert in raised:
            rule = rows.clean(alert.rule.id)
            days[rule, rows.day_of(alert.ts)] += 1
            row = by_rule.setdefault(
                rule, {"rule": rule, "fires": 0, "first": alert.ts, "last": alert.ts, "newest": ""}
            )
            row["fires"] += 1
            row["first"] = min(row["first"], alert.ts)
            if (alert.ts, alert.id) >= (row["last"], row["newest"]):
                texts = {name: rows.clean(getattr(alert.rule, name)) for name in ("title", "level", "typology")}
                row.update(texts, last=alert.ts, newest=rows.clean(alert.id))
        made = self._insert(db.rule_fires)
        table, new = db.rule_fires.c, made.excluded
        # What is said of a rule is what its newest alert says, whichever came first.
        is_newer = (new["last"] > table["last"]) | ((new["last"] == table["last"]) & (new["newest"] > table["newest"]))
        names = ("title", "level", "typology", "last", "newest")
        changed: dict[str, Any] = {name: case((is_newer, new[name]), else_=table[name]) for name in names}
        changed["fires"] = table.fires + new.fires
        changed["first"] = case((new["first"] < table["first"], new["first"]), else_=table["first"])
        connection.execute(
            made.on_conflict_do_update(index_elements=[table.rule], set_=changed), rows.sorted_by_key(by_rule)
        )
        self._put(
            connection,
            db.rule_days,
            [{"rule": rule, "day": day, "fires": count} for (rule, day), count in sorted(days.items())],
            add=("fires",),
        )

    def _count_verdicts(self, connection: Connection, changes: Counter[tuple[str, str]]) -> None:
        found = [{"rule": rule, "verdict": said, "n": n} for (rule, said), n in sorted(changes.items()) if n]
        self._put(connection, db.rule_verdicts, found, add=("n",))
        connection.execute(delete(db.rule_verdicts).where(db.rule_verdicts.c.n == 0))

    def _take_priorities(self, connection: Connection, messages: list[Message]) -> None:
        found: dict[str, dict[str, Any]] = {}
        for message in messages:
            if message.value is None:
                continue
            try:
                said = msgspec.json.decode(message.value, type=Ranked)
            except msgspec.MsgspecError:
                self._refuse(message, "a priority")
                continue
            alert = rows.clean(said.alert)
            found[alert] = {
                "alert": alert,
                "at": message.at,
                "priority": said.priority,
                "probability": said.probability,
            }
        self._put(connection, db.priorities, rows.sorted_by_key(found))

    # Incidents: the last message of each.

    def _take_incidents(self, connection: Connection, messages: list[Message]) -> None:
        last: dict[str, tuple[Incident, bytes]] = {}
        forgotten: dict[str, None] = {}
        for message in messages:
            if message.value is None:
                forgotten[rows.name_in(message.key)] = None
                last.pop(rows.name_in(message.key), None)
                continue
            try:
                incident = incident_messages.decode(message.value)
            except msgspec.MsgspecError:
                self._refuse(message, "an incident")
                continue
            if incident.id not in last or incident.revision >= last[incident.id][0].revision:
                last[incident.id] = (incident, message.value)
        known = _known(connection, db.incidents.c.id, last, db.incidents.c.revision)
        for name, revision in known.items():
            if last[name][0].revision < revision:
                del last[name]
        self._remove(connection, [*(name for name in last if name in known), *forgotten])
        self._add(connection, [last[name] for name in sorted(last)])

    def _remove(self, connection: Connection, names: list[str]) -> None:
        for some in _chunks(names):
            gone = connection.execute(
                select(db.facets.c.facet, db.facets.c.value).where(db.facets.c.incident.in_(some))
            ).all()
            self._count_facets(connection, Counter({each: -n for each, n in Counter(map(tuple, gone)).items()}))
            connection.execute(delete(db.facets).where(db.facets.c.incident.in_(some)))
            connection.execute(delete(db.incident_names).where(db.incident_names.c.incident.in_(some)))
            connection.execute(delete(db.incidents).where(db.incidents.c.id.in_(some)))
            key = "rowid" if connection.dialect.name == "sqlite" else "n"
            connection.execute(
                text(f"DELETE FROM texts WHERE {key} = :n"), [{"n": rows.text_number(name)} for name in some]
            )

    def _add(self, connection: Connection, found: list[tuple[Incident, bytes]]) -> None:
        if not found:
            return
        made = [rows.incident_row(*each) for each in found]
        connection.execute(insert(db.incidents), made)
        facets, names = [], []
        for (incident, _), row in zip(found, made, strict=True):
            for facet, value in rows.facets_of(incident):
                facets.append({"facet": facet, "value": value, "urgency": row["urgency"], "incident": incident.id})
            for kind, name in rows.names_of(incident):
                names.append({"kind": kind, "name": name, "last": incident.last, "incident": incident.id})
        connection.execute(insert(db.facets), facets)
        if names:
            connection.execute(insert(db.incident_names), names)
        self._count_facets(connection, Counter((each["facet"], each["value"]) for each in facets))
        put = (
            "INSERT INTO texts (rowid, words, incident) VALUES (:n, :words, :incident)"
            if connection.dialect.name == "sqlite"
            else "INSERT INTO texts (n, words, incident) VALUES (:n, to_tsvector('simple', :words), :incident)"
        )
        texts = [
            {"n": rows.text_number(each.id), "words": rows.words_of(each), "incident": each.id} for each, _ in found
        ]
        connection.execute(text(put), texts)

    def _count_facets(self, connection: Connection, changes: Counter[Any]) -> None:
        found = [{"facet": facet, "value": value, "n": n} for (facet, value), n in sorted(changes.items()) if n]
        self._put(connection, db.facet_counts, found, add=("n",))
        connection.execute(delete(db.facet_counts).where(db.facet_counts.c.n == 0))

    # What people said.

    def _take_dispositions(self, connection: Connection, messages: list[Message]) -> None:
        said: list[tuple[Message, Disposition]] = []
        for message in messages:
            try:
                said.append((message, disposition.decode(message.value)))
            except BadDisposition:
                # It is in the dead letters, with the reason: whoever learns of verdicts has put it there.
                continue
        self._put(
            connection, db.dispositions, [rows.disposition_row(each.at, each.received, one) for each, one in said]
        )
        self._put(connection, db.ages, [rows.age("disposition", str(each.at), each.received) for each, _ in said])
        last = {rows.clean(each.alert): (message.at, each.verdict) for message, each in said if each.alert is not None}
        before = _verdicts(connection, last)
        changes: Counter[tuple[str, str]] = Counter()
        for name, rule in _known(connection, db.alerts.c.id, last, db.alerts.c.rule).items():
            if name in before:
                changes[rule, before[name]] -= 1
            changes[rule, last[name][1]] += 1
        self._put(
            connection,
            db.verdicts,
            [{"alert": name, "at": at, "verdict": verdict} for name, (at, verdict) in sorted(last.items())],
        )
        self._count_verdicts(connection, changes)
        lookups = {rows.clean(each.lookup) for _, each in said if each.lookup is not None}
        for some in _chunks(sorted(lookups)):
            connection.execute(update(db.reviews).where(db.reviews.c.name.in_(some)).values(open=False))

    def _take_reviews(self, connection: Connection, messages: list[Message]) -> None:
        found: dict[str, dict[str, Any]] = {}
        received: dict[str, int] = {}
        for message in messages:
            raw = message.value or b""
            try:
                lookup = orjson.loads(raw)
                row = rows.review_row(lookup, name_of(lookup), raw)
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                self._refuse(message, "a lookup of the sample")
                continue
            found.setdefault(row["name"], row)
            received.setdefault(row["name"], message.received)
        for name in _known(connection, db.reviews.c.name, found):
            del received[name]
        self._put(connection, db.ages, [rows.age("review", name, at) for name, at in received.items()])
        for name in _known(connection, db.dispositions.c.about, found):
            found[name]["open"] = False
        made = self._insert(db.reviews)
        if found:
            connection.execute(made.on_conflict_do_nothing(), rows.sorted_by_key(found))

    def _take_rules(self, connection: Connection, messages: list[Message]) -> None:
        current: str | None = None
        for message in messages:
            try:
                if message.key == CURRENT:
                    current = (message.value or b"").decode("ascii")
                elif message.key is not None and message.value is not None:
                    self._take_pack(connection, message, message.key.decode("ascii"), message.value)
            except ValueError:
                self._refuse(message, "a pack of rules")
        if current is not None:
            self._put(connection, db.meta, [{"key": "rules", "value": current}])

    def _take_pack(self, connection: Connection, message: Message, version: str, raw: bytes) -> None:
        files = decode_pack(raw)
        if version_of(files) != version:
            raise ValueError("the key is not the version of the texts")
        found = [
            {"rule": rule, "version": version, "at": message.at, "deployed": message.received, "raw": shown}
            for rule, shown in sorted(self._load(files).items())
        ]
        self._put(connection, db.rules, found)


def _verdicts(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    return _known(connection, db.verdicts.c.alert, names, db.verdicts.c.verdict)


def _known(connection: Connection, key: Any, names: Iterable[str], value: Any = None) -> dict[str, Any]:
    """Those of ``names`` that are in a table, each with ``value``."""
    found: dict[str, Any] = {}
    for some in _chunks(list(names)):
        asked = select(key, key if value is None else value).where(key.in_(some))
        found.update(map(tuple, connection.execute(asked)))  # type: ignore[arg-type]
    return found


def _chunks(names: list[str]) -> Iterable[list[str]]:
    for start in range(0, len(names), _MANY):
        yield names[start : start + _MANY]
