"""The witness index: from a lookup's fields and values to the few detections that can match it.

Each detection waits for one of its witnesses (:mod:`monitor.rules.witness`): the one that is met least, but one that many
detections share is worth more, as it is asked once for all of them. Where many wait for the same clause, they wait for another
witness behind it, and so on: an index within the index. (F. Fabret et al., "Filtering algorithms and implementation for very
fast publish/subscribe systems", SIGMOD 2001, call these access predicates.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import ahocorasick

from monitor.rules.model import Clause, Detection, Lookup
from monitor.rules.patterns import FEW, fold
from monitor.rules.values import key_of
from monitor.rules.witness import OF_TIME, share_of

#: A detection with its place in the order given, and the witnesses by which it has not been found yet.
Candidate = tuple[int, Detection, tuple[frozenset[Clause], ...]]
#: With more candidates for a clause than this, those that have another witness wait for it too.
_MANY: Final = 6


class _Bucket:
    """The detections that wait for one clause: some to be asked at once, some behind another index."""

    __slots__ = ("asked", "behind")

    def __init__(self) -> None:
        self.asked: list[Candidate] = []
        self.behind: _Level | None = None

    def settle(self) -> None:
        """Put those that have another witness behind an index of their own, if there are many."""
        if len(self.asked) > _MANY:
            waiting = [each for each in self.asked if each[2]]
            if len(waiting) > _MANY:
                self.asked = [each for each in self.asked if not each[2]]
                self.behind = _Level(waiting)


class _Needles:
    """Which detections wait for a text in a value. A. V. Aho, M. J. Corasick, "Efficient string matching", CACM 18 (1975)."""

    __slots__ = ("_automaton", "_few")

    def __init__(self, waiting: dict[str, _Bucket]) -> None:
        self._few = list(waiting.items()) if len(waiting) < FEW else []
        self._automaton = None
        if not self._few:
            self._automaton = ahocorasick.Automaton()
            for needle, bucket in waiting.items():
                self._automaton.add_word(needle, bucket)
            self._automaton.make_automaton()

    def found_in(self, text: str) -> Iterable[_Bucket]:
        """The buckets of every needle in ``text``, which is without case."""
        if self._automaton is None:
            return [bucket for needle, bucket in self._few if needle in text]
        return [bucket for _, bucket in self._automaton.iter(text)]


class _Field:
    """What is waited for in one field."""

    __slots__ = ("exact", "needles", "present")

    def __init__(self) -> None:
        self.present: _Bucket | None = None
        self.exact: dict[str, _Bucket] = {}
        self.needles: _Needles | None = None


class _Level:
    """An index of detections by one of the witnesses that they have left."""

    __slots__ = ("_fields", "_keywords", "_probes")

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._fields: dict[str, _Field] = {}
        needles: dict[str, dict[str, _Bucket]] = {}
        buckets: dict[Clause, _Bucket] = {}
        shared = Counter(clause for _, _, witnesses in candidates for witness in witnesses for clause in witness)
        for number, detection, witnesses in candidates:
            chosen = min(witnesses, key=lambda witness: _worth(witness, shared))
            rest = tuple(witness for witness in witnesses if witness is not chosen)
            for clause in sorted(chosen):
                buckets.setdefault(clause, _Bucket()).asked.append((number, detection, rest))
        for (name, kind, text), bucket in buckets.items():
            bucket.settle()
            if kind == "~":
                needles.setdefault(name, {})[text] = bucket
                continue
            field = self._fields.setdefault(name, _Field())
            if kind == "?":
                field.present = bucket
            else:
                field.exact[text] = bucket
        self._keywords = _Needles(needles.pop("")) if "" in needles else None
        for name, waiting in needles.items():
            self._fields.setdefault(name, _Field()).needles = _Needles(waiting)
        self._probes = [(name, field.present, field.exact, field.needles) for name, field in self._fields.items()]

    def buckets(self, lookup: Lookup) -> list[_Bucket]:
        """Those whose clause holds; one may come several times."""
        found: list[_Bucket] = []
        for name, present, exact, needles in self._probes:
            value = lookup.get(name)
            if present is not None and (value is not None or name in lookup):
                found.append(present)
            if value is None:
                continue
            kind = type(value)
            if kind is list:
                for item in value:
                    _find(key_of(item), exact, needles, found)
                continue
            # What key_of does, without the call for what is most often there.
            if kind is str:
                key = value.lower() if value.isascii() else fold(value)
            else:
                key = "true" if value is True else "false" if value is False else key_of(value)
            bucket = exact.get(key)
            if bucket is not None:
                found.append(bucket)
            if needles is not None:
                found += needles.found_in(key)
        if self._keywords is not None:
            found += self._found_anywhere(self._keywords, lookup)
        return found

    @staticmethod
    def _found_anywhere(keywords: _Needles, lookup: Lookup) -> Iterator[_Bucket]:
        for name, value in lookup.items():
            if name not in OF_TIME:
                for item in value if type(value) is list else (value,):
                    if item is not None:
                        yield from keywords.found_in(key_of(item))


def _find(key: str, exact: Mapping[str, _Bucket], needles: _Needles | None, found: list[_Bucket]) -> None:
    bucket = exact.get(key)
    if bucket is not None:
        found.append(bucket)
    if needles is not None:
        found += needles.found_in(key)


def _worth(witness: frozenset[Clause], shared: Mapping[Clause, int]) -> tuple[float, list[Clause]]:
    """How often a lookup meets a witness, divided among the detections that may wait for it together."""
    ordered = sorted(witness)
    return sum(share_of(clause) / shared[clause] for clause in ordered), ordered


class WitnessIndex:
    """Finds the matching detections without asking each one, in the order in which they were given."""

    def __init__(self, detections: Sequence[Detection]) -> None:
        self._always: list[Candidate] = []
        waiting: list[Candidate] = []
        for number, detection in enumerate(detections):
            known = detection.witnesses or (() if detection.witness is None else (detection.witness,))
            (waiting if known else self._always).append((number, detection, tuple(dict.fromkeys(known))))
        self._first = _Level(waiting)

    def matches(self, lookup: Lookup) -> list[Detection]:
        """The detections that match ``lookup``."""
        buckets = self._first.buckets(lookup)
        if not self._always and len(buckets) == 1 and buckets[0].behind is None:  # as most often
            return [detection for _, detection, _ in buckets[0].asked if detection.predicate(lookup)]
        found = [(number, detection) for number, detection, _ in self._always if detection.predicate(lookup)]
        asked: set[int] = set()
        levels = [self._first]
        for level in levels:
            for bucket in buckets if level is self._first else level.buckets(lookup):
                if bucket.behind is not None and bucket.behind not in levels:
                    levels.append(bucket.behind)
                for number, detection, _ in bucket.asked:
                    if number not in asked:
                        asked.add(number)
                        if detection.predicate(lookup):
                            found.append((number, detection))
        if len(found) > 1:
            found.sort(key=_number)
        return [detection for _, detection in found]


def _number(found: tuple[int, Any]) -> int:
    return found[0]
