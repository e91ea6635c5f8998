"""ingest and reference load: files into Kafka."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.progress import Progress, TimeElapsedColumn

from monitor.commands.common import err, fail, kafka_errors, out, read_lines
from monitor.event_key import key_of as key_of_event
from monitor.mapping import BadMapping, Mapping_, NoColumn, parse, rows
from monitor.reference import BadRecord, decode, key_of
from monitor.settings import Settings
from monitor.stream.batches import BatchWriter, Out
from monitor.stream.topics import EVENTS, REFERENCE, partition_of

_CHUNK = 2000


def data_home() -> Path:
    """Where the monitor keeps what it must remember between runs."""
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share")) / "lookup-monitor"


def event_out(raw: bytes, partitions: int, fallback: int) -> Out:
    """The record of one lookup: keyed by its actor, so that an actor's lookups keep their order; of a heartbeat: by its system."""
    try:
        key = key_of_event(orjson.loads(raw))
        if key is not None:
            return Out(EVENTS, partition_of(key, partitions), key.encode(), raw, int(time.time() * 1000))
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        pass
    # Not a lookup: intake says so in the DLQ, where it can be seen and replayed; here it must not get lost.
    return Out(EVENTS, fallback % partitions, None, raw, int(time.time() * 1000))


def send_events(settings: Settings, raws: Iterable[bytes]) -> int:
    """Write lookups to Kafka; return how many."""
    return _send(settings, (event_out(raw, settings.partitions, n) for n, raw in enumerate(raws)))


def send_reference(settings: Settings, raws: Iterable[bytes]) -> int:
    """Write reference records to Kafka; return how many. Raises :class:`BadRecord`."""
    return _send(settings, (_reference_out(raw) for raw in raws))


def _reference_out(raw: bytes) -> Out:
    return Out(REFERENCE, 0, key_of(decode(raw)).encode(), raw, int(time.time() * 1000))


def _send(settings: Settings, records: Iterable[Out]) -> int:
    return sum(send_chunks(settings, records))


def send_chunks(settings: Settings, records: Iterable[Out], size: int = _CHUNK) -> Iterator[int]:
    """Write records a chunk at a time; yield the size of each chunk when Kafka has it."""
    with kafka_errors(settings.kafka), asyncio.Runner() as runner:

        async def connect() -> BatchWriter:
            writer = BatchWriter(settings.kafka)
            await writer.start()
            return writer

        writer = runner.run(connect())
        try:
            iterator = iter(records)
            while chunk := list(itertools.islice(iterator, size)):
                runner.run(writer.write(chunk))
                yield len(chunk)
        finally:
            runner.run(writer.stop())


def reference_load(
    file: Annotated[Path, typer.Argument(metavar="FILE|-", help="reference records, JSON Lines")],
) -> None:
    """Load reference records into Kafka. A wrong record is reported and skipped; exit code 1 then."""
    refused = 0

    def good() -> Iterator[bytes]:
        nonlocal refused
        for number, line in enumerate(read_lines(file), 1):
            try:
                decode(line)
            except BadRecord as error:
                refused += 1
                err.print(f"{file}:{number}: {error}", markup=False, soft_wrap=True)
            else:
                yield line

    count = send_reference(Settings(), good())
    out.print(f"{count:,} reference records loaded, {refused} refused")
    if refused:
        raise typer.Exit(1)


def ingest(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="lookups: JSON Lines, or any log with --mapping")],
    mapping: Annotated[Path | None, typer.Option(help="YAML: how lines become lookups (docs/shipping.md)")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="from the beginning, not where it stopped")] = False,
) -> None:
    """Send a file of lookups to Kafka, from where an interrupted run stopped."""
    settings = Settings()
    if file == "-":
        count = send_events(settings, _rows(sys.stdin.buffer, mapping))
        out.print(f"{count:,} lookups sent")
        return
    path = Path(file)
    if not path.is_file():
        raise fail(f"{path} is not a file")
    place = Bookmark(path, settings)
    done = 0 if restart else place.read()
    if done:
        out.print(f"{done:,} lookups were sent before; going on after them (--restart begins anew)")
    rows = enumerate(_rows(_open(path), mapping))
    records = (event_out(raw, settings.partitions, number) for number, raw in rows if number >= done)
    count = done
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn(), console=out, transient=True) as progress:
        task = progress.add_task("ingest", total=None)
        for sent in send_chunks(settings, records):
            count += sent
            place.write(count)
            progress.update(task, completed=count, description=f"ingest {count:,}")
    out.print(f"{count - done:,} lookups sent ({count:,} in all)")


def _open(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _rows(lines: Iterable[bytes], mapping: Path | None) -> Iterator[bytes]:
    if mapping is None:
        yield from (stripped for line in lines if (stripped := line.strip()))
        return
    try:
        yield from rows(lines, read_mapping(mapping))
    except NoColumn as error:
        raise fail(str(error)) from None


def read_mapping(path: Path) -> Mapping_:
    """The mapping in a file; exits with what is wrong with it, and where."""
    try:
        return parse(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise fail(f"{path}: {error}") from None
    except BadMapping as error:
        raise fail(f"{path}:{error}") from None


class Bookmark:
    """How many lookups of a file Kafka has, kept between runs; a file with another beginning starts anew."""

    def __init__(self, path: Path, settings: Settings) -> None:
        with path.open("rb") as file:
            beginning = hashlib.sha256(file.read(4096)).hexdigest()
        name = hashlib.sha256(f"{path.resolve()}\0{settings.bootstrap}\0{beginning}".encode()).hexdigest()[:32]
        self._file = data_home() / "ingest" / f"{name}.json"

    def read(self) -> int:
        """The count of the last run, 0 when there was none."""
        try:
            return int(orjson.loads(self._file.read_bytes())["sent"])
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return 0

    def write(self, sent: int) -> None:
        """Remember ``sent``, whole or not at all."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".tmp")
        draft.write_bytes(orjson.dumps({"sent": sent}))
        draft.replace(self._file)
