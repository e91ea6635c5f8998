"""How the cost of a lookup grows: with actors, rules, the length of windows, partitions, and lookups in a chunk.

In process and by processor time, so that other work on the machine matters little: the best of several runs. Each curve is
fitted by a power law (:mod:`bench.fit`) and held against the most its exponent may be; the figures are for a lookup, so 0 means that
twice as many lookups cost twice as much, and a curve of 1 would be one of square growth in all.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import orjson

from bench.fit import Fit, fit
from bench.peers.contender import Broken
from bench.plot import svg
from bench.rules import lookups_of, measure
from bench.suites.outcome import Cell, Goal, Outcome, Say
from monitor import alerts, events
from monitor.backtest import Backtest
from monitor.detector import Detector, KeyState, save_state
from monitor.enrich import enrich, explains_later
from monitor.reference import Reference, decode
from monitor.rules import RuleSet, load_texts, read_dir
from monitor.settings import pack_dir
from monitor.simulate import Settings as World
from monitor.simulate import simulate
from monitor.stream.detect import Chunk, Detect
from monitor.stream.intake import Intake
from monitor.stream.tables import Table
from monitor.stream.topics import DETECT_STATE, INTAKE_STATE, KEYED, partition_of
from monitor.stream.versions import Pinned

_START: Final = datetime(2025, 3, 3, tzinfo=UTC)
_NOW: Final = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000)
_QUANTILE: Final = 0.999
_HOUR: Final = 3600
_COUNT = """
title: Many reads
id: 6b1f0b52-5c0e-4c3e-9c56-0f0f4f6f7b01
correlation: {{type: {kind}, rules: [read], group-by: [actor.id], timespan: {hours}h, condition: {{{field}gte: 1000000}}}}
level: low
---
title: Read
id: 6b1f0b52-5c0e-4c3e-9c56-0f0f4f6f7b02
name: read
logsource: {{category: lookup}}
detection: {{s: {{action: [read, search, list]}}, condition: s}}
"""


@dataclass(frozen=True, slots=True)
class Size:
    """The sizes of each curve; ``lookups``, ``of_actors`` and ``of_days`` are of the log of rules, partitions and chunks."""

    actors: tuple[int, ...] = (100, 200, 400, 800, 1_600)
    actor_days: int = 1
    rules: tuple[int, ...] = (50, 100, 200, 500, 1_000, 2_000, 3_000)
    hours: tuple[int, ...] = (1, 6, 24, 3 * 24, 7 * 24, 28 * 24, 90 * 24)
    window_days: int = 100
    window_actors: int = 20
    partitions: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    chunks: tuple[int, ...] = (1, 4, 16, 64, 256, 1_024, 4_096)
    lookups: int = 10_000
    repeat: int = 3
    plots: Path | None = None
    of_actors: int = 100
    of_days: int = 30


QUICK = Size(
    actors=(50, 100, 200, 400),
    rules=(50, 200, 1_000, 3_000),
    hours=(1, 6, 24, 7 * 24, 28 * 24),
    window_days=35,
    partitions=(1, 4, 16, 64),
    chunks=(1, 8, 64, 512),
    lookups=1_000,
    repeat=2,
    of_actors=40,
    of_days=4,
)


class Curve(NamedTuple):
    """A measured curve: costs by size, and the most that its exponent may be."""

    name: str
    x: str
    y: str
    sizes: Sequence[float]
    costs: Sequence[float]
    at_most: float

    @property
    def law(self) -> Fit:
        """The power law through it."""
        return fit(self.sizes, self.costs)


def pack() -> RuleSet:
    """The rules of the pack."""
    return load_texts(read_dir(pack_dir())).rules


def log_of(actors: int, days: int, most: int | None = None) -> tuple[list[bytes], Reference]:
    """Simulated lookups as they come from Kafka, and what is known."""
    force = simulate(World(_START, seed=1, days=days, actors=actors))
    reference = Reference(decode(orjson.dumps(record)) for record in force.reference)
    return [orjson.dumps(event) for event in islice(force.events(), most)], reference


def best(runs: Sequence[Callable[[], object]], repeat: int) -> list[float]:
    """The least processor time of each of several runs, in seconds: ``repeat`` times in turns, so that a slow minute hits all."""
    least = [math.inf] * len(runs)
    for _ in range(repeat):
        for number, run in enumerate(runs):
            began = time.process_time()
            run()
            least[number] = min(least[number], time.process_time() - began)
    return least


def _backtest(messages: Sequence[bytes], reference: Reference, rules: RuleSet, partitions: int) -> int:
    """Rules and model over a log; how many lookups were counted."""
    run = Backtest(rules, reference, partitions, lambda actor: partition_of(actor, partitions), _QUANTILE)
    for _ in run.run(messages, _NOW):
        pass
    return run.fates["counted"]


def by_actors(size: Size, rules: RuleSet) -> Curve:
    """Rules and model over the same days of ever larger forces."""
    logs = [log_of(actors, size.actor_days) for actors in size.actors]
    seconds = best([partial(_backtest, *log, rules, 4) for log in logs], size.repeat)
    costs = [each / len(messages) * 1e6 for each, (messages, _) in zip(seconds, logs, strict=True)]
    return Curve("actors", "actors", "µs of CPU a lookup", size.actors, costs, 0.1)


def by_rules(size: Size) -> Curve:
    """Matching and correlating, with the pack's rules and more that are made of them. Raises :class:`Broken` as :mod:`bench.rules` does."""
    lookups = lookups_of(size.lookups, size.of_actors, size.of_days)
    costs = list(measure(size.rules, lookups, floor=False))
    micros = [cost.whole_seconds / len(lookups) * 1e6 for cost in costs]
    return Curve("rules", "rules", "µs of CPU a lookup", size.rules, micros, 0.5)


