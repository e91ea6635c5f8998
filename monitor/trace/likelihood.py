"""Ranks actors by how much likelier it is that they leaked than that chance had them look at what leaked.

If an actor leaked, they had looked at a leaked subject before its date with probability ``1 - other`` (the rest came from somewhere
else). If not, they had with the probability that their work gives: of all (actor, subject) pairs in the subject's area, each is equally
likely to be any, given how many the actor has and how many the subject has. That is the configuration model of a bipartite graph
(Newman, Networks, 2nd ed., sec. 12.1), so somebody who looks at hundreds of people of a town, or a subject at whom everybody
looks, says little; one stranger in another region much.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import expm1, log, log1p
from typing import Final

from monitor.trace.model import Base, Couple, Leak, Look, Suspect

#: How much of what leaked a leaker did not look up, by default.
OTHER: Final = 0.1
#: Couples are looked for among so many actors with the most evidence.
MAX_COUPLED: Final = 400
#: In a couple each must have so many subjects that the other has not.
LEAST_ALONE: Final = 2
#: No chance is taken to be lower or higher than this: what is counted is not all there is.
_LEAST: Final = 1e-6


def counts(look: Look) -> bool:
    """Whether a lookup says something: no record bears it out."""
    return look.kind != "record"


class Trace:
    """One list of leaks against one archive."""

    def __init__(
        self,
        leaks: Sequence[Leak],
        looks: Iterable[Look],
        base: Base,
        areas: Mapping[str, str | None],
        other: float = OTHER,
    ) -> None:
        """``looks`` are all lookups of the leaked subjects before their dates; ``areas`` says in which area a subject is."""
        self._leaks = [leak.subject for leak in leaks]
        self._base, self._areas, self._other = base, areas, other
        self._hits: defaultdict[str, set[str]] = defaultdict(set)
        self._explained: defaultdict[str, set[str]] = defaultdict(set)
        for look in looks:
            (self._hits if counts(look) else self._explained)[look.actor].add(look.subject)
        #: How many actors looked at each subject so that it counts.
        self._seen_by = Counter(subject for subjects in self._hits.values() for subject in subjects)

    def suspects(self) -> list[Suspect]:
        """Everybody with a hit, the most evidence first; with the same, by name."""
        found = [self._suspect(actor) for actor in self._hits]
        found.sort(key=lambda each: (-each.evidence, each.actor))
        return _holm(found, self._base.actors)

    def _suspect(self, actor: str) -> Suspect:
        chances = self.chances([actor])
        hits = self._hits[actor]
        return Suspect(
            actor,
            [name for name in self._leaks if name in hits],
            [name for name in self._leaks if name in self._explained.get(actor, ()) and name not in hits],
            self._evidence(hits, chances),
            sum(chances.values()),
            at_least(len(hits), list(chances.values())),
            1.0,
        )

    def chances(self, actors: Sequence[str]) -> dict[str, float]:
        """The probability for each leaked subject that work alone had one of ``actors`` look at it."""
        found = {}
        for name in self._leaks:
            area = self._areas.get(name)
            mine = sum(self._base.mine.get(actor, {}).get(area, 0) for actor in actors)
            pairs = max(1, self._base.pairs.get(area, 0))
            # Without anybody's lookup of it there is one that could have been.
            expected = mine * max(1, self._seen_by[name]) / pairs
            found[name] = min(max(-expm1(-expected), _LEAST), 1 - self._other / 2)
        return found

    def _evidence(self, hits: set[str], chances: Mapping[str, float]) -> float:
        evidence = 0.0
        for name, chance in chances.items():
            if name in hits:
                evidence += log(1 - self._other) - log(chance)
            else:
                evidence += log(self._other) - log1p(-chance)
        return evidence

    def couples(self, suspects: Sequence[Suspect], most: int = 10) -> list[Couple]:
        """Pairs who together explain the leaks better than the better of them alone, by so much that it makes up for how many more
        pairs than actors there are; those with the most evidence first."""
        among = suspects[:MAX_COUPLED]
        price = log(max(2, self._base.actors - 1) / 2)
        found = []
        for one, two in combinations(among, 2):
            mine, yours = self._hits[one.actor], self._hits[two.actor]
            alone = len(mine - yours), len(yours - mine)
            if min(alone) < LEAST_ALONE:
                continue
            both = mine | yours
            evidence = self._evidence(both, self.chances([one.actor, two.actor]))
            if evidence - price > max(one.evidence, two.evidence, 0.0):
                hits = [name for name in self._leaks if name in both]
                found.append(Couple((one.actor, two.actor), hits, alone, evidence))
        return sorted(found, key=lambda each: (-each.evidence, each.actors))[:most]


def at_least(hits: int, chances: Sequence[float]) -> float:
    """The probability of ``hits`` or more successes in trials with these chances: the Poisson binomial distribution, exactly."""
    if hits <= 0:
        return 1.0
    # below[k]: exactly k successes, for all k below `hits`; what goes beyond is not needed one by one.
    below = [1.0] + [0.0] * (hits - 1)
    reached = 0.0
    for chance in chances:
        reached += below[-1] * chance
        for k in range(hits - 1, 0, -1):
            below[k] = below[k] * (1 - chance) + below[k - 1] * chance
        below[0] *= 1 - chance
    return min(1.0, reached)


def _holm(suspects: Sequence[Suspect], actors: int) -> list[Suspect]:
    """Correct for having asked about every actor: Holm, 1979. Those without a hit have a chance of 1 and come last."""
    order = sorted(range(len(suspects)), key=lambda number: (suspects[number].chance, number))
    corrected, least = [1.0] * len(suspects), 0.0
    for rank, number in enumerate(order):
        least = max(least, min(1.0, suspects[number].chance * max(1, actors - rank)))
        corrected[number] = least
    return [
        Suspect(each.actor, each.hits, each.explained, each.evidence, each.expected, each.chance, corrected[number])
        for number, each in enumerate(suspects)
    ]
