"""Rules over a log in parts: the alerts of the backtest, to the byte, however the log and the actors are divided."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
import pytest

from monitor import alerts
from monitor.backtest import Backtest
from monitor.reference import Reference, decode
from monitor.replay import Copy, Counting, Part, Places, part_of, read
from monitor.rules import RuleSet, load_texts, read_dir
from monitor.settings import pack_dir
from monitor.simulate import Settings, simulate
from tests.rules.samples import correlation, detection

SOURCES = 3
NOW = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000)
#: Besides the pack: what waits, what joins, what is made of what joins, and what meets nothing but lateness.
MORE = [
    detection({"action": "print"}, name="print", suppress="1h"),
    detection({"explanation": "none"}, name="base"),
    detection({"purpose.status": "false"}, name="graced", grace="2h"),
    correlation(
        "many", type="event_count", group_by=["actor.unit"], timespan="2h", condition={"gte": 5}, generate=True
    ),
    correlation("several", type="value_count", group_by=["subject.id"], condition={"field": "actor.id", "gte": 2}),
    correlation(
        "silent", type="absence", rules=["base", "print"], group_by=["subject.id"], timespan="6h", condition={}
    ),
    correlation("alone", type="absence", rules=["base", "print"], timespan="6h", condition={}),
    correlation(
        "peers", type="peer_deviation", timespan="1d", peer="actor.unit", condition={"factor": 2, "minimum": 4}
    ),
    correlation("often", generate=True, rules=["many"], group_by=["actor.unit"], timespan="3d", condition={"gte": 2}),
]


@cache
def log() -> tuple[list[bytes], Reference, RuleSet]:
    """A week of a small force, untidy: lookups late, twice, and some that are none."""
    force = simulate(Settings(seed=3, days=7, actors=40, start=datetime(2026, 10, 1, tzinfo=UTC)))
    lines, chance = list(map(orjson.dumps, force.events())), random.Random(1)
    for _ in range(len(lines) // 10):
        at = chance.randrange(len(lines))
        lines.insert(min(len(lines), at + chance.randrange(40)), lines.pop(at))
    for _ in range(60):
        at = chance.randrange(len(lines))
        lines.insert(min(len(lines), at + chance.randrange(400)), lines[at])
        lines.insert(at, chance.choice([b"{", b"{}", b"\xff"]))
    texts = read_dir(pack_dir()) | {f"{number}.yml": text for number, text in enumerate(MORE)}
    del texts[
        str(pack_dir() / "explanations" / "area-task.yml")
    ]  # so that what explains is not what explains without a pack
    loaded = load_texts(texts)
    assert loaded.problems == []
    return lines, Reference(map(decode, map(orjson.dumps, force.reference))), loaded.rules


def source_of(actor: str) -> int:
    return part_of(f"source of {actor}", SOURCES)


@cache
def expected() -> tuple[set[bytes], dict[str, int], dict[str, int]]:
    lines, reference, rules = log()
    run = Backtest(rules, reference, SOURCES, source_of, 0.999)
    found = {alerts.encode(alert) for alert in run.run(lines, NOW) if alert.kind == "rule"}
    return found, dict(run.fates), dict(run.refused)


def replayed(parts: int, size: int) -> tuple[list[bytes], dict[str, int], dict[str, int]]:
    """The log in pieces of so many lines, its actors in so many parts, each with its own state."""
    lines, reference, rules = log()
    spools: list[list[Copy]] = [[] for _ in range(parts)]

    def spooled(number: int) -> Any:
        def join(copy: Copy) -> list[alerts.Alert]:
            spools[number].append(copy)
            return []

        return join

    running = [Part(rules, reference, SOURCES, spooled(number)) for number in range(parts)]
    places, found, refused = Places(SOURCES), list[alerts.Alert](), dict[str, int]()
    for at in range(0, len(lines), size):
        piece = read(lines[at : at + size], reference, rules.explanations, source_of, parts, NOW)
        for reason, count in piece.refused.items():
            refused[reason] = refused.get(reason, 0) + count
        moved = places.move(piece)
        for part, lookups in zip(running, piece.parts, strict=True):
            found += part.count(lookups, *moved)
    for part in running:
        found += part.end()
        found += part.counting.end(*places.end())
    assert all(spool == sorted(spool, key=lambda copy: copy[0]) for spool in spools)
    keys = [Counting(rules, reference) for _ in range(parts)]
    for copy in sorted((copy for spool in spools for copy in spool), key=lambda copy: copy[0]):
        found += keys[part_of(copy[1], parts)].joined(copy)
    found += [alert for each in keys for alert in each.end(*places.end())]
    fates = {}
    for part in running:
        for fate, count in part.counting.fates.items():
            fates[fate] = fates.get(fate, 0) + count
    return [alerts.encode(alert) for alert in found], fates, refused


@pytest.mark.parametrize(("parts", "size"), [(1, 10**9), (1, 500), (2, 1000), (3, 7), (5, 333)])
def test_the_alerts_are_those_of_the_backtest(parts: int, size: int) -> None:
    found, fates, refused = replayed(parts, size)
    assert set(found) == expected()[0]
    assert len(found) == len(expected()[0])
    assert (fates, refused) == expected()[1:]


def test_there_is_something_to_compare() -> None:
    by_title: dict[str, int] = {}
    for raw in expected()[0]:
        title = alerts.decode(raw).rule.title
        by_title[title] = by_title.get(title, 0) + 1
    assert {"graced", "many", "several", "silent", "alone", "often"} <= by_title.keys()
    assert len(by_title) > 12
    assert expected()[1]["duplicate"] > 40
    assert len(expected()[2]) == 3


def test_copies_can_be_written_down() -> None:
    lines, reference, rules = log()
    piece = read(lines[:2000], reference, rules.explanations, source_of, 1, NOW)
    counting = Counting(rules, reference)
    copies = [copy for *place, lookup in piece.parts[0] for copy in counting.copies(tuple(place), lookup)]  # type: ignore[arg-type]
    assert copies
    assert [tuple(orjson.loads(orjson.dumps(copy))[1:]) for copy in copies] == [copy[1:] for copy in copies]


def test_one_part_can_join_as_it_goes() -> None:
    lines, reference, rules = log()
    part = Part(rules, reference, SOURCES, lambda copy: part.counting.joined(copy))
    places, found = Places(SOURCES), list[alerts.Alert]()
    for at in range(0, len(lines), 100):
        piece = read(lines[at : at + 100], reference, rules.explanations, source_of, 1, NOW)
        found += part.count(piece.parts[0], *places.move(piece))
    found += [*part.end(), *part.counting.end(*places.end())]
    assert {alerts.encode(alert) for alert in found} == expected()[0]


def test_what_reading_says_of_a_piece() -> None:
    lines, reference, rules = log()
    piece = read(lines, reference, rules.explanations, source_of, 2, NOW)
    lookups = [lookup for part in piece.parts for *_, lookup in part]
    assert piece.actors == {lookup["actor.id"] for lookup in lookups}
    assert piece.oldest == min(lookup["ts"] for lookup in lookups)
    assert max(piece.reached.values()) == max(lookup["ts"] for lookup in lookups)
    assert sum(piece.counts.values()) == len(lookups)
    assert read([], reference, rules.explanations, source_of, 2, NOW).oldest is None
    assert Places(2).end() == ([0, 0], 0)
