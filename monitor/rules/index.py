"""The witness index: from a lookup's fields and values to the few detections that can match it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import ahocorasick

from monitor.rules.compile import OF_TIME
from monitor.rules.model import Detection, Lookup
from monitor.rules.values import key_of

Numbered = tuple[int, Detection]
#: From so many needles on an Aho-Corasick automaton is faster than asking for one after the other.
_FEW: Final = 6
_MISSING: Final = object()


class _Needles:
    """Which detections wait for a text in a value. A. V. Aho, M. J. Corasick, "Efficient string matching", CACM 18 (1975)."""

    def __init__(self, waiting: dict[str, list[Numbered]]) -> None:
        self._few = list(waiting.items()) if len(waiting) < _FEW else []
        self._automaton = None
        if not self._few:
            self._automaton = ahocorasick.Automaton()
            for needle, detections in waiting.items():
                self._automaton.add_word(needle, detections)
            self._automaton.make_automaton()

    def found_in(self, text: str) -> Iterable[list[Numbered]]:
        """The detections of every needle in ``text``, which is in lower case."""
        if self._automaton is None:
            return [detections for needle, detections in self._few if needle in text]
        return [detections for _, detections in self._automaton.iter(text)]


class WitnessIndex:
    """Finds the matching detections without asking each one, in the order in which they were given."""

    def __init__(self, detections: Sequence[Detection]) -> None:
        self._always: list[Numbered] = []
        self._present: dict[str, list[Numbered]] = {}
        self._exact: dict[str, dict[str, list[Numbered]]] = {}
        needles: dict[str, dict[str, list[Numbered]]] = {}
        for numbered in enumerate(detections):
            witness = numbered[1].witness
            if witness is None:
                self._always.append(numbered)
            for field, kind, text in witness or ():
                if kind == "?":
                    self._present.setdefault(field, []).append(numbered)
                else:
                    places = self._exact if kind == "=" else needles
                    places.setdefault(field, {}).setdefault(text, []).append(numbered)
        self._keywords = _Needles(needles.pop("")) if "" in needles else None
        self._needles = {field: _Needles(waiting) for field, waiting in needles.items()}
        self._fields = frozenset({*self._exact, *self._needles, *self._present})

    def matches(self, lookup: Lookup) -> list[Detection]:
        """The detections that match ``lookup``."""
        asked: dict[int, bool] = {}
        found: list[Numbered] = [numbered for numbered in self._always if numbered[1].predicate(lookup)]
        for candidates in self._candidates(lookup):
            for numbered in candidates:
                number, detection = numbered
                if number not in asked:
                    asked[number] = True
                    if detection.predicate(lookup):
                        found.append(numbered)
        if len(found) > 1:
            found.sort(key=_number)
        return [detection for _, detection in found]

    def _candidates(self, lookup: Lookup) -> Iterable[list[Numbered]]:
        for field in self._fields if len(self._fields) <= len(lookup) else self._fields & lookup.keys():
            value = lookup.get(field, _MISSING)
            if value is _MISSING:
                continue
            present = self._present.get(field)
            if present is not None:
                yield present
            if value is None:
                continue
            exact, needles = self._exact.get(field), self._needles.get(field)
            if exact is None and needles is None:
                continue
            for item in value if type(value) is list else (value,):
                yield from self._by_value(key_of(item), exact, needles)
        if self._keywords is not None:
            for name, value in lookup.items():
                if name in OF_TIME:
                    continue
                for item in value if type(value) is list else (value,):
                    if item is not None:
                        yield from self._keywords.found_in(key_of(item))

    @staticmethod
    def _by_value(
        key: str, exact: dict[str, list[Numbered]] | None, needles: _Needles | None
    ) -> Iterable[list[Numbered]]:
        if exact is not None:
            waiting = exact.get(key)
            if waiting is not None:
                yield waiting
        if needles is not None:
            yield from needles.found_in(key)


def _number(numbered: Numbered) -> int:
    return numbered[0]
