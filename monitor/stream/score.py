"""Scoring in one partition of the features: the model of every peer group in it, fed in the one order of all lookups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from monitor import alerts
from monitor.model import PeerModel
from monitor.model.catalogue import SIZE
from monitor.model.family import parent_of
from monitor.order import Merger, Place
from monitor.rules import RuleSet
from monitor.scoring import score_lookup
from monitor.stream.batches import Out
from monitor.stream.detect import Chunk, Headers, Written, alert_out, canary_out, enriched_by
from monitor.stream.tables import Table
from monitor.stream.topics import CANARY, TICK
from monitor.stream.versions import Packs


class GroupState(msgspec.Struct, array_like=True):
    """What is saved of a peer group: the last offset learned of each source partition, and the model."""

    at: dict[int, int]
    model: bytes


class Group:
    """A peer group's model, and how far it has learned."""

    def __init__(self, model: PeerModel, at: dict[int, int]) -> None:
        self.model = model
        self.at = at

    def step(
        self,
        place: Place,
        slim: dict[str, Any],
        features: Sequence[float],
        anomalies: Sequence[str],
        rules: RuleSet,
        parent: Group,
    ) -> list[alerts.Alert]:
        """Score and learn one lookup; one that was learned before (redelivered) gives no alert."""
        is_new_to_parent = parent.takes(place)
        if not self.takes(place):
            return []
        return score_lookup(self.model, slim, features, anomalies, rules, parent.model if is_new_to_parent else None)

    def takes(self, place: Place) -> bool:
        """Whether a lookup was not learned before; from now on it was."""
        _, src, off = place
        if off <= self.at.get(src, -1):
            return False
        self.at[src] = off
        return True


class Score:
    """One partition of ``lookup.features.v1``."""

    def __init__(self, partitions: int, table: Table, quantile: float, packs: Packs) -> None:
        self.partitions = partitions
        self._packs = packs
        self.table = table
        self._quantile = quantile
        self._parent = parent_of(table.partition)
        self._groups: dict[str, Group] = {}
        self._changed: set[str] = set()
        every = range(partitions)
        self._merger: Merger[tuple[str, Any, Headers, Chunk]] = Merger((keyed, src) for keyed in every for src in every)

    @property
    def held(self) -> int:
        """How many lookups wait for their order."""
        return len(self._merger)

    def process(self, records: Sequence[Any], chunk: Chunk) -> Written:
        """Score what has come into order. The models are saved by :meth:`snapshot`; until then nothing is acknowledged."""
        written = Written()
        for record in records:
            if record.key == CANARY:
                written.out.append(canary_out("score", record.partition, record.value))
                continue
            content = orjson.loads(record.value)
            if record.key == TICK:
                keyed, src, reached = content
                self._merger.advance((keyed, src), reached)
                continue
            if len(content[3]) != SIZE:
                # Left in the topic by a version with other features: it cannot be scored, and must not stop what can.
                written.bad_states += 1
                continue
            reached, src, off, *_ = content[1]
            chunk.waiting += 1
            chunk.lookups += 1
            self._merger.push(
                (content[0], src), (reached, src, off), (record.key.decode(), content, enriched_by(record), chunk)
            )
        for place, (name, content, by, origin) in self._merger.ready():
            _, (_, _, _, received, version), slim, features, anomalies = content
            origin.waiting -= 1
            self._changed.update((name, self._parent))
            group, parent = self._group(name, written), self._group(self._parent, written)
            for alert in group.step(place, slim, features, anomalies, self._packs.rules(version), parent):
                written.alerts.append((alert, received))
                written.out.append(alert_out(alert, self.partitions, received, by))
        return written

    def _group(self, name: str, written: Written) -> Group:
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = self._load(name, written)
        return group

    def _load(self, name: str, written: Written) -> Group:
        raw = self.table.get(name)
        if raw is not None:
            try:
                saved = msgspec.msgpack.decode(raw, type=GroupState)
                return Group(PeerModel.from_bytes(saved.model), saved.at)
            except (ValueError, msgspec.DecodeError):
                written.bad_states += 1
        return Group(PeerModel(quantile=self._quantile), {})

    def snapshot(self, position: int, timestamp: int) -> list[Out]:
        """Save the models that have learned since the last time."""
        changes = [
            (name, msgspec.msgpack.encode(GroupState(self._groups[name].at, self._groups[name].model.to_bytes())))
            for name in sorted(self._changed)
        ]
        self._changed.clear()
        return self.table.change(position, changes, timestamp)
