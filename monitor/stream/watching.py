"""``monitor watch``: the one place that hears of all registers, from what intake says of every source partition.

In order, as the stages: alerts first, then the state, which holds the next offset to read. A crash between the two repeats what
came since the last state; the alerts have the same ids. Two of them at once do the same twice, and do no harm.
"""

from __future__ import annotations

import asyncio
import time
from math import nan

import msgspec
import structlog
from aiokafka import TopicPartition

from monitor.alerts import Alert
from monitor.metrics import WatchMetrics
from monitor.settings import Settings
from monitor.silence import HOUR
from monitor.sources import BadState, Sources, State, load_state
from monitor.stream import tables
from monitor.stream.detect import alert_out
from monitor.stream.patient import Patient
from monitor.stream.topics import SOURCES, SOURCES_STATE

log = structlog.get_logger(__name__)
_TP = TopicPartition(SOURCES, 0)
_KEY = "sources"
#: Seconds between states; after a crash so much is read again.
_SAVE_EVERY = 10.0
#: Seconds without a word of any source until not ready: sources that are idle say so every ten.
_QUIET = 60.0


class Watch(Patient):
    """The shell around :class:`monitor.sources.Sources`."""

    name = "the watch"

    def __init__(self, settings: Settings, metrics: WatchMetrics) -> None:
        super().__init__(settings)
        self._metrics = metrics
        self._heard: float | None = None
        self._changed = False
        self._silent: set[str] = set()

    def why_not_ready(self) -> str | None:
        """``None`` when it hears of the sources, else why not."""
        if self._trouble is not None:
            return f"Kafka: {self._trouble}"
        if self._heard is None:
            return "starting: nothing has been heard of any source"
        quiet = time.monotonic() - self._heard
        return f"nothing heard of any source for {quiet:.0f} s: do workers run?" if quiet > _QUIET else None

    async def _work(self, stop: asyncio.Event) -> None:
        await self._until_done(self._connect)
        try:
            saved = time.monotonic()
            while not stop.is_set():
                await self._until_done(self._take)
                if time.monotonic() - saved >= _SAVE_EVERY:
                    await self._save()
                    saved = time.monotonic()
            await self._save()
        finally:
            await self._close()

    async def _connect(self) -> None:
        self._table = await tables.load(self._settings.kafka, tables.Tables(self._settings).new(SOURCES_STATE, 0))
        self._sources = self._new_sources()
        await self._open()
        self._consumer.assign([_TP])
        self._consumer.seek(_TP, self._sources.position)

    def _new_sources(self) -> Sources:
        try:
            state = load_state(self._table.get(_KEY))
        except BadState as error:
            self._metrics.bad.inc()
            log.error("saved state refused; what is usual is learned anew", why=str(error))
            state = State()
        names = [name.strip() for name in self._settings.registers.split(",") if name.strip()]
        return Sources(self._settings.partitions, self._settings.gap_after_ms, state, names)

    async def _take(self) -> None:
        for records in (await self._consumer.getmany(_TP, timeout_ms=500, max_records=500)).values():
            for record in records:
                try:
                    self._sources.take(record.offset, record.value)
                except msgspec.MsgspecError:
                    self._metrics.bad.inc()
                    log.error("a message cannot be read", topic=SOURCES, offset=record.offset)
            self._changed = True
            self._heard = time.monotonic()
            self._metrics.progress.set(time.time())
            await self._raise(self._sources.release())
            self._show()

    async def _raise(self, found: list[Alert]) -> None:
        out = [alert_out(alert, self._settings.partitions, int(time.time() * 1000)) for alert in found]
        await self._until_done(lambda: self._writer.write(out))
        for alert in found:
            register = self._sources.label(alert.entity.id.partition("/")[0])
            self._metrics.gaps.labels(register).inc()
            log.warning("lookups are missing from the log", register=register)

    def _show(self) -> None:
        sources = self._sources
        for name, register in sources.registers.items():
            expected = register.expected(HOUR)
            self._metrics.seen.labels(name).set(register.seen(HOUR))
            self._metrics.expected.labels(name).set(nan if expected is None else expected)
            self._metrics.silent.labels(name).set(register.is_silent)
            self._metrics.gaps.labels(name)
            self._metrics.lost.labels(name)
        silent = {name for name, register in sources.registers.items() if register.is_silent}
        for name in sorted(silent - self._silent):
            log.error("a register has gone silent", register=name)
        for name in sorted(self._silent - silent):
            log.info("a register is heard again", register=name)
        self._silent = silent
        for counter, count in sources.numberings.lost.items():
            self._metrics.lost.labels(sources.label(counter.partition("/")[0])).inc(count)
        sources.numberings.lost.clear()
        self._metrics.refused.inc(sources.refused)
        sources.refused = 0

    async def _save(self) -> None:
        if self._changed:
            out = self._table.change(self._sources.position, [(_KEY, self._sources.save())], int(time.time() * 1000))
            await self._until_done(lambda: self._writer.write(out))
            self._changed = False
