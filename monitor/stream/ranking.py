"""``monitor rank``: the one place that hears of all alerts and all verdicts, and says in which order alerts are worth looking at.

As the stages: priorities first, and what was refused; then the state, which holds the next offsets to read. A crash between the two
repeats what came since the last state, from the same features to the same weights. Two of them at once do the same twice.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import structlog
from aiokafka import TopicPartition

from monitor.feedback import disposition
from monitor.feedback.desk import Desk, Priority, encode, load_state
from monitor.feedback.disposition import BadDisposition
from monitor.feedback.ranker import BadState
from monitor.metrics import RankMetrics
from monitor.settings import Settings
from monitor.stream import tables
from monitor.stream.batches import Out, refusal
from monitor.stream.patient import Patient, alerts_in
from monitor.stream.sampling import sampler_of
from monitor.stream.store import BlobStore
from monitor.stream.topics import (
    ALERTS,
    DISPOSITIONS,
    DISPOSITIONS_DLQ,
    PRIORITIES,
    RANK_STATE,
    partition_of,
)

log = structlog.get_logger(__name__)
_KEY = "desk"
_VERDICTS = TopicPartition(DISPOSITIONS, 0)
#: Seconds between states when only alerts came; after a crash so many are read again. Verdicts are saved at once.
_SAVE_EVERY = 5.0


class Ranking(Patient):
    """The shell around :class:`monitor.feedback.desk.Desk`."""

    name = "the ranker"

    def __init__(self, settings: Settings, metrics: RankMetrics) -> None:
        """Raises :class:`monitor.stream.seal.BadKey`."""
        super().__init__(settings)
        self._metrics = metrics
        self._sampler = sampler_of(settings, settings.rank_share)
        self._alerts = [TopicPartition(ALERTS, number) for number in range(settings.partitions)]
        self._is_up = self._changed = False

    def why_not_ready(self) -> str | None:
        """``None`` when it has read what was there when it started, else why not."""
        if self._trouble is not None:
            return f"Kafka: {self._trouble}"
        return None if self._is_up else "starting: reading the priorities"

    async def _work(self, stop: asyncio.Event) -> None:
        await self._until_done(self._connect)
        try:
            self._show()
            self._is_up = True
            saved = time.monotonic()
            while not stop.is_set():
                has_learned = await self._round()
                if has_learned or time.monotonic() - saved >= _SAVE_EVERY:
                    await self._save()
                    saved = time.monotonic()
            await self._save()
        finally:
            await self._close()
            self._store.close()

    async def _connect(self) -> None:
        self._table = await tables.load(self._settings.kafka, tables.Tables(self._settings).new(RANK_STATE, 0))
        self._store = BlobStore(self._settings.state_dir)
        self._desk = await self._new_desk()
        await self._open()
        self._consumer.assign([*self._alerts, _VERDICTS])
        for part in self._alerts:
            self._consumer.seek(part, self._desk.alerts.get(part.partition, 0))
        self._consumer.seek(_VERDICTS, self._desk.position)

    async def _new_desk(self) -> Desk:
        try:
            desk = Desk(self._store, self._sampler, load_state(self._table.get(_KEY)))
        except BadState as error:
            self._metrics.bad.inc()
            log.error("saved state refused; all verdicts are learned again", why=str(error))
            desk = Desk(self._store, self._sampler, load_state(None))
        for partition in range(self._settings.partitions):
            async for record in tables.read_to_end(self._settings.kafka, PRIORITIES, partition):
                if record.value is None:
                    continue
                try:
                    desk.restore(record.value)
                except msgspec.MsgspecError:
                    self._metrics.bad.inc()
                    log.error("a priority cannot be read", partition=partition, offset=record.offset)
        desk.restored()
        return desk

    async def _round(self) -> bool:
        """Take what has come; whether verdicts were among it."""
        found = await self._fetch(*self._alerts, _VERDICTS)
        verdicts = found.pop(_VERDICTS, [])
        out = self._take_alerts(found)
        if any(not self._is_known(record.value) for record in verdicts):
            # Was it raised before somebody judged it, it is before the end of the alerts now.
            out += await self._read_up()
        for record in verdicts:
            out += self._take_verdict(record)
        if verdicts:
            out += [self._out(priority) for priority in self._desk.rerank()]
        if out or verdicts:
            await self._until_done(lambda: self._writer.write(out))
            self._changed = True
            self._show()
        return bool(verdicts)

    def _note_answer(self) -> None:
        self._metrics.progress.set(time.time())

    async def _read_up(self) -> list[Out]:
        ends: dict[TopicPartition, int] = {}

        async def ask() -> None:
            ends.update(await self._consumer.end_offsets(self._alerts))

        await self._until_done(ask)
        out: list[Out] = []
        # Not the offset taken last but where reading is: the last records may be marks that nobody is given.
        while behind := [part for part in self._alerts if await self._consumer.position(part) < ends[part]]:
            out += self._take_alerts(await self._fetch(*behind))
        return out

    def _take_alerts(self, found: dict[TopicPartition, list[Any]]) -> list[Out]:
        out = []
        for record, alert in alerts_in(found, self._metrics.bad):
            placed = self._desk.take_alert(alert, record.partition, record.offset)
            self._changed = True
            if placed is not None:
                out.append(self._out(placed))
        return out

    def _is_known(self, raw: bytes | None) -> bool:
        try:
            alert = disposition.decode(raw).alert
        except BadDisposition:
            return True
        return alert is None or self._desk.knows(alert)

    def _take_verdict(self, record: Any) -> list[Out]:
        try:
            found = disposition.decode(record.value)
            fate, placed = self._desk.take_verdict(found, record.offset)
        except BadDisposition as error:
            self._desk.position = max(self._desk.position, record.offset + 1)
            self._metrics.refused.labels(error.reason).inc()
            log.warning("a disposition was refused", reason=error.reason, offset=record.offset)
            return [refusal(DISPOSITIONS_DLQ, 0, record, error.reason, error.detail, None)]
        if fate != "repeated":
            self._metrics.dispositions.labels(found.verdict).inc()
        return [] if placed is None else [self._out(placed)]

    def _out(self, priority: Priority) -> Out:
        to = partition_of(priority.alert, self._settings.partitions)
        return Out(PRIORITIES, to, priority.alert.encode(), encode(priority), None)

    def _show(self) -> None:
        ranker = self._desk.ranker
        self._metrics.learned.set(ranker.learned)
        for of, brier in zip(("ranker", "level"), ranker.briers, strict=True):
            self._metrics.brier.labels(of).set(brier)

    async def _save(self) -> None:
        if self._changed:
            # The highest position wins; both kinds of offsets only rise.
            position = self._desk.position + sum(self._desk.alerts.values())
            out = self._table.change(position, [(_KEY, self._desk.save())], int(time.time() * 1000))
            await self._until_done(lambda: self._writer.write(out))
            self._changed = False
