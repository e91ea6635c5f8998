"""audit: what the monitor's own users did, and whether the log of it is as it was written."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
import typer

from monitor.commands.common import KAFKA_ANSWERS_WITHIN_MS, fail, kafka_errors, out, progress, say
from monitor.events import BadEvent, parse_ms
from monitor.settings import Settings
from monitor.when import parse_when

if TYPE_CHECKING:
    from monitor.audit.chain import Link, Stored
    from monitor.audit.verify import Head, Report
    from monitor.signing import PublicKeys

_DAY_MS: Final = 24 * 3600 * 1000
#: A log whose end was not reached in so many seconds is said to be unreadable.
_READ_WITHIN: Final = 60.0
HeadFile = Annotated[Path | None, typer.Option("--from-head", metavar="FILE", help="a head of before, kept elsewhere")]


class _Log(NamedTuple):
    """The log as it is now: the offsets of its beginning and of what comes next, and its records."""

    first: int
    end: int
    records: Iterator[Stored]


@contextmanager
def _opened(settings: Settings) -> Iterator[_Log]:
    from kafka import KafkaConsumer, TopicPartition

    from monitor.stream.topics import AUDIT

    with kafka_errors(settings.kafka):
        consumer = KafkaConsumer(
            **settings.kafka.options(),
            bootstrap_timeout_ms=KAFKA_ANSWERS_WITHIN_MS,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            if not consumer.partitions_for_topic(AUDIT):
                raise fail(f"there is no topic {AUDIT}; run `monitor topics`")
            part = TopicPartition(AUDIT, 0)
            consumer.assign([part])
            first, end = consumer.beginning_offsets([part])[part], consumer.end_offsets([part])[part]
            consumer.seek(part, first)
            yield _Log(first, end, _records(consumer, part, end))
        finally:
            consumer.close()


def _records(consumer: Any, part: Any, end: int) -> Iterator[Stored]:
    from monitor.audit.chain import Stored

    until = time.monotonic() + _READ_WITHIN
    while consumer.position(part) < end:
        for records in consumer.poll(timeout_ms=500).values():
            until = time.monotonic() + _READ_WITHIN
            for each in records:
                if each.offset < end:
                    yield Stored(each.offset, each.key, each.value, tuple(each.headers or ()))
        if time.monotonic() > until:
            raise TimeoutError(f"nothing came for {_READ_WITHIN:.0f} s, and the log is not at its end")


def _examined(settings: Settings, before: Path | None) -> Report:
    from monitor.audit.verify import BadHead, Verifier
    from monitor.secret_files import BadSecretFile
    from monitor.stream.key_files import public_keys_in
    from monitor.stream.topics import AUDIT

    try:
        keys: PublicKeys | None = public_keys_in(settings.audit_keys)
        known = None if before is None else _head_in(before)
        with _opened(settings) as log, progress() as show:
            verifier = Verifier(AUDIT, log.first, keys, known)
            for number, record in enumerate(log.records, 1):
                verifier.take(record)
                if number % 1000 == 0:
                    show(f"{number:,} records")
            is_expired = known is not None and _is_expired(known.time, settings.audit_retention_days)
            return verifier.report(log.end, is_expired)
    except (BadHead, BadSecretFile) as error:
        raise fail(str(error)) from None


def _head_in(path: Path) -> Head:
    from monitor.audit.verify import decode_head

    try:
        return decode_head(path.read_bytes())
    except OSError as error:
        raise fail(f"{path}: {error.strerror}") from None


def _is_expired(when: str, days: int) -> bool:
    """Whether retention may have removed what is of that time. Kafka goes by when it was written, which is not before that."""
    try:
        return parse_ms(when) < int(time.time() * 1000) - days * _DAY_MS
    except BadEvent:
        return False


def verify(
    before: HeadFile = None, as_json: Annotated[bool, typer.Option("--json", help="the whole report, as JSON")] = False
) -> None:
    """Check the whole audit log: exit code 0 it is as it was written, 1 it is not, 2 it could not be read.

    With `LOOKUP_MONITOR_AUDIT_KEYS` signatures are checked too. That its end was removed can be seen with a head of before alone.
    """
    report = _examined(Settings(), before)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        _print(report)
    if report.broken:
        raise typer.Exit(1)


def _print(report: Report) -> None:
    from monitor.stream.topics import AUDIT

    for each in report.breaks:
        by = f" (writer {each.writer})" if each.writer else ""
        typer.echo(f"{AUDIT}/0/{each.offset}: {each.kind}: {each.why}{by}")
    if report.broken > len(report.breaks):
        typer.echo(f"and {report.broken - len(report.breaks):,} more")
    for note in report.notes:
        say(f"note: {note}")
    signed = f", {report.signed:,} of them signed" if report.signed else ", none of them signed"
    typer.echo(
        f"{report.records:,} records by {len(report.writers)} writers{signed}: "
        + (f"{report.broken:,} breaks" if report.broken else "no break")
    )


def head(
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="save it there; the file must be new")] = None,
    before: HeadFile = None,
) -> None:
    """Print the head of the audit log: all of it in one number, to be kept where nobody who can write to Kafka reaches it.

    The log is checked first, and has no head when it is broken (exit code 1) or empty (2).
    """
    report = _examined(Settings(), before)
    if report.broken:
        _print(report)
        raise typer.Exit(1)
    if report.head is None:
        raise fail("the audit log is empty, or what is left of it does not tell what was before")
    raw = msgspec.json.encode(report.head) + b"\n"
    if to is None:
        typer.echo(raw.decode(), nl=False)
        return
    try:
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444), "wb") as file:
            file.write(raw)
    except OSError as error:
        raise fail(f"{to}: {error.strerror}; a head is never written over") from None
    out.print(f"{to}: the head of {report.head.offset + 1 - report.head.since:,} records")


def list_events(
    by: Annotated[str | None, typer.Option(help="who did it")] = None,
    what: Annotated[str | None, typer.Option(help="login, search, view-incident, identity-see, …")] = None,
    incident: Annotated[str | None, typer.Option(help="to which incident")] = None,
    about: Annotated[str | None, typer.Option(help="to which actor or subject")] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="T", help="RFC 3339 time, or back from now: 24h, 7d")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="T", help="the same; not included")] = None,
    refused: Annotated[bool, typer.Option("--refused", help="only what was refused")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one line of JSON an event")] = False,
) -> None:
    """List what the monitor's users did. Whether the log is as it was written is what `monitor audit verify` says."""
    from rich.table import Table

    from monitor.audit.event import WHATS

    if what is not None and what not in WHATS:
        raise fail(f"there is no {what!r}; there are {', '.join(WHATS)}")
    now = int(time.time() * 1000)
    try:
        from_ms = 0 if since is None else parse_when(since, now)
        to_ms = None if until is None else parse_when(until, now)
    except ValueError as error:
        raise fail(str(error)) from None

    def wanted(link: Link) -> bool:
        event = link.event
        return (
            by in (None, event.by)
            and what in (None, event.what)
            and incident in (None, event.incident)
            and (about is None or about in event.actors or about in event.subjects)
            and not (refused and event.done)
            and _is_within(event.time, from_ms, to_ms)
        )

    found = [each for each in _links(Settings()) if wanted(each[1])]
    if as_json:
        for offset, link in found:
            typer.echo(msgspec.json.encode({"offset": offset, "writer": link.writer, **_fields(link)}).decode())
        return
    table = Table("offset", "time", "who", "what", "to what", "reason", "id")
    for offset, link in found:
        event = link.event
        to = " ".join(each for each in (event.incident, *event.actors, *event.subjects) if each)
        done = event.what if event.done else f"{event.what} (refused)"
        table.add_row(str(offset), event.time, event.by, done, to, event.reason, event.id)
    out.print(table)
    out.print(f"{len(found):,} events")


