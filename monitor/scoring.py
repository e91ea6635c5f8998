"""One lookup's features + its peer group's model → the alerts of the model and of the ``anomaly`` rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from monitor import alerts
from monitor.model import PeerModel, Scored, explain, family
from monitor.rules import Correlation, RuleSet

#: What the explanation of an alert needs of a lookup, where it is known.
TOLD: Final = ("explanation", "on_shift", "in_area", "purpose.status")


def score_lookup(
    model: PeerModel,
    lookup: Mapping[str, Any],
    features: Sequence[float],
    anomalies: Sequence[str],
    rules: RuleSet,
    parent: PeerModel | None = None,
) -> list[alerts.Alert]:
    """The alerts of :func:`judge_lookup`."""
    return judge_lookup(model, lookup, features, anomalies, rules, parent)[1]


def judge_lookup(
    model: PeerModel,
    lookup: Mapping[str, Any],
    features: Sequence[float],
    anomalies: Sequence[str],
    rules: RuleSet,
    parent: PeerModel | None = None,
) -> tuple[Scored, list[alerts.Alert]]:
    """Score and learn one lookup. ``features`` are those of :func:`monitor.model.features.measure`; ``anomalies`` are the ids of
    the rules that wait for its score; ``parent`` is the model of all groups, which judges while ``model`` is young."""
    actor, ts = lookup["actor.id"], lookup["ts"]
    judge = family.judge_of(model, parent)
    wanted = [rule for name in anomalies if isinstance(rule := rules.by_id.get(name), Correlation)]
    bounds = [judge.quantile_at(rule.options.get("quantile", 0.999)) for rule in wanted]
    scored = family.learn(model, parent, actor, ts, features)
    if not (scored.alert or wanted or scored.p < 1.0):
        return scored, []
    raised = [alerts.MODEL_RULE] if scored.alert else []
    for rule, bound in zip(wanted, bounds, strict=True):
        if scored.score > bound and judge.is_due(f"{rule.fingerprint}/{actor}", ts, rule.suppress_ms or rule.span_ms):
            raised.append(alerts.info_of(rule))
    made = []
    if raised:
        factors = explain.factors_of(judge, features)
        reasons = [explain.sentence(each) for each in factors]
        reasons.append(explain.rank_of(judge, scored.score))
        if judge is not model:
            reasons.append("the peers are all staff here: too little is known of the actor's own group")
        said = explain.for_the_actor(judge, lookup, features)
        made = [alerts.from_model(lookup, scored.score, reasons, rules.version, info, factors, said) for info in raised]
    if scored.p < 1.0:
        reasons, said = explain.meter_reasons(judge, features, scored.p), explain.for_the_actor(judge, lookup, features)
        made.append(
            alerts.from_model(lookup, 1.0 - scored.p, reasons, rules.version, alerts.METER_RULE, speaks_for=said)
        )
    return scored, made
