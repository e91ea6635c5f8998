"""``python -m bench.rules``: what a lookup costs with 50, 500, 1,000 and 3,000 rules, on the same simulated lookups.

The rules are the pack's, and more that are made from its patterns with other values: a unit, an area, a tag, a word, a list of
subjects. The floor is to ask every detection about every lookup; both must find the same matches.

Exit code 0: the target is met. 1: it is missed. 2: the index found other matches than the floor.
"""

from __future__ import annotations

import random
import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from time import process_time
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from monitor import events
from monitor.detector import KeyState
from monitor.enrich import enrich
from monitor.reference import Reference, decode
from monitor.rules import RuleSet, load_texts, read_dir
from monitor.settings import pack_dir
from monitor.simulate import Settings, simulate

SIZES: Final = (50, 500, 1_000, 3_000)
LOOKUPS: Final = 20_000
#: A lookup may cost so many times more with 1,000 rules than with 50.
TARGET: Final = 2.0
RUNS: Final = 5
_BROKEN: Final = 2
_NOW: Final = int(datetime(2026, 12, 31, tzinfo=UTC).timestamp() * 1000)
Lookup = dict[str, Any]
Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """What was measured with one number of rules; seconds are those of all lookups."""

    rules: int
    matches: int
    firings: int
    match_seconds: float
    whole_seconds: float
    floor_seconds: float
    right: bool


def lookups_of(count: int, actors: int = 200, days: int = 30) -> list[Lookup]:
    """Simulated lookups, ``count`` at most, decoded and enriched as in the service."""
    force = simulate(Settings(datetime(2026, 10, 1, tzinfo=UTC), seed=1, days=days, actors=actors))
    reference = Reference(decode(orjson.dumps(record)) for record in force.reference)
    raw = (orjson.dumps(event) for event in force.events())
    return [enrich(events.decode(one, received_ms=_NOW), reference) for one in islice(raw, count)]


def rules_of(count: int, lookups: Sequence[Lookup], seed: int = 1) -> dict[str, str]:
    """So many rules: the pack's, then made ones, with values such as the lookups have. More of them include the fewer."""
    chance = random.Random(seed)
    pack = read_dir(pack_dir())
    count -= len(load_texts(pack).rules.by_id)
    known = _values_in(lookups)
    unexplained = [lookup for lookup in lookups if lookup.get("explanation") == ["none"]]
    made: dict[str, str] = {}
    while len(made) < count:
        number = len(made)
        name = f"r{number}"
        body = _detection(chance, known, chance.choice(unexplained), number)
        made[name] = _document(name, {"logsource": {"category": "lookup"}, "detection": body})
        if number % 2 == 0 and len(made) < count:
            name = f"r{len(made)}"
            made[name] = _document(name, {"correlation": _correlation(chance, f"r{number}")})
    return {**pack, **made}


