"""Asking what explains a lookup: all explanations of a set in one pass over what is known of its subject.

Facts are found first, as bits: the actor is a member of a case that names the subject, the actor's unit has a dispatch
about it, and so on. An explanation then holds when one of its own bits is set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from monitor.explanations.builtin import BUILT_IN
from monitor.explanations.model import PLAUSIBLE, RECORD, Explanation
from monitor.known import About, Claim
from monitor.reference import Reference

#: A lookup is explained from this joined strength on.
ENOUGH: Final = 0.5
#: The name that says that nothing, or not enough, explains a lookup.
NONE: Final = "none"
#: How many subjects a search over links looks at, so that one with thousands of links costs no more.
MAX_REACHED: Final = 100

_MEMBER, _UNIT, _REQUESTER, _WATCH = 1, 2, 4, 64
_TASK, _UNIT_TASK, _SHIFT_AREA, _SHIFT, _ANY_CASE = 128, 256, 512, 1024, 2048
#: From the bits of a case about the subject to those of the case that was claimed, whoever is in its file.
_CLAIMED: Final = 12
_OF_OTHERS, _ANY_CLAIM = 32768, 61440
#: A case or a dispatch names the subject, whoever works on it.
_CASE_OF_OTHERS, _DISPATCH_OF_OTHERS = 65536, 131072
#: Among the bits of claims: there is one, whosesoever.
_ANYBODY: Final = 8
#: From the bits of a case to those of a dispatch.
_DISPATCH: Final = 3


class Neighbours:
    """The subjects around one, by how many links away they are; found when asked for, at most :data:`MAX_REACHED`."""

    def __init__(self, reference: Reference, subject_id: str | None, about: About) -> None:
        self._reference = reference
        self._seen = {subject_id}
        self._levels: list[list[str]] = [self._unseen(about)]

    def at(self, distance: int) -> list[str]:
        """The ids of those exactly ``distance`` links away (from 1)."""
        levels = self._levels
        while len(levels) < distance and levels[-1]:
            levels.append([name for here in levels[-1] for name in self._unseen(self._reference.about(here))])
        return levels[distance - 1] if distance <= len(levels) else []

    def _unseen(self, about: About) -> list[str]:
        found = []
        for _, name in about.links:
            if name not in self._seen and len(self._seen) <= MAX_REACHED:
                self._seen.add(name)
                found.append(name)
        return found


class Asked:
    """One lookup by one actor, and what the reference data holds about it. ``until`` after ``ts`` counts later paperwork."""

    __slots__ = ("_facts", "_neighbours", "about", "actor_id", "lookup", "reference", "ts", "unit", "until")

    def __init__(self, lookup: Mapping[str, Any], about: About, reference: Reference, until: int = 0) -> None:
        self.lookup, self.about, self.reference = lookup, about, reference
        self.ts: int = lookup["ts"]
        self.actor_id: str = lookup["actor.id"]
        self.until = until
        self.unit: str | None = lookup.get("actor.unit")
        self._neighbours: Neighbours | None = None
        self._facts: dict[int, int] = {}

    @property
    def neighbours(self) -> Neighbours:
        """The subjects around the one that was looked up."""
        if self._neighbours is None:
            self._neighbours = Neighbours(self.reference, self.lookup.get("subject.id"), self.about)
        return self._neighbours

    def limit(self, within_ms: int) -> int:
        """Records that begin up to here count for an explanation with such a span."""
        return max(self.ts, min(self.until, self.ts + within_ms))

    def facts(self, limit: int, needed: int) -> int:
        """The bits of :data:`FACTS` that are the case for the subject itself, of those needed."""
        held = self._facts.get(limit)
        if held is None:
            held = self.claimed(self.about, limit, needed) | self._around(limit, needed)
            self._facts[limit] = held
        return held

    def claimed(self, about: About, limit: int, needed: int) -> int:
        """The bits of what cases, dispatches and watches say about one subject."""
        colleague = self._requester(limit) if needed & 36 else None
        held = 0
        if about.cases:
            found = self._whose(about.cases, limit, colleague)
            held = found & 7 | (_CASE_OF_OTHERS & needed if found else 0)
        if about.dispatches:
            found = self._whose(about.dispatches, limit, colleague)
            held |= (found & 7) << _DISPATCH | (_DISPATCH_OF_OTHERS & needed if found else 0)
        if about.watches and self._whose(about.watches, limit, None) & _MEMBER:
            held |= _WATCH
        return held

    def claim(self, needed: int) -> int:
        """The bits of what the case says that the lookup was made for, whether or not it names the subject."""
        name = self.lookup.get("purpose.case")
        if not needed & _ANY_CLAIM or name is None:
            return 0
        case = self.reference.case(name)
        if case is None or not case.holds(self.ts):
            return 0
        colleague = self._requester_on(case.actors)
        claim = Claim(name, case.from_ms, case.to_ms, case.unit, case.actors)
        return (self._whose((claim,), self.ts, colleague) & 7) << _CLAIMED or _OF_OTHERS

    def _requester_on(self, actors: tuple[str, ...]) -> str | None:
        other = self.lookup.get("purpose.for")
        return other if other in actors and other != self.actor_id else None

    def _whose(self, claims: tuple[Claim, ...], limit: int, colleague: str | None) -> int:
        held, ts, actor, unit = 0, self.ts, self.actor_id, self.unit
        for claim in claims:
            if claim.from_ms <= limit and ts < claim.to_ms:
                held |= _ANYBODY
                if actor in claim.actors:
                    held |= _MEMBER
                elif unit is not None and claim.unit == unit:
                    held |= _UNIT
                if colleague is not None and colleague in claim.actors:
                    held |= _REQUESTER
        return held

    def _requester(self, limit: int) -> str | None:
        """The colleague on whose behalf the lookup was made, if the two have to do with each other."""
        other = self.lookup.get("purpose.for")
        if other is None or other == self.actor_id:
            return None
        known = self.reference.actors.get(other)
        if known is None:
            return None
        if self.unit is not None and known.unit == self.unit:
            return str(other)
        return str(other) if self._cases(self.actor_id, limit) & self._cases(other, limit) else None

    def _cases(self, actor_id: str, limit: int) -> set[str]:
        return {name for name, begin, end in self.reference.cases_of(actor_id) if begin <= limit and self.ts < end}

    def _around(self, limit: int, needed: int) -> int:
        """The bits of what is not about the subject itself but about where and when the actor works."""
        reference, actor, held = self.reference, self.actor_id, 0
        area: str | None = self.lookup.get("subject.area")
        if needed & (_TASK | _UNIT_TASK) and area is not None:
            if _runs(reference.tasks_of_actor.get((actor, area)), self.ts, limit):
                held |= _TASK
            if self.unit is not None and _runs(reference.tasks_of_unit.get((self.unit, area)), self.ts, limit):
                held |= _UNIT_TASK
        if self.lookup.get("on_shift"):
            held |= _SHIFT_AREA | _SHIFT if self.lookup.get("in_area") else _SHIFT
        if needed & _ANY_CASE and self._cases(actor, limit):
            held |= _ANY_CASE
        return held

    def nearest(self, wanted: int, distance: int, limit: int) -> int:
        """How many links away the nearest subject is about which any of the bits is the case; 0 when there is none."""
        for far in range(1, distance + 1):
            for name in self.neighbours.at(far):
                if self.claimed(self.reference.about(name), limit, wanted) & wanted:
                    return far
        return 0


def _runs(spans: Any, ts: int, limit: int) -> bool:
    return spans is not None and (spans.holds(ts) or (limit > ts and spans.begins(ts, limit)))


class Explanations:
    """A set of explanations. Raises ``ValueError`` when two have the same name."""

    def __init__(self, every: Iterable[Explanation]) -> None:
        self.all = tuple(sorted(every, key=lambda one: one.name))
        names = [one.name for one in self.all]
        if len(set(names)) < len(names):
            raise ValueError("two explanations have the same name")
        explaining = [one for one in self.all if one.kind == RECORD]
        self._near = [(one, one.facts) for one in explaining if not one.distance]
        self._far = [(one, one.facts) for one in explaining if one.distance]
        #: Those that explain nothing, and only say that a claim is what such people do.
        self._plausible = [(one, one.facts) for one in self.all if one.kind == PLAUSIBLE]
        self._needed = self._needed_by_claims = 0
        for _, wanted in self._plausible:
            self._needed_by_claims |= wanted
        self._needed |= self._needed_by_claims
        self._known: dict[int, tuple[list[Explanation], tuple[list[str], float] | None]] = {}
        for _, wanted in self._near:
            self._needed |= wanted
        #: How many links away a subject may be from those a case names and still belong to it.
        self.reach = max([1, *(one.distance for one in self.all if "case" in one.records)])

    def holding(self, asked: Asked) -> tuple[list[str], float]:
        """The names of those that hold, sorted, and their joined strength.

        Those over links are asked only when those about the subject itself do not explain the lookup: they need a read for
        every subject around.
        """
        names, total = self._of_subject(asked)
        if total >= ENOUGH or not asked.about.links:
            return names, total
        for one, wanted in self._far:
            if not one.when or one.applies(asked.lookup):
                far = asked.nearest(wanted, one.distance, asked.limit(one.within_ms))
                if far:
                    names.append(one.name)
                    total = join(total, one.strength**far)
        return sorted(names), total

    def _of_subject(self, asked: Asked) -> tuple[list[str], float]:
        """Those that need no links. Without a span of grace all depend on the same facts, of which there are few mixtures."""
        if asked.until:
            held = [(one, asked.facts(asked.limit(one.within_ms), self._needed) & wanted) for one, wanted in self._near]
            return _joined(one for one, is_held in held if is_held and one.applies(asked.lookup))
        facts = asked.facts(asked.ts, self._needed)
        known = self._known.get(facts)
        if known is None:
            these = [one for one, wanted in self._near if facts & wanted]
            # Where none depends on the lookup's own fields, the answer is always the same.
            known = self._known[facts] = these, None if any(one.when for one in these) else _joined(these)
        these, answer = known
        if answer is not None:
            return answer[0].copy(), answer[1]
        return _joined(one for one in these if not one.when or one.applies(asked.lookup))

    def explain(self, asked: Asked) -> tuple[list[str], float, str] | None:
        """The names of those that hold, their joined strength, and the kind: ``record``, ``plausible`` or ``none``.

        ``none`` is among the names when the strength is not enough; only then those that are merely plausible are asked, and
        named too. ``None`` when it cannot be known: a lookup without a subject, that names no case either.
        """
        names, strength = self.holding(asked)
        if not names and asked.lookup.get("subject.id") is None and asked.lookup.get("purpose.case") is None:
            return None
        if strength >= ENOUGH:
            return names, round(strength, 3), RECORD
        claims = self.plausible(asked)
        return with_none([*names, *claims], strength), round(strength, 3), PLAUSIBLE if claims else NONE

    def plausible(self, asked: Asked) -> list[str]:
        """The names of those that make a lookup plausible though they explain nothing."""
        if not self._plausible:
            return []
        held = asked.facts(asked.ts, self._needed) | asked.claim(self._needed_by_claims)
        return [one.name for one, wanted in self._plausible if held & wanted and one.applies(asked.lookup)]

    @staticmethod
    def default() -> Explanations:
        """The built-in set, equal to the pack's documents, for callers that load no documents."""
        return Explanations(BUILT_IN)


