"""Whether chance explains that alerts fall upon groups unevenly, and whether other rules or another model shift them.

Who alerts fall upon often has more of them, so alerts are not independent: what is independent are actors. Every test is a score
test whose variance is Poisson's times how much actors stray from it (quasi-likelihood: R. W. M. Wedderburn, Biometrika 61, 1974),
all of them as if they had one rate, or, where that is more, by how they differ within each group; and the probabilities of all groups are adjusted for being many. A group of few is pooled with the others of few, as its figures would
be those of persons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf, sqrt
from typing import Final

import msgspec

from monitor.fairness.counts import DIMENSIONS, Cell, Cells, Group
from monitor.fairness.intervals import Interval, adjusted, garwood, two_sided, wilson

#: A group has so many actors at least, or is pooled.
FEWEST_ACTORS: Final = 5
#: So many episodes are expected in a group at least (of its share in all exposure), and outside of it, or nothing is tested.
FEWEST_EXPECTED: Final = 5.0
#: Smaller differences are not worth a warning, however sure they are: four fifths, as in 29 CFR 1607.4(D).
LEAST_RATIO: Final = 1.25
SURE: Final = 0.05
POOLED: Final = "few (pooled)"

Measure = Callable[[Cell], float]


class Test(msgspec.Struct, frozen=True):
    """A group against all others: how many times their rate its own is, and the probability, adjusted, that chance alone makes
    it so; ``None`` where there is too little to test."""

    ratio: float | None
    p: float | None

    @property
    def is_found(self) -> bool:
        """Whether the difference is large and sure enough for a warning."""
        if self.p is None or self.ratio is None or self.p >= SURE:
            return False
        return self.ratio >= LEAST_RATIO or self.ratio <= 1 / LEAST_RATIO


class Row(msgspec.Struct, frozen=True):
    """One group. Rates are episodes (see :class:`monitor.fairness.counts.Cell`) per 1,000 lookups and per actor-week; the share is of
    those judged that were confirmed. Each has its 95 % interval."""

    dimension: str
    group: str
    actors: int
    lookups: int
    weeks: int
    episodes: int
    judged: int
    confirmed: int
    per_thousand: float
    per_thousand_interval: Interval
    per_week: float
    per_week_interval: Interval
    share: float | None
    share_interval: Interval
    by_lookups: Test
    by_weeks: Test
    by_verdicts: Test

    @property
    def is_found(self) -> bool:
        """Alerts fall upon the group unevenly whichever way exposure is measured, or its verdicts are others."""
        both = self.by_lookups.is_found and self.by_weeks.is_found
        same_way = both and ((self.by_lookups.ratio or 1) > 1) == ((self.by_weeks.ratio or 1) > 1)
        return same_way or self.by_verdicts.is_found


class Shift(msgspec.Struct, frozen=True):
    """How a group's episodes change from one set of alerts to another over the same history, against how all others' do."""

    dimension: str
    group: str
    actors: int
    before: int
    after: int
    test: Test


def assess(cells: Cells) -> list[Row]:
    """Every group of every dimension, the largest first."""
    pooled = pool(cells)
    raw = [
        (group, pooled[group], _rest(pooled, group))
        for dimension in DIMENSIONS
        for group in sorted(
            (each for each in pooled if each[0] == dimension), key=lambda each: (-_size(pooled[each]), each)
        )
    ]
    measures: tuple[tuple[Measure, Measure], ...] = ((_episodes, _lookups), (_episodes, _weeks), (_confirmed, _judged))
    tests = [_adjusted([_compare(own, rest, *measure) for _, own, rest in raw]) for measure in measures]
    return [_row(group, own, *each) for (group, own, _), *each in zip(raw, *tests, strict=True)]


def shifts(before: Cells, after: Cells) -> list[Shift]:
    """What another set of alerts over the same history changes, by group."""
    old, new = pool(before), pool(after)
    groups = sorted(old, key=lambda each: (DIMENSIONS.index(each[0]), -_size(old[each]), each))
    tests = _adjusted([_compare_change(group, old, new) for group in groups])
    return [
        Shift(*group, len(old[group]), int(_sum(old[group], _episodes)), int(_sum(new[group], _episodes)), test)
        for group, test in zip(groups, tests, strict=True)
    ]


def pool(cells: Cells) -> Cells:
    """Groups of fewer than :data:`FEWEST_ACTORS` as one of their dimension; left out when that is one of few as well."""
    made = {group: actors for group, actors in cells.items() if len(actors) >= FEWEST_ACTORS}
    for dimension in DIMENSIONS:
        together: dict[str, Cell] = {}
        for group in sorted(cells):
            if group[0] == dimension and group not in made:
                for actor, cell in cells[group].items():
                    together[actor] = _plus(together.get(actor, Cell()), cell)
        if len(together) >= FEWEST_ACTORS:
            made[dimension, POOLED] = together
    return made


def _plus(one: Cell, other: Cell) -> Cell:
    return Cell(*(getattr(one, name) + getattr(other, name) for name in Cell.__struct_fields__))


def _rest(cells: Cells, group: Group) -> dict[str, Cell]:
    rest: dict[str, Cell] = {}
    for other, actors in cells.items():
        if other[0] == group[0] and other != group:
            for actor, cell in actors.items():
                rest[actor] = _plus(rest[actor], cell) if actor in rest else cell
    return rest


def _compare(own: Mapping[str, Cell], rest: Mapping[str, Cell], count: Measure, exposure: Measure) -> Test:
    """The ratio of two rates, and the probability of such a difference if all actors had one rate."""
    mine, per, theirs, theirs_per = (_sum(each, by) for each in (own, rest) for by in (count, exposure))
    every, share = mine + theirs, per / max(1.0, per + theirs_per)
    if min(share, 1 - share) * every < FEWEST_EXPECTED:
        return Test(None, None)
    ratio = mine * theirs_per / (per * theirs) if theirs else inf
    strays = max(1.0, _dispersion(_joined(own, rest), count, exposure))
    variance = max(strays * every * share * (1 - share), _between(own, rest, count, exposure, share))
    return Test(ratio, _p(mine - share * every, variance, len(own) + len(rest)))


def _between(
    own: Mapping[str, Cell], rest: Mapping[str, Cell], count: Measure, exposure: Measure, share: float
) -> float:
    """The variance of a group's excess by how its own actors differ from one another, and the others from one another: one actor
    with very many alerts makes no unit uneven (the sandwich: P. J. Huber, 1967)."""
    parts: dict[str, float] = {}
    for cells, weight in ((own, 1 - share), (rest, -share)):
        rate = _sum(cells, count) / max(1.0, _sum(cells, exposure))
        for actor, cell in cells.items():
            parts[actor] = parts.get(actor, 0.0) + weight * (count(cell) - rate * exposure(cell))
    return sum(part * part for part in parts.values())


def _compare_change(group: Group, old: Cells, new: Cells) -> Test:
    """The exposure is the same before and after, so it falls out: what share of the episodes of both is of after, in the group and in
    the others. Most alerts are the same before and after, so these shares stray less than Poisson's."""
    own, rest = _changes(old[group], new.get(group, {})), _changes(_rest(old, group), _rest(new, group))
    after, both, rest_after, rest_both = (_sum(each, by) for each in (own, rest) for by in (_confirmed, _judged))
    before, rest_before = both - after, rest_both - rest_after
    if min(both, rest_both) < 2 * FEWEST_EXPECTED:
        return Test(None, None)
    upper, lower = after * rest_before, before * rest_after
    ratio = upper / lower if lower else inf if upper else 1.0
    share = both / (both + rest_both)
    every = after + rest_after
    strays = _dispersion(_joined(own, rest), _confirmed, _judged)
    variance = max(strays * every * share * (1 - share), _between(own, rest, _confirmed, _judged, share))
    return Test(ratio, _p(after - share * every, variance, len(own) + len(rest)))