def _counted(lookups: Sequence[dict[str, Any]], kind: str, hours: int, field: str, sizes: dict[int, float]) -> None:
    """Count all lookups by one rule; the mean size of an actor's state after that goes to ``sizes``."""
    rules = load_texts({"one.yml": _COUNT.format(kind=kind, hours=hours, field=field)}).rules
    states: defaultdict[str, KeyState] = defaultdict(KeyState)
    for lookup in lookups:
        key = f"actor/{lookup['actor.id']}"
        rules.evaluate(key, lookup, states[key])
    sizes[hours] = sum(len(save_state(state)) for state in states.values()) / len(states)


def by_window(size: Size) -> list[Curve]:
    """One rule that counts, over ever longer windows: the time of a lookup, and the bytes of an actor's state."""
    messages, reference = log_of(size.window_actors, size.window_days)
    lookups = [enrich(events.decode(each, received_ms=_NOW), reference) for each in messages]
    curves = []
    for kind, name, field, grows in (
        ("event_count", "events in a window", "", 0.25),
        ("value_count", "subjects in a window", "field: subject.id, ", 1.0),
    ):
        sizes: dict[int, float] = {}
        runs = [partial(_counted, lookups, kind, hours, field, sizes) for hours in size.hours]
        micros = [each / len(lookups) * 1e6 for each in best(runs, size.repeat)]
        x, grown = f"hours of the window, {name}", [sizes[hours] for hours in size.hours]
        curves.append(Curve(f"window-{kind}", x, "µs of CPU a lookup", size.hours, micros, 0.5))
        curves.append(Curve(f"window-{kind}-bytes", x, "bytes of state an actor", size.hours, grown, grows))
    return curves


def by_partitions(size: Size, rules: RuleSet) -> Curve:
    """Rules and model over the same log in ever more partitions. Raises :class:`Broken` when not as many are counted in each."""
    messages, reference = log_of(size.of_actors, size.of_days, size.lookups)
    runs: dict[int, int] = {}

    def once(partitions: int) -> None:
        runs[partitions] = _backtest(messages, reference, rules, partitions)

    seconds = best([partial(once, count) for count in size.partitions], size.repeat)
    if len(set(runs.values())) != 1:
        raise Broken(f"of {len(messages):,} lookups some were counted in no partition, or twice: {runs}")
    costs = [each / len(messages) * 1e6 for each in seconds]
    return Curve("partitions", "partitions", "µs of CPU a lookup", size.partitions, costs, 0.25)