def show(event: Annotated[str, typer.Argument(metavar="EVENT", help="id of the event, or its offset")]) -> None:
    """Show one event with its record: where it is, who wrote it, and what it is chained to."""
    for offset, link in _links(Settings()):
        if event in (link.event.id, str(offset)):
            typer.echo(
                msgspec.json.format(msgspec.json.encode({"offset": offset, **msgspec.to_builtins(link)})).decode()
            )
            return
    raise fail(f"there is no event {event}; `monitor audit list` shows those there are", code=1)


def _links(settings: Settings) -> Iterator[tuple[int, Link]]:
    """Every event, once, with its offset; what is no record is said."""
    from monitor.audit.chain import BadLink, link_of

    known = set[str]()
    with _opened(settings) as log:
        for record in log.records:
            try:
                link = link_of(record.value)
            except BadLink as error:
                say(f"offset {record.offset}: {error}")
                continue
            if link.event.id not in known:
                known.add(link.event.id)
                yield record.offset, link


def _fields(link: Link) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(link.event)
    return made


def _is_within(when: str, from_ms: int, to_ms: int | None) -> bool:
    try:
        ms = parse_ms(when)
    except BadEvent:
        return True  # what has no time is shown rather than hidden
    return from_ms <= ms and (to_ms is None or ms < to_ms)
