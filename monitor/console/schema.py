"""The tables of the console's store, on SQLite or PostgreSQL; and opening it.

Everything in it comes of Kafka's topics: a store that is lost, or of another version, is made anew by ``monitor console rebuild``.
Lists are read along an index in the order they are shown in, from where the page before ended, so that no page depends on how
many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

#: The version of these tables; a store of another one is refused.
SCHEMA: Final = 2
#: Seconds a writer of SQLite waits for another.
_BUSY_S: Final = 30
#: Names are compared byte by byte on every database, so that what begins with a text stands together.
_Name: Final = String().with_variant(String(collation="C"), "postgresql")
metadata: Final = MetaData()


def _table(name: str, *columns: Any) -> Table:
    """A table that is found by its key alone: SQLite keeps no other order of it."""
    return Table(name, metadata, *columns, sqlite_with_rowid=False)


def _name(name: str, **more: Any) -> Column[str]:
    return Column(name, _Name, nullable=False, **more)


meta: Final = _table("meta", _name("key", primary_key=True), _name("value"))
offsets: Final = _table(
    "offsets",
    _name("topic", primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("next", BigInteger, nullable=False),
)
#: ``urgency`` is the order of the queue: the response, then the level, then the risk.
incidents: Final = Table(
    "incidents",
    metadata,
    _name("id", primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("urgency", BigInteger, nullable=False),
    _name("status"),
    _name("level"),
    _name("queue"),
    _name("kind"),
    _name("about"),
    Column("risk", Float, nullable=False),
    Column("opened", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("watched", Boolean, nullable=False),
    _name("muted_by"),
    _name("disposition"),
    _name("title"),
    _name("typologies"),
    Column("raw", LargeBinary, nullable=False),
)
#: What incidents can be filtered by, each value with its incidents in the order of the queue.
facets: Final = _table(
    "facets",
    _name("facet", primary_key=True),
    _name("value", primary_key=True),
    Column("urgency", BigInteger, primary_key=True),
    _name("incident", primary_key=True),
)
Index("facets_of", facets.c.incident, facets.c.facet, facets.c.value)
#: How many incidents have each value: the rarest one is what a list is read along.
facet_counts: Final = _table(
    "facet_counts",
    _name("facet", primary_key=True),
    _name("value", primary_key=True),
    Column("n", BigInteger, nullable=False),
)
#: Which incidents name whom (``actor``, ``subject``), and which alerts they have (``alert``).
incident_names: Final = _table(
    "incident_names",
    _name("kind", primary_key=True),
    _name("name", primary_key=True),
    Column("last", BigInteger, primary_key=True),
    _name("incident", primary_key=True),
)
Index("incident_names_of", incident_names.c.incident)
alerts: Final = Table(
    "alerts",
    metadata,
    _name("id", primary_key=True),
    Column("ts", BigInteger, nullable=False),
    _name("rule"),
    _name("level"),
    Column("raw", LargeBinary, nullable=False),
)
#: The last place of each alert in the ranker's queue, and the chance that it is misuse; ``at`` is its offset.
priorities: Final = _table(
    "priorities",
    _name("alert", primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("priority", Float, nullable=False),
    Column("probability", Float, nullable=False),
)
#: Which alerts name whom (``actor``, ``subject``) and rest on which lookups (``event``), the newest last.
alert_names: Final = _table(
    "alert_names",
    _name("kind", primary_key=True),
    _name("name", primary_key=True),
    Column("ts", BigInteger, primary_key=True),
    _name("alert", primary_key=True),
)
#: Every verdict that was given, by its place in the topic.
dispositions: Final = Table(
    "dispositions",
    metadata,
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    _name("about"),
    _name("incident"),
    _name("verdict"),
    _name("by"),
    Column("received", BigInteger, nullable=False),
    _name("note"),
)
Index("dispositions_about", dispositions.c.about, dispositions.c.at)
Index("dispositions_incident", dispositions.c.incident, dispositions.c.at)
#: The last verdict about each alert.
verdicts: Final = _table(
    "verdicts",
    _name("alert", primary_key=True),
    Column("at", BigInteger, nullable=False),
    _name("verdict"),
)
#: The lookups of the sample for review; ``open``: nobody has given a verdict.
reviews: Final = Table(
    "reviews",
    metadata,
    _name("name", primary_key=True),
    Column("ts", BigInteger, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("raw", LargeBinary, nullable=False),
)
Index("reviews_open", reviews.c.open, reviews.c.ts, reviews.c.name)
#: When Kafka received what goes by its age: an ``alert``, a ``review`` or a ``disposition``.
ages: Final = _table(
    "ages",
    Column("received", BigInteger, primary_key=True),
    _name("kind", primary_key=True),
    _name("name", primary_key=True),
)
#: What each rule has raised, counted as alerts come; ``newest`` is the alert whose words about the rule are kept.
rule_fires: Final = _table(
    "rule_fires",
    _name("rule", primary_key=True),
    _name("title"),
    _name("level"),
    _name("typology"),
    Column("fires", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    _name("newest"),
)
rule_days: Final = _table(
    "rule_days",
    _name("rule", primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("fires", BigInteger, nullable=False),
)
rule_verdicts: Final = _table(
    "rule_verdicts",
    _name("rule", primary_key=True),
    _name("verdict", primary_key=True),
    Column("n", BigInteger, nullable=False),
)
#: The rules of every version that was ever deployed; ``at`` is the place of the version in its topic, ``deployed`` when (ms).
rules: Final = _table(
    "rules",
    _name("rule", primary_key=True),
    _name("version", primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("deployed", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
)
Index("rules_version", rules.c.version)

_SQLITE_TEXTS: Final = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5(words, incident UNINDEXED, tokenize='unicode61')"
)
_POSTGRES_TEXTS: Final = (
    'CREATE TABLE IF NOT EXISTS texts (n BIGINT PRIMARY KEY, incident TEXT COLLATE "C" NOT NULL, words TSVECTOR NOT NULL)',
    "CREATE INDEX IF NOT EXISTS texts_words ON texts USING gin (words)",
)


class BadStore(Exception):
    """The store cannot be used: says why and what to do. Holds no password."""


def open_store(url: str, fresh: bool = False) -> Engine:
    """The store at a URL, its tables made if there are none; ``fresh``: whatever was in it is dropped first.

    Raises :class:`BadStore` for a URL that is none, a database that does not answer, and a store of another version.
    """
    place = _place(url)
    is_sqlite = place.get_backend_name() == "sqlite"
    more: dict[str, Any] = {"connect_args": {"timeout": _BUSY_S}} if is_sqlite else {"pool_pre_ping": True}
    engine = create_engine(place, pool_size=8, max_overflow=8, hide_parameters=True, **more)
    if is_sqlite:
        _tune(engine)
    try:
        with engine.connect() as connection, writing(connection):
            if fresh:
                connection.execute(text("DROP TABLE IF EXISTS texts"))
                metadata.drop_all(connection)
            _make(connection)
    except SQLAlchemyError as error:
        engine.dispose()
        cause = getattr(error, "orig", None) or error
        raise BadStore(f"the store {shown(url)} cannot be opened: {type(cause).__name__}: {_line(cause)}") from None
    except BadStore:
        engine.dispose()
        raise
    return engine


def shown(url: str) -> str:
    """A URL without its password, for people."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not a URL)"


