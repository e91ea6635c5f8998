"""One lookup's features + its peer group's model → the alerts of the model and of the ``anomaly`` rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor import alerts
from monitor.model import FEATURES, PeerModel, top_features
from monitor.rules import Correlation, RuleSet


def score_lookup(
    model: PeerModel,
    lookup: Mapping[str, Any],
    features: Sequence[float],
    anomalies: Sequence[str],
    rules: RuleSet,
) -> list[alerts.Alert]:
    """Score and learn one lookup. ``features`` are in the order of ``FEATURES``; ``anomalies`` are the ids of the rules that wait for its score."""
    actor, ts = lookup["actor.id"], lookup["ts"]
    wanted = [rule for name in anomalies if isinstance(rule := rules.by_id.get(name), Correlation)]
    bounds = [model.quantile_at(rule.options.get("quantile", 0.999)) for rule in wanted]
    scored = model.learn(actor, ts, features)
    if not (scored.alert or wanted):
        return []
    made: list[alerts.Alert] = []
    reasons: list[str] = []
    if scored.alert:
        reasons = _reasons(model, features)
        made.append(alerts.from_model(lookup, scored.score, reasons, rules.version))
    for rule, bound in zip(wanted, bounds, strict=True):
        if scored.score > bound and model.is_due(f"{rule.fingerprint}/{actor}", ts, rule.suppress_ms or rule.span_ms):
            reasons = reasons or _reasons(model, features)
            made.append(alerts.from_model(lookup, scored.score, reasons, rules.version, alerts.info_of(rule)))
    return made


def _reasons(model: PeerModel, features: Sequence[float]) -> list[str]:
    return top_features(model, dict(zip(FEATURES, features, strict=True)))
