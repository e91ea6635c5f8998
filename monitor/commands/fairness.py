"""report fairness: whom alerts fall upon, from files or from Kafka, and what other rules or another model would change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import typer

from monitor import events
from monitor.alerts import Alert
from monitor.alerts import decode as decode_alert
from monitor.commands.common import fail, kafka_errors, load_reference, out, read_lines, say
from monitor.fairness.assess import Row, Shift, Test, assess, shifts
from monitor.fairness.counts import Cells, History, within
from monitor.feedback.disposition import BadDisposition
from monitor.feedback.disposition import decode as decode_disposition
from monitor.reference import Reference
from monitor.settings import Settings
from monitor.when import parse_when

Lookups = Callable[[], Iterator[dict[str, Any]]]


class _Source(NamedTuple):
    reference: Reference
    alerts: list[Alert]
    lookups: Lookups
    verdicts: dict[str, str]


def fairness(
    events_file: Annotated[Path | None, typer.Option("--events", help="lookups, JSON Lines; default: Kafka's")] = None,
    reference_file: Annotated[Path | None, typer.Option("--reference", help="reference records, JSON Lines")] = None,
    alerts_file: Annotated[
        Path | None, typer.Option("--alerts", help="the alerts of these lookups, JSON Lines")
    ] = None,
    dispositions: Annotated[Path | None, typer.Option(help="the desk's verdicts, JSON Lines")] = None,
    against: Annotated[
        Path | None, typer.Option(help="alerts of other rules or another model over the same lookups: what they shift")
    ] = None,
    from_: Annotated[
        str, typer.Option("--from", metavar="T", help="of Kafka: RFC 3339 time, or back from now")
    ] = "28d",
    to: Annotated[str, typer.Option("--to", metavar="T", help="the same; not included")] = "now",
    textfile: Annotated[Path | None, typer.Option(help="write metrics for node_exporter's textfile collector")] = None,
    format: Annotated[Literal["text", "json"], typer.Option(help="for people or for programs")] = "text",
) -> None:
    """Alert and confirmation rates by unit, role, shift and site; exit code 1 when chance does not explain that they differ.

    With --against: how other alerts over the same lookups shift the rates; exit code 1 when they do.
    """
    source = _translated(_source(events_file, reference_file, alerts_file, dispositions, from_, to))
    other = None if against is None else _alerts(read_lines(against), str(against))
    cells, after = _counted(source, other)
    rows = assess(cells)
    moved = None if after is None else shifts(cells, after)
    _show(rows, moved, format)
    if textfile is not None:
        _write_metrics(textfile, rows, moved)
    if any(each.test.is_found for each in moved) if moved is not None else any(row.is_found for row in rows):
        raise typer.Exit(1)


def _translated(source: _Source) -> _Source:
    """The same with the alerts' actors as the reference data calls them; exits when that takes a key that is not there."""
    from monitor.privacy.mask import named
    from monitor.stream.masking import pseudonyms_of
    from monitor.stream.seal import BadKey

    if all(alert.sealed is msgspec.UNSET for alert in source.alerts):
        return source
    try:
        pseudonyms = pseudonyms_of(Settings())
    except BadKey as error:
        raise fail(str(error)) from None
    if pseudonyms is None:
        raise fail("the alerts are under pseudonyms, and LOOKUP_MONITOR_PSEUDONYMS is off here: the key is needed")
    return source._replace(alerts=named(source.alerts, pseudonyms, source.reference.actors))


def _counted(source: _Source, other: list[Alert] | None) -> tuple[Cells, Cells | None]:
    evidence = {event for alert in (*source.alerts, *(other or ())) for event in alert.events}
    history = History(source.reference, evidence)
    for lookup in source.lookups():
        history.see(lookup)
    after = None if other is None else history.count(other, {})
    return history.count(source.alerts, source.verdicts), after


def _source(
    log: Path | None, reference: Path | None, alerts: Path | None, dispositions: Path | None, from_: str, to: str
) -> _Source:
    if log is None and reference is None and alerts is None and dispositions is None:
        now = int(time.time() * 1000)
        try:
            span = parse_when(from_, now), parse_when(to, now)
        except ValueError as error:
            raise fail(str(error)) from None
        settings = Settings()
        with kafka_errors(settings.kafka):
            return _from_kafka(settings, *span)
    if log is None or reference is None or alerts is None:
        raise fail("give --events, --reference and --alerts, or none of them and Kafka is read")
    known, _ = load_reference(reference)
    said = () if dispositions is None else read_lines(dispositions)
    found = _alerts(read_lines(alerts), str(alerts))
    return _Source(known, found, lambda: _decoded((line, 1 << 60) for line in read_lines(log)), _verdicts(said))


