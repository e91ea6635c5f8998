"""``monitor archive run``: every enriched lookup from ``lookup.keyed.v1`` into the archive, once.

What is written and how far was read are one commit of the archive, so nothing is kept of either anywhere else: a process that is killed
reads again what was not committed. A lookup that comes again (Kafka's, the workers' or the register's repeat) is known by its day,
register and id.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import orjson
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from monitor.archive.rows import row_of
from monitor.archive.store import Archive, ArchiveBusy
from monitor.history.ask import History, Period
from monitor.metrics_archive import ArchiveMetrics
from monitor.settings import Settings
from monitor.stream.holds import holds_in_force
from monitor.stream.masking import pseudonyms_of
from monitor.stream.patient import Patient
from monitor.stream.seal import BadKey
from monitor.stream.topics import KEYED

log = structlog.get_logger(__name__)
#: So many lookups are written at once at most, whatever the time; they wait in memory, some 2 kB each.
MAX_ROWS: Final = 20_000
#: Seconds between looks for days whose files can be put together, and for what is too old.
_TIDY_EVERY: Final = 3600.0
#: What is read of a lookup: the copy that goes to its actor. Every lookup has just one.
_ACTOR: Final = b"actor/"


class ArchiveAhead(Exception):
    """The archive has come further than Kafka, which has been made anew or restored from before: by offsets it would leave lookups out."""


class Archiving(Patient):
    """The shell around :class:`monitor.archive.store.Archive`."""

    name = "the archive's process"

    def __init__(self, settings: Settings, archive: Archive, metrics: ArchiveMetrics) -> None:
        super().__init__(settings)
        self._metrics, self._archive = metrics, archive
        self._parts = [TopicPartition(KEYED, number) for number in range(settings.partitions)]
        self._rows: list[dict[str, Any]] = []
        self._read: dict[str, int] = {}
        self._is_up = False

    def why_not_ready(self) -> str | None:
        """``None`` when it reads lookups, else why not."""
        if self._trouble is not None:
            return f"Kafka: {self._trouble}"
        return None if self._is_up else "starting: looking how far the archive has come"

    async def _work(self, stop: asyncio.Event) -> None:
        await asyncio.to_thread(self._archive.create)
        await self._open_patiently()
        try:
            flushed, tidied = time.monotonic(), float("-inf")
            while not stop.is_set():
                for part, records in (await self._fetch(*self._parts)).items():
                    self._take(part, records)
                now = time.monotonic()
                if len(self._rows) >= MAX_ROWS or (self._read and now - flushed >= self._settings.archive_every):
                    await self._flush()
                    flushed = time.monotonic()
                if now - tidied >= _TIDY_EVERY:
                    await self._tidy()
                    tidied = time.monotonic()
            await self._flush()
        finally:
            await self._close()

    async def _open_patiently(self) -> None:
        await self._until_done(self._open)
        self._consumer.assign(self._parts)
        await self._until_done(self._seek)
        self._is_up = True

    async def _seek(self) -> None:
        """Go to where the archive has come. What Kafka has dropped since cannot be archived any more: that is told.

        Raises :class:`ArchiveAhead`.
        """
        reached = await asyncio.to_thread(self._archive.positions, [_name(part) for part in self._parts])
        first = await self._consumer.beginning_offsets(self._parts)
        ends = await self._consumer.end_offsets(self._parts)
        for part in self._parts:
            at = reached.get(_name(part), 0)
            if at > ends[part]:
                log.error(
                    "the archive has come further than Kafka; restore the copy of it that belongs to this Kafka, or begin another folder",
                    partition=part.partition,
                    archive=at,
                    kafka=ends[part],
                )
                raise ArchiveAhead(_name(part))
            if at < first[part] and _name(part) in reached:
                self._metrics.missed.inc(first[part] - at)
                log.error("lookups were dropped by Kafka before they were archived", partition=part.partition, at=at)
            self._consumer.seek(part, max(at, first[part]))

    def _take(self, part: TopicPartition, records: list[Any]) -> None:
        for record in records:
            if record.key is None or not record.key.startswith(_ACTOR):
                continue
            try:
                self._rows.append(row_of(orjson.loads(record.value)))
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                # Nobody but workers may write there, so it is not one to keep for later.
                self._metrics.bad.inc()
                log.error("a message holds no lookup", partition=part.partition, offset=record.offset)
        self._read[_name(part)] = records[-1].offset + 1
        self._metrics.waiting.set(len(self._rows))

    async def _flush(self) -> None:
        if not self._read:
            return
        rows, read = self._rows, self._read
        self._rows, self._read = [], {}
        try:
            new = await asyncio.to_thread(self._archive.append, rows, read)
        except ArchiveBusy:
            log.warning("another process has written to the archive; going on from where it has come")
            await self._until_done(self._seek)
            return
        self._metrics.archived.inc(new)
        self._metrics.again.inc(len(rows) - new)
        self._metrics.waiting.set(0)
        if rows:
            self._metrics.newest.set(max(row["time"] for row in rows) / 1e6)

    async def _tidy(self) -> None:
        today = datetime.now(UTC).date()
        await asyncio.to_thread(self._archive.compact, today)
        before = today - timedelta(days=self._settings.archive_days)
        try:
            names = {name for order in await holds_in_force(self._settings) for name in order.names}
            held = await asyncio.to_thread(held_in, self._archive, before, names, self._settings)
        except (KafkaError, BadKey) as error:
            # What cannot be told to be held or not is kept.
            log.error("nothing is forgotten: it cannot be told what is held", why=type(error).__name__)
            return
        self._metrics.forgotten.inc(await asyncio.to_thread(self._archive.forget, before, held))

    def _note_answer(self) -> None:
        self._metrics.progress.set(time.time())


def held_in(archive: Archive, before: date, names: set[str], settings: Settings) -> set[str]:
    """The ids of the actors and subjects in the archive's lookups from before a day that are among ``names``, by id or pseudonym.

    Raises :class:`monitor.stream.seal.BadKey`.
    """
    if not names or not any(day < before for day in archive.days()):
        return set()
    old = History(archive, Period(until=datetime(before.year, before.month, before.day, tzinfo=UTC)))
    actors, subjects = old.people()
    found = names & {*actors, *subjects}
    if (pseudonyms := pseudonyms_of(settings)) is not None:
        found |= {each for each in actors if not names.isdisjoint(pseudonyms.every("actor", each))}
        found |= {each for each in subjects if not names.isdisjoint(pseudonyms.every("subject", each))}
    return found


def _name(part: TopicPartition) -> str:
    return f"{part.topic}/{part.partition}"
