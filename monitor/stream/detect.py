"""Detection in one keyed partition: the state of every key in it, the order of what joins several actors, the ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from monitor import alerts
from monitor.detector import BadState, Detector, KeyState, load_state, peer_group_of, save_state
from monitor.model import FEATURES as MODEL_FEATURES
from monitor.order import Merger
from monitor.stream.batches import Out
from monitor.stream.tables import Table
from monitor.stream.topics import ALERTS, FEATURES, TICK, partition_of

#: What the alert of a model needs of a lookup.
_SLIM = ("id", "time", "ts", "system", "actor.id", "subject.id")


class Chunk:
    """A chunk on its way: it may be acknowledged when nothing of it waits any more."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.waiting = 0
        #: How many lookups it brought.
        self.lookups = 0


class Written:
    """What a chunk led to: the records to write, the alerts with the times of receipt, and counts by fate."""

    def __init__(self) -> None:
        self.out: list[Out] = []
        self.alerts: list[tuple[alerts.Alert, int]] = []
        self.fates: dict[str, int] = {}
        self.bad_states = 0


class Detect:
    """One partition of ``lookup.keyed.v1``."""

    def __init__(self, partition: int, partitions: int, table: Table, detector: Detector) -> None:
        self.partition = partition
        self.partitions = partitions
        self._table = table
        self._detector = detector
        self._states: dict[str, KeyState] = {}
        self._merger: Merger[tuple[str, bytes, Chunk]] = Merger((src,) for src in range(partitions))

    @property
    def held(self) -> int:
        """How many lookups wait for their order."""
        return len(self._merger)

    def process(self, records: Sequence[Any], chunk: Chunk) -> Written:
        """Count a chunk of keyed lookups and ticks. The caller writes ``out``, then may acknowledge what waits no more."""
        written = Written()
        last = records[-1]
        for record in records:
            if record.key == TICK:
                self._tick(record, written)
            elif record.key.startswith(b"actor/"):
                self._count(record.key.decode(), orjson.loads(record.value), written)
            else:
                self._hold(record, chunk)
        for _, (key, value, origin) in self._merger.ready():
            origin.waiting -= 1
            self._count(key, orjson.loads(value), written)
        changes = [(key, save_state(state)) for key, state in self._states.items()]
        self._states = {}
        written.out += self._table.change(last.offset, changes, last.timestamp)
        return written

    def _hold(self, record: Any, chunk: Chunk) -> None:
        reached, src, off, _ = orjson.loads(record.value)["@"]
        chunk.waiting += 1
        self._merger.push((src,), (reached, src, off), (record.key.decode(), record.value, chunk))

    def _tick(self, record: Any, written: Written) -> None:
        src, reached = orjson.loads(record.value)
        self._merger.advance((src,), reached)
        value = orjson.dumps((self.partition, src, reached))
        written.out += [Out(FEATURES, part, TICK, value, record.timestamp) for part in range(self.partitions)]

    def _count(self, key: str, lookup: dict[str, Any], written: Written) -> None:
        place = lookup.pop("@")
        _, src, off, received = place
        outcome = self._detector.step(key, self._state(key, written), lookup, src, off)
        for alert in outcome.alerts:
            written.alerts.append((alert, received))
            written.out.append(alert_out(alert, self.partitions, received))
        if key.startswith("actor/"):
            written.fates[outcome.fate] = written.fates.get(outcome.fate, 0) + 1
        if outcome.features is not None:
            group = peer_group_of(lookup)
            slim = {name: lookup[name] for name in _SLIM if lookup.get(name) is not None}
            value = orjson.dumps((self.partition, place, slim, [outcome.features[name] for name in MODEL_FEATURES]))
            written.out.append(Out(FEATURES, partition_of(group, self.partitions), group.encode(), value, received))

    def _state(self, key: str, written: Written) -> KeyState:
        state = self._states.get(key)
        if state is None:
            try:
                state = load_state(self._table.get(key))
            except BadState:
                # One key starts anew rather than the whole partition stopping; the count makes it visible.
                written.bad_states += 1
                state = KeyState()
            self._states[key] = state
        return state


def alert_out(alert: alerts.Alert, partitions: int, timestamp: int) -> Out:
    """The alert's record; alerts about one entity stay in one partition, in order."""
    key = f"{alert.entity.kind}/{alert.entity.id}"
    return Out(ALERTS, partition_of(key, partitions), key.encode(), alerts.encode(alert), timestamp)
