"""``monitor audit relay``: what the monitor's own users looked at, from ``lookup.audit.v1`` into ``lookup.events.v1``."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import structlog
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from monitor.audit.chain import BadLink, link_of
from monitor.audit.event import AuditEvent
from monitor.metrics_relay import RelayMetrics
from monitor.privacy.desk_lookup import lookups_of
from monitor.privacy.identity import Identities, NotOpened
from monitor.settings import Settings
from monitor.stream.batches import Out
from monitor.stream.patient import Patient
from monitor.stream.topics import AUDIT, EVENTS, partition_of

log = structlog.get_logger(__name__)
_TP: Final = TopicPartition(AUDIT, 0)
#: What is added to the workers' consumer group to name the relay's own, which keeps how far it has come.
GROUP_SUFFIX: Final = "-relay"


class Relay(Patient):
    """Reads audit records and writes the lookups they are. How far it has come is committed when Kafka has the lookups: after a crash some
    are written again, with the same ids, and are dropped where all repeated lookups are."""

    name = "the relay"

    def __init__(self, settings: Settings, metrics: RelayMetrics, identities: Identities | None) -> None:
        """``identities`` open what is sealed in an event, for rules about kin and observations; without them lookups name pseudonyms."""
        super().__init__(settings)
        self._metrics = metrics
        self._identities = identities
        self._has_begun = False

    def why_not_ready(self) -> str | None:
        """``None`` while it does its work, else why not."""
        if self._trouble is not None:
            return f"Kafka: {self._trouble}"
        return None if self._has_begun else "starting"

    def _note_answer(self) -> None:
        self._has_begun = True
        self._metrics.progress.set(time.time())

    async def _work(self, stop: asyncio.Event) -> None:
        await self._until_done(lambda: self._open(self._settings.group + GROUP_SUFFIX, _TP))
        try:
            while not stop.is_set():
                for records in (await self._fetch(_TP)).values():
                    await self._pass_on(records)
        finally:
            await self._close()

    async def _pass_on(self, records: list[Any]) -> None:
        out = [each for record in records for each in self._made_of(record)]
        if out:
            await self._until_done(lambda: self._writer.write(out))
        past = {_TP: OffsetAndMetadata(records[-1].offset + 1, "")}
        await self._until_done(lambda: self._consumer.commit(past))
        self._metrics.lookups.inc(len(out))

    def _made_of(self, record: Any) -> list[Out]:
        try:
            event = link_of(record.value).event
        except BadLink:
            self._metrics.bad.inc()
            log.error("an audit record cannot be read", topic=AUDIT, offset=record.offset)
            return []
        partition = partition_of(event.by, self._settings.partitions)
        made = lookups_of(event, lambda pseudonym: self._opened(event, pseudonym))
        return [Out(EVENTS, partition, event.by.encode(), each, None) for each in made]

    def _opened(self, event: AuditEvent, pseudonym: str) -> str | None:
        sealed = event.sealed.get(pseudonym)
        if sealed is None or self._identities is None:
            return None
        try:
            return self._identities.unseal(pseudonym, sealed)
        except NotOpened:
            log.warning("a sealed identity cannot be opened; was its key taken away?")
            return None
