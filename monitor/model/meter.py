"""The leak meter: whether an actor has, over all the years, more lookups that led to nothing than peers have.

Of an actor's n lookups, x were unexplained and led to nothing within three days. Under the null hypothesis each does so with a
chance of at most p, which nearly all peers stay below. The mean over a few alternatives q > p of the likelihood ratio
(q/p)^x · ((1−q)/(1−p))^(n−x) is then a test supermartingale with expectation 1 at most, so that by Ville's inequality the
chance that it *ever* reaches 1/α, however often it is looked at, is at most α (A. Ramdas, P. Grünwald, V. Vovk, G. Shafer,
"Game-theoretic statistics and safe anytime-valid inference", Statistical Science 38, 2023). Its inverse is a p-value that
holds at any time.

An actor is told apart only if their share is a quarter above p or more: below that the ratio of the least alternative falls.
"""

from __future__ import annotations

import math
from typing import Final

#: The alternatives: so many times the tolerated share.
TIMES: Final = (1.5, 2.0, 3.0, 5.0)
#: The chance that the meter ever alerts about an actor whose share is the tolerated one.
ALPHA: Final = 1e-4
#: The least share that is held against anybody, and the least number of lookups.
_LEAST_SHARE: Final = 0.005
_LEAST_LOOKUPS: Final = 300
#: The least number of lookups that led to nothing.
LEAST_NOTHING: Final = 8


def p_value(lookups: float, nothing: float, tolerated: float) -> float:
    """The anytime-valid p-value, 0..1, of ``nothing`` of ``lookups`` having led to nothing when ``tolerated`` (a share) is usual."""
    p = max(_LEAST_SHARE, tolerated)
    # Most actors, most of the time: nothing to work out.
    if nothing < LEAST_NOTHING or lookups < _LEAST_LOOKUPS or nothing <= p * lookups:
        return 1.0
    every = []
    for times in TIMES:
        q = min(times * p, 0.99)
        if q > p:
            every.append(nothing * math.log(q / p) + (lookups - nothing) * math.log((1.0 - q) / (1.0 - p)))
    if not every:
        return 1.0
    most = max(every)
    log_evidence = most + math.log(sum(math.exp(each - most) for each in every) / len(every))
    return min(1.0, math.exp(-min(log_evidence, 700.0)))
