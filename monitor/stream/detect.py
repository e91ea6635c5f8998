"""Detection in one keyed partition: the state of every key in it, the order of what joins several actors, the ticks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Any, Final

import orjson

from monitor import alerts, canary_rule
from monitor.detector import (
    FORGET_AFTER_MS,
    JOINED,
    BadState,
    Detector,
    KeyState,
    NewerState,
    dues_of,
    load_state,
    peer_group_of,
    save_state,
)
from monitor.due import Due
from monitor.model.family import partition_of_group
from monitor.order import IDLE, Merger
from monitor.scoring import TOLD
from monitor.stream.batches import Out
from monitor.stream.hot import Hot
from monitor.stream.sweep import Sweep
from monitor.stream.tables import Table
from monitor.stream.topics import (
    ALERTS,
    CANARIES,
    CANARY,
    DECIDED_BY,
    ENRICHED_BY,
    FEATURES,
    ROLL_BACK,
    SWITCH,
    TICK,
    WATCHED_BY,
    partition_of,
)

#: What the alert of a model needs of a lookup: what every lookup has, and what may be unknown.
_SLIM = ("id", "time", "ts", "system", "actor.id")
_slim_of = itemgetter(*_SLIM)
_SLIM_IF_KNOWN = ("subject.id", *TOLD)
#: Bytes of saved state, all partitions together, of the keys whose state is kept as it is between chunks: to read it again is a
#: tenth of the work. It takes some five times as much memory as its saved form.
HOT_BYTES: Final = 6_000_000
#: Headers of a record.
Headers = tuple[tuple[str, bytes], ...]


#: From an alert to what of it is written.
Masked = Callable[[alerts.Alert], alerts.Alert]


def as_it_is(alert: alerts.Alert) -> alerts.Alert:
    """The alert with the names in it: pseudonyms are off."""
    return alert


#: From an alert with names to the teams that have a subject of it in a sealed watch.
Teams = Callable[[alerts.Alert], Sequence[str]]


def nobody(alert: alerts.Alert) -> Sequence[str]:
    """No team: there are no sealed watches."""
    return ()


def watched_by(teams: Sequence[str]) -> Headers:
    """The header of an alert that names the teams; none when there are none. Not in the alert: see :func:`alert_out`."""
    return ((WATCHED_BY, ",".join(teams).encode()),) if teams else ()


class Chunk:
    """A chunk on its way: it may be acknowledged when nothing of it waits any more."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.waiting = 0
        #: How many lookups it brought.
        self.lookups = 0


def forget_records(event: Any) -> None:
    """A chunk may wait long to be acknowledged; its records are not needed for that, and are most of a worker's memory."""
    event.value = event.message.value = None


def acknowledge(chunks: list[Chunk]) -> None:
    """Acknowledge the chunks of which nothing waits any more, and leave the others."""
    for chunk in chunks:
        if chunk.waiting == 0:
            chunk.handle.ack()
    chunks[:] = [chunk for chunk in chunks if chunk.waiting]


class Written:
    """What a chunk led to: the records to write, the alerts with the times of receipt, and counts by fate.

    ``state`` must be written only when Kafka has acknowledged ``out``: it says that what ``out`` holds is counted.
    """

    def __init__(self) -> None:
        self.out: list[Out] = []
        self.state: list[Out] = []
        self.alerts: list[tuple[alerts.Alert, int]] = []
        self.fates: dict[str, int] = {}
        self.bad_states = 0
        #: Of scored lookups, parts of actor-days (in 1/1000) by the highest quantile they passed, as :attr:`Scored.band` counts them.
        self.days: dict[int, int] = {}
        #: How many models returned to an earlier version.
        self.rolled_back = 0


