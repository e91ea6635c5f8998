"""The legal holds in force, from ``lookup.holds.v1``."""

from __future__ import annotations

import structlog

from monitor.evidence.kafka_log import Log
from monitor.incidents.order import BadOrder, Order, decode
from monitor.settings import Settings
from monitor.stream.topics import HOLDS

log = structlog.get_logger(__name__)


def holds_in_force(settings: Settings) -> list[Order]:
    """The holds that nobody has lifted, the oldest first. An order that cannot be read is told. Raises kafka-python's ``KafkaError``."""
    found: dict[str, Order] = {}
    read = Log(settings)
    try:
        for first, past in read.ranges(HOLDS):
            for record in read.read(HOLDS, 0, first, past):
                try:
                    order = decode(record.value)
                except BadOrder:
                    log.warning("an order cannot be read", topic=HOLDS, offset=record.offset)
                    continue
                if order.order == "hold":
                    found[order.id] = order
                else:
                    found.pop(order.id, None)
    finally:
        read.close()
    return list(found.values())
