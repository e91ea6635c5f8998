"""How long what is kept, and what is held about whom: the table is the topics', and what names somebody is found."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.access.roles import Person, Role
from monitor.audit.event import AuditUnavailable
from monitor.incidents.order import Order
from monitor.privacy.desk import NotAllowed, Stamp
from monitor.privacy.held import is_about
from monitor.privacy.officer import give
from monitor.privacy.retention import KINDS, days_of
from monitor.settings import Settings
from monitor.stream.topics import topics_of
from tests.audited import Logged

DOCS = Path(__file__).resolve().parents[2] / "docs"
NAMES = st.text(min_size=1, max_size=12)
DOCUMENTS = st.recursive(
    st.none() | st.integers() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def test_every_topic_is_of_one_kind_and_is_kept_as_that_says() -> None:
    settings = Settings()
    kinds = {topic: kind for kind in KINDS for topic in kind.topics}
    assert sum(len(kind.topics) for kind in KINDS) == len(kinds)
    assert set(kinds) == {topic.name for topic in topics_of(settings)}
    for topic in topics_of(settings):
        if "retention.ms" in topic.config and topic.name != "lookup.canary.v1":
            assert int(topic.config["retention.ms"]) == 86_400_000 * (days_of(kinds[topic.name], settings) or 0), (
                topic.name
            )


def test_the_table_of_the_docs_is_that_of_the_code() -> None:
    text = (DOCS / "privacy.md").read_text()
    for kind in KINDS:
        days = f"`LOOKUP_MONITOR_{kind.setting.upper()}` ({days_of(kind, Settings())})" if kind.setting else "–"
        topics = ", ".join(f"`{topic}`" for topic in kind.topics)
        held = "yes" if kind.held else "no"
        assert f"| {kind.name} | {topics} | {kind.names} | {days} | {kind.ends} | {held} |" in text


def named(document: object, name: str) -> bool:
    """Slow and plain."""
    if isinstance(document, str):
        return document == name or document.partition("/")[2] == name
    if isinstance(document, dict):
        return any(key == name or named(value, name) for key, value in document.items())
    return isinstance(document, list) and any(named(each, name) for each in document)


@given(DOCUMENTS, NAMES)
def test_a_record_that_names_somebody_is_found_and_no_other(document: object, name: str) -> None:
    try:
        raw = orjson.dumps(document)
    except TypeError:  # halves of characters, or numbers too large: no JSON of ours has them
        return
    assert is_about(None, raw, frozenset({name, "nobody-at-all"})) == named(document, name)


def test_a_key_names_too_and_what_is_no_json_does_not() -> None:
    assert is_about(b"actor/o-1", None, frozenset({"o-1"}))
    assert is_about(b"o-1", b"\xff", frozenset({"o-1"}))
    assert not is_about(b"actor/o-12", b"\xffo-1", frozenset({"o-1"}))
    assert not is_about(None, None, frozenset({"o-1"}))


OFFICER, DESK = Person("po-1", frozenset({Role.PRIVACY_OFFICER})), Person("d-1", frozenset({Role.DESK}))
ORDER = Order(order="erase", id="e", by="po-1", time="2026-11-27T12:00:00Z", reason="asked", names=["actor-1"])


def given_by(person: Person, log: Logged) -> list[Order]:
    written: list[Order] = []

    async def write(order: Order) -> None:
        written.append(order)

    asyncio.run(give(person, ORDER, log, write, Stamp("s", "2026-11-27T12:00:00Z")))
    return written


def test_an_order_is_audited_and_only_then_given() -> None:
    log = Logged()
    assert given_by(OFFICER, log) == [ORDER]
    with pytest.raises(NotAllowed):
        given_by(DESK, log)
    assert [(each.by, each.what, each.done) for each in log.events] == [
        ("po-1", "privacy-erase", True),
        ("d-1", "privacy-erase", False),
    ]
    written: list[Order] = []

    async def write(order: Order) -> None:
        written.append(order)

    with pytest.raises(AuditUnavailable):
        asyncio.run(give(OFFICER, ORDER, Logged(is_up=False), write, Stamp("s", "2026-11-27T12:00:00Z")))
    assert written == []