def _record(out: Any, offset: int) -> SimpleNamespace:
    return SimpleNamespace(
        partition=0, offset=offset, key=out.key, value=out.value, timestamp=out.timestamp, headers=out.headers
    )


def _chunked(messages: Sequence[bytes], reference: Reference, rules: RuleSet, chunk: int) -> list[bytes]:
    """The alerts of intake and detection of one partition, as a worker runs them but without Kafka, chunk by chunk."""
    detector = Detector(rules, partial(explains_later, reference, explanations=rules.explanations))
    intake = Intake(0, 1, Table(INTAKE_STATE, 0), reference, Pinned(rules))
    detect = Detect(0, 1, Table(DETECT_STATE, 0), lambda _: detector, rules.version)
    found: list[bytes] = []
    written = 0
    for first in range(0, len(messages), chunk):
        records = [
            SimpleNamespace(partition=0, offset=first + number, key=None, value=value, timestamp=_NOW, headers=())
            for number, value in enumerate(messages[first : first + chunk])
        ]
        keyed = [out for out in intake.process(records)[0] if out.topic == KEYED]
        made = detect.process([_record(out, written + number) for number, out in enumerate(keyed)], Chunk(None))
        written += len(keyed)
        found += [alerts.encode(alert) for alert, _ in made.alerts]
    return found


def by_chunk(size: Size, rules: RuleSet) -> Curve:
    """Intake and detection with ever more lookups in a chunk. Raises :class:`Broken` when alerts depend on it."""
    messages, reference = log_of(size.of_actors, size.of_days, size.lookups)
    runs: dict[int, list[bytes]] = {}

    def once(chunk: int) -> None:
        runs[chunk] = sorted(_chunked(messages, reference, rules, chunk))

    seconds = best([partial(once, chunk) for chunk in size.chunks], size.repeat)
    costs = [each / len(messages) * 1e6 for each in seconds]
    if any(found != runs[size.chunks[0]] for found in runs.values()):
        raise Broken("the alerts depend on how many lookups are in a chunk")
    return Curve("chunk", "lookups in a chunk", "µs of CPU a lookup", size.chunks, costs, 0.0)


def run(size: Size, say: Say) -> Outcome:
    """Measure every curve, and draw it if a folder is given. Raises :class:`Broken` when one changes what is found."""
    rules = pack()
    curves: list[Curve] = []
    parts: tuple[tuple[str, Callable[[], list[Curve]]], ...] = (
        ("actors", lambda: [by_actors(size, rules)]),
        ("rules", lambda: [by_rules(size)]),
        ("windows", lambda: by_window(size)),
        ("partitions", lambda: [by_partitions(size, rules)]),
        ("chunks", lambda: [by_chunk(size, rules)]),
    )
    for name, made in parts:
        say(f"{name} …")
        curves += made()
    if size.plots is not None:
        size.plots.mkdir(parents=True, exist_ok=True)
        for each in curves:
            words = f"{each.y}: exponent {each.law.exponent:.2f} ({each.law.low:.2f} to {each.law.high:.2f})"
            (size.plots / f"{each.name}.svg").write_text(svg(words, each.x, each.y, each.sizes, each.costs, each.law))
    rows: list[list[Cell]] = [
        [each.name, each.y, f"{each.sizes[0]:,} to {each.sizes[-1]:,}", each.costs[0], each.costs[-1],
         each.law.exponent, each.law.low, each.law.high]
        for each in curves
    ]  # fmt: skip
    columns = ("curve", "cost", "sizes", "at the least", "at the most", "exponent", "low", "high")
    goals = [Goal(f"{each.name}: exponent", each.law.exponent, each.at_most) for each in curves]
    details = {each.name: {"sizes": list(each.sizes), "costs": list(each.costs)} for each in curves}
    return Outcome("curves", "how costs grow; the exponent with its 95 % interval", columns, rows, goals, details)
