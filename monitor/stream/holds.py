"""The legal holds in force, from ``lookup.holds.v1``."""

from __future__ import annotations

import structlog

from monitor.incidents.order import BadOrder, Order, decode
from monitor.settings import Settings
from monitor.stream.tables import read_to_end
from monitor.stream.topics import HOLDS

log = structlog.get_logger(__name__)


async def holds_in_force(settings: Settings) -> list[Order]:
    """The holds that nobody has lifted, the oldest first. An order that cannot be read is told. Raises aiokafka's ``KafkaError``."""
    found: dict[str, Order] = {}
    async for record in read_to_end(settings.kafka, HOLDS, 0):
        try:
            order = decode(record.value)
        except BadOrder:
            log.warning("an order cannot be read", topic=HOLDS, offset=record.offset)
            continue
        if order.order == "hold":
            found[order.id] = order
        else:
            found.pop(order.id, None)
    return list(found.values())
