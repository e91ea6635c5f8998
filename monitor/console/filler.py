"""Kafka into the console's store: reads on from the offsets that the store has, for ever or up to what there is now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from monitor.commands.common import load_kept
from monitor.console import rows
from monitor.console.ageing import forget
from monitor.console.filling import TOPICS, Filling, Message, Overtaken, Place
from monitor.metrics_console import ConsoleMetrics
from monitor.settings import Settings
from monitor.stream.closing import leave
from monitor.stream.patient import Patient
from monitor.stream.topics import topics_of
from monitor.stream.versions import Files

log = structlog.get_logger(__name__)
#: So many records at most are one transaction.
_BATCH = 5_000
#: Seconds between looks for what is too old.
_AGE_EVERY = 3600.0
#: Seconds until the store is tried again.
_PAUSE = 1.0


class Filler(Patient):
    """The one who fills a store. A second one at the same store harms nothing: what one has taken in the other passes over."""

    name = "the console's filler"

    def __init__(self, settings: Settings, engine: Engine, metrics: ConsoleMetrics) -> None:
        super().__init__(settings)
        self._metrics, self._engine = metrics, engine
        self._filling = Filling(engine, _shown, lambda topic: metrics.refused.inc())
        counts = {each.name: each.partitions for each in topics_of(settings)}
        self._parts = [TopicPartition(topic, part) for topic in TOPICS for part in range(counts[topic])]
        self._at: dict[Place, int] = {}
        self._is_up = False
        #: How many messages are not in the store yet; None: not known.
        self.behind: int | None = None

    def why_not_ready(self) -> str | None:
        """``None`` when the store has all that there was when this started, else why not."""
        if self._trouble is not None:
            return self._trouble
        return None if self._is_up else "starting: filling the store"

    async def fill_up(self) -> int:
        """Take in what there is now, and return how many messages that was. Raises ``KafkaError`` and ``SQLAlchemyError``."""
        await self._start()
        try:
            ends = await self._consumer.end_offsets(self._parts)
            count = 0
            while [part for part, end in ends.items() if await self._consumer.position(part) < end]:
                count += await self._take(await self._fetched())
            return count
        finally:
            await leave(self._consumer)

    async def _work(self, stop: asyncio.Event) -> None:
        await self._until_done(self._start)
        aged = float("-inf")
        try:
            while not stop.is_set():
                found = await self._fetch(*self._parts)
                await self._take_patiently(found)
                await self._look()
                if time.monotonic() - aged >= _AGE_EVERY:
                    await self._forget()
                    aged = time.monotonic()
        finally:
            await leave(self._consumer)

    async def _start(self) -> None:
        self._consumer = AIOKafkaConsumer(
            **self._settings.kafka.options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=200,
        )
        try:
            await self._consumer.start()
            self._consumer.assign(self._parts)
            await self._seek()
        except BaseException:
            await leave(self._consumer)
            raise

    async def _seek(self) -> None:
        self._at = await asyncio.to_thread(self._filling.offsets)
        for part in self._parts:
            self._consumer.seek(part, self._at.get((part.topic, part.partition), 0))

    async def _fetched(self) -> dict[TopicPartition, list[Any]]:
        return dict(await self._consumer.getmany(*self._parts, timeout_ms=500, max_records=_BATCH))

    async def _take(self, found: Mapping[TopicPartition, list[Any]]) -> int:
        messages = [
            Message(part.topic, part.partition, each.offset, each.key, each.value, each.timestamp)
            for part, records in found.items()
            for each in records
        ]
        if messages:
            self._at = await asyncio.to_thread(self._filling.fill, messages, self._at)
        return len(messages)

    async def _take_patiently(self, found: Mapping[TopicPartition, list[Any]]) -> None:
        """Take messages in; when the store does not take them, read them again when it does."""
        try:
            await self._take(found)
            return
        except Overtaken as error:
            log.warning("somebody else fills the store too", at=str(error))
        except SQLAlchemyError as error:
            self._say("the store", error)
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                await self._seek()
                return
            except SQLAlchemyError as error:
                self._say("the store", error)

    async def _forget(self) -> None:
        """What Kafka keeps no longer is not kept here either."""
        before = int((time.time() - self._settings.alert_retention_days * 86400) * 1000)
        try:
            count = await asyncio.to_thread(forget, self._engine, before)
        except SQLAlchemyError as error:
            self._say("the store", error)
            return
        if count:
            log.info("what is too old has gone from the store", count=count)

    def _say(self, where: str, error: SQLAlchemyError) -> None:
        cause = getattr(error, "orig", None) or error
        self._trouble = f"{where}: {type(cause).__name__}"
        log.error(f"{where} does not take what comes", why=type(cause).__name__)

    def _note_answer(self) -> None:
        self._metrics.progress.set(time.time())

    async def _look(self) -> None:
        behind = 0
        for part in self._parts:
            end = self._consumer.highwater(part)
            if end is None:
                return  # nothing was heard of it yet
            # Not the offset taken last but where reading is: the last records may be gone, or marks that nobody is given.
            behind += max(0, end - await self._consumer.position(part))
        self.behind = behind
        self._metrics.behind.set(behind)
        self._is_up = self._is_up or behind == 0


def _shown(files: Files) -> Mapping[str, bytes]:
    """What is shown of the rules of a pack; what it cannot read of them is left out."""
    return rows.rule_texts(load_kept(files).rules)
