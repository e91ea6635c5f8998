"""The rules over a log, in parts that can run side by side and give the alerts of :class:`monitor.backtest.Backtest`.

Three steps. *Reading* makes enriched lookups of a piece of the log and knows nothing of other pieces. *Placing* says how far
each source had come before a piece. *Counting* keeps the state of some keys: all of an actor's lookups go to one part, and
what joins actors is counted by key afterwards, in the order of its places. The model does not run here.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import msgspec

from monitor import ending, events
from monitor.acts import Acts
from monitor.alerts import Alert
from monitor.detector import Detector, KeyState
from monitor.enrich import enrich, explains_later
from monitor.explanations import Explanations
from monitor.order import IDLE, Merger, Place
from monitor.reference import Reference
from monitor.rules import RuleSet

#: A lookup that matters to a key that joins actors: its place, the key, the lookup.
Copy = tuple[Place, str, dict[str, Any]]
#: Newest event time its source had reached, source, offset, lookup.
Placed = tuple[int, int, int, dict[str, Any]]


def part_of(name: str, parts: int) -> int:
    """The part that a name belongs to: always the same one."""
    return zlib.crc32(name.encode()) % parts


class Piece(msgspec.Struct):
    """What reading makes of a piece of the log. Places in it are as if the log began with it."""

    #: The lookups by part.
    parts: list[list[Placed]]
    #: By source: the newest event time, and how many lookups it had.
    reached: dict[int, int] = {}
    counts: dict[int, int] = {}
    refused: dict[str, int] = {}
    actors: set[str] = set()
    #: The oldest event time.
    oldest: int | None = None


def read(
    messages: Iterable[bytes],
    reference: Reference,
    explanations: Explanations,
    source_of: Callable[[str], int],
    parts: int,
    received_ms: int,
) -> Piece:
    """Decode and enrich a piece of the log. ``source_of`` gives the source partition of an actor, ``received_ms`` is as in
    :func:`monitor.events.decode`."""
    made = Piece([[] for _ in range(parts)])
    known: dict[str, tuple[int, int]] = {}
    refused: Counter[str] = Counter()
    for raw in messages:
        try:
            lookup = enrich(events.decode(raw, received_ms=received_ms), reference, explanations)
        except events.Notice as notice:
            if notice.kind == "heartbeat":
                src = source_of(notice.fields["system"])
                made.reached[src] = max(made.reached.get(src, 0), notice.fields["ts"])
                made.counts[src] = made.counts.get(src, 0) + 1
            continue
        except events.BadEvent as error:
            refused[error.reason] += 1
            continue
        actor, ts = lookup["actor.id"], lookup["ts"]
        if actor not in known:
            known[actor] = source_of(actor), part_of(actor, parts)
        src, part = known[actor]
        made.reached[src] = reached = max(made.reached.get(src, 0), ts)
        made.counts[src] = off = made.counts.get(src, 0) + 1
        made.oldest = ts if made.oldest is None else min(made.oldest, ts)
        made.parts[part].append((reached, src, off - 1, lookup))
    made.refused = dict(refused)
    made.actors = set(known)
    return made


class Places:
    """How far each source has come: what turns the places in a piece into those in the log."""

    def __init__(self, sources: int) -> None:
        self.reached = [0] * sources
        self.counts = [0] * sources

    def move(self, piece: Piece) -> tuple[list[int], list[int], list[int]]:
        """Go past a piece: how far each source had come before it (event time, count), and the event times after it."""
        reached, counts = self.reached[:], self.counts[:]
        for src, newest in piece.reached.items():
            self.reached[src] = max(self.reached[src], newest)
            self.counts[src] += piece.counts[src]
        return reached, counts, self.reached[:]

    def end(self, run_on_ms: int = 0) -> tuple[list[int], int]:
        """As :func:`monitor.ending.ends_of`, for what has been gone past."""
        return ending.ends_of(self.reached, self.counts, run_on_ms)


class Counting:
    """The state of some keys, and the rules over it."""

    def __init__(self, rules: RuleSet, reference: Reference) -> None:
        self.fates: Counter[str] = Counter()
        self._rules = rules
        explained = partial(explains_later, reference, explanations=rules.explanations)
        self._detector = Detector(rules, explained, with_features=False)
        self._states: defaultdict[str, KeyState] = defaultdict(KeyState)

    def own(self, place: Place, lookup: dict[str, Any]) -> list[Alert]:
        """Count a lookup under its actor's key."""
        reached, src, off = place
        key = f"actor/{lookup['actor.id']}"
        outcome = self._detector.step(key, self._states[key], lookup, src, off, reached)
        self.fates[outcome.fate] += 1
        return outcome.alerts

    def copies(self, place: Place, lookup: dict[str, Any]) -> list[Copy]:
        """What of a lookup is to be counted under keys that join actors."""
        return [(place, key, lookup) for key in self._rules.partition_keys(lookup)]

    def step(self, place: Place, lookup: dict[str, Any]) -> list[Alert]:
        """Count a lookup under its actor's key, and at once under those that join actors: for a log of one source."""
        copies = self.copies(place, lookup)
        found = self.own(place, lookup)
        return found + [alert for copy in copies for alert in self.joined(copy)]

    def state(self, key: str) -> KeyState:
        """The state of a key."""
        return self._states[key]

    def joined(self, copy: Copy) -> list[Alert]:
        """Count a lookup under a key that joins actors; they come in the order of their places."""
        (reached, src, off), key, lookup = copy
        return self._detector.step(key, self._states[key], lookup, src, off, reached).alerts

    def end(self, reached: list[int], all_reached: int) -> Iterator[Alert]:
        """As :func:`monitor.ending.decide`, for the keys that were counted here."""
        yield from ending.decide(self._detector, self._states, reached, all_reached)

    def undecided(self) -> list[int]:
        """As :func:`monitor.ending.undecided`."""
        return ending.undecided(self._states)


class Part:
    """All lookups of the actors of one part. ``join`` gets what of them joins actors, in the order of places."""

    def __init__(self, rules: RuleSet, reference: Reference, sources: int, join: Callable[[Copy], list[Alert]]) -> None:
        self.counting = Counting(rules, reference)
        self._join = join
        self._sources = sources
        self._reference = reference
        self._acts = [Acts() for _ in range(sources)]
        self._held: Merger[Copy] = Merger((src,) for src in range(sources))

    def count(self, lookups: Iterable[Placed], reached: list[int], counts: list[int], after: list[int]) -> list[Alert]:
        """Count a piece's lookups; the rest is what :meth:`Places.move` said of the piece."""
        found: list[Alert] = []
        for newest, src, off, lookup in lookups:
            place = (max(newest, reached[src]), src, counts[src] + off)
            self._acts[src].fold(lookup, self._reference, place[0])
            for copy in self.counting.copies(place, lookup):
                self._held.push((src,), place, copy)
            found += self.counting.own(place, lookup)
        for src in range(self._sources):
            self._held.advance((src,), after[src])
        return found + self._released()

    def end(self) -> list[Alert]:
        """Nothing comes any more: hand on what was held."""
        for src in range(self._sources):
            self._held.advance((src,), IDLE)
        return self._released()

    def _released(self) -> list[Alert]:
        return [alert for _, copy in self._held.ready() for alert in self._join(copy)]
