"""``monitor incidents run``: alerts, verdicts and commands into one order, and incidents out of it.

Two steps, and a crash may come between any two writes. What is read is put into the journal, whose entries name where they were read,
so that one that is put there twice counts once. Incidents are made of what is read back from the journal, in that order alone: they
are written first, then the state, which holds how far the journal was taken in. After a crash the same entries give the same
incidents, byte for byte; two processes at once write the same twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from aiokafka import TopicPartition

from monitor.feedback import disposition
from monitor.feedback.message import BadMessage
from monitor.incidents import command, journal, order
from monitor.incidents.book import Book
from monitor.incidents.head import HEAD, BadState, Head
from monitor.incidents.journal import Asked, Entry, Judged, Ordered, Raised, Source, Tick
from monitor.incidents.response import DAY_MS, Policy
from monitor.metrics_incidents import IncidentMetrics
from monitor.settings import Settings
from monitor.stream import tables
from monitor.stream.batches import Out, refusal
from monitor.stream.known_watches import KnownWatches
from monitor.stream.masking import pseudonyms_of
from monitor.stream.patient import Patient, alerts_in
from monitor.stream.sampling import sampler_of
from monitor.stream.store import BlobStore
from monitor.stream.topics import (
    ALERTS,
    COMMANDS,
    COMMANDS_DLQ,
    DISPOSITIONS,
    DISPOSITIONS_DLQ,
    HOLDS,
    INCIDENTS,
    INCIDENTS_STATE,
    JOURNAL,
    REFERENCE,
    WATCHED_BY,
)

log = structlog.get_logger(__name__)
_JOURNAL = TopicPartition(JOURNAL, 0)
_REFERENCE = TopicPartition(REFERENCE, 0)
_VERDICTS = TopicPartition(DISPOSITIONS, 0)
_COMMANDS = TopicPartition(COMMANDS, 0)
_ORDERS = TopicPartition(HOLDS, 0)
#: Seconds between states; after a crash so much of the journal is read again.
_SAVE_EVERY = 2.0
#: Least seconds between two ticks, should the broker's clock be behind ours.
_TICK_EVERY = 1.0
_NAMES: Final = {ALERTS: "alerts", DISPOSITIONS: "dispositions", COMMANDS: "commands", HOLDS: "orders"}
_TOPICS: Final = {name: topic for topic, name in _NAMES.items()}


class _Origin(NamedTuple):
    """What a refusal says of where the refused came from."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def policy_of(settings: Settings) -> Policy:
    """What the settings say of risk and response."""
    return Policy(
        half_life_ms=int(settings.risk_half_life_days * DAY_MS),
        page_budget=settings.page_budget,
        page_share=settings.page_share,
        escalate_ms=int(settings.page_again_after * 1000),
        answer_ms=int(settings.answer_within_days * DAY_MS),
        forget_ms=settings.incident_retention_days * DAY_MS,
        forget_cleared_ms=settings.cleared_retention_days * DAY_MS,
    )


def teams_in(headers: Any) -> list[str]:
    """The teams that a header of an alert names."""
    named = dict(headers or ()).get(WATCHED_BY, b"").decode("utf-8", "replace")
    return [team for team in named.split(",") if team]


def saved(table: tables.Table, position: int, changes: list[tuple[str, bytes | None]]) -> list[Out]:
    """The records of what has changed, tombstones for what is there no more; what came last of it comes last."""
    out: list[Out] = []
    for key, raw in changes:
        out += table.remove(position, [key], None) if raw is None else table.change(position, [(key, raw)], None)
    return out


