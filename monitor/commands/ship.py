"""ship: lookups from a log that grows, through a spool, into Kafka. For registers that have no Python code of ours."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.client import LookupClient, SpoolError
from monitor.client.follow import Follower, Line
from monitor.client.spool import state_of
from monitor.commands.common import fail, say
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.mapping import Mapper, Mapping_

#: Seconds between looks whether the log has grown.
_LOOK_EVERY = 0.2


def ship(
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE|-]", help="the log; -: standard input; none: only send what is in the spool"),
    ] = None,
    spool: Annotated[Path, typer.Option(help="folder in which lookups wait for Kafka; of this process alone")] = ...,  # type: ignore[assignment]
    mapping: Annotated[Path | None, typer.Option(help="YAML: how lines become lookups (docs/shipping.md)")] = None,
    once: Annotated[bool, typer.Option("--once", help="to the end of FILE, not on as it grows")] = False,
    limit_mb: Annotated[int, typer.Option(help="size of the spool from which on reading waits", min=1)] = 1024,
    fsync_ms: Annotated[
        int, typer.Option(help="0: each lookup is forced to the disk; n: at least every n ms", min=0)
    ] = 100,
    number: Annotated[bool, typer.Option("--number", help="number lookups, so that a missing one is seen")] = False,
    source: Annotated[str | None, typer.Option(help="name of this machine's own counter, with --number")] = None,
    system: Annotated[str | None, typer.Option(help="the register, for --heartbeat")] = None,
    heartbeat: Annotated[float | None, typer.Option(help="seconds between heartbeats of --system", min=1)] = None,
    status: Annotated[bool, typer.Option("--status", help="only say what is in the spool")] = False,
) -> None:
    """Ship lookups from a growing log, or standard input, to Kafka through a spool on disk; nothing is lost while Kafka is away.

    It goes on after the last line that it took, through rotation (rename or copy and truncate). A line that is no lookup is sent as it is
    and lies in the DLQ. Exit codes: 0 Kafka has all (--status: nothing waits), 1 some of it waits in the spool.
    """
    if status:
        raise typer.Exit(_show(spool))
    if heartbeat is not None and system is None:
        raise fail("--heartbeat is said for a register: name it by --system")
    if source is not None and not number:
        raise fail("--source names the counter of --number")
    from monitor.commands.ingest import read_mapping

    wanted = None if mapping is None else read_mapping(mapping)
    try:
        client = LookupClient(
            spool,
            Settings().kafka,
            invalid="dlq",
            when_full="block",
            limit_bytes=limit_mb * 1024 * 1024,
            fsync_ms=fsync_ms,
            number=number,
            system=system,
            source=source,
            heartbeat_s=heartbeat,
        )
    except (SpoolError, OSError) as error:
        raise fail(str(error)) from None
    raise typer.Exit(_work(client, file, wanted, once))


def _work(client: LookupClient, file: str | None, mapping: Mapping_ | None, once: bool) -> int:
    from monitor.mapping import NoColumn

    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    is_whole = file is None or file == "-" or once
    try:
        if file == "-":
            _pass_on(
                client, (Line(raw, b"", at == 0) for at, raw in enumerate(sys.stdin.buffer)), _mapper(mapping), mapping
            )
        elif file is not None:
            _follow(client, Path(file), mapping, once, stop)
        while is_whole and not stop.is_set() and not client.flush(_LOOK_EVERY):
            pass
    except (NoColumn, OSError, SpoolError) as error:
        say(f"error: {error}")
        client.close(1.0)
        return 2
    is_done = client.close(5.0)
    found = client.stats()
    say(f"{found.reported:,} lookups taken, {found.sent:,} messages sent, {found.waiting:,} wait in the spool")
    return 0 if is_done else 1


def _mapper(mapping: Mapping_ | None) -> Mapper | None:
    from monitor.mapping import Mapper

    return None if mapping is None else Mapper(mapping)


def _follow(client: LookupClient, path: Path, mapping: Mapping_ | None, once: bool, stop: threading.Event) -> None:
    follower = Follower(path, client.mark)
    if follower.missed:
        say(f"warning: {path}: the file that was read last is nowhere any more; lines at its end may be missing")
    if once and not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    mapper = _mapper(mapping)
    if mapper is not None and mapping is not None and follower.is_within and mapping.has_header:
        mapper.feed(follower.first_line())
    while True:
        mapper = _pass_on(client, _until(follower.lines(is_last=once), stop), mapper, mapping)
        if once or stop.wait(_LOOK_EVERY):
            return


def _until(lines: Iterator[Line], stop: threading.Event) -> Iterator[Line]:
    for line in lines:
        if stop.is_set():
            return
        yield line


def _pass_on(
    client: LookupClient, lines: Iterator[Line], mapper: Mapper | None, mapping: Mapping_ | None
) -> Mapper | None:
    """Report lines; the mapper for those that follow, as each file has a header of its own."""
    for line in lines:
        if line.is_first:
            mapper = _mapper(mapping)
        raw = line.raw.strip() if mapper is None else mapper.feed(line.raw)
        if raw:
            client.report(raw, line.mark)
    return mapper


def _show(spool: Path) -> int:
    from datetime import UTC, datetime

    try:
        state, owner = state_of(spool)
    except (SpoolError, OSError) as error:
        raise fail(str(error)) from None
    told: dict[str, Any] = {
        "process": "none has it" if owner is None else owner,
        "waiting": f"{state.waiting:,} messages",
        "size": f"{state.bytes:,} bytes",
        "last number": state.seq or "none was given",
    }
    if state.since is not None:
        told["oldest file changed"] = datetime.fromtimestamp(state.since, UTC).isoformat(timespec="seconds")
    for name, value in told.items():
        typer.echo(f"{name}: {value}")
    return 1 if state.waiting else 0
