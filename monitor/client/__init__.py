"""The client with which a query system reports its lookups: on disk first, then to Kafka; nothing is lost when Kafka is away.

    with LookupClient(Path("/var/spool/lookups"), "kafka:9092") as client:
        client.report({"id": "bvi-1", "time": "2026-11-24T09:15:02+01:00", "system": "bvi", "action": "read",
                       "actor": {"id": "o-10293"}, "subject": {"kind": "vehicle", "id": "AB-12-CD"}})

It needs kafka-python and orjson and nothing of the monitor's service. See docs/shipping.md for what it promises.
"""

from monitor.client.client import LookupClient, Stats
from monitor.client.spool import SpoolError, SpoolFull, SpoolLocked
from monitor.events import BadEvent

__all__ = ["BadEvent", "LookupClient", "SpoolError", "SpoolFull", "SpoolLocked", "Stats"]
