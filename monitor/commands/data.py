"""simulate, backtest and schema: the commands that need no Kafka (simulate may use one)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.progress import Progress, TimeElapsedColumn
from rich.table import Table

from monitor import alerts, event_schema, reference
from monitor.backtest import Backtest
from monitor.commands.common import fail, load_reference, load_rules, out, read_lines
from monitor.feedback import disposition
from monitor.incidents import command
from monitor.incidents import model as incident
from monitor.recall import recall_by_typology
from monitor.settings import Settings
from monitor.simulate import Settings as ForceSettings
from monitor.simulate import simulate as simulate_force
from monitor.simulate import write as write_force
from monitor.trace import outcome

SCHEMAS = {
    "event": event_schema.json_schema,
    "reference": reference.json_schema,
    "alert": alerts.json_schema,
    "disposition": disposition.json_schema,
    "incident": incident.json_schema,
    "command": command.json_schema,
    "outcome": outcome.json_schema,
}


def schema(
    name: Annotated[str, typer.Argument(help="event, reference, alert, disposition, incident, command or outcome")],
) -> None:
    """Print the JSON Schema of a topic's messages."""
    if name not in SCHEMAS:
        raise fail(f"there is no schema {name!r}; there are {', '.join(SCHEMAS)}")
    out.print_json(orjson.dumps(SCHEMAS[name]()).decode())


def simulate(
    folder: Annotated[Path | None, typer.Argument(metavar="OUT", help="folder for the three files")] = None,
    seed: Annotated[int, typer.Option(help="same seed, same force and lookups")] = 1,
    days: Annotated[int, typer.Option(min=1)] = 30,
    actors: Annotated[int, typer.Option(min=20)] = 200,
    start: Annotated[str | None, typer.Option(help="first day, YYYY-MM-DD; default: so that it ends yesterday")] = None,
    kafka: Annotated[bool, typer.Option("--kafka", help="write to Kafka's topics too")] = False,
) -> None:
    """Make up a force and its lookups: events.jsonl, reference.jsonl, labels.jsonl, and straight to Kafka if asked."""
    if folder is None and not kafka:
        raise fail("say where to: a folder, --kafka, or both")
    force = simulate_force(ForceSettings(seed=seed, days=days, actors=actors, start=first_day(start, days)))
    if folder is not None:
        counts = write_force(force, folder)
        out.print(
            f"{folder}: {counts.events:,} lookups, {counts.reference:,} reference records, {counts.labels} scenarios"
        )
    if kafka:
        from monitor.commands.ingest import send_events, send_reference

        settings = Settings()
        send_reference(settings, (orjson.dumps(record) for record in force.reference))
        count = send_events(settings, (orjson.dumps(event) for event in force.events()))
        out.print(f"Kafka at {settings.bootstrap}: {count:,} lookups")


def first_day(start: str | None, days: int) -> datetime:
    """The day the simulation starts: ``start``, or so many days ago that it ends yesterday."""
    if start is None:
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=days)
    try:
        return datetime.fromisoformat(start).replace(tzinfo=UTC)
    except ValueError:
        raise fail(f"--start {start} is not a date such as 2026-11-01") from None


def backtest(
    events_file: Annotated[Path, typer.Option("--events", help="lookups, JSON Lines, as they arrived")],
    reference_file: Annotated[Path, typer.Option("--reference", help="reference records, JSON Lines")],
    alerts_file: Annotated[Path, typer.Option("--alerts", help="where the alerts go, JSON Lines")],
    rules: Annotated[Path | None, typer.Option(help="folder of rules; default: the pack")] = None,
    labels: Annotated[Path | None, typer.Option(help="the simulator's labels: print recall by typology")] = None,
) -> None:
    """Run rules and model over a file, without Kafka; the alerts and ids are those the live service gives."""
    from monitor.stream.topics import partition_of

    settings = Settings()
    known, refused = load_reference(reference_file)
    ruleset, problems = load_rules(rules or settings.rules, known.lists)
    run = Backtest(
        ruleset,
        known,
        settings.partitions,
        lambda actor: partition_of(actor, settings.partitions),
        settings.quantile,
        forget_ms=settings.forget_ms,
        gap_after_ms=settings.gap_after_ms,
    )
    began, found = time.perf_counter(), []
    size = events_file.stat().st_size if events_file.exists() else 0
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn(), console=out, transient=True) as progress:
        task = progress.add_task("backtest", total=size)

        def lines() -> object:
            for number, line in enumerate(read_lines(events_file)):
                if number % 1000 == 0:
                    progress.update(task, advance=1000 * (len(line) + 1))
                yield line

        with alerts_file.open("wb") as file:
            for alert in run.run(lines(), int(time.time() * 1000)):  # type: ignore[arg-type]
                file.write(alerts.encode(alert) + b"\n")
                found.append(alert)
    seconds = time.perf_counter() - began
    total = run.fates.total() + run.refused.total()
    out.print(f"{total:,} lookups in {seconds:.1f} s ({total / max(seconds, 1e-9):,.0f}/s): {dict(run.fates)}")
    out.print(f"{len(found):,} alerts in {alerts_file}; refused: {dict(run.refused) or 'none'}")
    if labels is not None:
        out.print(recall_table(recall_by_typology(map(orjson.loads, read_lines(labels)), found)))
    if problems or refused:
        raise typer.Exit(1)


def recall_table(rows: list[tuple[str, int, int]]) -> Table:
    """Typologies with how many scenarios there were and how many an alert named."""
    table = Table("typology", "scenarios", "found", "recall", title="recall by typology")
    for typology, there, found in rows:
        table.add_row(typology, str(there), str(found), f"{found / there:.0%}" if there else "–")
    return table
