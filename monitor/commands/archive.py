"""archive: keep every lookup."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.commands.common import check_topics, fail, out
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.archive.store import Archive


def archive_of(settings: Settings) -> Archive:
    """The archive of the settings; a command that cannot have it ends with exit code 2."""
    from monitor.archive.store import Archive, ArchiveMissing

    if settings.archive is None:
        raise fail("no archive: set LOOKUP_MONITOR_ARCHIVE to its folder")
    try:
        return Archive(settings.archive)
    except ArchiveMissing as error:
        raise fail(str(error)) from None


def run() -> None:
    """Archive lookups as they come. One is enough; give it a metrics port of its own."""
    from monitor.metrics_archive import ArchiveMetrics
    from monitor.stream.archiving import Archiving
    from monitor.stream.outside import run_outside

    settings = Settings()
    metrics = ArchiveMetrics()
    archiving = Archiving(settings, archive_of(settings), metrics)
    check_topics(settings)
    raise typer.Exit(run_outside("archive", settings, metrics, archiving.why_not_ready, archiving.run))


def status(as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """Say which days the archive has, in how many files, and how far it has come in Kafka."""
    import orjson
    from rich.table import Table

    from monitor.archive.store import ArchiveMissing
    from monitor.history.ask import History
    from monitor.stream.topics import KEYED

    settings = Settings()
    archive = archive_of(settings)
    try:
        days = History(archive).days()
        reached = archive.positions(f"{KEYED}/{number}" for number in range(settings.partitions))
        files = archive.days()
    except ArchiveMissing as error:
        raise fail(str(error)) from None
    if as_json:
        found = [{"date": str(day), "lookups": count, "files": files.get(day, 0)} for day, count in days.items()]
        typer.echo(orjson.dumps({"days": found, "read": reached}))
        return
    table = Table("day", "lookups", "files")
    for day, count in days.items():
        table.add_row(str(day), f"{count:,}", str(files.get(day, 0)))
    out.print(table)
    out.print(f"{sum(days.values()):,} lookups; read up to " + ", ".join(f"{k} {v}" for k, v in reached.items()))


def compact() -> None:
    """Put the files of each day before today together, and remove from the disk what nobody has used for a day."""
    from monitor.archive.store import ArchiveMissing

    archive = archive_of(Settings())
    try:
        days = archive.compact(datetime.now(UTC).date())
        archive.forget(datetime(1970, 1, 1, tzinfo=UTC).date())
    except ArchiveMissing as error:
        raise fail(str(error)) from None
    typer.echo(f"{len(days)} days put together")
