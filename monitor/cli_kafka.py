"""``monitor kafka start|stop|status``: a real Apache Kafka on this machine, for trials and tests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from monitor import local_kafka
from monitor.local_kafka import LocalKafkaError, Status

NOT_RUNNING = 1
BROKEN = 2

app = typer.Typer(help="A real Apache Kafka on this machine: one node, 127.0.0.1 only.", no_args_is_help=True)


def default_data_dir(env: Mapping[str, str] = os.environ) -> Path:
    """``lookup-monitor/kafka`` in the user's data folder (``XDG_DATA_HOME``, else ``~/.local/share``)."""
    base = env.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "lookup-monitor" / "kafka"


DataDir = Annotated[Path | None, typer.Option("--data", help="Folder that keeps topics and logs.", show_default=False)]


@app.command()
def start(
    data: DataDir = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port of the broker; without it the last one, or a free one.", min=1, max=65535),
    ] = None,
    heap_mb: Annotated[int, typer.Option(help="Heap of the JVM in MB.", min=local_kafka.MIN_HEAP_MB)] = 512,
) -> None:
    """Start Kafka; it runs until `stop`. Exits with 0 also when it runs already, with 2 when it cannot."""
    folder, out = data or default_data_dir(), Console(soft_wrap=True)
    try:
        kafka = local_kafka.start(
            folder, port=port, heap_mb=heap_mb, tie_to_parent=False, say=lambda text: out.print(escape(text))
        )
    except local_kafka.AlreadyRunning:
        _already_running(folder, port, out)
    except LocalKafkaError as error:
        _fail(error)
    else:
        out.print(
            f"[green]Kafka runs[/green] at {kafka.bootstrap} (process {kafka.pid}), data in {escape(str(folder))}"
        )


@app.command()
def stop(data: DataDir = None) -> None:
    """Stop Kafka; its data stays. Exits with 0 also when it was not running, with 2 when it does not stop."""
    folder, out = data or default_data_dir(), Console(soft_wrap=True)
    try:
        stopped = local_kafka.stop(folder)
    except LocalKafkaError as error:
        _fail(error)
    out.print("Kafka stopped." if stopped else f"No Kafka was running on {escape(str(folder))}.")


@app.command()
def status(data: DataDir = None) -> None:
    """Tell how Kafka is. Exits with 0 when it serves clients, 1 when it does not run, 2 when it is broken."""
    folder, out = data or default_data_dir(), Console(soft_wrap=True)
    found = local_kafka.status(folder)
    out.print(_table(folder, found))
    if not found.running:
        raise typer.Exit(NOT_RUNNING)
    if not found.answers:
        out.print(_broken(folder, found))
        raise typer.Exit(BROKEN)


def _table(folder: Path, found: Status) -> Table:
    word = "[yellow]not running[/yellow]"
    if found.running:
        word = "[green]running[/green]" if found.answers else "[red]running, but does not answer[/red]"
    table = Table(show_header=False, box=None)
    rows = {
        "Kafka": word,
        "bootstrap": found.bootstrap,
        "process": found.pid,
        "since": found.since and f"{found.since:%Y-%m-%d %H:%M:%S} UTC",
        "version": found.version,
        "data": escape(f"{folder} ({found.data_bytes / 1e6:,.1f} MB)"),
    }
    for name, value in rows.items():
        if value is not None:
            table.add_row(name, str(value))
    return table


def _already_running(folder: Path, port: int | None, out: Console) -> None:
    found = local_kafka.status(folder)
    if not found.answers:
        out.print(_broken(folder, found))
        raise typer.Exit(BROKEN)
    out.print(f"[green]Kafka is already running[/green] at {found.bootstrap} (process {found.pid}).")
    if port is not None and found.bootstrap != f"127.0.0.1:{port}":
        out.print(f"It stays on its port; for port {port} stop it first.")


def _broken(folder: Path, found: Status) -> str:
    place = escape(str(folder))
    return (
        f"[red]Process {found.pid} runs, but does not answer.[/red] If it was only just started, ask again; "
        f"otherwise see {place}/kafka.log, then: monitor kafka stop --data {place}"
    )


def _fail(error: LocalKafkaError) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"[red]{escape(str(error))}[/red]", highlight=False)
    raise typer.Exit(BROKEN)


if __name__ == "__main__":
    app()
