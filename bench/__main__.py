"""``python -m bench``: the same lookups through us and through our peers, in one run on one machine.

Exit code 0: every target is met. 1: one is missed. 2: the measurement is broken and says nothing.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console

from bench import report
from bench.load import Load, Lookup, expected_alerts, lookups, tells_right_from_wrong
from bench.peers import topics
from bench.peers.contender import Broken, Contender, measure
from bench.report import Result, Target

PARTITIONS: Final = 4

PEERS: Final = (
    Contender("faust-idle", "stock Faust agent that does nothing, raw bytes", "bench.peers.faust_idle", counts=False),
    Contender("quix-count", "Quix Streams: parse, count in a window, alert; changelog", "bench.peers.quix_count"),
)
#: Ours, measured in the same turns as the peers.
OURS: Final = (
    Contender("ours-count", "our transport: parse, count in a window, alert; changelog", "bench.ours.count"),
    Contender("ours-whole", "the whole pipeline: all rules, the model, state", "bench.ours.whole", counts=False),
)
#: What ours must reach, each held against one peer.
TARGETS: Final = (
    Target("ours-count", "quix-count", at_least=3),
    Target("ours-count", "faust-idle", at_least=6),
    Target("ours-whole", "faust-idle", at_least=0.7),
)

console = Console()


@contextmanager
def _kafka(bootstrap: str | None, data_dir: Path) -> Iterator[tuple[str, str]]:
    """Where Kafka is, and its version: the one given, or one started for this run."""
    if bootstrap is not None:
        yield bootstrap, topics.kafka_version(bootstrap)
        return
    from monitor import local_kafka  # only here: with --bootstrap the `local` extra is not needed

    with local_kafka.start(data_dir, say=console.print) as kafka:
        yield kafka.bootstrap, local_kafka.status(data_dir).version or "unknown"


def _prefill(bootstrap: str, topic: str, load: Load) -> int:
    """Write the lookups of ``load``; the number of alerts a right count of them gives."""
    counted: list[tuple[bytes, int]] = []

    def noted() -> Iterator[Lookup]:
        for lookup in lookups(load):
            counted.append((lookup.key, lookup.ts))
            yield lookup

    asyncio.run(topics.prefill(bootstrap, topic, PARTITIONS, noted()))
    if not tells_right_from_wrong(counted):
        raise Broken(
            f"a count off by one would raise as many alerts of {load.messages:,} lookups as a right one, "
            "so it would pass: use more --messages (50,000 will do)"
        )
    return expected_alerts(counted)


def _turns(
    contenders: tuple[Contender, ...],
    repeat: int,
    bootstrap: str,
    topic: str,
    expect: int,
    alerts: int,
    place: Path,
) -> Iterator[Result]:
    """Every contender once, ``repeat`` times over, so that a slow minute of the machine hits all of them."""
    for turn in range(1, repeat + 1):
        for contender in contenders:
            workdir = place / f"{place.name}-{contender.name}-{turn}"
            result = measure(contender, bootstrap, topic, expect, alerts, workdir)
            console.print(f"{turn}/{repeat} {contender.name}: {result.rate:,.0f} lookups/s ({result.seconds:.2f} s)")
            yield result


def _bench(load: Load, repeat: int, peers_only: bool, bootstrap: str | None, json_file: Path | None) -> int:
    contenders = PEERS if peers_only else (*OURS, *PEERS)
    targets = () if peers_only else TARGETS
    run = f"bench-{uuid.uuid4().hex[:8]}"
    with (
        tempfile.TemporaryDirectory(prefix="lookup-monitor-") as folder,
        _kafka(bootstrap, Path(folder, "kafka")) as (at, kafka_version),
    ):
        try:
            machine = report.machine(kafka_version)
            alerts = _prefill(at, f"{run}.lookups", load)
            console.print(
                f"{load.messages:,} lookups in {PARTITIONS} partitions, {alerts} alerts expected", style="dim"
            )
            place = Path(folder, run)
            results = list(_turns(contenders, repeat, at, f"{run}.lookups", load.messages, alerts, place))
        finally:
            topics.clean_up(at, run)
    verdicts = report.judge(report.summarise(results), targets)
    _show(machine, contenders, results, verdicts)
    if json_file is not None:
        made = report.as_json(machine, {**asdict(load), "alerts": alerts}, results, verdicts)
        json_file.write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2) + b"\n")
    return report.MET if peers_only else report.exit_code(verdicts)


def _show(
    machine: dict[str, object],
    contenders: tuple[Contender, ...],
    results: list[Result],
    verdicts: list[report.Verdict],
) -> None:
    console.print(report.rates_table(report.summarise(results), {one.name: one.title for one in contenders}))
    if verdicts:
        console.print(report.verdicts_table(verdicts))
    else:
        console.print("No target was judged: nothing of ours was measured.")
    for name, value in machine.items():
        console.print(f"{name}: {value}", style="dim", highlight=False)


def main(
    messages: Annotated[int, typer.Option(min=1_000, help="lookups in the topic")] = 200_000,
    repeat: Annotated[int, typer.Option(min=1, help="runs of each contender, taken in turns")] = 3,
    seed: Annotated[int, typer.Option(help="another seed gives other lookups")] = 1,
    peers_only: Annotated[bool, typer.Option("--peers-only", help="measure the peers; judge no target")] = False,
    bootstrap: Annotated[str | None, typer.Option(help="a Kafka that runs, host:port; else one is started")] = None,
    json: Annotated[Path | None, typer.Option(help="write everything to this file")] = None,
) -> None:
    """Measure ours and the peers side by side, and hold the ratios against the targets."""
    try:
        code = _bench(Load(messages, seed=seed), repeat, peers_only, bootstrap, json)
    except Broken as broken:
        console.print(f"broken: {broken}", style="bold red", markup=False)
        code = report.BROKEN
    except Exception:  # an uncaught one would end in exit code 1, which says that a target was missed
        console.print_exception()
        code = report.BROKEN
    sys.exit(code)


if __name__ == "__main__":
    typer.run(main)
