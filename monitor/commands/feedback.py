"""rank, dispose and report precision: the desk's verdicts, and the order of the queue that is learned of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.commands.common import KAFKA_ANSWERS_WITHIN_MS, check_topics, fail, kafka_errors, out, read_lines
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.feedback.precision import Case, Comparison


def rank() -> None:
    """Say in which order alerts are worth looking at, learned of the desk's verdicts. One is enough; give it a metrics port of its own.

    It removes no alert and changes none: `lookup.priorities.v1` holds the place of each in the queue.
    """
    from monitor.metrics import RankMetrics
    from monitor.stream.outside import run_outside
    from monitor.stream.ranking import Ranking
    from monitor.stream.seal import BadKey

    settings = Settings()
    check_topics(settings)
    metrics = RankMetrics()
    try:
        ranking = Ranking(settings, metrics)
    except BadKey as error:
        raise fail(str(error)) from None
    raise typer.Exit(run_outside("rank", settings, metrics, ranking.why_not_ready, ranking.run))


def dispose(
    alert: Annotated[
        str, typer.Argument(metavar="ALERT", help="id of the alert; with --lookup: SYSTEM/ID of a lookup")
    ],
    verdict: Annotated[str, typer.Argument(help="true-misuse, explained, benign or unsure")],
    by: Annotated[str, typer.Option(help="who gives the verdict")],
    note: Annotated[str, typer.Option(help="why")] = "",
    lookup: Annotated[bool, typer.Option("--lookup", help="about a lookup of the sample for review")] = False,
) -> None:
    """Give the desk's verdict about an alert. A later one takes the place of an earlier one; all of them are kept.

    An alert that there is not is refused by `monitor rank`: see `monitor dlq list --of dispositions`.
    """
    settings = Settings()
    give(settings, verdict, by, note, alert=None if lookup else alert, lookup=alert if lookup else None)


def give(
    settings: Settings,
    verdict: str,
    by: str,
    note: str,
    alert: str | None = None,
    lookup: str | None = None,
    incident: str | None = None,
) -> None:
    """Send a disposition; exit with what is wrong with it."""
    from monitor.feedback.disposition import VERDICTS, BadDisposition, Disposition, decode, encode
    from monitor.stream.topics import DISPOSITIONS

    if verdict not in VERDICTS:
        raise fail(f"there is no verdict {verdict!r}; there are {', '.join(VERDICTS)}")
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    raw = encode(
        Disposition(
            verdict=verdict,  # type: ignore[arg-type]  # checked just above
            by=by,
            time=time,
            alert=alert,
            lookup=lookup,
            incident=incident,
            note=note,
        )
    )
    try:
        decode(raw)
    except BadDisposition as error:
        raise fail(error.detail) from None
    out.print(f"{verdict}: {send(settings, DISPOSITIONS, alert or lookup or '', raw)}")


def send(settings: Settings, topic: str, key: str, raw: bytes) -> str:
    """As :func:`write`; exits with what is wrong when Kafka does not take it."""
    with kafka_errors(settings.kafka):
        return write(settings, topic, key, raw)


def write(settings: Settings, topic: str, key: str, raw: bytes) -> str:
    """Write what somebody said to a topic of one partition, and say where it is once Kafka has it. Raises ``KafkaError``."""
    from kafka import KafkaProducer

    producer = KafkaProducer(
        **settings.kafka.options(),
        bootstrap_timeout_ms=KAFKA_ANSWERS_WITHIN_MS,
        acks="all",
        allow_auto_create_topics=False,
    )
    try:
        place = producer.send(topic, key=key.encode(), value=raw, partition=0).get(timeout=30)
    finally:
        producer.close()
    return f"{topic}/{place.partition}/{place.offset}"


def precision(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="each with alerts.jsonl and labels.jsonl")],
    verdicts: Annotated[int, typer.Option(min=1, help="how many verdicts the desk gives first")] = 200,
    a_day: Annotated[int, typer.Option(min=1, help="how many alerts the desk looks at on a day")] = 20,
) -> None:
    """How much better the queue gets by verdicts: the desk's work on simulated worlds, with the labels as its truth.

    `monitor simulate` and `monitor backtest` make the files.
    """
    from rich.table import Table

    from monitor.feedback.precision import compare
    from monitor.stream.sampling import sampler_of

    settings = Settings()
    sampler = sampler_of(settings, settings.rank_share)
    found = [(folder.name, compare(_cases(folder), verdicts, a_day, sampler)) for folder in folders]
    table = Table("", *(name for name, _ in found), title=f"before → after {verdicts} verdicts, {a_day} alerts a day")
    for title, cell in _ROWS:
        table.add_row(title, *(cell(each) for _, each in found))
    out.print(table)


def _cases(folder: Path) -> list[Case]:
    import msgspec
    import orjson

    from monitor import alerts
    from monitor.recall import is_true

    try:
        raised = [alerts.decode(line) for line in read_lines(folder / "alerts.jsonl")]
        labels = [orjson.loads(line) for line in read_lines(folder / "labels.jsonl")]
        return list(zip(raised, is_true(labels, raised), strict=True))
    except (msgspec.MsgspecError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise fail(f"{folder}: alerts.jsonl or labels.jsonl cannot be read: {type(error).__name__}") from None


def _of(name: str, form: str) -> Any:
    return lambda each: f"{getattr(each.before, name):{form}} → {getattr(each.after, name):{form}}"


def _pair(name: str) -> Any:
    return lambda each: "{:.3f} → {:.3f}".format(*getattr(each, name))


def _said(each: Comparison) -> str:
    return f"{each.verdicts} / {each.alerts:,}"


_ROWS: tuple[tuple[str, Any], ...] = (
    ("verdicts / alerts after them", _said),
    ("misuse among these", lambda each: f"{each.misuse:.0%}"),
    ("looked at", lambda each: f"{each.before.looked_at} → {each.after.looked_at}"),
    ("precision of what is looked at", _of("precision", ".0%")),
    ("different misusers found", _of("misusers", "d")),
    ("average precision of the order", _of("average", ".3f")),
    ("Brier score", _pair("brier")),
    ("calibration error", _pair("calibration")),
)
