"""Alerts counted, and the alerts of two rule sets over one log compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec

from monitor.alerts import Alert, RuleInfo, info_of
from monitor.events import parse_time
from monitor.rules import Rule, RuleSet
from monitor.rules.model import LEVELS

#: The unit of an actor that nothing is known about.
UNKNOWN = "unknown"


class Tally(msgspec.Struct):
    """How many alerts there are: in all, by rule id, by level (the highest first), by unit and by ISO week of event time."""

    alerts: int
    rules: dict[str, int]
    levels: dict[str, int]
    units: dict[str, int]
    weeks: dict[str, int]


def tally(alerts: Iterable[Alert], unit_of: Callable[[str], str | None]) -> Tally:
    """Count alerts. One about actors of several units counts for each of them, so the units may add up to more."""
    rules, levels, units, weeks, total = Counter[str](), Counter[str](), Counter[str](), Counter[str](), 0
    for alert in alerts:
        total += 1
        rules[alert.rule.id] += 1
        levels[alert.rule.level] += 1
        units.update({unit_of(actor) or UNKNOWN for actor in alert.actors})
        weeks[week_of(alert.time)] += 1
    return Tally(
        total,
        dict(sorted(rules.items(), key=lambda each: (-each[1], each[0]))),
        {level: levels[level] for level in reversed(LEVELS) if level in levels},
        dict(sorted(units.items(), key=lambda each: (-each[1], each[0]))),
        dict(sorted(weeks.items())),
    )


def week_of(time: str) -> str:
    """The ISO 8601 week of a time, where it was written: ``2026-W45``."""
    year, week, _ = parse_time(time)[1].isocalendar()
    return f"{year}-W{week:02}"


class RuleChange(msgspec.Struct):
    """What became of one rule's alerts: those only the new rules give, those only the old ones give, and those that both
    give with another content (the version of the rules set aside)."""

    rule: RuleInfo
    added: list[str] = []
    lost: list[str] = []
    changed: list[str] = []


class Difference(msgspec.Struct):
    """What is different between two rule sets: rules by whether and when they fire, and their alerts over one log."""

    added: list[RuleInfo]
    removed: list[RuleInfo]
    changed: list[RuleInfo]
    alerts: list[RuleChange]

    @property
    def is_none(self) -> bool:
        """Whether nothing is different."""
        return not (self.added or self.removed or self.changed or self.alerts)


def difference(old: RuleSet, new: RuleSet, before: Iterable[Alert], after: Iterable[Alert]) -> Difference:
    """Compare two rule sets, and the alerts that they give (``before`` the old, ``after`` the new) over the same log."""
    was, now = old.by_id, new.by_id
    same = was.keys() & now.keys()
    return Difference(
        [info_of(now[name]) for name in now if name not in was],
        [info_of(was[name]) for name in was if name not in now],
        [info_of(now[name]) for name in now if name in same and _decides(was[name]) != _decides(now[name])],
        _changes({alert.id: alert for alert in before}, {alert.id: alert for alert in after}),
    )


def _decides(rule: Rule) -> tuple[str, bool]:
    return rule.fingerprint, rule.alerts


def _changes(before: Mapping[str, Alert], after: Mapping[str, Alert]) -> list[RuleChange]:
    found: dict[str, RuleChange] = {}

    def of(alert: Alert) -> RuleChange:
        return found.setdefault(alert.rule.id, RuleChange(alert.rule))

    for name, alert in after.items():
        if name not in before:
            of(alert).added.append(name)
        elif msgspec.structs.replace(before[name], pack="") != msgspec.structs.replace(alert, pack=""):
            of(alert).changed.append(name)
    for name, alert in before.items():
        if name not in after:
            of(alert).lost.append(name)
    return sorted(found.values(), key=lambda each: (each.rule.title, each.rule.id))