def _changes(before: Mapping[str, Cell], after: Mapping[str, Cell]) -> dict[str, Cell]:
    """Of each actor, the episodes of after (as ``confirmed``) among those of both (as ``judged``)."""
    made = {}
    for actor, cell in before.items():
        now = after[actor].episodes if actor in after else 0
        if cell.episodes + now:
            made[actor] = Cell(judged=cell.episodes + now, confirmed=now)
    return made


def _p(difference: float, variance: float, actors: int) -> float:
    if variance <= 0:
        return 1.0 if abs(difference) < 1e-9 else 0.0
    return two_sided(difference / sqrt(variance), actors - 2)


def _joined(own: Mapping[str, Cell], rest: Mapping[str, Cell]) -> list[Cell]:
    joined = dict(rest)
    for actor, cell in own.items():
        joined[actor] = _plus(joined[actor], cell) if actor in joined else cell
    return list(joined.values())


def _adjusted(tests: list[Test]) -> list[Test]:
    values = iter(adjusted([test.p for test in tests if test.p is not None]))
    return [test if test.p is None else Test(test.ratio, next(values)) for test in tests]


def _row(group: Group, own: Mapping[str, Cell], by_lookups: Test, by_weeks: Test, by_verdicts: Test) -> Row:
    lookups, weeks, episodes = (int(_sum(own, each)) for each in (_lookups, _weeks, _episodes))
    judged, confirmed = int(_sum(own, _judged)), int(_sum(own, _confirmed))
    thousand = lookups / 1000
    return Row(
        *group, len(own), lookups, weeks, episodes, judged, confirmed,
        episodes / thousand, garwood(episodes, thousand, dispersion(own.values(), _lookups)),
        episodes / weeks, garwood(episodes, weeks, dispersion(own.values(), _weeks)),
        confirmed / judged if judged else None, wilson(confirmed, judged), by_lookups, by_weeks, by_verdicts,
    )  # fmt: skip


def dispersion(cells: Iterable[Cell], exposure: Measure) -> float:
    """How many times more than Poisson's the actors' episodes stray from their common rate (Pearson's chi-squared by its degrees of
    freedom), 1 at least."""
    return max(1.0, _dispersion(cells, _episodes, exposure))


def _dispersion(cells: Iterable[Cell], count: Measure, exposure: Measure) -> float:
    known = [(count(cell), exposure(cell)) for cell in cells if exposure(cell)]
    total, per = sum(each for each, _ in known), sum(each for _, each in known)
    if not total or len(known) < 2:
        return 1.0
    rate = total / per
    return sum((each - rate * own) ** 2 / (rate * own) for each, own in known) / (len(known) - 1)


def _sum(cells: Mapping[str, Cell], measure: Measure) -> float:
    return sum(map(measure, cells.values()))


def _size(cells: Mapping[str, Cell]) -> int:
    return sum(cell.lookups for cell in cells.values())


def _lookups(cell: Cell) -> float:
    return cell.lookups


def _weeks(cell: Cell) -> float:
    return cell.weeks


def _episodes(cell: Cell) -> float:
    return cell.episodes


def _judged(cell: Cell) -> float:
    return cell.judged


def _confirmed(cell: Cell) -> float:
    return cell.confirmed
