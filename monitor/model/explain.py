"""Why the model found a lookup unusual, in words."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.model.features import WORDS
from monitor.model.scorer import PeerModel


def top_features(model: PeerModel, vector: Mapping[str, float], count: int = 3) -> list[str]:
    """The features that made the score: those without which (at the group's mean instead) it falls most.

    When no single feature lowers the score, those furthest above the group's mean are named instead.
    """
    full, means = model.score(vector), model.means
    falls = {name: full - model.score({**vector, name: means[name]}) for name in vector}
    apart = {name: vector[name] - means[name] for name in vector}
    ranked = sorted(vector, key=lambda name: (-max(falls[name], 0.0), -apart[name], name))
    return [f"{WORDS[name]} ({vector[name]:.2f}; usual in the group: {means[name]:.2f})" for name in ranked[:count]]
