"""Messages count once in the store, whatever is killed and in which order topics are read; a store made anew has the same rows."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from monitor import alerts
from monitor.console.filling import Filling, Message, Overtaken
from monitor.console.schema import BadStore, open_store
from monitor.incidents.model import decode
from monitor.stream import topics
from tests.console.made import left, messages, rows_of, shown
from tests.incidents.made import alert

_FILL = """
import pathlib, sys, time
import msgspec
from monitor.console.filling import Filling, Message
from monitor.console.schema import open_store
engine = open_store(sys.argv[1])
filling = Filling(engine, lambda files: {name: text.encode() for name, text in files.items()})
made = [Message(*each) for each in msgspec.msgpack.decode(pathlib.Path(sys.argv[2]).read_bytes())]
at = filling.offsets()
print("up", flush=True)
while some := [each for each in made if each.at >= at.get((each.topic, each.part), 0)][:7]:
    at = filling.fill(some, at)
"""


def as_they_are(files: Mapping[str, str]) -> dict[str, bytes]:
    return {name: text.encode() for name, text in files.items()}


def filled(engine: Engine, found: Sequence[Message], size: int = 1000, load: Any = shown) -> Engine:
    filling = Filling(engine, load)
    at = filling.offsets()
    while some := left(found, at)[:size]:
        at = filling.fill(some, at)
    return engine


def test_a_filler_that_is_killed_again_and_again_leaves_the_same_rows(url: str, tmp_path: Path) -> None:
    made = messages(5)
    (tmp_path / "messages").write_bytes(msgspec.msgpack.encode(made))
    whole = rows_of(filled(open_store(f"sqlite:///{tmp_path}/whole.db"), made, load=as_they_are))
    open_store(url, fresh=True).dispose()
    chance, kills = random.Random(1), 0
    while True:
        run = [sys.executable, "-c", _FILL, url, str(tmp_path / "messages")]
        process = subprocess.Popen(run, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        if kills == 2:
            assert process.wait(60) == 0
            break
        time.sleep(chance.uniform(0.02, 0.2))
        process.kill()
        process.wait(30)
        kills += 1
    engine = open_store(url)
    found = rows_of(engine)
    found.pop("texts") if engine.dialect.name != "sqlite" else None
    assert found == {name: rows for name, rows in whole.items() if name in found}
    engine.dispose()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 50), chance=st.randoms(use_true_random=False))
def test_the_order_of_topics_and_the_size_of_batches_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, seed: int, chance: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("order")
    made = messages(seed, 25)
    queues = {topic: [each for each in made if each.topic == topic] for topic in {each.topic for each in made}}
    mixed: list[Message] = []
    while queues:
        topic = chance.choice(sorted(queues))
        count = chance.randint(1, 12)
        mixed += queues[topic][:count]
        queues[topic] = queues[topic][count:]
        if not queues[topic]:
            del queues[topic]
    one = filled(open_store(f"sqlite:///{folder}/one.db"), made)
    other = filled(open_store(f"sqlite:///{folder}/other.db"), mixed, chance.randint(1, 30))
    assert rows_of(one) == rows_of(other)
    one.dispose()
    other.dispose()


def test_what_was_compacted_away_is_not_missed(tmp_path: Path) -> None:
    """Of incidents, priorities and rules Kafka keeps the last message of a key; a store made of those has the same rows."""
    made = messages(9)
    keyed = {topics.INCIDENTS, topics.PRIORITIES}
    last: dict[object, Message] = {}
    for each in made:
        name = msgspec.json.decode(each.value or b"null") if each.topic in keyed else None
        key = name.get("id") or name.get("alert") if name else None
        last[each.topic, key or each.key or each.at] = each
    kept = sorted(last.values(), key=lambda each: made.index(each))
    assert len(kept) < len(made)
    one = filled(open_store(f"sqlite:///{tmp_path}/one.db"), made)
    other = filled(open_store(f"sqlite:///{tmp_path}/other.db"), kept)
    assert rows_of(one) == rows_of(other)


def test_what_is_read_twice_counts_once(url: str) -> None:
    engine = open_store(url, fresh=True)
    filling, made = Filling(engine, shown), messages(2, 30)
    at = filling.fill(made, {})
    before = rows_of(engine)
    with pytest.raises(Overtaken):
        filling.fill(made, {})
    assert rows_of(engine) == before
    # A repeat of an alert, under another offset, is the same alert.
    again = [each._replace(at=each.at + at[each.topic, 0]) for each in made if each.topic == topics.ALERTS]
    filling.fill(again, at)
    after = rows_of(engine)
    for name in ("alerts", "alert_names", "rule_fires", "rule_days", "rule_verdicts"):
        assert after[name] == before[name]
    engine.dispose()


def test_rows_are_the_same_on_both_databases(postgres_url: str, tmp_path: Path) -> None:
    made = messages(11)
    one = filled(open_store(f"sqlite:///{tmp_path}/one.db"), made)
    other = filled(open_store(postgres_url, fresh=True), made)
    here, there = rows_of(one), rows_of(other)
    assert [each for each, _ in here.pop("texts")] == [each for each, _ in there.pop("texts")]
    assert here == there
    assert len(here["alerts"]) > 20
    assert here["rule_verdicts"]
    other.dispose()


def test_text_that_a_database_cannot_keep_does_not_stop_the_others(url: str) -> None:
    engine = open_store(url, fresh=True)
    odd = alert("odd", actors=("o-\0-1",), subjects=("p" * 5000,))
    bad: list[str] = []
    filling = Filling(engine, shown, bad.append)
    raws = [alerts.encode(odd), b"\xff", b"{}", alerts.encode(alert("plain"))]
    filling.fill([Message(topics.ALERTS, 0, at, None, raw, 0) for at, raw in enumerate(raws)], {})
    found = rows_of(engine)
    assert len(found["alerts"]) == 2
    assert "o-\ufffd-1" in {name for _, name, _, _ in found["alert_names"]}
    assert bad == [topics.ALERTS] * 2
    engine.dispose()


def test_the_precision_of_a_rule_follows_the_last_verdict(url: str) -> None:
    from monitor.feedback.disposition import Disposition, encode

    engine = open_store(url, fresh=True)
    one = alert("one", "high")
    said = [
        encode(Disposition(verdict=each, by="d", time="2026-09-21T12:00:00Z", alert=one.id))  # type: ignore[arg-type]
        for each in ("unsure", "benign", "true-misuse")
    ]
    filling = Filling(engine, shown)
    at = filling.fill([Message(topics.DISPOSITIONS, 0, 0, None, said[0], 0)], {})
    assert rows_of(engine)["rule_verdicts"] == []
    at = filling.fill([Message(topics.ALERTS, 0, 0, None, alerts.encode(one), 0)], at)
    assert rows_of(engine)["rule_verdicts"] == [("r-high", "unsure", 1)]
    filling.fill([Message(topics.DISPOSITIONS, 0, at, None, raw, 0) for at, raw in ((1, said[1]), (2, said[2]))], at)
    assert rows_of(engine)["rule_verdicts"] == [("r-high", "true-misuse", 1)]
    assert len(rows_of(engine)["dispositions"]) == 3
    engine.dispose()


def test_a_store_of_another_version_says_what_to_do(url: str) -> None:
    engine = open_store(url, fresh=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE meta SET value = '99' WHERE key = 'schema'")
    engine.dispose()
    with pytest.raises(BadStore, match=r"version 99 .* `monitor console rebuild`"):
        open_store(url)
    open_store(url, fresh=True).dispose()
    open_store(url).dispose()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "not a URL"),
        ("sqlite://", "must be sqlite:///FILE or postgresql"),
        ("mysql://me@host/db", "must be sqlite:///FILE or postgresql"),
        ("postgresql://me:secret@127.0.0.1:1/db", "cannot be opened"),
        ("sqlite:////proc/none.db", "cannot be opened"),
    ],
)
def test_a_store_that_cannot_be_opened_says_why_without_its_password(url: str, said: str) -> None:
    with pytest.raises(BadStore, match=said) as found:
        open_store(url)
    assert "secret" not in str(found.value)


def id_in(message: Message) -> str:
    """The incident's id; nothing when it cannot be read."""
    try:
        return decode(message.value or b"").id
    except msgspec.MsgspecError:
        return ""


@pytest.mark.parametrize("size", [3, 1000])
def test_an_incident_that_is_forgotten_goes_from_the_store_whole(url: str, size: int) -> None:
    made = messages(5)
    names = {each.at: id_in(each) for each in made if each.topic == topics.INCIDENTS}
    gone = names[min(names)]
    tombstone = Message(topics.INCIDENTS, 0, max(names) + 1, gone.encode(), None, 0)
    found = rows_of(filled(open_store(url, fresh=True), [*made, tombstone], size))
    never = [each for each in made if each.topic != topics.INCIDENTS or names[each.at] != gone]
    expected = rows_of(filled(open_store(url, fresh=True), never, size))
    for rows in (found, expected):
        rows.pop("offsets")
    assert found == expected
    assert found["incidents"]
