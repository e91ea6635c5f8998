"""Intake of one source partition: decode, validate, enrich, and write each lookup once per key the rules need."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from monitor import events
from monitor.enrich import enrich
from monitor.order import IDLE
from monitor.reference import Reference
from monitor.rules import RuleSet
from monitor.stream.batches import Out
from monitor.stream.tables import Table
from monitor.stream.topics import DLQ, KEYED, TICK, partition_of

_STATE_KEY = "reached"


class Intake:
    """The intake of one partition of ``lookup.events.v1``."""

    def __init__(self, partition: int, partitions: int, table: Table, reference: Reference, rules: RuleSet) -> None:
        self.partition = partition
        self.partitions = partitions
        self.reference = reference
        self.rules = rules
        self._table = table
        saved = table.get(_STATE_KEY)
        #: The newest event time so far, in milliseconds since the epoch: the first part of every lookup's place.
        self.reached: int = orjson.loads(saved) if saved is not None else 0
        self.refused: list[str] = []
        self.lateness_ms: list[int] = []

    def process(self, records: Iterable[Any]) -> list[Out]:
        """Turn a chunk into what has to be written: keyed lookups, refused messages, ticks and the intake's own state."""
        self.refused, self.lateness_ms = [], []
        out: list[Out] = []
        last = None
        for last in records:
            self._take(last, out)
        if last is not None:
            out += self.tick(self.reached, last.timestamp)
            out += self._table.change(last.offset, [(_STATE_KEY, orjson.dumps(self.reached))], last.timestamp)
        return out

    def _take(self, record: Any, out: list[Out]) -> None:
        try:
            lookup = events.decode(record.value, received_ms=record.timestamp, headers=record.headers)
            lookup = enrich(lookup, self.reference)
            keyed = self._keyed(lookup, record)
        except events.BadEvent as error:
            self._refuse(record, error.reason, error.detail, out)
        except Exception as error:  # a message we have no answer for must not stop the partition (promise 5)
            self._refuse(record, "internal", f"{type(error).__name__}", out)
        else:
            self.lateness_ms.append(record.timestamp - lookup["ts"])
            out += keyed

    def _keyed(self, lookup: dict[str, Any], record: Any) -> list[Out]:
        reached = max(self.reached, lookup["ts"])
        lookup["@"] = (reached, self.partition, record.offset, record.timestamp)
        value = orjson.dumps(lookup)
        keys = [f"actor/{lookup['actor.id']}", *self.rules.partition_keys(lookup)]
        out = [Out(KEYED, partition_of(key, self.partitions), key.encode(), value, record.timestamp) for key in keys]
        self.reached = reached
        return out

    def _refuse(self, record: Any, reason: str, detail: str, out: list[Out]) -> None:
        self.refused.append(reason)
        headers = (
            ("reason", reason.encode()),
            ("detail", detail.encode()[:1000]),
            ("topic", record.topic.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
            ("timestamp", str(record.timestamp).encode()),
            *((f"original.{name}", value) for name, value in record.headers or ()),
        )
        out.append(Out(DLQ, self.partition, record.key, record.value, record.timestamp, headers))

    def tick(self, reached: int, timestamp: int) -> list[Out]:
        """Tell every keyed partition how far this source partition has come."""
        value = orjson.dumps((self.partition, reached))
        return [Out(KEYED, partition, TICK, value, timestamp) for partition in range(self.partitions)]

    def idle(self, timestamp: int, quiet_ms: int = 0) -> list[Out]:
        """Tell every keyed partition that this source partition has nothing more for now and holds nobody back.

        Its event time goes on meanwhile: by ``quiet_ms``, for which it has had nothing to read.
        """
        value = orjson.dumps((self.partition, IDLE, self.reached + quiet_ms))
        return [Out(KEYED, partition, TICK, value, timestamp) for partition in range(self.partitions)]
