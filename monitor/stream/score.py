"""Scoring in one partition of the features: the model of every peer group in it, fed in the one order of all lookups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import orjson

from monitor import alerts
from monitor.model import PeerModel
from monitor.model.catalogue import SIZE
from monitor.model.drift import drift_of
from monitor.model.family import parent_of
from monitor.model.scorer import Scored
from monitor.model.versions import BadVersions, Versions
from monitor.model.versions import Group as Peers
from monitor.model.versions import decode as decode_versions
from monitor.model.versions import encode as encode_versions
from monitor.order import Merger, Place
from monitor.rules import RuleSet
from monitor.scoring import judge_lookup
from monitor.stream.batches import Out
from monitor.stream.detect import (
    Chunk,
    Headers,
    Masked,
    Teams,
    Written,
    alert_out,
    as_it_is,
    canary_out,
    enriched_by,
    nobody,
    watched_by,
)
from monitor.stream.tables import Table
from monitor.stream.topics import CANARY, ROLL_BACK, TICK
from monitor.stream.versions import Packs

#: The versions of a group's model have a key of their own, this and the group's; no group has such a name.
VERSIONS_OF: Final = "\x00versions/"


class GroupState(msgspec.Struct, array_like=True):
    """What is saved of a peer group: the last offset learned of each source partition, and the model."""

    at: dict[int, int]
    model: bytes


class Group(Peers):
    """A peer group's model with its versions, and how far it has learned."""

    def __init__(self, model: PeerModel, at: dict[int, int], versions: Versions) -> None:
        super().__init__(model, versions)
        self.at = at

    def step(
        self,
        place: Place,
        slim: dict[str, Any],
        features: Sequence[float],
        anomalies: Sequence[str],
        rules: RuleSet,
        parent: Group,
    ) -> tuple[Scored, list[alerts.Alert]] | None:
        """Score and learn one lookup; ``None`` for one that was learned before (redelivered)."""
        is_new_to_parent = parent.takes(place)
        if not self.takes(place):
            return None
        return judge_lookup(self.model, slim, features, anomalies, rules, parent.model if is_new_to_parent else None)

    def takes(self, place: Place) -> bool:
        """Whether a lookup was not learned before; from now on it was."""
        _, src, off = place
        if off <= self.at.get(src, -1):
            return False
        self.at[src] = off
        return True


class Score:
    """One partition of ``lookup.features.v1``."""

    def __init__(
        self,
        partitions: int,
        table: Table,
        quantile: float,
        packs: Packs,
        mask: Masked = as_it_is,
        teams: Teams = nobody,
    ) -> None:
        self._mask, self._teams = mask, teams
        self.partitions = partitions
        self._packs = packs
        self.table = table
        self._quantile = quantile
        self._parent = parent_of(table.partition)
        self._groups: dict[str, Group] = {}
        self._changed: set[str] = set()
        self._turned: set[str] = set()
        #: By group, the drift of its features (:func:`monitor.model.drift.drift_of`), where it is known.
        self.drifts: dict[str, dict[str, float]] = {}
        every = range(partitions)
        # At once, so that what is said of the models does not wait for their next lookup.
        self._unread = Written()
        for name in self._saved():
            self._group(name, self._unread)
        self._merger: Merger[tuple[str | None, Any, Headers, Chunk]] = Merger(
            (keyed, src) for keyed in every for src in every
        )

    @property
    def held(self) -> int:
        """How many lookups wait for their order."""
        return len(self._merger)

    def process(self, records: Sequence[Any], chunk: Chunk) -> Written:
        """Score what has come into order. The models are saved by :meth:`snapshot`; until then nothing is acknowledged."""
        written, self._unread = self._unread, Written()
        for record in records:
            if record.key == CANARY:
                written.out.append(canary_out("score", record.partition, record.value))
                continue
            content = orjson.loads(record.value)
            if record.key == TICK:
                keyed, src, reached = content
                self._merger.advance((keyed, src), reached)
                continue
            if record.key == ROLL_BACK:
                keyed, reached, src, off, day = content
                chunk.waiting += 1
                self._merger.push((keyed, src), (reached, src, off), (None, day, (), chunk))
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
            origin.waiting -= 1
            if name is None:
                self._roll_back(place, content, written)
            else:
                self._score(place, name, content, by, written)
        return written

    def _score(self, place: Place, name: str, content: Any, by: Headers, written: Written) -> None:
        _, (_, _, _, received, version), slim, features, anomalies = content
        group, parent = self._group(name, written), self._group(self._parent, written)
        self._changed.update((name, self._parent))
        for of, each in ((name, group), (self._parent, parent)):
            if each.turn(place[0]):
                self._turned.add(of)
                self._note_drift(of, each)
        done = group.step(place, slim, features, anomalies, self._packs.rules(version), parent)
        if done is None:
            return
        scored, made = done
        if scored.weight:
            written.days[scored.band] = written.days.get(scored.band, 0) + scored.weight
        for plain in made:
            alert = self._mask(plain)
            written.alerts.append((alert, received))
            written.out.append(alert_out(alert, self.partitions, received, (*by, *watched_by(self._teams(plain)))))

    def _roll_back(self, place: Place, day: int, written: Written) -> None:
        """Every model returns to what it was when a day began; one that did so before (redelivered) does not."""
        for name in sorted({*self._groups, *self._saved()}):
            group = self._group(name, written)
            if not group.takes(place):
                continue
            try:
                written.rolled_back += group.roll_back(day)
            except ValueError:  # a model of another version made it
                written.bad_states += 1
            self._changed.add(name)
            self._turned.add(name)
            self._note_drift(name, group)

    def quantiles(self) -> dict[str, list[float]]:
        """By group that is judged by its own model: the scores at the quantiles :data:`BANDS`, and the threshold."""
        return {
            name: [*group.model.quantile.bands, group.model.quantile.value]
            for name, group in self._groups.items()
            if not group.model.is_young
        }

    def _saved(self) -> list[str]:
        return [name for name in self.table.values if not name.startswith(VERSIONS_OF)]

    def _note_drift(self, name: str, group: Group) -> None:
        self.drifts[name] = drift_of(group.versions)

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
                model = PeerModel.from_bytes(saved.model)
                model.use(self._quantile)
                group = Group(model, saved.at, self._load_versions(name, written))
                self._note_drift(name, group)
                return group
            except (ValueError, msgspec.DecodeError):
                written.bad_states += 1
        return Group(PeerModel(quantile=self._quantile), {}, Versions())

    def _load_versions(self, name: str, written: Written) -> Versions:
        raw = self.table.get(VERSIONS_OF + name)
        try:
            return Versions() if raw is None else decode_versions(raw)
        except BadVersions:
            written.bad_states += 1
            return Versions()

    def snapshot(self, position: int, timestamp: int) -> list[Out]:
        """Save the models that have learned since the last time.

        Their versions first: should the process end in between, a model that is of before its version makes the same one again.
        """
        groups = self._groups
        changes = [(VERSIONS_OF + name, encode_versions(groups[name].versions)) for name in sorted(self._turned)]
        changes += [
            (name, msgspec.msgpack.encode(GroupState(groups[name].at, groups[name].model.to_bytes())))
            for name in sorted(self._changed)
        ]
        self._changed.clear()
        self._turned.clear()
        return self.table.change(position, changes, timestamp)
