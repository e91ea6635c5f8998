"""No page reads a whole table: what the databases say they will do for each query, over the tables that grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from monitor.console.reading import Reader
from monitor.console.rulehealth import rules_health
from monitor.console.schema import open_store
from monitor.console.searching import search
from tests.console.story import tell

#: Tables that grow with what happens; the others grow with the rules, units and topics there are.
GROWING = (
    "alerts", "alert_names", "incidents", "incident_names", "facets", "priorities", "dispositions", "verdicts", "reviews", "texts",
    "rules", "rule_days",
)  # fmt: skip


def pages(engine: Engine) -> dict[str, Callable[[], Any]]:
    reader = Reader(engine)
    with engine.connect() as connection:
        name = connection.execute(text("SELECT id FROM incidents ORDER BY urgency DESC LIMIT 1")).scalar_one()
    incident = reader.incident(name)
    assert incident is not None
    many = {"status": "unclosed", "typology": "curiosity", "unit": "north"}
    return {
        "queue": lambda: reader.queue({"status": "unclosed"}),
        "filtered": lambda: reader.queue(many, (10**13, "x")),
        "incident": lambda: reader.whole(name),
        "verdicts": lambda: reader.verdicts_of(incident),
        "actor": lambda: reader.about("actor", "o-10203", (10**13, "x")),
        "sealed": lambda: reader.sealed_of("actor", ["o-10203", "o-10204"]),
        "subject": lambda: reader.about("subject", "p-000900"),
        "dispositions": lambda: reader.dispositions((10**6, "")),
        "review": lambda: reader.reviews((5, "x")),
        "rules": lambda: rules_health(engine, 1_790_000_000_000, 90),
        "search": lambda: search(engine, ["o-1"], "relative actor"),
    }


def asked(engine: Engine, page: Callable[[], Any]) -> list[tuple[str, Any]]:
    """The queries of a page, with what is put in."""
    found: list[tuple[str, Any]] = []

    def seen(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.lstrip().startswith("SELECT"):
            found.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", seen)
    try:
        page()
    finally:
        event.remove(engine, "before_cursor_execute", seen)
    return found


def scanned(engine: Engine, queries: list[tuple[str, Any]]) -> set[str]:
    """The growing tables that would be read from end to end."""
    found = set()
    with engine.connect() as connection:
        is_sqlite = engine.dialect.name == "sqlite"
        if not is_sqlite:
            connection.execute(text("SET enable_seqscan = off"))  # what it would rather do with so few rows
        for statement, parameters in queries:
            if is_sqlite:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                # A virtual table is asked by its own index when that says what is looked for.
                lines = [str(each.detail) for each in plan]
                found |= {name for line in lines for name in GROWING if _scans(line, name)}
            else:
                plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).all()
                lines = [str(each[0]) for each in plan]
                found |= {name for line in lines for name in GROWING if f"Seq Scan on {name}" in line}
    return found


def _scans(line: str, name: str) -> bool:
    words = line.split()
    if words[0] != "SCAN" or words[1] not in (name, "along", "anon_1"):
        return False
    return words[1] == name and not ("VIRTUAL TABLE INDEX" in line and "M" in words[-1])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path_factory.mktemp('plans')}/console.db"
    if request.param != "sqlite":
        url = request.getfixturevalue("postgres_url")
    made = tell(open_store(url, fresh=True))[0].engine
    yield made
    made.dispose()


def test_no_page_reads_a_whole_table(engine: Engine) -> None:
    for name, page in pages(engine).items():
        queries = asked(engine, page)
        assert queries, name
        assert scanned(engine, queries) == set(), name


def test_a_query_that_does_would_be_found(engine: Engine) -> None:
    words = "words" if engine.dialect.name == "sqlite" else "incident"
    for query, table in (
        ("SELECT id FROM alerts WHERE ts = 1", "alerts"),
        ("SELECT id FROM incidents ORDER BY risk", "incidents"),
        (f"SELECT incident FROM texts WHERE {words} = 'x'", "texts"),
    ):
        assert scanned(engine, [(query, ())]) == {table}, query
