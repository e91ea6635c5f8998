"""backup and restore: all that Kafka holds for the monitor, into a folder and back."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.commands.common import kafka_admin, kafka_errors, progress, say
from monitor.commands.evidence import said
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.backup.format import Manifest


def backup(folder: Annotated[Path, typer.Argument(help="a new folder, for its owner alone")]) -> None:
    """Write every record of every topic, and how far the workers have come, to a folder. The monitor may go on working.

    Keys, users, rules in a folder and the archive are files of their own: docs/operations.md says how they are kept.
    """
    from monitor.backup.format import encode
    from monitor.backup.take import take

    settings = Settings()
    with said(), kafka_admin(settings.kafka) as admin, progress() as show:
        manifest = take(settings, admin, folder, show)
    typer.echo(f"{sum(part.records for part in manifest.parts)} records of {len(manifest.parts)} partitions")
    typer.echo(f"SHA-256 of manifest.json: {hashlib.sha256(encode(manifest)).hexdigest()}")


def restore(
    folder: Annotated[Path, typer.Argument(help="what `monitor backup` wrote")],
    check: Annotated[
        bool, typer.Option("--check", help="only whether the files are what was written; no Kafka is asked")
    ] = False,
) -> None:
    """Fill an empty Kafka from a backup: every record where it was. Nothing of the monitor may run meanwhile.

    Exit code 1: a file is not what was written; nothing was restored then.
    """
    from monitor.backup.format import load, read_part

    with said(), progress() as show:
        manifest, digest = load(folder)
        if check:
            for part in manifest.parts:
                show(part.file)
                for _ in read_part(folder, part):
                    pass
    say(f"made {manifest.made} by {manifest.program}; SHA-256 of manifest.json: {digest}")
    if not check:
        _restore(Settings(), folder, manifest)
    typer.echo(f"{sum(part.records for part in manifest.parts)} records of {len(manifest.parts)} partitions")


def _restore(settings: Settings, folder: Path, manifest: Manifest) -> None:
    from monitor.backup import put

    with said(), kafka_admin(settings.kafka) as admin, progress() as show:
        put.prepare(settings, admin, manifest)
        with kafka_errors(settings.kafka):
            asyncio.run(put.fill(settings, folder, manifest, show))
        put.finish(settings, admin, manifest)
