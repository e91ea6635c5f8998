"""incidents: make incidents of alerts, and work on them without a console."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from monitor.commands.common import KAFKA_ANSWERS_WITHIN_MS, check_topics, fail, kafka_errors, out
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.incidents.model import Incident

Which = Annotated[str, typer.Argument(metavar="INCIDENT", help="its id, or as much of it as no other has")]
By = Annotated[str, typer.Option(help="who does it")]


def run() -> None:
    """Make incidents of alerts: group them, weigh them, say who is to be told. One is enough; give it a metrics port of its own.

    It writes `lookup.incidents.v1`; `monitor sinks run` tells people.
    """
    from monitor.metrics_incidents import IncidentMetrics
    from monitor.stream.incidents import IncidentWork
    from monitor.stream.outside import run_outside
    from monitor.stream.seal import BadKey

    settings = Settings()
    check_topics(settings)
    metrics = IncidentMetrics()
    try:
        work = IncidentWork(settings, metrics)
    except (BadKey, OSError) as error:
        raise fail(str(error)) from None
    raise typer.Exit(run_outside("incidents", settings, metrics, work.why_not_ready, work.run))


def list_incidents(
    status: Annotated[
        Literal["unclosed", "open", "acknowledged", "closed", "all"], typer.Option(help="which of them")
    ] = "unclosed",
    queue: Annotated[
        Literal["supervisor", "desk", "pager", "all"], typer.Option(help="those of one queue; muted ones are in none")
    ] = "all",
    form: Annotated[Literal["table", "json"], typer.Option("--format")] = "table",
) -> None:
    """List incidents, the most urgent first."""
    from rich.table import Table

    from monitor.incidents.model import RESPONSES, encode
    from monitor.incidents.risk import rank_of

    found = [each for each in read(Settings()) if _has_status(each, status)]
    if queue != "all":
        found = [each for each in found if each.response == queue and each.muted_by is None]
    found.sort(key=lambda each: (-RESPONSES.index(each.response), -rank_of([each.level]), -each.risk, each.id))
    if form == "json":
        for each in found:
            typer.echo(encode(each).decode())
        return
    table = Table("incident", "queue", "level", "risk", "status", "about", "alerts", "since")
    for each in found:
        told = f"muted: {each.muted_by[:8]}" if each.muted_by else each.queue + (" (held)" if each.held else "")
        about = f"{each.group.kind} {each.group.id}" + (f" ({len(each.actors)})" if each.group.kind == "ring" else "")
        status_now = each.status if each.disposition is None else f"{each.status}: {each.disposition}"
        table.add_row(
            each.id, told, each.level, f"{each.risk:g}", status_now, about, str(each.alert_count), _time(each.opened)
        )
    out.print(table)
    out.print(f"{len(found):,} incidents")


def show(which: Which, form: Annotated[Literal["text", "json"], typer.Option("--format")] = "text") -> None:
    """Show one incident: what each alert adds to its risk, what speaks for the actor, and who did what."""
    from rich.table import Table

    from monitor.incidents.model import encode

    found = find(Settings(), which)
    if form == "json":
        typer.echo(encode(found).decode())
        return
    rows = {
        "incident": found.id,
        "about": f"{found.group.kind} {found.group.id}",
        "status": found.status + (f": {found.disposition}" if found.disposition else ""),
        "level": found.level + (", about a watched subject" if found.watched else ""),
        "queue": found.queue + (" (held: the day's pages had been used up)" if found.held else ""),
        "risk": f"{found.risk:g} at {_time(found.last)}",
        "actors": ", ".join(f"{each.actor} ({each.unit or 'unit unknown'}): {each.risk:g}" for each in found.actors),
        "subjects": ", ".join(found.subjects),
        "told instead": found.muted_by or "",
        "related": ", ".join(found.related),
        "said again": f"{found.suppressed} times" if found.suppressed else "",
        "older alerts": f"{found.rest.count}, together {found.rest.points:g}" if found.rest.count else "",
    }
    for name, value in rows.items():
        if value:
            out.print(f"{name + ':':14}{value}", markup=False, soft_wrap=True)
    table = Table("time", "alert", "level", "adds", "again", "rule and reasons", title="what the risk is made of")
    for share in sorted(found.alerts, key=lambda each: (-each.now, each.ts)):
        adds = f"{share.now:g} of {share.points:g}" if share.part_of is None else f"in {share.part_of[:8]}"
        words = [share.rule.title, *share.reasons, *(f"for the actor: {each}" for each in share.speaks_for)]
        verdict = f"\n{share.verdict}" if share.verdict else ""
        table.add_row(share.time, share.alert + verdict, share.rule.level, adds, str(share.repeats), "\n".join(words))
    out.print(table)
    history = Table("time", "who", "what", "why", title="history")
    for each in found.history:
        history.add_row(each.time, each.by, each.what, each.reason)
    out.print(history)


def acknowledge(which: Which, by: By, reason: Annotated[str, typer.Option(help="why, if it is worth it")] = "") -> None:
    """Say that somebody works on an incident, so that nobody is called again."""
    _command("acknowledge", which, by, reason)


def comment(which: Which, text: Annotated[str, typer.Argument(help="what the history is to say")], by: By) -> None:
    """Put something into an incident's history: what the supervisor answered, what was found."""
    _command("comment", which, by, text)


