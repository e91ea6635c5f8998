"""Messages for the tests of this folder, and all the rows of a store."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Engine, text

from monitor import alerts
from monitor.console.filling import Message, Place
from monitor.console.rows import RuleText
from monitor.console.schema import metadata
from monitor.feedback import desk, disposition
from monitor.feedback.disposition import VERDICTS, Disposition
from monitor.feedback.history import History
from monitor.feedback.message import BadMessage
from monitor.incidents.journal import Asked, Judged, Raised
from monitor.rules.load import version_of
from monitor.stream import topics
from monitor.stream.versions import CURRENT
from monitor.stream.versions import encode as encode_pack
from tests.incidents.made import Desk, log


def shown(files: Any) -> dict[str, bytes]:
    """As the filler's: what is shown of a pack; here each file is a rule."""
    import msgspec

    return {
        name: msgspec.json.encode(RuleText(said, "high", "curiosity", "d", "look", (), True, name))
        for name, said in files.items()
    }


def messages(seed: int, size: int = 80) -> list[Message]:
    """What a history of alerts, verdicts and incidents leaves in the topics, each topic in its order."""
    chance, story, out = random.Random(seed), Desk(), []
    at: dict[str, int] = {}

    def put(topic: str, value: bytes | None, key: bytes | None = None, received: int = 0) -> None:
        out.append(Message(topic, 0, at.get(topic, 0), key, value, received))
        at[topic] = at.get(topic, 0) + 1

    for files in ({"r-high": "one"}, {"r-high": "two", "r-low": "three"}):
        version = version_of(files).encode()
        put(topics.RULES, encode_pack(files), version, 5)
        put(topics.RULES, version, CURRENT)
    for number, (entry, now) in enumerate(log(seed, size)):
        story.now = now
        try:
            story.take(entry)
        except BadMessage:
            pass
        if isinstance(entry, Raised):
            put(topics.ALERTS, alerts.encode(entry.alert), None, now)
            put(topics.PRIORITIES, _priority(entry.alert, chance), None, now)
        elif isinstance(entry, Judged):
            put(topics.DISPOSITIONS, disposition.encode(entry.disposition), None, now)
        elif isinstance(entry, Asked):
            put(topics.DISPOSITIONS, b"not JSON", None, now)
        name = f"e-{number % 9}"
        put(topics.REVIEW, orjson.dumps({"id": name, "system": "bvi", "ts": now, "actor.id": "o-1"}))
        if chance.random() < 0.2:
            said = Disposition(
                verdict=chance.choice(VERDICTS),  # type: ignore[arg-type]
                by="desk-1",
                time="2026-09-21T12:00:00Z",
                lookup=f"bvi/e-{chance.randrange(12)}",
            )
            put(topics.DISPOSITIONS, disposition.encode(said), None, now)
        for _, raw in story.book.changed():
            put(topics.INCIDENTS, raw, None, now)
    put(topics.ALERTS, b"no alert")
    put(topics.INCIDENTS, b"{}")
    return out


def _priority(alert: alerts.Alert, chance: random.Random) -> bytes:
    return desk.encode(
        desk.Priority(
            alert=alert.id,
            ts=alert.ts,
            rule=alert.rule.id,
            typology="",
            level=alert.rule.level,
            priority=chance.random(),
            probability=chance.random(),
            why="likely",
            learned=0,
            verdict=None,
            features={},
            verdicts=[],
            source=(0, 0),
            entity="e",
            history=History(),
        )
    )


def left(found: Sequence[Message], at: Mapping[Place, int]) -> list[Message]:
    """What is to be read from where the store is."""
    return [each for each in found if each.at >= at.get((each.topic, each.part), 0)]


def rows_of(engine: Engine) -> dict[str, list[Any]]:
    """Every row of every table."""
    found: dict[str, list[Any]] = {}
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            found[table.name] = sorted(map(tuple, connection.execute(table.select())))
        asked = "SELECT incident, words FROM texts ORDER BY incident"
        found["texts"] = [(each.incident, str(each.words)) for each in connection.execute(text(asked))]
    return found
