"""topics and dlq: Kafka's topics, and the messages intake refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import typer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from rich.table import Table

from monitor.commands.common import KAFKA_ANSWERS_WITHIN_MS, err, fail, kafka_admin, kafka_errors, out
from monitor.settings import Settings
from monitor.stream import topics as topic_list
from monitor.stream.topics import (
    COMMANDS,
    COMMANDS_DLQ,
    DISPOSITIONS,
    DISPOSITIONS_DLQ,
    DLQ,
    EVENTS,
    INCIDENTS,
    OUTCOMES,
    OUTCOMES_DLQ,
    SINKS_DLQ,
)

dlq_app = typer.Typer(
    help="Messages that intake refused: look at them, and send them again after a fix.", no_args_is_help=True
)


def topics(check: Annotated[bool, typer.Option("--check", help="create nothing, only compare")] = False) -> None:
    """Create the topics that are missing, and report those that are not as they should be (exit code 1)."""
    settings = Settings()
    with kafka_admin(settings.kafka) as admin:
        made = [] if check else topic_list.create(admin, settings)
        problems = topic_list.check(admin, settings)
    for name in made:
        out.print(f"created {name}")
    for problem in problems:
        err.print(str(problem), markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    out.print(f"{len(topic_list.topics_of(settings))} topics are as they should be")


Of = Annotated[
    Literal["events", "dispositions", "commands", "outcomes", "sinks"], typer.Option(help="what was refused")
]
#: The DLQ of each kind, and where its messages came from.
_TOPICS = {
    "events": (DLQ, EVENTS),
    "dispositions": (DISPOSITIONS_DLQ, DISPOSITIONS),
    "commands": (COMMANDS_DLQ, COMMANDS),
    "outcomes": (OUTCOMES_DLQ, OUTCOMES),
    "sinks": (SINKS_DLQ, INCIDENTS),
}


def _refused(settings: Settings, of: str = "events") -> Iterator[Any]:
    """Every message in a DLQ now, partition by partition."""
    topic, _ = _TOPICS[of]
    consumer = KafkaConsumer(
        **settings.kafka.options(),
        bootstrap_timeout_ms=KAFKA_ANSWERS_WITHIN_MS,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        parts = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        if not parts:
            raise fail(f"there is no topic {topic}; run `monitor topics`")
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        ends = consumer.end_offsets(parts)
        while any(consumer.position(part) < ends[part] for part in parts):
            for records in consumer.poll(timeout_ms=1000).values():
                yield from (each for each in records if each.offset < ends[TopicPartition(topic, each.partition)])
    finally:
        consumer.close()


def _headers(record: Any) -> dict[str, str]:
    return {name: value.decode("utf-8", "replace") for name, value in record.headers or () if value is not None}


@dlq_app.command("list")
def dlq_list(
    reason: Annotated[str | None, typer.Option(help="only those refused for this reason")] = None, of: Of = "events"
) -> None:
    """List the refused messages: where each is, where it came from, and why."""
    settings = Settings()
    table = Table("partition/offset", "reason", "from", "detail")
    count = 0
    with kafka_errors(settings.kafka):
        for record in _refused(settings, of):
            found = _headers(record)
            if reason is None or found.get("reason") == reason:
                count += 1
                origin = f"{found.get('topic')}/{found.get('partition')}/{found.get('offset')}"
                table.add_row(
                    f"{record.partition}/{record.offset}", found.get("reason", "?"), origin, found.get("detail", "")
                )
    out.print(table)
    out.print(f"{count:,} refused messages")


@dlq_app.command("show")
def dlq_show(place: Annotated[str, typer.Argument(metavar="PARTITION/OFFSET")], of: Of = "events") -> None:
    """Show one refused message with its headers and bytes."""
    settings = Settings()
    with kafka_errors(settings.kafka):
        for record in _refused(settings, of):
            if f"{record.partition}/{record.offset}" == place:
                for name, value in _headers(record).items():
                    out.print(f"{name}: {value}", markup=False)
                out.print((record.value or b"").decode("utf-8", "backslashreplace"), markup=False, soft_wrap=True)
                return
    raise fail(f"there is no refused message {place}; `monitor dlq list` shows those there are", code=1)


@dlq_app.command("replay")
def dlq_replay(
    reason: Annotated[str | None, typer.Option(help="only those refused for this reason")] = None,
    place: Annotated[str | None, typer.Option("--only", metavar="PARTITION/OFFSET", help="only this one")] = None,
    of: Of = "events",
) -> None:
    """Send refused messages to their topic again, with their own key and headers."""
    if of == "sinks":
        raise fail(
            "what a sink refused is an incident as it was then; sending it again would undo what has happened since"
        )
    settings = Settings()
    count = 0
    with kafka_errors(settings.kafka):
        producer = KafkaProducer(**settings.kafka.options(), bootstrap_timeout_ms=KAFKA_ANSWERS_WITHIN_MS, acks="all")
        try:
            sent = []
            for record in list(_refused(settings, of)):
                if _is_wanted(record, reason, place):
                    headers = [
                        (name.removeprefix("original."), value)
                        for name, value in record.headers or ()
                        if name.startswith("original.")
                    ]
                    sent.append(
                        producer.send(
                            _TOPICS[of][1],
                            key=record.key,
                            value=record.value,
                            headers=headers,
                            timestamp_ms=int(time.time() * 1000),
                        )
                    )
            producer.flush()
            for future in sent:
                future.get(timeout=30)
            count = len(sent)
        finally:
            producer.close()
    out.print(f"{count:,} messages sent to {_TOPICS[of][1]} again")


def _is_wanted(record: Any, reason: str | None, place: str | None) -> bool:
    right_reason = reason is None or _headers(record).get("reason") == reason
    return right_reason and place in (None, f"{record.partition}/{record.offset}")