def escalate(which: Which, by: By, reason: Annotated[str, typer.Option(help="why")]) -> None:
    """Hand an incident up: from the supervisor to the desk, from there to the pager, whatever its risk."""
    _command("escalate", which, by, reason)


def close(
    which: Which,
    verdict: Annotated[str, typer.Argument(help="true-misuse, explained, benign or unsure")],
    by: By,
    note: Annotated[str, typer.Option(help="why")] = "",
) -> None:
    """Close an incident with a verdict: a disposition as `monitor dispose` gives it, about the alert that weighs most.

    The ranker learns it once, however many alerts there are. A later verdict takes the place of an earlier one.
    """
    from monitor.commands.feedback import give

    settings = Settings()
    found = find(settings, which)
    heaviest = max(found.alerts, key=lambda each: (each.part_of is None, each.points, -each.ts, each.alert))
    give(settings, verdict, by, note, alert=heaviest.alert, incident=found.id)


def read(settings: Settings) -> Iterator[Incident]:
    """Every incident in Kafka, as it is now. Exits with what is wrong when Kafka does not answer or has no such topic."""
    from kafka import KafkaConsumer, TopicPartition

    from monitor.incidents.model import decode
    from monitor.stream.topics import INCIDENTS

    last: dict[bytes, bytes | None] = {}
    with kafka_errors(settings.kafka):
        consumer = KafkaConsumer(
            **settings.kafka.options(),
            bootstrap_timeout_ms=KAFKA_ANSWERS_WITHIN_MS,
            enable_auto_commit=False,
        )
        try:
            if not consumer.partitions_for_topic(INCIDENTS):
                raise fail(f"there is no topic {INCIDENTS}; run `monitor topics`")
            part = TopicPartition(INCIDENTS, 0)
            consumer.assign([part])
            consumer.seek_to_beginning(part)
            end = consumer.end_offsets([part])[part]
            while consumer.position(part) < end:
                for records in consumer.poll(timeout_ms=1000).values():
                    last.update((each.key, each.value) for each in records)
        finally:
            consumer.close()
    return (decode(raw) for raw in last.values() if raw is not None)


def find(settings: Settings, which: str) -> Incident:
    """The one incident whose id begins so; exits when there is none, or more."""
    found = [each for each in read(settings) if each.id.startswith(which)] if which else []
    if len(found) != 1:
        what = "there is no incident" if not found else f"{len(found)} incidents begin with"
        raise fail(f"{what} {which!r}; see `monitor incidents list --status all`", code=1)
    return found[0]


def _command(what: Literal["acknowledge", "comment", "escalate"], which: str, by: str, reason: str) -> None:
    from monitor.commands.feedback import send
    from monitor.incidents.command import BadCommand, Command, decode, encode
    from monitor.stream.topics import COMMANDS

    settings = Settings()
    found = find(settings, which)
    raw = encode(Command(command=what, incident=found.id, by=by, time=_now(), reason=reason))
    try:
        decode(raw)
    except BadCommand as error:
        raise fail(error.detail) from None
    if what != "comment" and not found.is_open:
        raise fail("the incident is closed", code=1)
    out.print(f"{what}: {send(settings, COMMANDS, found.id, raw)}")


def _has_status(incident: Incident, status: str) -> bool:
    return status == "all" or incident.status == status or (status == "unclosed" and incident.is_open)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
