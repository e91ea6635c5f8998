"""What an alert, and those before it about the same entity, say of how likely it is misuse.

Nothing here says who the actor is, what unit or role they have, or what was found of them before: a verdict about somebody moves
nobody's place in the queue but by the rule that raised the alert. One who was cleared once is not trusted more, and one who
was not is not suspected more.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from typing import Final

import msgspec

from monitor.alerts import Alert

#: For how long (half-life, milliseconds) earlier alerts about the entity count.
HALF_LIFE_MS: Final = 7 * 24 * 3600 * 1000
#: How likely an alert of a level is misuse before anything was learned. A guess, to begin with.
PRIORS: Final = {"informational": 0.1, "low": 0.25, "medium": 0.5, "high": 0.75, "critical": 0.9}
_LOUD: Final = frozenset({"medium", "high", "critical"})
_MAX_RULES: Final = 16
#: Each feature in words.
WORDS: Final = {
    "prior": "the rule's level",
    "events": "how many lookups it rests on",
    "subjects": "how many subjects it is about",
    "actors": "how many actors it is about",
    "suppressed": "how often the rule kept quiet before",
    "model": "it comes of the model",
    "recent": "how many alerts there were about the same entity",
    "loud": "how many of them of level medium and more",
    "rules": "how many different rules raised them",
    "new": "the rule had not raised any of them",
}


class History(msgspec.Struct, array_like=True):
    """The alerts about one entity so far. ``rules`` are the last few that raised them, as CRC-32 of their ids."""

    last: int = 0
    recent: float = 0.0
    loud: float = 0.0
    rules: list[int] = []


def entity_key(alert: Alert) -> str:
    """A short name of the entity, which does not say who it is."""
    return hashlib.blake2b(f"{alert.entity.kind}/{alert.entity.id}".encode(), digest_size=9).hexdigest()


def logit(probability: float) -> float:
    """The log of the odds."""
    return math.log(probability / (1.0 - probability))


def prior(level: str) -> float:
    """:data:`PRIORS` of a level; a half for one that is not known."""
    return PRIORS.get(level, 0.5)


def measure(alert: Alert, before: History) -> tuple[dict[str, float], History]:
    """The features of an alert (see :data:`WORDS`), each about 0 to 2, and the entity's history with it."""
    mark = zlib.crc32(alert.rule.id.encode())
    faded = 0.5 ** (max(0, alert.ts - before.last) / HALF_LIFE_MS) if before.last else 1.0
    recent, loud = before.recent * faded, before.loud * faded
    features = {
        "prior": logit(prior(alert.rule.level)),
        "events": math.log1p(len(alert.events)) / 3,
        "subjects": math.log1p(len(alert.subjects)) / 3,
        "actors": math.log((1 + len(alert.actors)) / 2),
        "suppressed": math.log1p(alert.suppressed) / 3,
        "model": float(alert.kind == "model"),
        "recent": math.log1p(recent) / 2,
        "loud": math.log1p(loud) / 2,
        "rules": math.log1p(len(before.rules)) / 2,
        "new": float(mark not in before.rules),
    }
    rules = [*[rule for rule in before.rules if rule != mark][1 - _MAX_RULES :], mark]
    after = History(max(before.last, alert.ts), recent + 1, loud + (alert.rule.level in _LOUD), rules)
    # In the order in which they are kept, so that sums over them come out the same.
    return {name: round(features[name], 6) for name in sorted(features)}, after
