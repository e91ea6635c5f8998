"""``monitor sinks run``: incidents from Kafka to the sinks. What each sink has got is kept in ``lookup.sinks.state.v1``.

A mark is written when a message was delivered, and before the next one. A crash between the two delivers it again, under the same key:
Alertmanager, PagerDuty, the receiver of a webhook and the file of findings know by it that they have it.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import httpx
import msgspec
import structlog
from aiokafka import TopicPartition

from monitor.incidents.model import decode
from monitor.metrics_sinks import SinkMetrics
from monitor.settings import Settings
from monitor.sinks.config import SinkConfig
from monitor.sinks.delivery import Clock, Courier, Offer
from monitor.sinks.kinds import make
from monitor.sinks.plan import Mark
from monitor.stream import tables
from monitor.stream.batches import refusal
from monitor.stream.patient import Patient
from monitor.stream.topics import INCIDENTS, SINKS_DLQ, SINKS_STATE

log = structlog.get_logger(__name__)
_INCIDENTS = TopicPartition(INCIDENTS, 0)


class Delivering(Patient):
    """The shell around the couriers."""

    name = "the sinks' process"

    def __init__(self, settings: Settings, sinks: list[SinkConfig], metrics: SinkMetrics) -> None:
        """Raises :class:`monitor.sinks.config.BadSinks` and :class:`monitor.stream.seal.BadKey`."""
        super().__init__(settings)
        self._metrics, self._clock = metrics, Clock()
        self._clients = {each.name: httpx.AsyncClient(timeout=each.timeout) for each in sinks}
        self._made = [(each, make(each, self._clients[each.name], self._clock.now)) for each in sinks]
        self._tables = tables.Tables(settings)
        self._couriers: list[Courier] = []
        self._is_up = False

    def why_not_ready(self) -> str | None:
        """``None`` when it reads incidents and no sink is down, else why not."""
        if self._trouble is not None:
            return f"Kafka: {self._trouble}"
        if not self._is_up:
            return "starting: reading the incidents"
        down = [f"{each.name}: {each.trouble}" for each in self._couriers if each.trouble is not None]
        return f"sinks are down: {'; '.join(down)}" if down else None

    async def _work(self, stop: asyncio.Event) -> None:
        await self._until_done(self._connect)
        running = [asyncio.create_task(each.run()) for each in self._couriers]
        try:
            while not stop.is_set():
                await self._take()
                for task in running:
                    if task.done():
                        task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for client in self._clients.values():
                await client.aclose()
            await self._close()

    async def _connect(self) -> None:
        self._table = await tables.load(self._settings.kafka, self._tables.new(SINKS_STATE, 0))
        self._couriers = [self._courier(config, sink) for config, sink in self._made]
        await self._open()
        self._consumer.assign([_INCIDENTS])
        try:
            await self._read_up()
        except BaseException:
            await self._close()
            raise
        self._is_up = True

    async def _read_up(self) -> None:
        end = (await self._consumer.end_offsets([_INCIDENTS]))[_INCIDENTS]
        self._consumer.seek(_INCIDENTS, (await self._consumer.beginning_offsets([_INCIDENTS]))[_INCIDENTS])
        # As it is now, not as it came to be: nobody is to be called for what was answered since.
        last: dict[bytes, Any] = {}
        while await self._consumer.position(_INCIDENTS) < end:
            for records in (await self._consumer.getmany(_INCIDENTS, timeout_ms=500, max_records=1000)).values():
                last.update((record.key, record) for record in records)
        self._offer(list(last.values()))

    def _courier(self, config: SinkConfig, sink: Any) -> Courier:
        marks: dict[str, Mark] = {}
        for key in list(self._table.keys()):
            name, _, incident = key.partition("/")
            raw = self._table.get(key)
            if name == config.name and raw is not None:
                try:
                    marks[incident] = msgspec.msgpack.decode(raw, type=Mark)
                except msgspec.MsgspecError:
                    self._metrics.bad.inc()
                    log.error("a mark cannot be read", sink=name)
        save = partial(self._save, config.name)
        return Courier(config, sink, marks, save, partial(self._refuse, config.name), self._metrics, self._clock)

    async def _take(self) -> None:
        for records in (await self._fetch(_INCIDENTS)).values():
            self._offer(records)
        for courier in self._couriers:
            courier.show()

    def _note_answer(self) -> None:
        self._metrics.progress.set(time.time())

    def _offer(self, records: list[Any]) -> None:
        for record in records:
            if record.value is None:
                continue
            try:
                offer = Offer(decode(record.value), record)
            except msgspec.MsgspecError:
                self._metrics.bad.inc()
                log.error("an incident cannot be read", offset=record.offset)
                continue
            for courier in self._couriers:
                courier.offer(offer)

    async def _save(self, sink: str, incident: str, mark: Mark) -> None:
        out = self._table.change(mark.number, [(f"{sink}/{incident}", msgspec.msgpack.encode(mark))], None)
        await self._until_done(lambda: self._writer.write(out))

    async def _refuse(self, sink: str, offer: Offer, key: str, reason: str, detail: str) -> None:
        out = refusal(SINKS_DLQ, 0, offer.record, reason, detail, None)
        more = (("sink", sink.encode()), ("notice", key.encode()))
        made = out._replace(headers=(*out.headers, *more))
        await self._until_done(lambda: self._writer.write([made]))
