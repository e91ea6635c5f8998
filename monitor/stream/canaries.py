"""``monitor canary``: canaries into every source partition, and whether their answers come back in time.

A process of its own, that knows of the monitor only what Kafka gives everybody: it must say so when workers or Kafka do not.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from monitor.canary import Ledger, message
from monitor.metrics import CanaryMetrics
from monitor.settings import Settings
from monitor.stream.batches import BatchWriter, Out
from monitor.stream.closing import leave
from monitor.stream.topics import CANARIES, EVENTS

log = structlog.get_logger(__name__)
_TP = TopicPartition(CANARIES, 0)
#: How long one try to reach Kafka may take, in seconds.
_CONNECT_WITHIN = 10.0


class Answer(msgspec.Struct):
    """What is read of an answer, which is an alert."""

    events: list[str]


_decode = msgspec.json.Decoder(Answer).decode


class Canaries:
    """Sends canaries and waits for them. Everything is measured by this machine's monotonic clock alone."""

    def __init__(self, settings: Settings, metrics: CanaryMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._ledger = Ledger()
        self._came = asyncio.Event()
        self._writer: BatchWriter | None = None
        self._reader: asyncio.Task[None] | None = None
        self._missing: list[tuple[int, str]] | None = None
        #: What is wrong with Kafka, as far as is known.
        self._trouble: str | None = None

    def why_not_ready(self) -> str | None:
        """``None`` when the last round came back in time, else why not."""
        if self._trouble is not None:
            return f"Kafka: {self._trouble}"
        if self._missing is None:
            return "starting: no canary has come back yet"
        return f"no answer in time from {', '.join(words(self._missing))}" if self._missing else None

    async def connect(self) -> None:
        """Raises aiokafka's ``KafkaError``, ``OSError`` or ``TimeoutError``."""
        if self._writer is not None:
            return
        writer, consumer = BatchWriter(self._settings.kafka), self._new_consumer()
        try:
            async with asyncio.timeout(_CONNECT_WITHIN):
                await writer.start()
                await consumer.start()
                consumer.assign([_TP])
                await consumer.seek_to_end(_TP)
                # Only now is it certain where reading begins: before what is sent next.
                await consumer.position(_TP)
        except BaseException:
            await writer.stop()
            await leave(consumer)
            raise
        self._writer = writer
        self._reader = asyncio.create_task(self._read(consumer))

    def _new_consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(**self._settings.kafka.options(), enable_auto_commit=False, fetch_max_wait_ms=100)

    async def stop(self) -> None:
        """Disconnect."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._writer is not None:
            await self._writer.stop()

    async def round(self) -> list[tuple[int, str]]:
        """Send a canary to every source partition and wait for the answers; (partition, stage) of those not there in time."""
        try:
            async with asyncio.timeout(self._settings.canary_slo):
                await self._send()
                while self._ledger.waiting():
                    self._came.clear()
                    await self._came.wait()
        except (KafkaError, OSError) as error:  # a TimeoutError is an OSError
            if self._writer is None or not isinstance(error, TimeoutError):
                self._trouble = type(error).__name__
        missing = self._ledger.end_round(time.monotonic())
        self._tell(missing)
        return missing

    async def run(self, every: float, stop: asyncio.Event) -> int:
        """Rounds until ``stop``, one every ``every`` seconds, or one after the other when they take longer; returns 0."""
        ends = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                began = time.monotonic()
                one = asyncio.create_task(self.round())
                await asyncio.wait({one, ends}, return_when=asyncio.FIRST_COMPLETED)
                if stop.is_set():
                    one.cancel()
                    await asyncio.gather(one, return_exceptions=True)
                else:
                    await one
                await asyncio.wait({ends}, timeout=max(0.0, began + every - time.monotonic()))
        finally:
            ends.cancel()
            await self.stop()
        return 0

    async def _send(self) -> None:
        now = time.monotonic()
        run, at = uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="milliseconds")
        names = [f"canary-{run}-{partition}" for partition in range(self._settings.partitions)]
        for partition, name in enumerate(names):
            self._ledger.sent(name, partition, now)
        await self.connect()
        assert self._writer is not None
        records = [Out(EVENTS, partition, None, message(name, at), None) for partition, name in enumerate(names)]
        # Not cut off when time is up: what Kafka takes late goes the whole way late, and that is seen.
        writing = asyncio.create_task(self._writer.write(records))
        writing.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(writing)
        self._trouble = None

    def _tell(self, missing: list[tuple[int, str]]) -> None:
        for partition, stage in missing:
            self._metrics.missing.labels(stage, str(partition)).inc()
        if missing:
            log.error("canaries are missing", seconds=self._settings.canary_slo, missing=words(missing))
        else:
            self._metrics.success.set(time.time())
            if self._missing:
                log.info("canaries arrive again")
        self._missing = missing

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while True:
                try:
                    found = await consumer.getmany(_TP, timeout_ms=1000)
                except KafkaError as error:
                    log.warning("answers cannot be read; trying again", error=type(error).__name__)
                    await asyncio.sleep(1.0)
                    continue
                for records in found.values():
                    for record in records:
                        self._take(record.key or b"", record.value or b"", time.monotonic())
        finally:
            await leave(consumer)

    def _take(self, key: bytes, value: bytes, now: float) -> None:
        stage = key.partition(b"/")[0].decode(errors="replace")
        try:
            names = _decode(value).events
        except msgspec.DecodeError:
            return
        for name in names:
            latency = self._ledger.answered(name, stage, now)
            if latency is not None:
                self._metrics.latency.labels(stage).observe(latency)
                self._came.set()


def words(missing: list[tuple[int, str]]) -> list[str]:
    """``stage/partition`` of each."""
    return [f"{stage}/{partition}" for partition, stage in missing]


async def run_once(settings: Settings) -> tuple[list[tuple[int, str]], float]:
    """One round: what is missing, and how many seconds it took. Raises ``KafkaError``, ``OSError`` or ``TimeoutError`` when Kafka cannot be reached at all."""
    canaries = Canaries(settings, CanaryMetrics(settings.partitions))
    try:
        await canaries.connect()
        began = time.monotonic()
        return await canaries.round(), time.monotonic() - began
    finally:
        await canaries.stop()
