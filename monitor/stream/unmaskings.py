"""``lookup.unmaskings.v1`` as the desk of identities reads and writes it, and all that takes keys put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.audit.event import Audit
from monitor.connection import Connection
from monitor.privacy.desk import UnmaskingDesk
from monitor.privacy.identity import Identities
from monitor.privacy.unmasking import Signer, Unmaskings
from monitor.settings import Settings
from monitor.stream.batches import BatchWriter, Out
from monitor.stream.closing import leave
from monitor.stream.masking import identity_keys
from monitor.stream.topics import UNMASKINGS

_TP = TopicPartition(UNMASKINGS, 0)


class KafkaSteps:
    """The log of steps. Raises aiokafka's ``KafkaError`` when Kafka does not answer."""

    def __init__(self, kafka: Connection) -> None:
        self._writer = BatchWriter(kafka)
        self._consumer = AIOKafkaConsumer(
            **kafka.options(), enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=50
        )

    async def start(self) -> None:
        """Connect; nothing is left open when that fails."""
        try:
            await self._writer.start()
            await self._consumer.start()
        except BaseException:
            await self.stop()
            raise
        self._consumer.assign([_TP])
        self._consumer.seek(_TP, (await self._consumer.beginning_offsets([_TP]))[_TP])

    async def stop(self) -> None:
        """Disconnect."""
        try:
            await leave(self._consumer)
        finally:
            await self._writer.stop()

    async def read(self) -> Sequence[tuple[bytes | None, bytes | None, int]]:
        """As :meth:`monitor.privacy.desk.Steps.read`."""
        end = (await self._consumer.end_offsets([_TP]))[_TP]
        found: list[tuple[bytes | None, bytes | None, int]] = []
        while await self._consumer.position(_TP) < end:
            for records in (await self._consumer.getmany(_TP, timeout_ms=500)).values():
                found += [(each.key, each.value, each.timestamp) for each in records]
        return found

    async def write(self, key: bytes, raw: bytes) -> None:
        """As :meth:`monitor.privacy.desk.Steps.write`."""
        await self._writer.write([Out(UNMASKINGS, 0, key, raw, None)])


@asynccontextmanager
async def unmasking_desk(settings: Settings, audit: Audit) -> AsyncIterator[UnmaskingDesk]:
    """The desk of identities on Kafka, for as long as it is needed.

    Raises :class:`monitor.stream.seal.BadKey` where the key of identities is not, and aiokafka's ``KafkaError``.
    """
    keys = identity_keys(settings)
    signer, steps = Signer(keys), KafkaSteps(settings.kafka)
    await steps.start()
    try:
        yield UnmaskingDesk(Unmaskings(signer, settings.unmask_hours), signer, steps, audit, Identities(keys))
    finally:
        await steps.stop()
