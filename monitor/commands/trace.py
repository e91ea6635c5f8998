"""trace: who had looked at what leaked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.commands.auditing import note
from monitor.commands.common import fail, out
from monitor.commands.history import Why, history_of
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.alerts import Alert
    from monitor.trace.model import Couple, Leak, Look, Suspect


def trace(
    subjects: Annotated[
        Path, typer.Option(help="CSV with the columns subject and date: by when each had leaked", exists=True)
    ],
    within: Annotated[float, typer.Option(help="days before its date a lookup may lie", min=0.01)] = 90.0,
    other: Annotated[
        float, typer.Option(help="share of leaks that came from somewhere else, or some other way", min=0.001, max=0.9)
    ] = 0.1,
    top: Annotated[int, typer.Option(help="how many to show", min=1)] = 10,
    incident: Annotated[
        bool, typer.Option("--incident", help="raise an alert about whom chance does not explain (1 in 100)")
    ] = False,
    reason: Why = "",
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Rank who had looked, before each date and without an explanation, at subjects that have leaked.

    What it says is a reason to look further, and no proof. That you ask is in the audit log before. Exit code 1: chance does not explain somebody; 0: it may explain all.
    """
    from monitor.trace.alert import alert_of, to_raise
    from monitor.trace.ask import trace_of
    from monitor.trace.model import BadLeaks, read_leaks

    try:
        leaks = read_leaks(subjects.read_text(encoding="utf-8-sig").splitlines())
    except (BadLeaks, UnicodeDecodeError, OSError) as error:
        raise fail(f"{subjects}: {error}") from None
    reach = timedelta(days=within)
    first, last = min(leak.by for leak in leaks) - reach, max(leak.by for leak in leaks)
    history = history_of(first.isoformat(), last.isoformat())
    note(Settings(), "search", subjects=[leak.subject for leak in leaks], reason=reason)
    found, looks = trace_of(history, leaks, reach, other)
    suspects = found.suspects()
    couples = found.couples(suspects)
    beyond = to_raise(suspects)
    if as_json:
        _write_json(suspects[:top], couples, looks)
    else:
        _show(suspects[:top], couples, leaks, looks)
    if incident:
        _raise([alert_of(each, leaks, looks) for each in beyond])
    raise typer.Exit(1 if beyond else 0)


def _show(suspects: list[Suspect], couples: list[Couple], leaks: list[Leak], looks: list[Look]) -> None:
    from rich.table import Table

    from monitor.trace.alert import chance
    from monitor.trace.likelihood import counts

    table = Table(
        "actor", "subjects", "expected", "explained", "evidence (log10)", "chance, corrected", title="Who had looked"
    )
    for each in suspects:
        cells = (f"{len(each.hits)} of {len(leaks)}", f"{each.expected:.3g}", str(len(each.explained)))
        table.add_row(each.actor, *cells, f"{each.evidence / 2.302585:.1f}", chance(each.corrected))
    out.print(table)
    if couples:
        table = Table("actors", "subjects together", "each alone", "evidence (log10)", title="Pairs that explain more")
        for pair in couples:
            alone = " and ".join(str(each) for each in pair.alone)
            table.add_row(" and ".join(pair.actors), str(len(pair.hits)), alone, f"{pair.evidence / 2.302585:.1f}")
        out.print(table)
    shown = {each.actor for each in suspects[:3]}
    table = Table("actor", "subject", "time", "system", "id", "explained by", title="Evidence")
    for look in looks:
        if look.actor in shown:
            explained = look.explained_by or "" if not counts(look) else "nothing"
            table.add_row(look.actor, look.subject, f"{look.time:%Y-%m-%d %H:%M:%S}", look.system, look.id, explained)
    out.print(table)


def _write_json(suspects: list[Suspect], couples: list[Couple], looks: list[Look]) -> None:
    import msgspec

    shown = {each.actor for each in suspects}
    evidence = [look for look in looks if look.actor in shown]
    typer.echo(msgspec.json.encode({"suspects": suspects, "couples": couples, "lookups": evidence}))


def _raise(found: list[Alert]) -> None:
    from kafka import KafkaProducer

    from monitor.commands.common import KAFKA_ANSWERS_WITHIN_MS, kafka_errors
    from monitor.stream.detect import alert_out, as_it_is
    from monitor.stream.masking import mask_of
    from monitor.stream.seal import BadKey

    settings = Settings()
    try:
        mask = mask_of(settings)
    except BadKey as error:
        raise fail(str(error)) from None
    shown = as_it_is if mask is None else mask.alert
    with kafka_errors(settings.kafka):
        producer = KafkaProducer(
            **settings.kafka.options(),
            bootstrap_timeout_ms=KAFKA_ANSWERS_WITHIN_MS,
            acks="all",
            allow_auto_create_topics=False,
        )
        try:
            for alert in found:
                made = alert_out(shown(alert), settings.partitions, alert.ts)
                producer.send(made.topic, key=made.key, value=made.value, partition=made.partition).get(timeout=30)
        finally:
            producer.close()
    typer.echo(f"{len(found)} alerts raised", err=True)
