"""Why the model found a lookup unusual, in words and numbers; and what speaks for the actor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from monitor.model.catalogue import CATALOGUE, FEATURES
from monitor.model.scorer import PeerModel

#: What is said for the actor when their value is no higher than the peers' median.
_AS_USUAL: Final = ("unexplained", "no_sequel", "out_of_area", "rate_1d")
_KIND: Final = len(FEATURES) + 2
#: A kind of lookup that makes up so much of the group's is an ordinary one.
_ORDINARY: Final = 0.01


class Factor(msgspec.Struct, frozen=True):
    """A feature that made the score. ``value`` is the actor's; ``low``, ``usual`` and ``high`` are the 10th, 50th and 90th
    percentile of the peers, all in ``unit`` (shares in percent); ``effect`` is how much lower the score (0..1) would be at
    the peers' median."""

    name: str
    unit: str
    value: float
    low: float
    usual: float
    high: float
    effect: float


def factors_of(model: PeerModel, values: Sequence[float], count: int = 3) -> list[Factor]:
    """The features that made the score: those with which it falls most when each alone is set to the peers' median.

    When fewer lower it, those furthest above the median are named instead.
    """
    ranges = model.ranges
    full, vector = ranges.score(values), list(values[: len(FEATURES)])
    ranked = []
    for position, value in enumerate(vector):
        usual = ranges.at(position, 0.5)
        vector[position] = usual
        ranked.append((-(full - ranges.score(vector)), usual - value, position))
        vector[position] = value
    return [_factor(model, position, vector[position], -fall) for fall, _, position in sorted(ranked)[:count]]


def _factor(model: PeerModel, position: int, value: float, effect: float) -> Factor:
    feature = CATALOGUE[position]
    low, usual, high = (round(feature.natural(model.ranges.at(position, q)), 3) for q in (0.1, 0.5, 0.9))
    unit = "%" if feature.form == "share" else feature.unit
    return Factor(feature.name, unit, round(feature.natural(value), 3), low, usual, high, round(max(effect, 0.0), 4))


def sentence(factor: Factor) -> str:
    """A factor as a plain sentence."""
    words = CATALOGUE[FEATURES.index(factor.name)].words
    unit = {"index": "", "%": " %"}.get(factor.unit, f" {factor.unit}")
    return (
        f"{words}: {_number(factor.value)}{unit}, where 8 in 10 of the peers have {_number(factor.low)} to {_number(factor.high)}; "
        f"at their median of {_number(factor.usual)} the score would be {factor.effect:.3f} lower"
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def rank_of(model: PeerModel, score: float) -> str:
    """Where a score stands among those of the peers."""
    share = model.quantile.share_above(score)
    if share == 0.0:
        return "no other day of a peer in the last weeks was more unusual"
    return f"{100 * share:.2g} % of the peers' days in the last weeks were more unusual"


def for_the_actor(model: PeerModel, lookup: Mapping[str, Any], values: Sequence[float]) -> list[str]:
    """What speaks for the actor, as sentences: what is known of the lookup, and where they are as peers are."""
    said = []
    explanation = [each for each in lookup.get("explanation") or () if each != "none"]
    if explanation and "none" not in lookup["explanation"]:
        said.append(f"the work explains this lookup: {', '.join(explanation)}")
    elif explanation:
        said.append(f"the work may explain this lookup: {', '.join(explanation)}")
    if lookup.get("on_shift"):
        said.append("the actor was on shift")
    if lookup.get("in_area"):
        said.append("the subject is in the actor's own area")
    if lookup.get("purpose.status") in ("explained", "claimed"):
        said.append("the actor stated a purpose")
    share = model.ranges.share_of(int(values[_KIND]))
    if share >= _ORDINARY:
        said.append(
            f"peers make such lookups too: {100 * share:.0f} % of theirs are in this system, with this action, at this time of day"
        )
    for name in _AS_USUAL:
        position = FEATURES.index(name)
        usual, feature = model.ranges.at(position, 0.5), CATALOGUE[position]
        if usual > 0.0 and values[position] <= usual:
            said.append(
                f"no more than peers: {_SHORT[name]} {feature.told(values[position])} (median {feature.told(usual)})"
            )
    return said


_SHORT: Final = {
    "unexplained": "lookups without an explanation:",
    "no_sequel": "unexplained lookups that led to nothing:",
    "out_of_area": "lookups outside the own area:",
    "rate_1d": "lookups a day:",
}


def meter_reasons(model: PeerModel, values: Sequence[float], p: float) -> list[str]:
    """Why the leak meter alerts."""
    lookups, nothing = values[len(FEATURES)], values[len(FEATURES) + 1]
    return [
        f"of {lookups:.0f} lookups so far, {nothing:.0f} ({100 * nothing / lookups:.1f} %) were unexplained and led to nothing "
        f"within three days; 95 % of the peers stay below {100 * model.tolerated:.1f} %",
        f"were the actor like them, the chance of ever seeing so many would be at most {p:.2g}",
    ]


def top_features(model: PeerModel, vector: Mapping[str, float], count: int = 3) -> list[str]:
    """The sentences about the features that made the score of a vector by names."""
    return [sentence(factor) for factor in factors_of(model, [vector[name] for name in FEATURES], count)]
