"""Alerts and verdicts for the tests of this folder."""

from __future__ import annotations

import random
import uuid

from monitor.alerts import Alert, Entity, RuleInfo
from monitor.feedback.disposition import Disposition

T0 = 1_790_000_000_000
RULES = [
    RuleInfo(f"r-{number}", f"rule {number}", level, f"t-{number % 3}")
    for number, level in enumerate(["low", "low", "medium", "medium", "high", "critical"])
]


def alert(name: str, rule: RuleInfo = RULES[0], actor: str = "o-1", ts: int = T0, events: int = 1) -> Alert:
    return Alert(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        time="2026-09-21T12:00:00Z",
        ts=ts,
        rule=rule,
        entity=Entity("actor", actor),
        actors=[actor],
        subjects=["p-1"],
        events=[f"e-{name}-{number}" for number in range(events)],
        score=0.5,
        reasons=[],
        kind="rule",
    )


def log(seed: int, size: int = 120) -> list[tuple[int, int, Alert]]:
    """(partition, offset, alert) in the order of time."""
    chance, ends, made = random.Random(seed), [0, 0, 0], []
    for number in range(size):
        actor = chance.randrange(12)
        partition = actor % 3
        rule = chance.choice(RULES)
        made.append(
            (partition, ends[partition], alert(f"{seed}-{number}", rule, f"o-{actor}", T0 + number * 3_600_000))
        )
        ends[partition] += 1
    return made


def verdict(of: Alert, what: str = "benign") -> Disposition:
    return Disposition(verdict=what, by="desk-1", time="2026-09-22T12:00:00Z", alert=of.id)  # type: ignore[arg-type]


def verdicts(alerts: list[Alert], seed: int, count: int = 60) -> list[Disposition]:
    """Verdicts about some of them, a few of them twice, more misuse where the rule is high."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        of = chance.choice(alerts)
        bad = chance.random() < 0.2 + 0.15 * RULES.index(of.rule)
        made.append(verdict(of, "unsure" if chance.random() < 0.1 else "true-misuse" if bad else "benign"))
    return made