def _document(name: str, body: Rule) -> str:
    about = {"title": name, "id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)), "name": name}
    return orjson.dumps({**about, **body}).decode()


def _values_in(lookups: Sequence[Lookup]) -> dict[str, list[Any]]:
    """Every text that a field had, as often as it had it."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for lookup in lookups:
        for name, value in lookup.items():
            found[name] += [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
    return found


def _detection(chance: random.Random, known: dict[str, list[Any]], like: Lookup, number: int) -> Rule:
    """A detection of one of the pack's patterns; half of its values are those of the lookup ``like``."""

    def one(name: str) -> Any:
        value = like.get(name)
        return value if isinstance(value, str) and chance.random() < 0.5 else chance.choice(known[name])

    def several(name: str, count: int) -> list[Any]:
        return sorted({one(name) for _ in range(count)})

    none = {"explanation": "none"}
    patterns: list[Callable[[], Rule]] = [
        lambda: {"subject.area": one("subject.area"), "actor.unit": one("actor.unit"), "in_area": False, **none},
        lambda: {"subject.tags": one("subject.tags"), "actor.unit": one("actor.unit"), **none},
        lambda: {"subject.id": several("subject.id", 20), **none},
        lambda: {"query.text|contains": one("query.text")[1:-1] or "none", "system": one("system")},
        lambda: {"action": ["export", "print"], "actor.unit": one("actor.unit"), "purpose.status": "missing", **none},
        lambda: {"purpose.code": one("purpose.code"), "actor.unit": one("actor.unit"), "subject.kind": one("subject.kind"),
                 "subject.area|neq": one("subject.area"), **none},
        lambda: {"client.terminal": several("client.terminal", 3), "on_shift": False, **none},
        lambda: {"client.ip|cidr": f"{one('client.ip')}/32", "actor.unit|neq": one("actor.unit")},
        lambda: {"relation": ["self", "own-vehicle", "household", "relative"], "actor.unit": one("actor.unit"), **none},
        lambda: {"time|hour|gte": 22, "actor.unit": one("actor.unit"), "system": one("system"), **none},
        lambda: {"purpose.text|contains": one("purpose.text")[2:9] or "none", "purpose.status": ["claimed", "false"], **none},
        lambda: {"actor.id": several("actor.id", 2), "in_area": False, **none},
        lambda: {"subject.id|startswith": one("subject.id")[:5], "action": "follow"},
        lambda: {"query.text|re": f"^{one('query.text')[:3].lower().strip('.*+?()[]')}.*x$", "actor.unit": one("actor.unit")},
    ]  # fmt: skip
    return {"one": patterns[number % len(patterns)](), "condition": "one"}


def _correlation(chance: random.Random, base: str) -> Rule:
    """A correlation such as the pack's over one detection."""
    by = chance.choice([["actor.id"], ["actor.id"], ["actor.id", "subject.id"], ["subject.id"]])
    span, bound = chance.choice(["10m", "1h", "24h", "7d", "28d"]), chance.randint(2, 15)
    kind = chance.choice(["event_count", "event_count", "value_count", "new_value", "rate_change"])
    condition: Rule = {"gte": bound}
    if kind in ("value_count", "new_value"):
        condition = {"field": "system" if "subject.id" in by else "subject.id"}
        if kind == "value_count":
            condition["gte"] = bound
    if kind == "rate_change":
        condition = {"factor": 3, "minimum": bound}
    return {"type": kind, "rules": [base], "group-by": by, "timespan": span, "condition": condition}


def _run_matches(rules: RuleSet, lookups: Sequence[Lookup]) -> int:
    return sum(len(rules.matches(lookup)) for lookup in lookups)


def _run_floor(rules: RuleSet, lookups: Sequence[Lookup]) -> int:
    return sum(detection.predicate(lookup) for lookup in lookups for detection in rules.detections)


def _run_whole(rules: RuleSet, lookups: Sequence[Lookup]) -> int:
    states: defaultdict[str, KeyState] = defaultdict(KeyState)
    fired = 0
    for lookup in lookups:
        for key in (f"actor/{lookup['actor.id']}", *rules.partition_keys(lookup)):
            fired += len(rules.evaluate(key, lookup, states[key])[0])
    return fired


def _timed(
    run: Callable[[RuleSet, Sequence[Lookup]], int], rules: RuleSet, lookups: Sequence[Lookup]
) -> tuple[float, int]:
    began = process_time()
    found = run(rules, lookups)
    return process_time() - began, found


def measure(sizes: Sequence[int], lookups: Sequence[Lookup], floor: bool = True) -> Iterator[Cost]:
    """What a lookup costs with each number of rules: the best of several runs, taken in turns."""
    loaded = [load_texts(rules_of(size, lookups)) for size in sizes]
    wrong = [str(problem) for report in loaded for problem in report.problems]
    if wrong:
        raise ValueError(wrong[0])
    turns = [[(_timed(_run_matches, one.rules, lookups), _timed(_run_whole, one.rules, lookups)) for one in loaded]
             for _ in range(RUNS)]  # fmt: skip
    for number, (size, report) in enumerate(zip(sizes, loaded, strict=True)):
        matches, firings = turns[0][number][0][1], turns[0][number][1][1]
        floor_seconds, wanted = _timed(_run_floor, report.rules, lookups) if floor else (0.0, matches)
        yield Cost(
            size,
            matches,
            firings,
            min(turn[number][0][0] for turn in turns),
            min(turn[number][1][0] for turn in turns),
            floor_seconds,
            matches == wanted,
        )


def ratio(costs: Sequence[Cost], many: int = 1_000, few: int = 50) -> float:
    """How many times more a lookup costs, matching and correlating, with many rules than with few."""
    seconds = {cost.rules: cost.whole_seconds for cost in costs}
    return seconds[many] / seconds[few]


def _table(costs: Sequence[Cost], lookups: int) -> Table:
    table = Table("rules", title=f"Microseconds a lookup, of {lookups:,}; the best of {RUNS} runs")
    for heading in (
        "matches a lookup",
        "alerts",
        "matching",
        "matching + correlating",
        "asking every rule",
        "same matches",
    ):
        table.add_column(heading, justify="right")
    for cost in costs:
        table.add_row(
            f"{cost.rules:,}",
            f"{cost.matches / lookups:.2f}",
            f"{cost.firings:,}",
            *(
                f"{seconds / lookups * 1e6:.1f}"
                for seconds in (cost.match_seconds, cost.whole_seconds, cost.floor_seconds)
            ),
            "yes" if cost.right else "NO",
        )
    return table


def main() -> int:
    """Measure, print, and hold the ratio against the target."""
    console = Console()
    lookups = lookups_of(LOOKUPS)
    costs = list(measure(SIZES, lookups))
    console.print(_table(costs, len(lookups)))
    found = ratio(costs)
    console.print(f"1,000 : 50 rules = {found:.2f} (target ≤ {TARGET})")
    if not all(cost.right for cost in costs):
        return _BROKEN
    return 0 if found <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