class Detect:
    """One partition of ``lookup.keyed.v1``."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        table: Table,
        detector_of: Callable[[str], Detector],
        version: str = "",
        forget_ms: int = FORGET_AFTER_MS,
        position: Callable[[], int] = lambda: 0,
        mask: Masked = as_it_is,
        teams: Teams = nobody,
    ) -> None:
        """``detector_of`` gives the detector of a version of the rules; ``version`` is the one until a lookup names another.

        ``position`` is that of the reference data which the detectors ask (:attr:`monitor.reference.Reference.position`);
        ``mask`` is what alerts go through before they are written (:meth:`monitor.privacy.mask.Mask.alert`), ``teams`` those
        that have a subject of one in a sealed watch.
        """
        self.partition = partition
        self.partitions = partitions
        self.table = table
        self._detector_of = detector_of
        self._version = version
        self._position = position
        self._mask, self._teams = mask, teams
        self._sweep = Sweep(table, forget_ms)
        #: The states that this chunk has changed, and those of chunks before: the same as the table has them.
        self._states: dict[str, KeyState] = {}
        self._hot: Hot[KeyState] = Hot(HOT_BYTES // partitions)
        self._due = Due(((due, key) for key, due in table.waiting.items()), self._dues_of)
        #: How far the event time of each source partition has come, also while it is idle.
        self._passed: dict[int, int] = {}
        #: How far the lookups of each have come: later ones of it are placed no earlier.
        self._reached: dict[int, int] = {}
        self._merger: Merger[tuple[str, bytes, Headers, Chunk]] = Merger((src,) for src in range(partitions))

    @property
    def held(self) -> int:
        """How many lookups wait for their order."""
        return len(self._merger)

    def process(self, records: Sequence[Any], chunk: Chunk, committed: int = 0) -> Written:
        """Count a chunk of keyed lookups and ticks. The caller writes ``out``, then ``state``, then may acknowledge what waits no more.

        ``committed`` is the offset before which no record comes again.
        """
        written = Written()
        last = records[-1]
        for record in records:
            if record.key.startswith(b"actor/"):
                self._count(record.key.decode(), record.value, enriched_by(record), written)
            elif record.key == TICK:
                self._tick(record, written)
            elif record.key == SWITCH:
                self._version = record.value.decode()
            elif record.key == ROLL_BACK:
                value = orjson.dumps((self.partition, *orjson.loads(record.value)))
                written.out += [
                    Out(FEATURES, part, ROLL_BACK, value, record.timestamp) for part in range(self.partitions)
                ]
            elif record.key == CANARY:
                self._answer(orjson.loads(record.value), written)
            else:
                self._hold(record, chunk)
        for _, (key, value, by, origin) in self._merger.ready():
            origin.waiting -= 1
            self._count(key, value, by, written)
        if len(self._passed) == self.partitions:
            self._decide(JOINED, min(self._passed.values()), last.timestamp, written)
        changes = [(key, save_state(state)) for key, state in self._states.items()]
        written.state = self.table.change(last.offset, changes, last.timestamp) + self._forget(records, committed)
        for key, saved in changes:
            self._hot.put(key, self._states[key], len(saved))
        self._states = {}
        return written

    def _forget(self, records: Sequence[Any], committed: int) -> list[Out]:
        if len(self._reached) < self.partitions:
            return []
        gone = self._sweep.forgotten(len(records), min(self._reached.values()), committed, self._states)
        for key in gone:
            self._hot.take(key)
        return self.table.remove(records[-1].offset, gone, records[-1].timestamp)

    def _hold(self, record: Any, chunk: Chunk) -> None:
        reached, src, off, *_ = orjson.loads(record.value)["@"]
        chunk.waiting += 1
        self._merger.push((src,), (reached, src, off), (record.key.decode(), record.value, enriched_by(record), chunk))

    def _answer(self, lookup: dict[str, Any], written: Written) -> None:
        """Judge a canary, say so, and hand it on to who scores. Nothing else sees it."""
        alert = canary_rule.alert_of(lookup)
        if alert is not None:
            value = alerts.encode(alert)
            written.out.append(canary_out("detect", self.partition, value))
            written.out.append(Out(FEATURES, self.partition, CANARY, value, None))

    def _tick(self, record: Any, written: Written) -> None:
        src, reached, *passed = orjson.loads(record.value)
        self._merger.advance((src,), reached)
        if reached != IDLE:
            self._reached[src] = max(reached, self._reached.get(src, 0))
        now = passed[0] if passed else reached
        if now != IDLE:
            self._passed[src] = max(now, self._passed.get(src, 0))
            self._decide(src, now, record.timestamp, written)
        value = orjson.dumps((self.partition, src, reached))
        written.out += [Out(FEATURES, part, TICK, value, record.timestamp) for part in range(self.partitions)]

    def _decide(self, src: int, now: int, received: int, written: Written) -> None:
        """Decide what has waited for this time of the source, whether or not a lookup of its key comes."""
        for key in self._due.until(src, now):
            state = self._state(key, written)
            self._write_alerts(self._detector_of(self._version).advance(key, state, src, now), received, written)
            self._note_waiting(key, state)

    def _dues_of(self, key: str) -> list[tuple[int, int]]:
        # What cannot be read is counted as such, and begins anew, when a lookup of its key comes.
        with suppress(BadState):
            return dues_of(self.table.get(key) or b"")
        return []

    def _note_waiting(self, key: str, state: KeyState) -> None:
        for waiting in state.waiting:
            self._due.add(waiting.src, waiting.due, key)

    def _write_alerts(self, made: Iterable[alerts.Alert], received: int, written: Written, by: Headers = ()) -> None:
        decided = (*by, (DECIDED_BY, b"%d" % self._position()))
        for plain in made:
            alert = self._mask(plain)
            written.alerts.append((alert, received))
            written.out.append(alert_out(alert, self.partitions, received, (*decided, *watched_by(self._teams(plain)))))

    def _count(self, key: str, value: bytes, by: Headers, written: Written) -> None:
        lookup: dict[str, Any] = orjson.loads(value)
        place = lookup.pop("@")
        reached, src, off, received, version = place
        state = self._states.get(key) or self._state(key, written)
        last = state.waiting[-1] if state.waiting else None
        outcome = self._detector_of(version).step(key, state, lookup, src, off, reached)
        if state.waiting and state.waiting[-1] is not last:
            # At once: the tick that it waits for may be in this very chunk. What begins to wait is always the last.
            self._note_waiting(key, state)
        if outcome.alerts:
            self._write_alerts(outcome.alerts, received, written, by)
        if key.startswith("actor/"):
            written.fates[outcome.fate] = written.fates.get(outcome.fate, 0) + 1
        if outcome.features is not None:
            group = peer_group_of(lookup)
            slim = _slim(lookup)
            scored = orjson.dumps((self.partition, place, slim, outcome.features, outcome.anomalies))
            written.out.append(
                Out(FEATURES, partition_of_group(group, self.partitions), group.encode(), scored, received, by)
            )

    def _state(self, key: str, written: Written) -> KeyState:
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = self._hot.take(key) or self._load(key, written)
        return state

    def _load(self, key: str, written: Written) -> KeyState:
        try:
            return load_state(self.table.get(key))
        except NewerState:
            # A worker of an earlier version must not write over it: it ends, and those of the later one go on (docs/operations.md).
            raise
        except BadState:
            # One key starts anew rather than the whole partition stopping; the count makes it visible.
            written.bad_states += 1
            return KeyState()


def _slim(lookup: dict[str, Any]) -> dict[str, Any]:
    slim = dict(zip(_SLIM, _slim_of(lookup), strict=True))
    for name in _SLIM_IF_KNOWN:
        value = lookup.get(name)
        if value is not None:
            slim[name] = value
    return slim


def enriched_by(record: Any) -> Headers:
    """The header of a lookup that says by which reference data it was enriched; none when a version that did not say wrote it."""
    return tuple(header for header in record.headers if header[0] == ENRICHED_BY) if record.headers else ()


def alert_out(alert: alerts.Alert, partitions: int, timestamp: int, headers: Headers = ()) -> Out:
    """The alert's record; alerts about one entity stay in one partition, in order.

    What reference data was asked is said in ``headers``, not in the alert: the same alert has the same bytes, whenever records that
    do not concern it came.
    """
    key = f"{alert.entity.kind}/{alert.entity.id}"
    return Out(ALERTS, partition_of(key, partitions), key.encode(), alerts.encode(alert), timestamp, headers)


def canary_out(stage: str, partition: int, value: bytes) -> Out:
    """The answer of a stage to a canary."""
    return Out(CANARIES, 0, f"{stage}/{partition}".encode(), value, None)