def _place(url: str) -> URL:
    try:
        place = make_url(url)
    except ArgumentError:
        raise BadStore("CONSOLE_STORE is not a URL such as sqlite:////var/lib/console.db") from None
    if place.get_backend_name() == "postgresql":
        return place.set(drivername="postgresql+psycopg")
    if place.drivername != "sqlite" or not place.database or place.database == ":memory:":
        raise BadStore("CONSOLE_STORE must be sqlite:///FILE or postgresql://USER@HOST/DATABASE")
    Path(place.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return place


def _tune(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(raw: Any, _: Any) -> None:
        raw.isolation_level = None  # when a transaction begins is said by us: see `writing` and `reading`
        for line in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-32000", "mmap_size=268435456"):
            raw.execute(f"PRAGMA {line}")


@contextmanager
def writing(connection: Connection) -> Iterator[Connection]:
    """One transaction, of which there is one at a time on SQLite: who reads in it what it then changes is not overtaken."""
    connection.commit()
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        if is_sqlite:
            connection.exec_driver_sql("ROLLBACK")
        connection.rollback()
        raise
    if is_sqlite:
        connection.exec_driver_sql("COMMIT")
    connection.commit()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection on which the whole page is read from one state of the store."""
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if is_sqlite:
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        try:
            yield connection
        finally:
            if is_sqlite:
                connection.exec_driver_sql("ROLLBACK")


def _make(connection: Connection) -> None:
    if inspect(connection).has_table("meta"):
        found = connection.execute(meta.select().where(meta.c.key == "schema")).first()
        version = None if found is None else found.value
        if version != str(SCHEMA):
            raise BadStore(
                f"the store has version {version} of its tables, this program {SCHEMA}; `monitor console rebuild` drops it and fills it anew"
            )
        return
    metadata.create_all(connection)
    is_sqlite = connection.dialect.name == "sqlite"
    for line in (_SQLITE_TEXTS,) if is_sqlite else _POSTGRES_TEXTS:
        connection.execute(text(line))
    connection.execute(meta.insert().values(key="schema", value=str(SCHEMA)))


def _line(error: object) -> str:
    """The first line of what a driver says: further ones may hold what was sent."""
    return str(error).partition("\n")[0]
