"""``python -m bench.trace``: how often the leak trace puts the leaker first, and how long it takes over many lookups.

    python -m bench.trace worlds --seed 302 --runs 50
    python -m bench.trace speed FOLDER --lookups 100000000

``worlds``: a simulated force, and leaks of 5 to 20 subjects played in it one at a time (:mod:`tests.trace.force`). ``speed``: made-up
lookups of 65,000 actors at five million subjects, written as Parquet first, then traced.
"""

from __future__ import annotations

import random
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from monitor.archive.store import Archive
from monitor.history.ask import History
from monitor.trace.alert import to_raise
from monitor.trace.ask import trace_of
from monitor.trace.model import Leak
from tests.trace.force import Force

#: Issue 9.4.
TARGET_FIRST: Final = 0.9
TARGET_SECONDS: Final = 60.0
_START: Final = date(2026, 1, 1)
app = typer.Typer(add_completion=False)
console = Console(width=140)


@app.command()
def worlds(
    seed: Annotated[int, typer.Option(help="of the force")] = 302,
    runs: Annotated[int, typer.Option(min=1)] = 50,
    days: Annotated[int, typer.Option(min=10)] = 60,
    actors: Annotated[int, typer.Option(min=20)] = 300,
    elsewhere: Annotated[float, typer.Option(help="share of what leaked that the leaker had not looked up")] = 0.1,
) -> None:
    """Exit code 0: the leaker is first in nine runs of ten; 1: not."""
    with tempfile.TemporaryDirectory(prefix="lookup-monitor-") as folder:
        force = Force(Path(folder), seed, days, actors)
        first = beyond = others = raised = 0
        for number in range(runs):
            play = force.play(number, elsewhere)
            suspects = trace_of(force.history, play.leaks)[0].suspects()
            first += bool(suspects) and suspects[0].actor == play.leaker
            beyond += any(each.actor == play.leaker and each.corrected <= 0.01 for each in suspects)
            others += sum(each.corrected <= 0.01 and each.actor != play.leaker for each in suspects)
            raised += sum(each.actor != play.leaker for each in to_raise(suspects))
    console.print(
        f"seed {seed}, {actors} actors, {days} days, {elsewhere:.0%} from elsewhere: first in {first} of {runs}; beyond chance"
        f" (1 in 100, corrected) {beyond}, and {others} others, all runs together; alerts about others {raised}"
    )
    raise typer.Exit(0 if first >= TARGET_FIRST * runs else 1)


@app.command()
def speed(
    folder: Annotated[Path, typer.Argument(help="where the lookups are, or are made (some 2 GB for 100 million)")],
    lookups: Annotated[int, typer.Option(min=100_000)] = 100_000_000,
    days: Annotated[int, typer.Option(min=10)] = 100,
    leaked: Annotated[int, typer.Option(min=1, max=100)] = 20,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Exit code 0: it takes 60 s at most; 1: more."""
    archive = Archive(folder)
    if not archive.exists:
        _make(folder, lookups // days, days)
    rng = random.Random(1)
    until = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days)
    names = [f"s-{rng.randrange(5_000_000)}" for _ in range(leaked)]
    leaks = [Leak(name, until - timedelta(days=rng.uniform(0, 10))) for name in names]
    began, cpu = time.monotonic(), time.process_time()
    found, looks = trace_of(History(archive, threads=threads), leaks)
    suspects = found.suspects()
    couples = found.couples(suspects)
    took = time.monotonic() - began
    console.print(
        f"{lookups:,} lookups of {days} days, {leaked} leaked subjects, {threads} threads: {took:.1f} s ({time.process_time() - cpu:.1f} s of"
        f" CPU); {len(looks)} lookups of them, {len(suspects)} actors, {len(couples)} pairs"
    )
    raise typer.Exit(0 if took <= TARGET_SECONDS else 1)


def _make(folder: Path, a_day: int, days: int) -> None:
    """Lookups whose subjects are read unevenly: three in ten are of 20,000 well-known ones."""
    import duckdb
    from deltalake import Field, Schema, convert_to_deltalake
    from deltalake.schema import PrimitiveType

    db = duckdb.connect(config={"threads": 2, "memory_limit": "4GB"})
    db.execute("SET TimeZone = 'UTC'")
    for number in range(days):
        into = folder / f"date={_START + timedelta(days=number)}"
        into.mkdir(parents=True, exist_ok=True)
        db.execute(_DAY.format(day=number, rows=a_day, file=into / "part-0.parquet"))
    convert_to_deltalake(
        str(folder), partition_by=Schema([Field("date", PrimitiveType("date"))]), partition_strategy="hive"
    )


_DAY: Final = """
COPY (
  SELECT TIMESTAMPTZ '2026-01-01' + INTERVAL ({day}) DAY + to_microseconds((i * 7919 % 86400000)::BIGINT * 1000) AS time,
         CASE h1 % 3 WHEN 0 THEN 'bvi' WHEN 1 THEN 'rdw' ELSE 'tax' END AS system,
         'e-' || ({day}::BIGINT * {rows} + i) AS id, 'read' AS action, 'success' AS outcome,
         'o-' || (h2 % 65000) AS actor, 'unit-' || (h2 % 65000 % 400) AS unit, 'officer' AS peer_group,
         's-' || s AS subject, 'person' AS subject_kind, 'area-' || (s % 12) AS subject_area,
         NULL::VARCHAR AS subject_address, NULL::VARCHAR AS subject_owner, NULL::BOOLEAN AS watched, 'none' AS relation,
         NULL::VARCHAR AS "case", NULL::VARCHAR AS purpose, 'own-case' AS explained_by,
         CASE WHEN h1 % 100 < 85 THEN 'record' WHEN h1 % 100 < 90 THEN 'plausible' ELSE 'none' END AS explanation,
         1.0::DOUBLE AS strength, true AS on_shift, true AS in_area, 1::BIGINT AS results, 'wp-' || (h2 % 9000) AS terminal,
         0::BIGINT AS source, i AS "offset", 'v' AS rules, NULL::VARCHAR AS more
  FROM (
    SELECT *, CASE WHEN h3 % 10 < 3 THEN h3 % 20000 ELSE h3 % 5000000 END AS s FROM (
      SELECT i, hash(i + {day}::BIGINT * 310000019) AS h1, hash(i * 3 + {day}::BIGINT * 977) AS h2,
             hash(i * 5 + {day}::BIGINT * 977) AS h3
      FROM range({rows}) t(i)
    )
  ) ORDER BY subject, actor
) TO '{file}' (FORMAT PARQUET, COMPRESSION ZSTD)
"""

if __name__ == "__main__":
    app()