class IncidentWork(Patient):
    """The shell around :class:`monitor.incidents.book.Book`."""

    name = "the incidents' process"

    def __init__(self, settings: Settings, metrics: IncidentMetrics, now: Callable[[], float] = time.time) -> None:
        """``now`` is the clock by which it asks whether something is due. Raises :class:`monitor.stream.seal.BadKey`."""
        super().__init__(settings)
        self._metrics = metrics
        self._now = now
        self._policy = policy_of(settings)
        # Alerts name pseudonyms, reference data ids. Whom a pseudonym is of is not learned here: that takes the other key.
        self._pseudonyms = pseudonyms_of(settings)
        self._sampler = sampler_of(settings, settings.page_share)
        self._alerts = [TopicPartition(ALERTS, number) for number in range(settings.partitions)]
        self._is_up = self._is_changed = False
        self._next: dict[str, int] = {}
        self._ticked = 0.0

    def why_not_ready(self) -> str | None:
        """``None`` when it has read what was there when it started, else why not."""
        if self._trouble is not None:
            return f"Kafka: {self._trouble}"
        return None if self._is_up else "starting: reading the incidents"

    async def _work(self, stop: asyncio.Event) -> None:
        await self._until_done(self._connect)
        try:
            await self._catch_up(stop)
            self._next = dict(self._book.head.sources)
            self._seek_sources()
            self._is_up = True
            saved = time.monotonic()
            while not stop.is_set():
                await self._round()
                if time.monotonic() - saved >= _SAVE_EVERY:
                    await self._save()
                    saved = time.monotonic()
            await self._save()
        finally:
            await self._close()
            self._store.close()

    async def _connect(self) -> None:
        settings = self._settings
        self._store = BlobStore(settings.state_dir)
        self._table = tables.Tables(settings).new(INCIDENTS_STATE, 0, self._store)
        await tables.load_whole(settings.kafka, self._table, HEAD)
        try:
            self._book = Book(self._store, self._policy, self._sampler)
        except (BadState, msgspec.MsgspecError) as error:
            self._metrics.bad.inc()
            log.error("saved state refused; all of the journal is taken in again", why=type(error).__name__)
            self._store = BlobStore(settings.state_dir)
            self._table = tables.Tables(settings).new(INCIDENTS_STATE, 0, self._store)
            self._book = Book(self._store, self._policy, self._sampler)
        self._known = KnownWatches(self._pseudonyms)
        async for record in tables.read_to_end(settings.kafka, REFERENCE, 0):
            self._known.take([record])
        await self._open()
        self._consumer.assign([*self._alerts, _VERDICTS, _COMMANDS, _ORDERS, _JOURNAL, _REFERENCE])
        try:
            begin = (await self._consumer.beginning_offsets([_JOURNAL]))[_JOURNAL]
        except BaseException:
            await self._close()
            raise
        self._consumer.seek(_JOURNAL, max(begin, self._book.head.position))
        self._consumer.seek(_REFERENCE, self._known.position)

    async def _catch_up(self, stop: asyncio.Event) -> None:
        """Take in what is in the journal: only then is it known what is not."""
        ends = await self._ends([_JOURNAL])
        while await self._consumer.position(_JOURNAL) < ends[_JOURNAL] and not stop.is_set():
            await self._take_entries((await self._fetch(_JOURNAL)).get(_JOURNAL, []))

    def _seek_sources(self) -> None:
        for part in (*self._alerts, _VERDICTS, _COMMANDS, _ORDERS):
            self._consumer.seek(part, self._next.get(f"{_NAMES[part.topic]}/{part.partition}", 0))

    async def _ends(self, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        ends: dict[TopicPartition, int] = {}

        async def ask() -> None:
            ends.update(await self._consumer.end_offsets(parts))

        await self._until_done(ask)
        return ends

    async def _round(self) -> None:
        """Put what has come into the journal, and take in what is there."""
        found = await self._fetch(*self._alerts, _VERDICTS, _COMMANDS, _ORDERS, _JOURNAL, _REFERENCE)
        self._known.take(found.pop(_REFERENCE, []))
        entries, said = found.pop(_JOURNAL, []), [found.pop(part, []) for part in (_VERDICTS, _COMMANDS)]
        await self._put_orders(found.pop(_ORDERS, []))
        await self._put_alerts(found)
        if any(said):
            # Was an alert raised before somebody judged it, it is before the end of the alerts now.
            ends = await self._ends(self._alerts)
            while behind := [part for part in self._alerts if await self._consumer.position(part) < ends[part]]:
                await self._put_alerts(await self._fetch(*behind))
            await self._put_said([record for records in said for record in records])
        await self._take_entries(entries)
        await self._tick(bool(entries))
        self._show()

    def _note_answer(self) -> None:
        self._metrics.progress.set(time.time())

    # Into the journal.

    async def _put_alerts(self, found: dict[TopicPartition, list[Any]]) -> None:
        known = self._known
        await self._put(
            [
                Raised(
                    self._source(record), alert, known.is_watched(alert) or bool(teams), known.units_of(alert), teams
                )
                for record, alert in alerts_in(found, self._metrics.bad)
                for teams in (teams_in(record.headers),)
            ]
        )

    async def _put_orders(self, records: list[Any]) -> None:
        entries: list[Entry] = []
        for record in records:
            if record.value is None:
                continue
            try:
                entries.append(Ordered(self._source(record), order.decode(record.value)))
            except BadMessage as error:
                self._metrics.bad.inc()
                log.error("an order cannot be read", offset=record.offset, reason=error.reason)
        await self._put(entries)

    async def _put_said(self, records: list[Any]) -> None:
        entries: list[Entry] = []
        refused: list[Out] = []
        for record in records:
            try:
                if record.topic == DISPOSITIONS:
                    entries.append(Judged(self._source(record), disposition.decode(record.value)))
                else:
                    entries.append(Asked(self._source(record), command.decode(record.value)))
            except BadMessage as error:
                if record.topic == COMMANDS:  # unreadable dispositions are the ranker's
                    refused.append(self._refusal(COMMANDS_DLQ, record, error))
        await self._until_done(lambda: self._writer.write(refused))
        await self._put(entries)

    async def _put(self, entries: list[Entry]) -> None:
        fresh = []
        for entry in entries:
            if not isinstance(entry, Tick):
                if entry.source.offset < self._next.get(entry.source.key, 0):
                    continue
                self._next[entry.source.key] = entry.source.offset + 1
            fresh.append(Out(JOURNAL, 0, None, journal.encode(entry), None))
        if fresh:
            await self._until_done(lambda: self._writer.write(fresh))

    @staticmethod
    def _source(record: Any) -> Source:
        return Source(_NAMES[record.topic], record.partition, record.offset)

    def _refusal(self, dlq: str, record: Any, error: BadMessage) -> Out:
        self._metrics.refused.labels(error.reason).inc()
        log.warning("a command or verdict was refused", reason=error.reason, topic=record.topic, offset=record.offset)
        return refusal(dlq, 0, record, error.reason, error.detail, None)

    async def _tick(self, is_behind: bool) -> None:
        """Let time pass in the journal, when something is due by it."""
        now, due = self._now() * 1000, self._book.due
        is_due = (due is not None and due <= now) or int(now) // DAY_MS > self._book.head.now // DAY_MS
        if is_due and not is_behind and time.monotonic() - self._ticked >= _TICK_EVERY:
            self._ticked = time.monotonic()
            await self._put([Tick()])

    # Out of the journal.

    async def _take_entries(self, records: list[Any]) -> None:
        out: list[Out] = []
        for record in records:
            try:
                entry = journal.decode(record.value or b"")
            except msgspec.MsgspecError:
                self._metrics.bad.inc()
                log.error("an entry of the journal cannot be read", offset=record.offset)
                self._book.skip(record.offset)
                continue
            try:
                fate, _ = self._book.take(entry, record.timestamp, record.offset)
            except BadMessage as error:
                out.append(self._refused(entry, record, error))
                continue
            if isinstance(entry, Raised) and fate != "seen":
                self._metrics.alerts.labels(fate).inc()
            elif isinstance(entry, Asked) and fate == "done":
                self._metrics.commands.labels(entry.command.command).inc()
        self._is_changed |= bool(records)
        out += [Out(INCIDENTS, 0, name.encode(), raw, None) for name, raw in self._book.changed()]
        if out:
            await self._until_done(lambda: self._writer.write(out))

    def _refused(self, entry: Entry, record: Any, error: BadMessage) -> Out:
        assert isinstance(entry, Judged | Asked)
        is_verdict = isinstance(entry, Judged)
        value = disposition.encode(entry.disposition) if isinstance(entry, Judged) else command.encode(entry.command)
        source = entry.source
        origin = _Origin(_TOPICS[source.name], source.partition, source.offset, record.timestamp, value)
        return self._refusal(DISPOSITIONS_DLQ if is_verdict else COMMANDS_DLQ, origin, error)

    async def _save(self) -> None:
        if self._is_changed:
            head: Head = self._book.head
            out = saved(self._table, head.position, self._book.save())
            await self._until_done(lambda: self._writer.write(out))
            self._is_changed = False

    def _show(self) -> None:
        self._metrics.show(self._book.open.values(), self._book.pages_left, self._book.done, self._now())
