"""Intake of one source partition: decode, validate, enrich, and write each lookup once per key the rules need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import orjson

from monitor import events
from monitor.acts import Acts, BadActs
from monitor.detector import LATER_VERSIONS, BadState, NewerState
from monitor.enrich import enrich
from monitor.model.versions import day_of
from monitor.order import IDLE
from monitor.reference import Reference
from monitor.rerun import UnknownPack, roll_back_in, version_in
from monitor.review import Sampler, message, name_of
from monitor.rules import RuleSet
from monitor.sources import Seen
from monitor.sources import idle as idle_source
from monitor.stream.batches import Out, refusal
from monitor.stream.tables import Table
from monitor.stream.topics import (
    CANARY,
    DLQ,
    ENRICHED_BY,
    KEYED,
    REVIEW,
    ROLL_BACK,
    SOURCES,
    SWITCH,
    TICK,
    partition_of,
)
from monitor.stream.versions import Packs

_STATE_KEY = "reached"
_NOTHING = Sampler(0.0)
STATE_VERSION = 1


class IntakeState(msgspec.Struct, array_like=True):
    """What intake keeps of a source partition. ``position`` is the last offset whose output Kafka has acknowledged.

    ``reached`` is the newest event time so far, in milliseconds since the epoch: the first part of every lookup's place.
    ``rules`` is the version by which lookups are judged now, ``acts`` are the running acts (:meth:`Acts.save`). ``reference`` is the
    position of the reference data by which the last chunk was enriched.
    """

    version: int = STATE_VERSION
    position: int = -1
    reached: int = 0
    rules: str | None = None
    acts: bytes | None = None
    reference: int = 0


class _WithoutActs(msgspec.Struct):
    position: int = -1
    reached: int = 0
    rules: str | None = None


def load_state(saved: bytes | None) -> IntakeState:
    """The state of a table's value. Raises :class:`BadState`.

    Earlier versions kept JSON: the newest time alone, as a number; later an object without acts.
    """
    if saved is None:
        return IntakeState()
    try:
        if saved[:1].isdigit():
            return IntakeState(reached=int(saved))
        if saved[:1] == b"{":
            old = msgspec.json.decode(saved, type=_WithoutActs)
            return IntakeState(position=old.position, reached=old.reached, rules=old.rules)
        state = msgspec.msgpack.decode(saved, type=IntakeState)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadState(f"the intake's state cannot be read: {error}") from None
    if state.version != STATE_VERSION:
        kind = NewerState if STATE_VERSION < state.version < LATER_VERSIONS.stop else BadState
        raise kind(f"the intake's state has version {state.version}; this program reads version {STATE_VERSION}")
    return state


class Intake:
    """The intake of one partition of ``lookup.events.v1``."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        table: Table,
        reference: Reference,
        packs: Packs,
        sampler: Sampler = _NOTHING,
        shown: Callable[[Mapping[str, Any]], bytes] = message,
    ) -> None:
        """``sampler`` says which lookups go to review, none by default, and ``shown`` what is said of them there."""
        self._shown = shown
        self._sampler = sampler
        self.partition = partition
        self.partitions = partitions
        self.reference = reference
        self._packs = packs
        self.table = table
        #: Whether the saved state could not be read; then what was written before may be written once more.
        self.bad_states = 0
        self._state, self._acts = self._load()
        self.refused: list[str] = []
        self.lateness_ms: list[int] = []
        self._canaries = self._beats = 0
        self._seen = Seen()
        self._by: tuple[tuple[str, bytes], ...] = ()

    def _load(self) -> tuple[IntakeState, Acts]:
        try:
            state = load_state(self.table.get(_STATE_KEY))
            return state, Acts.load(state.acts) if state.acts is not None else Acts()
        except NewerState:
            raise  # as whoever detects
        except (BadState, BadActs):
            # The partition starts anew rather than stopping; whoever detects knows by the offsets what it has counted.
            self.bad_states += 1
            return IntakeState(), Acts()

    @property
    def reached(self) -> int:
        """The newest event time so far, in milliseconds since the epoch."""
        return self._state.reached

    @property
    def enriched_by(self) -> int:
        """The position of the reference data by which the last chunk was enriched, by whichever worker. The next one must not be
        enriched by an earlier one."""
        return self._state.reference

    @property
    def was_quiet(self) -> bool:
        """Whether the last chunk held nothing but canaries. They do not end a source's quiet: one that was told idle would hold
        the others back at every canary, until it is told idle again."""
        return self._canaries > 0 and not self.lateness_ms and not self.refused and not self._beats

    @property
    def version(self) -> str:
        """The version of the rules by which lookups are judged now: the last that a control record named."""
        if self._state.rules is None:
            self._state.rules = self._packs.current or ""
        return self._state.rules

    def process(self, records: Iterable[Any]) -> tuple[list[Out], list[Out]]:
        """Turn a chunk into what has to be written: first keyed lookups, refused messages and ticks; then the state.

        The state must be written only when Kafka has acknowledged all else: it says that it has.
        """
        self.refused, self.lateness_ms, self._canaries, self._beats = [], [], 0, 0
        out: list[Out] = []
        self._by = ((ENRICHED_BY, b"%d" % self.reference.position),)
        last = None
        for last in records:
            if last.offset > self._state.position:
                self._take(last, out)
        if last is None:
            return [], []
        if not self.was_quiet:
            out += self.tick(self.reached, last.timestamp)
            out.append(self._source_out(self._seen.chunk(self.partition, last.offset, self.reached)))
        self._state.position = max(self._state.position, last.offset)
        self._state.reference = self.reference.position
        self._state.acts = self._acts.save()
        kept = [(_STATE_KEY, msgspec.msgpack.encode(self._state))]
        return out, self.table.change(last.offset, kept, last.timestamp)

    def _take(self, record: Any, out: list[Out]) -> None:
        version = version_in(record) if record.headers else None
        if version is not None:
            self._switch(version, record, out)
            return
        text = roll_back_in(record) if record.headers else None
        if text is not None:
            self._roll_back(text, record, out)
            return
        try:
            lookup = events.decode(record.value, received_ms=record.timestamp, headers=record.headers)
            rules = self._packs.rules(self.version)
            enrich(lookup, self.reference, rules.explanations)
            reached = max(self._state.reached, lookup["ts"])
            self._acts.fold(lookup, self.reference, reached)
            keyed = self._keyed(lookup, record, rules, reached)
        except events.Notice as notice:
            self._take_notice(notice, record, out)
        except events.BadEvent as error:
            self._refuse(record, error.reason, error.detail, out)
        except Exception as error:  # a message we have no answer for must not stop the partition (promise 5)
            self._refuse(record, "internal", f"{type(error).__name__}", out)
        else:
            self.lateness_ms.append(record.timestamp - lookup["ts"])
            self._seen.lookup(lookup, self.reached, record.offset)
            out += keyed

    def _take_notice(self, notice: events.Notice, record: Any, out: list[Out]) -> None:
        """A canary goes on alone, not by its actor or subject, so that it is counted nowhere; a heartbeat moves time on."""
        if notice.kind == "heartbeat":
            self._beats += 1
            self._state.reached = max(self.reached, notice.fields["ts"])
            self._seen.beat(notice.fields, self.reached, record.offset)
            return
        self._canaries += 1
        try:
            lookup = enrich(notice.fields, self.reference, self._packs.rules(self.version).explanations)
        except Exception as error:  # as for lookups
            self._refuse(record, "internal", type(error).__name__, out)
            return
        out.append(Out(KEYED, self.partition, CANARY, orjson.dumps(lookup), None))

    def _switch(self, version: str, record: Any, out: list[Out]) -> None:
        """From here on lookups are judged by another version of the rules; whoever detects is told to have it ready."""
        try:
            self._packs.rules(version)
        except UnknownPack:
            self._refuse(record, "unknown-rules", "no such version was deployed", out)
            return
        self._state.rules = version
        value = version.encode()
        out += [Out(KEYED, partition, SWITCH, value, record.timestamp) for partition in range(self.partitions)]

    def _roll_back(self, text: str, record: Any, out: list[Out]) -> None:
        """The control record has a place in the order of lookups, as a lookup has; through one keyed partition it comes to all models."""
        try:
            day = day_of(text)
        except ValueError:
            self._refuse(record, "unknown-model", "not a day", out)
            return
        value = orjson.dumps((self.reached, self.partition, record.offset, day))
        out.append(Out(KEYED, self.partition, ROLL_BACK, value, record.timestamp))

    def _keyed(self, lookup: dict[str, Any], record: Any, rules: RuleSet, reached: int) -> list[Out]:
        timestamp, partitions = record.timestamp, self.partitions
        out = self._review(lookup, timestamp) if self._sampler.takes(name_of(lookup)) else []
        lookup["@"] = (reached, self.partition, record.offset, timestamp, self.version)
        value = orjson.dumps(lookup)
        keys = [f"actor/{lookup['actor.id']}", *rules.partition_keys(lookup)]
        out += [Out(KEYED, partition_of(key, partitions), key.encode(), value, timestamp, self._by) for key in keys]
        self._state.reached = reached
        return out

    def _review(self, lookup: dict[str, Any], timestamp: int) -> list[Out]:
        name = name_of(lookup)
        return [Out(REVIEW, partition_of(name, self.partitions), name.encode(), self._shown(lookup), timestamp)]

    def _refuse(self, record: Any, reason: str, detail: str, out: list[Out]) -> None:
        self.refused.append(reason)
        out.append(refusal(DLQ, self.partition, record, reason, detail, record.timestamp))

    def tick(self, reached: int, timestamp: int) -> list[Out]:
        """Tell every keyed partition how far this source partition has come."""
        value = orjson.dumps((self.partition, reached))
        return [Out(KEYED, partition, TICK, value, timestamp) for partition in range(self.partitions)]

    def idle(self, quiet_ms: int = 0) -> list[Out]:
        """Tell every keyed partition that this source partition has nothing more for now and holds nobody back.

        Its event time goes on meanwhile: by ``quiet_ms``, for which it has had nothing to read.
        """
        value = orjson.dumps((self.partition, IDLE, self.reached + quiet_ms))
        out = [Out(KEYED, partition, TICK, value, None) for partition in range(self.partitions)]
        return [*out, self._source_out(idle_source(self.partition, self.reached, self.reached + quiet_ms))]

    def _source_out(self, value: bytes) -> Out:
        return Out(SOURCES, 0, str(self.partition).encode(), value, None)
