"""A legal hold keeps somebody's lookups in the archive, whatever their age."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path

import pytest
from aiokafka.errors import KafkaTimeoutError

from monitor.archive.store import Archive
from monitor.history.ask import History
from monitor.incidents.order import Order
from monitor.metrics_archive import ArchiveMetrics
from monitor.settings import Settings
from monitor.stream import archiving
from monitor.stream.archiving import Archiving, held_in
from monitor.stream.masking import pseudonyms_of, write_key
from tests.archive.made import DAY, START, archive, lookup

LATER = date(2026, 1, 6)


def hold(*names: str) -> Order:
    return Order(order="hold", id="h", by="po-1", time="2026-11-27T12:00:00Z", reason="court", names=list(names))


def answers(*orders: Order) -> Callable[[Settings], Awaitable[list[Order]]]:
    async def holds(_: Settings) -> list[Order]:
        return list(orders)

    return holds


def settings(tmp_path: Path, **more: object) -> Settings:
    if not (tmp_path / "key").exists():
        write_key(tmp_path / "key")
    return Settings(pseudonym_key_file=tmp_path / "key", archive_days=1, **more)  # type: ignore[arg-type]


def made(tmp_path: Path) -> Archive:
    return archive(
        tmp_path,
        lookup(1, actor__id="o-held", subject__id="p-1"),
        lookup(2, actor__id="o-2", subject__id="p-held"),
        lookup(3, actor__id="o-2", subject__id="p-1"),
        lookup(4, actor__id="o-2", subject__id="p-1", ts=START + DAY),
    )


@pytest.mark.parametrize("switch", ["on", "off"])
def test_whom_a_hold_names_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    there, ours = made(tmp_path), settings(tmp_path, pseudonyms=switch)
    names = {"o-held", "p-held"}
    pseudonyms = pseudonyms_of(ours)
    shown = names if pseudonyms is None else {pseudonyms.of("actor", "o-held"), pseudonyms.of("subject", "p-held")}
    assert held_in(there, LATER, shown, ours) == names
    assert held_in(there, date(2026, 1, 5), shown, ours) == set(), "nothing is that old"
    monkeypatch.setattr(archiving, "holds_in_force", answers(hold(*shown)))
    asyncio.run(Archiving(ours, there, ArchiveMetrics())._tidy())
    left = [name for (name,) in History(there).db.execute("SELECT id FROM lookups ORDER BY id").fetchall()]
    assert left == ["x-1", "x-2"]


def test_when_it_cannot_be_told_what_is_held_nothing_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unanswered(_: Settings) -> list[Order]:
        raise KafkaTimeoutError

    there = made(tmp_path)
    monkeypatch.setattr(archiving, "holds_in_force", unanswered)
    process = Archiving(settings(tmp_path), there, ArchiveMetrics())
    asyncio.run(process._tidy())
    assert sum(History(there).days().values()) == 4
    monkeypatch.setattr(archiving, "holds_in_force", answers())
    asyncio.run(process._tidy())
    assert sum(History(there).days().values()) == 0
