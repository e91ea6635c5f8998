"""Contenders over prefilled topics of one Kafka, taken in turns: what the suites ``count`` and ``whole`` share."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import report
from bench.load import Load, Lookup, expected_alerts, lookups, tells_right_from_wrong
from bench.peers import topics
from bench.peers.contender import Broken, Contender, measure
from bench.report import Result, Summary
from bench.suites.outcome import Cell, Outcome, Say, goal_of

#: An actor makes so many lookups, so that some pass the threshold whatever the number of lookups.
_PER_ACTOR = 100


@dataclass(frozen=True, slots=True)
class Size:
    """How many lookups, and how often each contender runs. ``bootstrap``: a Kafka that runs; else one is started."""

    messages: int = 200_000
    repeat: int = 3
    seed: int = 1
    bootstrap: str | None = None


QUICK = Size(20_000, repeat=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """A contender, and in how many partitions the lookups are that it reads; ``name`` is what its rows are called."""

    contender: Contender
    partitions: int = 4

    @property
    def name(self) -> str:
        """Unique among the entries of a suite."""
        return self.contender.name


@contextmanager
def kafka(bootstrap: str | None, data_dir: Path, say: Say) -> Iterator[tuple[str, str]]:
    """Where Kafka is, and its version: the one given, or one started for this run."""
    if bootstrap is not None:
        yield bootstrap, topics.kafka_version(bootstrap)
        return
    from monitor import local_kafka  # only here: with a Kafka that runs the `local` extra is not needed

    with local_kafka.start(data_dir, say=say) as started:
        yield started.bootstrap, local_kafka.status(data_dir).version or "unknown"


def load_of(size: Size) -> Load:
    """The lookups of a size: 200,000 are of 2,000 actors."""
    return Load(size.messages, actors=max(20, size.messages // _PER_ACTOR), seed=size.seed)


def prefill(bootstrap: str, topic: str, partitions: int, load: Load) -> int:
    """Write the lookups of ``load``; the number of alerts a right count of them gives. Raises :class:`Broken` if that would tell nothing."""
    counted: list[tuple[bytes, int]] = []

    def noted() -> Iterator[Lookup]:
        for lookup in lookups(load):
            counted.append((lookup.key, lookup.ts))
            yield lookup

    asyncio.run(topics.prefill(bootstrap, topic, partitions, noted()))
    if not tells_right_from_wrong(counted):
        raise Broken(
            f"a count off by one would raise as many alerts of {load.messages:,} lookups as a right one, so it would pass: "
            "take another number of messages (200,000 will do)"
        )
    return expected_alerts(counted)


def take_turns(entries: Sequence[Entry], size: Size, say: Say) -> tuple[list[Result], dict[str, object]]:
    """Every contender once, ``repeat`` times over, so that a slow minute of the machine hits all of them; and on what machine.

    Raises :class:`Broken` when one fails, or does not do the same work as the others.
    """
    run, load = f"bench-{uuid.uuid4().hex[:8]}", load_of(size)
    results: list[Result] = []
    with (
        tempfile.TemporaryDirectory(prefix="lookup-monitor-") as folder,
        kafka(size.bootstrap, Path(folder, "kafka"), say) as (at, version),
    ):
        machine = report.machine(version)
        try:
            alerts = 0
            for count in sorted({entry.partitions for entry in entries}):
                alerts = prefill(at, f"{run}.lookups-{count}", count, load)
            say(f"{load.messages:,} lookups, {alerts} alerts expected")
            for turn in range(1, size.repeat + 1):
                for entry in entries:
                    workdir = Path(folder, run, f"{run}-{entry.name}-{turn}")
                    topic = f"{run}.lookups-{entry.partitions}"
                    results.append(measure(entry.contender, at, topic, load.messages, alerts, workdir))
                    say(
                        f"{turn}/{size.repeat} {entry.name}: {results[-1].rate:,.0f} lookups/s ({results[-1].seconds:.2f} s)"
                    )
        finally:
            topics.clean_up(at, run)
    return results, {**machine, "alerts": alerts}


def row_of(one: Summary, title: str) -> list[Cell]:
    """A contender's row under :data:`COLUMNS`."""
    cpu = 1e6 / one.per_core if one.per_core else None
    return [one.contender, title, one.median, one.least, one.most, one.runs, one.per_core, cpu]


COLUMNS = ("contender", "what it does", "lookups/s", "min", "max", "runs", "per CPU second", "µs CPU a lookup")


def outcome_of(
    suite: str,
    title: str,
    entries: Sequence[Entry],
    results: Sequence[Result],
    targets: Sequence[report.Target],
    details: dict[str, object],
) -> Outcome:
    """The outcome of turns: a row a contender, a goal a target."""
    titles = {entry.name: entry.contender.title for entry in entries}
    summaries = report.summarise(results)
    goals = [goal_of(verdict) for verdict in report.judge(summaries, targets)]
    runs = [
        {
            "contender": one.contender,
            "lookups": one.lookups,
            "seconds": one.seconds,
            "alerts": one.alerts,
            "cpu": one.cpu,
        }
        for one in results
    ]
    rows = [row_of(one, titles.get(one.contender, "")) for one in summaries]
    return Outcome(suite, title, COLUMNS, rows, goals, {**details, "runs": runs})