def _joined(holding: Iterable[Explanation]) -> tuple[list[str], float]:
    names, total = [], 0.0
    for one in holding:
        names.append(one.name)
        total = join(total, one.strength)
    return names, total


def join(one: float, other: float) -> float:
    """The strength of two explanations together."""
    return 1.0 - (1.0 - one) * (1.0 - other)


def with_none(names: list[str], strength: float) -> list[str]:
    """The names, with ``none`` among them when their joined strength does not explain a lookup."""
    return names if strength >= ENOUGH else sorted([*names, NONE])


def explain_later(
    reference: Reference, explanations: Explanations, actor_id: str, subject_id: str, ts: int, until: int
) -> list[str]:
    """What explains a lookup made at ``ts`` when paperwork that began up to ``until`` counts too.

    As in the field ``explanation``: ``["none"]`` when nothing does. Only cases and dispatches that began within the
    explanation's own span after the lookup count. What depends on the lookup's own fields (``when`` about a purpose, a colleague's
    request) does not, as they are not known here; the actor's are. Empty when the actor is unknown.
    """
    actor = reference.actors.get(actor_id)
    if actor is None:
        return []
    about = reference.about(subject_id)
    shifts = reference.shifts.get(actor_id)
    lookup = {
        **actor.fields,
        "ts": ts,
        "actor.id": actor_id,
        "actor.unit": actor.unit,
        "subject.id": subject_id,
        "subject.area": about.area,
        "on_shift": shifts is not None and shifts.holds(ts),
        "in_area": reference.is_inside(about.area, actor.areas, actor.unit),
    }
    return with_none(*explanations.holding(Asked(lookup, about, reference, until)))