def _decoded(messages: Iterable[tuple[bytes | None, int]]) -> Iterator[dict[str, Any]]:
    """The lookups among messages; what is none was refused, and has its place in the DLQ."""
    for raw, received_ms in messages:
        try:
            yield events.decode(raw, received_ms=received_ms)
        except (events.BadEvent, events.Notice):
            continue


def _alerts(lines: Iterable[bytes | None], place: str) -> list[Alert]:
    found: dict[str, Alert] = {}
    for number, line in enumerate(lines, 1):
        try:
            alert = decode_alert(line or b"")
        except msgspec.MsgspecError:
            raise fail(f"{place}:{number}: not an alert") from None
        found[alert.id] = alert
    return list(found.values())


def _verdicts(lines: Iterable[bytes | None]) -> dict[str, str]:
    """The last verdict on each alert; what is no disposition is counted and passed over."""
    found, refused = dict[str, str](), 0
    for line in lines:
        try:
            disposition = decode_disposition(line)
        except BadDisposition:
            refused += 1
            continue
        if disposition.alert is not None:
            found[disposition.alert] = disposition.verdict
    if refused:
        say(f"{refused} dispositions were refused")
    return found


def _from_kafka(settings: Settings, from_ms: int, to_ms: int) -> _Source:
    """What is in Kafka of a span of event time; the log is read from the start of the span by its receipt."""
    from monitor.evidence.kafka_log import Log
    from monitor.rerun import Fact, put
    from monitor.stream import topics

    log = Log(settings)

    def read(topic: str, since_ms: int = 0) -> Iterator[Any]:
        firsts = log.after(topic, since_ms - 1) if since_ms else None
        for partition, (first, past) in enumerate(log.ranges(topic)):
            start = first if firsts is None else firsts[partition]
            yield from () if start is None else log.read(topic, partition, start, past)

    def lookups() -> Iterator[dict[str, Any]]:
        with kafka_errors(settings.kafka):
            records = ((each.value, each.timestamp) for each in read(topics.EVENTS, from_ms))
            yield from (each for each in _decoded(records) if from_ms <= each["ts"] < to_ms)
            log.close()

    reference = Reference()
    for each in read(topics.REFERENCE):
        try:
            put(reference, Fact(each.offset, each.timestamp, each.key, each.value))
        except ValueError:  # BadRecord: the workers say which
            continue
    raised = _alerts((each.value for each in read(topics.ALERTS)), topics.ALERTS)
    verdicts = _verdicts(each.value for each in read(topics.DISPOSITIONS))
    return _Source(reference, [each for each in raised if within(each, from_ms, to_ms)], lookups, verdicts)


def _show(rows: list[Row], moved: list[Shift] | None, format: str) -> None:
    if format == "json":
        about: dict[str, Any] = {"groups": [{**msgspec.to_builtins(row), "found": row.is_found} for row in rows]}
        if moved is not None:
            about["shifts"] = [{**msgspec.to_builtins(each), "found": each.test.is_found} for each in moved]
        print(msgspec.json.encode(about).decode())
        return
    from rich.table import Table

    table = Table("", "group", "actors", "alerts", "per 1,000 lookups", "per actor-week", "× others", "confirmed")
    for row in rows:
        table.add_row(
            row.dimension, row.group, f"{row.actors:,}", f"{row.episodes:,}",
            f"{row.per_thousand:.2f} ({row.per_thousand_interval.low:.2f}–{row.per_thousand_interval.high:.2f})",
            f"{row.per_week:.2f} ({row.per_week_interval.low:.2f}–{row.per_week_interval.high:.2f})",
            f"{_times(row.by_lookups)}, {_times(row.by_weeks)}{' ◀' if row.is_found else ''}",
            "–" if row.share is None else f"{row.share:.0%} ({row.share_interval.low:.0%}–{row.share_interval.high:.0%}) of {row.judged}",
        )  # fmt: skip
    out.print(table)
    if moved is not None:
        table = Table("", "group", "alerts before", "after", "× others' change")
        for each in moved:
            mark = " ◀" if each.test.is_found else ""
            table.add_row(each.dimension, each.group, str(each.before), str(each.after), f"{_times(each.test)}{mark}")
        out.print(table)
    out.print(
        "alerts of one actor, rule and week count once; ◀: chance does not explain it (5 %, adjusted for all groups)"
    )


def _times(test: Test) -> str:
    return "–" if test.ratio is None else f"{test.ratio:.2f}"


def _write_metrics(path: Path, rows: list[Row], moved: list[Shift] | None) -> None:
    from prometheus_client import write_to_textfile

    from monitor.metrics import FairnessMetrics

    metrics = FairnessMetrics()
    for row in rows:
        metrics.disparities.labels(row.dimension).inc(row.is_found)
    for each in moved or ():
        metrics.shifts.labels(each.dimension).inc(each.test.is_found)
    metrics.run.set(time.time())
    try:
        write_to_textfile(str(path), metrics.registry)
    except OSError as error:
        raise fail(f"{path}: {error.strerror}") from None
