"""Whether what is usual in a peer group has changed of late: how the week before today differs from what had been learned before it.

The measure is the population stability index, PSI = Σ (a − e)·ln(a / e) over bins that hold about a tenth of the earlier mass each (N. Siddiqi,
"Credit Risk Scorecards", 2006; its sampling distribution: B. Yurdakul, J. Naranjo, "Statistical properties of the population stability
index", Journal of Risk Model Validation 14, 2020). As its rule of thumb has it, below 0.1 nothing has changed, above 0.25 much has.

Nothing is counted for it: what was learned in a week is what the histograms hold now, less what they held then, faded. So it follows from
the versions of a model alone (:mod:`monitor.model.versions`), live as in a backtest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from monitor.model import learned
from monitor.model.catalogue import FEATURES
from monitor.model.learned import Learned
from monitor.model.quantile import DAY
from monitor.model.ranges import HALF_LIFE_MS
from monitor.model.scorer import FEWEST, MODEL_VERSION, WARM_UP
from monitor.model.versions import DAYS, Version, Versions

#: Into so many bins the earlier mass is divided, at most.
_BINS: Final = 10
#: Features that go on and on in one direction although nothing changes: a share that nearly only rises, one over all the years, and times of the
#: week of which ever more are known. Their drift is told, and is no news.
WANDERING: Final = frozenset({"no_sequel", "nothing_ever", "odd_week_hour"})
#: Before a week has so many actor-days, nothing is said of it.
LEAST_DAYS: Final = 100


def drift_of(versions: Versions) -> dict[str, float]:
    """The PSI of every feature, by name: the week up to the last version against what had been learned before that week.

    Nothing while too little is known of the group or of the week, and for a week after a roll back.
    """
    line = [each for each in versions.kept if each.line == versions.line and each.learned]
    earlier = [each for each in line if each.last <= line[-1].last - DAYS]
    if not earlier:
        return {}
    try:
        then, now = _read(earlier[-1]), _read(line[-1])
    except ValueError:
        return {}
    if then.seen < WARM_UP or len(then.actors) < FEWEST:
        return {}
    factor = 0.5 ** ((now.faded - then.faded) / HALF_LIFE_MS)
    if sum(now.kinds) - factor * sum(then.kinds) < LEAST_DAYS * DAY or sum(then.kinds) < LEAST_DAYS * DAY:
        return {}
    return {
        name: psi(before, [max(0.0, mass - factor * old) for mass, old in zip(after, before, strict=True)])
        for name, before, after in zip(FEATURES, then.masses, now.masses, strict=True)
    }


def _read(version: Version) -> Learned:
    found = learned.decode(version.learned)
    if found.version != MODEL_VERSION or len(found.masses) != len(FEATURES):
        raise ValueError("of another version of the model")
    return found


def psi(expected: Sequence[float], actual: Sequence[float]) -> float:
    """The population stability index of two histograms over the same bins, in 1/1000 actor-days: 0 when they are alike, and never less.

    Bins are put together until each has about a tenth of what is expected; half an actor-day is added to each, so that an empty one
    gives no infinity.
    """
    ours: list[float] = []
    theirs: list[float] = []
    wanted = sum(expected) / _BINS
    mine = other = 0.0
    for one, two in zip(expected, actual, strict=True):
        mine, other = mine + one, other + two
        if mine >= wanted and mine > 0:
            ours.append(mine)
            theirs.append(other)
            mine = other = 0.0
    if mine or other:
        ours.append(mine)
        theirs.append(other)
    extra = DAY / 2
    total, of_all = sum(ours) + extra * len(ours), sum(theirs) + extra * len(theirs)
    shares = [((e + extra) / total, (a + extra) / of_all) for e, a in zip(ours, theirs, strict=True)]
    return max(0.0, math.fsum((a - e) * math.log(a / e) for e, a in shares))
