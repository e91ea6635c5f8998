"""How far back a rule looks: from how much of the log its alerts follow."""

from __future__ import annotations

from monitor.rules import Correlation, RuleSet
from monitor.rules.kinds.baseline import BASELINE, LEARNING_MS
from monitor.rules.kinds.peers import KNOWN_FOR
from monitor.rules.model import DAY_MS, Rule


def reaches_of(rules: RuleSet) -> dict[str, int | None]:
    """By rule id: how many milliseconds of event time before a lookup decide whether it alerts.

    ``None``: all there ever were, as the model never forgets. It is what the rule can look at in its windows and while it is
    quiet; that a group has been quiet all along, since it alerts again and again, may go back further.
    """
    found: dict[str, int | None] = {}

    def reach(rule: Rule | None) -> int | None:
        if rule is None:
            return 0
        if rule.id not in found:
            found[rule.id] = 0  # a part cannot be made of itself; should it be, it adds nothing
            found[rule.id] = _of(rule, [reach(rules.by_id.get(part)) for part in getattr(rule, "rules", ())])
        return found[rule.id]

    for rule in rules.by_id.values():
        reach(rule)
    return found


def longest_wait(rules: RuleSet) -> int:
    """For how many milliseconds of event time after a lookup an alert about it may still be decided."""
    waits = [rule.grace_ms for rule in rules.detections]
    for rule in rules.correlations:
        waits.append(rule.delay_ms + rule.grace_ms + (rule.span_ms + DAY_MS if rule.type == "absence" else 0))
    return max(waits, default=0)


def _of(rule: Rule, parts: list[int | None]) -> int | None:
    quiet = rule.suppress_ms + DAY_MS if rule.suppress_ms else 0
    if not isinstance(rule, Correlation):
        return quiet + rule.grace_ms
    if rule.type == "anomaly" or None in parts:
        return None
    spans = 1 + _more_spans(rule)
    learning = int(rule.options.get("learning", LEARNING_MS)) if rule.type == "new_value" else 0
    own = spans * rule.span_ms + max(rule.span_ms, quiet) + rule.late_ms + rule.grace_ms + learning
    return own + max((part for part in parts if part is not None), default=0)


def _more_spans(rule: Correlation) -> int:
    """By how many spans it looks further back than one."""
    if rule.type == "rate_change":
        return int(rule.options.get("baseline", BASELINE)) + 1
    if rule.type == "peer_deviation":
        return KNOWN_FOR + 1
    return int(rule.type == "share" or rule.window == "tumbling")
