"""Backtest: the same core as the live service over a file of lookups, giving the same alerts with the same ids."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from monitor import ending, events
from monitor.acts import Acts
from monitor.alerts import Alert
from monitor.detector import FORGET_AFTER_MS, Detector, KeyState, peer_group_of
from monitor.enrich import enrich, explains_later
from monitor.gaps import AFTER_MS, Numberings, name_of
from monitor.model import PeerModel
from monitor.model.family import parent_of, partition_of_group
from monitor.model.versions import Group, Versions
from monitor.order import IDLE, Merger, Place
from monitor.reference import Reference
from monitor.rules import RuleSet
from monitor.scoring import score_lookup

#: After how many lookups those are taken up whose order is certain by then.
_RELEASE_EVERY = 256


class RollBack(NamedTuple):
    """Where it stands in the log, every model returns to what it was at the beginning of ``day`` (days since 1970-01-01)."""

    day: int


class Scorable(NamedTuple):
    """A lookup on its way to its group's model, and what goes with it; see :func:`monitor.scoring.score_lookup`."""

    group: str
    lookup: dict[str, Any]
    features: list[float]
    anomalies: list[str]
    rules: RuleSet


class Backtest:
    """One run. ``source_of`` gives the source partition (0 to ``partitions`` - 1) of an actor's lookups, as the producer does.

    The log ends with its last lookup, as it would for a worker; with ``run_on_ms`` time goes on for so long after it.
    ``forget_ms`` is as in :class:`monitor.detector.Detector`.
    """

    def __init__(
        self,
        rules: RuleSet,
        reference: Reference,
        partitions: int,
        source_of: Callable[[str], int],
        quantile: float,
        run_on_ms: int = 0,
        forget_ms: int = FORGET_AFTER_MS,
        gap_after_ms: int = AFTER_MS,
    ) -> None:
        self._forget_ms = forget_ms
        self.fates: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._reference = reference
        self._versions: dict[str, RuleSet] = {}
        self._source_of = source_of
        self._quantile = quantile
        self._run_on_ms = run_on_ms
        self._use(rules)
        self._states: defaultdict[str, KeyState] = defaultdict(KeyState)
        #: The models of all peer groups, by name, as far as they have learned, with their versions.
        self.groups: dict[str, Group] = {}
        self._acts = [Acts() for _ in range(partitions)]
        self._reached = [0] * partitions
        self._next = [0] * partitions
        self._numberings = Numberings(gap_after_ms)
        self._numbered: Merger[tuple[str, int, int, bool]] = Merger((src,) for src in range(partitions))
        self._joined: Merger[tuple[str, dict[str, Any], Detector]] = Merger((src,) for src in range(partitions))
        self._scored: Merger[Scorable | RollBack] = Merger((src,) for src in range(partitions))

    @property
    def models(self) -> dict[str, PeerModel]:
        """The models of all peer groups, by name, as far as they have learned."""
        return {name: group.model for name, group in self.groups.items()}

    def run(self, messages: Iterable[bytes | RuleSet | RollBack], received_ms: int) -> Iterator[Alert]:
        """Yield the alerts of the messages, which are in the order they arrived; ``received_ms`` as in :func:`events.decode`.

        Rules among the messages are what lookups are judged by from there on, as if they had been deployed there; so is a roll back.
        """
        for number, raw in enumerate(messages, 1):
            if isinstance(raw, RuleSet):
                self._use(raw)
                continue
            if isinstance(raw, RollBack):
                for src in range(len(self._next)):
                    self._next[src] += 1
                    self._count_roll_back(raw, src, self._next[src] - 1)
                continue
            try:
                lookup = enrich(events.decode(raw, received_ms=received_ms), self._reference, self._rules.explanations)
            except events.Notice as notice:
                self._take_beat(notice)
                continue
            except events.BadEvent as error:
                self.refused[error.reason] += 1
                continue
            yield from self._take(lookup)
            if number % _RELEASE_EVERY == 0:
                yield from self._release()
        for src in range(len(self._reached)):
            self._rest(src)
        yield from self._release()
        yield from self._decide()

    def _rest(self, src: int) -> None:
        """Nothing comes of a source for now: it holds nobody back."""
        self._joined.advance((src,), IDLE)
        self._scored.advance((src,), IDLE)
        self._numbered.advance((src,), IDLE)

    def _decide(self) -> Iterator[Alert]:
        """What waits at the end of the log."""
        ends = ending.ends_of(self._reached, self._next, self._run_on_ms)
        yield from ending.decide(self._detector, self._states, *ends)
        yield from self._numberings.due(ends[1])

    def _use(self, rules: RuleSet) -> None:
        self._rules = self._versions[rules.version] = rules
        self._detector = self._detector_for(rules)

    def _detector_for(self, rules: RuleSet) -> Detector:
        explained = partial(explains_later, self._reference, explanations=rules.explanations)
        return Detector(rules, explained, rules_of=self._versions.__getitem__, forget_ms=self._forget_ms)

    def _take(self, lookup: dict[str, Any]) -> list[Alert]:
        src = self._source_of(lookup["actor.id"])
        off = self._next[src]
        self._next[src] += 1
        return self._count(lookup, src, off, self._detector)

    def _count(self, lookup: dict[str, Any], src: int, off: int, detector: Detector) -> list[Alert]:
        """Count the lookup that came as offset ``off`` of the source ``src``."""
        self._reached[src] = max(self._reached[src], lookup["ts"])
        self._acts[src].fold(lookup, self._reference, self._reached[src])
        place = (self._reached[src], src, off)
        self._take_number(place, lookup, False)
        for key in detector.rules.partition_keys(lookup):
            self._joined.push((src,), place, (key, lookup, detector))
        key = f"actor/{lookup['actor.id']}"
        state = self._states[key]
        outcome = detector.step(key, state, lookup, src, off, place[0])
        self._note_waiting(key, state)
        self.fates[outcome.fate] += 1
        if outcome.features is not None:
            item = Scorable(peer_group_of(lookup), lookup, outcome.features, outcome.anomalies, detector.rules)
            self._scored.push((src,), place, item)
        self._joined.advance((src,), place[0])
        self._scored.advance((src,), place[0])
        return outcome.alerts

    def _note_waiting(self, key: str, state: KeyState) -> None:
        """Called after each step of a key: whoever decides before the end of the log notes here what waits."""

    def _take_beat(self, notice: events.Notice) -> None:
        if notice.kind == "heartbeat":
            src = self._source_of(notice.fields["system"])
            self._next[src] += 1
            self._count_beat(notice.fields, src, self._next[src] - 1)

    def _count_beat(self, beat: dict[str, Any], src: int, off: int) -> None:
        """A heartbeat moves time as a lookup does, in the partition of its system; it is none."""
        self._reached[src] = max(self._reached[src], beat["ts"])
        self._take_number((self._reached[src], src, off), beat, True)

    def _count_roll_back(self, item: RollBack, src: int, off: int) -> None:
        """Every source has a control record of it, and the last of them in the one order of lookups is what counts in the end."""
        self._scored.push((src,), (self._reached[src], src, off), item)

    def _take_number(self, place: Place, lookup: dict[str, Any], is_beat: bool) -> None:
        if lookup.get("seq") is not None:
            item = (name_of(lookup), lookup["seq"], lookup["ts"], is_beat)
            self._numbered.push((place[1],), place, item)

    def _release(self) -> Iterator[Alert]:
        for src, reached in enumerate(self._reached):
            self._numbered.advance((src,), reached)
        for (reached, *_), (name, number, ts, is_beat) in self._numbered.ready():
            self._numberings.step(name, number, ts, reached, is_beat)
        yield from self._numberings.due(min(self._reached))
        for (ot, src, off), (key, lookup, detector) in self._joined.ready():
            state = self._states[key]
            yield from detector.step(key, state, lookup, src, off, ot).alerts
            self._note_waiting(key, state)
        for (reached, *_), item in self._scored.ready():
            if isinstance(item, RollBack):
                self._roll_back(item.day)
            else:
                yield from self._score(reached, item)

    def _score(self, reached: int, item: Scorable) -> list[Alert]:
        """Score and learn a lookup whose place begins with ``reached``."""
        # Groups share a parent when the live service would have them in one partition.
        parent = self._group(parent_of(partition_of_group(item.group, len(self._reached))))
        own = self._group(item.group)
        own.turn(reached)
        parent.turn(reached)
        return score_lookup(own.model, item.lookup, item.features, item.anomalies, item.rules, parent.model)

    def _roll_back(self, day: int) -> None:
        for group in self.groups.values():
            group.roll_back(day)

    def _group(self, name: str) -> Group:
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Group(PeerModel(quantile=self._quantile), Versions())
        return group

    def undecided(self) -> list[int]:
        """As :func:`monitor.ending.undecided`."""
        return ending.undecided(self._states)
