"""outcomes run, add and list: what went wrong, and the trace that it starts."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated

import typer

from monitor.commands.common import check_topics, fail, kafka_errors, out
from monitor.settings import Settings


def run() -> None:
    """Trace each outcome by itself, once the archive has all lookups received before it. One is enough; give it a metrics port of its own."""
    from monitor.commands.archive import archive_of
    from monitor.metrics_outcomes import OutcomeMetrics
    from monitor.stream.masking import mask_of
    from monitor.stream.outcomes import Tracing
    from monitor.stream.outside import run_outside
    from monitor.stream.seal import BadKey

    settings = Settings()
    archive = archive_of(settings)
    try:
        mask = mask_of(settings)
    except BadKey as error:
        raise fail(str(error)) from None
    check_topics(settings)
    metrics = OutcomeMetrics()
    tracing = Tracing(settings, archive, mask, metrics)
    raise typer.Exit(run_outside("outcomes", settings, metrics, tracing.why_not_ready, tracing.run))


def add(
    kind: Annotated[str, typer.Option(help="failed-raid, press-leak, threatened-witness or stopped-surveillance")],
    subject: Annotated[
        list[str],
        typer.Option(help="ID, or ID@DATE: by when it had leaked (default: when it happened); again for each"),
    ],
    source: Annotated[str, typer.Option(help="who says so")],
    case: Annotated[
        str | None, typer.Option(help="the operation it belongs to: its outcomes are traced together")
    ] = None,
    time: Annotated[str | None, typer.Option(help="when it happened, RFC 3339 with an offset; default: now")] = None,
    note: Annotated[str, typer.Option(help="what happened; it may name nobody")] = "",
    outcome_id: Annotated[str | None, typer.Option("--id", help="its id; the same one again changes nothing")] = None,
) -> None:
    """Record what went wrong; `monitor outcomes run` traces who had looked at the subjects before. That you do is in the audit log before."""
    from monitor.commands.auditing import note as audit
    from monitor.commands.feedback import send
    from monitor.stream.topics import OUTCOMES
    from monitor.trace.outcome import BadOutcome, Leaked, Outcome, decode, encode

    settings = Settings()
    at = time or datetime.now(UTC).isoformat(timespec="milliseconds")
    pairs = [each.rpartition("@") if "@" in each else (each, "@", at) for each in subject]
    made = Outcome(
        id=outcome_id or str(uuid.uuid4()),
        time=at,
        kind=kind,  # type: ignore[arg-type]  # decode looks at it
        subjects=[Leaked(name, by) for name, _, by in pairs],
        source=source,
        case=case,
        note=note,
    )
    raw = encode(made)
    try:
        decode(raw)
    except BadOutcome as error:
        raise fail(error.detail) from None
    audit(settings, "search", subjects=[each.id for each in made.subjects], reason=f"outcome {made.id}: {kind}")
    out.print(f"{made.id}: {send(settings, OUTCOMES, made.id, raw)}", soft_wrap=True)


def list_outcomes() -> None:
    """List what went wrong, as far as Kafka has it. No subject is named."""
    from kafka import KafkaConsumer, TopicPartition
    from rich.table import Table

    from monitor.commands.common import KAFKA_ANSWERS_WITHIN_MS
    from monitor.stream.topics import OUTCOMES
    from monitor.trace.outcome import BadOutcome, decode

    settings = Settings()
    part, count = TopicPartition(OUTCOMES, 0), 0
    table = Table("offset", "time", "kind", "case", "subjects", "source", "id")
    with kafka_errors(settings.kafka):
        consumer = KafkaConsumer(
            **settings.kafka.options(), bootstrap_timeout_ms=KAFKA_ANSWERS_WITHIN_MS, enable_auto_commit=False
        )
        try:
            consumer.assign([part])
            consumer.seek_to_beginning(part)
            end = consumer.end_offsets([part])[part]
            while consumer.position(part) < end:
                for record in (each for found in consumer.poll(timeout_ms=500).values() for each in found):
                    try:
                        each = decode(record.value)
                    except BadOutcome as error:
                        table.add_row(str(record.offset), "", f"refused: {error.reason}", "", "", "", "")
                        continue
                    count += 1
                    cells = (each.time, each.kind, each.case or "", str(len(each.subjects)), each.source, each.id)
                    table.add_row(str(record.offset), *cells)
        finally:
            consumer.close()
    out.print(table)
    out.print(f"{count:,} outcomes")
