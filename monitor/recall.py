"""How much of what the simulator hid was found, how soon, and at what price to those who did nothing wrong.

A label is one hidden scenario: ``typology``, ``actors``, ``events`` (the ids of its own lookups), ``from`` (the first of them).
An alert is *true* when it holds one of a label's lookups as evidence, else *false*. An actor in no label is *innocent*.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

import msgspec

from monitor.alerts import Alert
from monitor.events import parse_ms
from monitor.rules.model import LEVELS

Label = Mapping[str, Any]
WEEK_MS: Final = 7 * 24 * 3600 * 1000


class Score(msgspec.Struct, frozen=True):
    """How a rule, or the rules of a typology, did: its alerts and how many of them are true; the scenarios of the typology
    and how many of them its alerts found."""

    alerts: int
    true: int
    scenarios: int
    found: int

    @property
    def precision(self) -> float | None:
        """The share of the alerts that are true."""
        return self.true / self.alerts if self.alerts else None

    @property
    def recall(self) -> float | None:
        """The share of the scenarios that were found."""
        return self.found / self.scenarios if self.scenarios else None


def recall_by_typology(labels: Iterable[Label], alerts: Iterable[Alert]) -> list[tuple[str, int, int]]:
    """(typology, scenarios, found) by name. A scenario is found when an alert holds one of its own lookups as evidence."""
    named = {event for alert in alerts for event in alert.events}
    there: defaultdict[str, int] = defaultdict(int)
    found: defaultdict[str, int] = defaultdict(int)
    for label in labels:
        there[label["typology"]] += 1
        found[label["typology"]] += any(event in named for event in label["events"])
    return [(typology, there[typology], found[typology]) for typology in sorted(there)]


def recall_by_misuser(labels: Iterable[Label], alerts: Iterable[Alert]) -> list[tuple[str, int, int]]:
    """(typology, misusing actors, found) by name. An actor is found when an alert about them holds one of the lookups of
    their own scenario."""
    by_event: defaultdict[str, set[str]] = defaultdict(set)  # lookup → the actors of alerts that hold it
    for alert in alerts:
        for event in alert.events:
            by_event[event].update(alert.actors)
    there: defaultdict[str, set[str]] = defaultdict(set)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for label in labels:
        there[label["typology"]].update(label["actors"])
        alerted = {actor for event in label["events"] for actor in by_event.get(event, ())}
        found[label["typology"]].update(alerted.intersection(label["actors"]))
    return [(typology, len(there[typology]), len(found[typology])) for typology in sorted(there)]


def is_true(labels: Iterable[Label], alerts: Sequence[Alert]) -> list[bool]:
    """For each alert, whether it holds a labelled lookup."""
    misuse = {event for label in labels for event in label["events"]}
    return [not misuse.isdisjoint(alert.events) for alert in alerts]


def average_precision(order: Iterable[bool]) -> float:
    """The mean precision at every true one, of what is in the order of falling scores (M. Zhu, 2004, Recall, Precision and
    Average Precision); 0 when none is true."""
    hits, total = 0, 0.0
    for rank, right in enumerate(order, 1):
        if right:
            hits += 1
            total += hits / rank
    return total / hits if hits else 0.0


def false_alerts(
    labels: Collection[Label], alerts: Sequence[Alert], actors: Iterable[str], weeks: float, least: str = "medium"
) -> float | None:
    """How many false alerts of level ``least`` or more there are a week, for every 100 innocents among ``actors``.

    ``None`` when nobody is innocent, or no time has passed.
    """
    loud = LEVELS[LEVELS.index(least) :]
    innocent = set(actors).difference(actor for label in labels for actor in label["actors"])
    if not innocent or weeks <= 0:
        return None
    true = is_true(labels, alerts)
    wrong = sum(not right and alert.rule.level in loud for alert, right in zip(alerts, true, strict=True))
    return wrong / len(innocent) * 100 / weeks


def delays(labels: Iterable[Label], alerts: Iterable[Alert]) -> dict[str, list[int]]:
    """By typology, for every scenario that was found: the event time from its first lookup to the first alert that holds one
    of its lookups, in milliseconds."""
    first: dict[str, int] = {}
    for alert in alerts:
        for event in alert.events:
            first[event] = min(alert.ts, first.get(event, alert.ts))
    found: defaultdict[str, list[int]] = defaultdict(list)
    for label in labels:
        alerted = [first[event] for event in label["events"] if event in first]
        if alerted:
            found[label["typology"]].append(max(0, min(alerted) - parse_ms(label["from"])))
    return {typology: found[typology] for typology in sorted(found)}


def median_delay(labels: Iterable[Label], alerts: Iterable[Alert]) -> float | None:
    """The median of all :func:`delays`, in milliseconds; ``None`` when nothing was found."""
    every = [delay for each in delays(labels, alerts).values() for delay in each]
    return median(every) if every else None


def scores_by_typology(labels: Collection[Label], alerts: Sequence[Alert]) -> dict[str, Score]:
    """Each typology that a label or an alert's rule has: alerts of its rules, and its scenarios found by any rule."""
    there = {typology: (scenarios, found) for typology, scenarios, found in recall_by_typology(labels, alerts)}
    counts = _counts(labels, alerts, [alert.rule.typology for alert in alerts])
    return {
        typology: Score(*counts.get(typology, (0, 0)), *there.get(typology, (0, 0)))
        for typology in sorted({*there, *counts} - {""})
    }


def scores_by_rule(labels: Collection[Label], alerts: Sequence[Alert]) -> dict[str, Score]:
    """Each rule that alerted, by id: its alerts, and the scenarios of its typology that it found by itself."""
    counts = _counts(labels, alerts, [alert.rule.id for alert in alerts])
    own: defaultdict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        own[alert.rule.id].append(alert)
    made = {}
    for rule, each in own.items():
        of_typology = [label for label in labels if label["typology"] == each[0].rule.typology]
        found = sum(hits for _, _, hits in recall_by_typology(of_typology, each))
        made[rule] = Score(*counts[rule], len(of_typology), found)
    return made


def _counts(labels: Iterable[Label], alerts: Sequence[Alert], names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """By name: how many alerts, and how many true ones."""
    every: defaultdict[str, int] = defaultdict(int)
    true: defaultdict[str, int] = defaultdict(int)
    for name, right in zip(names, is_true(labels, alerts), strict=True):
        every[name] += 1
        true[name] += right
    return {name: (every[name], true[name]) for name in every}
