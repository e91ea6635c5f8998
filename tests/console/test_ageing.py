"""What is older than it may be kept goes from the console's store, with all rows about it, and nothing else goes."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from monitor.console import ageing
from monitor.console.ageing import forget
from monitor.console.filling import Filling, Message
from monitor.console.schema import open_store
from monitor.stream import topics
from tests.console.made import messages, rows_of, shown

#: What goes by its age, and the rows that go with an alert.
_AGED = {"ages", "alerts", "alert_names", "priorities", "verdicts", "reviews", "dispositions"}


def filled(engine: Engine, found: list[Message]) -> Engine:
    Filling(engine, shown).fill(found, {})
    return engine


def aged(seed: int) -> list[Message]:
    """A history in which each message was received a second after the one before."""
    return [each._replace(received=1000 * number) for number, each in enumerate(messages(seed))]


def names(engine: Engine, query: str) -> set[str]:
    with engine.connect() as connection:
        return {str(name) for (name,) in connection.execute(text(query))}


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_is_old_goes_and_what_is_not_stays(url: str, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ageing, "_MANY", 7)
    made = aged(4)
    before = int(1000 * len(made) * share)
    engine = filled(open_store(url, fresh=True), made)
    whole = rows_of(engine)
    gone = forget(engine, before)
    found = rows_of(engine)
    assert gone == len(whole["ages"]) - len(found["ages"])
    # Counts of rules, incidents and all else is as it was.
    assert {name: rows for name, rows in found.items() if name not in _AGED} == {
        name: rows for name, rows in whole.items() if name not in _AGED
    }
    first = {}
    for each in made:
        first.setdefault((each.topic, each.value), each.received)
    with engine.connect() as connection:
        for kind, table, column in (
            ("alert", "alerts", "id"),
            ("review", "reviews", "name"),
            ("disposition", "dispositions", "at"),
        ):
            left = {str(name) for (name,) in connection.execute(text(f"SELECT {column} FROM {table}"))}
            young = {name for (name,) in connection.execute(text(f"SELECT name FROM ages WHERE kind = '{kind}'"))}
            assert left == young
            assert all(at >= before for (at,) in connection.execute(text("SELECT received FROM ages")))
    if share == 1.0:
        assert all(not found[name] for name in _AGED - {"priorities"})
        assert {each[0] for each in whole["alert_names"]} == {"actor", "subject", "event"}
    if share == 0.0:
        assert found == whole
    else:
        kept = names(engine, "SELECT id FROM alerts")
        assert names(engine, "SELECT alert FROM alert_names") <= kept
        assert names(engine, "SELECT alert FROM verdicts") & names(engine, "SELECT id FROM alerts") <= kept
        assert not names(engine, "SELECT alert FROM priorities") & ({str(each[0]) for each in whole["alerts"]} - kept)
    engine.dispose()


def test_a_store_that_has_aged_has_what_one_that_is_made_anew_has(url: str) -> None:
    """But for what came again later: it goes by when it first came."""
    made = aged(6)
    before = 1000 * len(made) // 2
    one = filled(open_store(url, fresh=True), made)
    forget(one, before)
    kept = {each[0]: each for each in rows_of(one)["alerts"]}
    later = [each for each in made if each.topic != topics.ALERTS or each.received >= before]
    other = filled(open_store(url, fresh=True), later)
    rebuilt = {each[0]: each for each in rows_of(other)["alerts"]}
    assert kept
    assert {name: rebuilt[name] for name in kept} == kept
    old = {each.value for each in made if each.topic == topics.ALERTS and each.received < before}
    assert all(row[-1] in old for name, row in rebuilt.items() if name not in kept)
    one.dispose()
    other.dispose()
