"""How much of what the simulator hid was found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from monitor.alerts import Alert


def recall_by_typology(labels: Iterable[Mapping[str, Any]], alerts: Iterable[Alert]) -> list[tuple[str, int, int]]:
    """(typology, scenarios, found) by name. A scenario is found when an alert holds one of its own lookups as evidence."""
    named = {event for alert in alerts for event in alert.events}
    there: defaultdict[str, int] = defaultdict(int)
    found: defaultdict[str, int] = defaultdict(int)
    for label in labels:
        there[label["typology"]] += 1
        found[label["typology"]] += any(event in named for event in label["events"])
    return [(typology, there[typology], found[typology]) for typology in sorted(there)]
