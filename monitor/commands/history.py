"""hunt and timeline: who looked at somebody, and what an actor did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.commands.archive import archive_of
from monitor.commands.auditing import note
from monitor.commands.common import fail, out
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.history.ask import History

Since = Annotated[str | None, typer.Option(help="only from this date or time on")]
Until = Annotated[str | None, typer.Option(help="only to the end of this date, or to this time")]
Why = Annotated[str, typer.Option("--reason", help="why; it is kept in the audit log")]
AsJson = Annotated[bool, typer.Option("--json", help="as JSON, one lookup a line")]


def history_of(since: str | None, until: str | None) -> History:
    """What can be asked of the archive of the settings; ends with exit code 2 when there is none, or a time is none."""
    from monitor.archive.store import ArchiveMissing
    from monitor.history.ask import History, Period, day_after, moment

    try:
        period = Period(moment(since) if since else None, day_after(until) if until else None)
    except ValueError as error:
        raise fail(f"{error}; a date is 2026-01-31, a time 2026-01-31T13:00:00+01:00") from None
    try:
        return History(archive_of(Settings()), period)
    except ArchiveMissing as error:
        raise fail(str(error)) from None


def hunt(
    subject: Annotated[str, typer.Argument(help="a person, address, vehicle or telephone, as lookups name it")],
    hops: Annotated[int, typer.Option(min=0, max=3, help="how far to go to what is linked with it")] = 1,
    since: Since = None,
    until: Until = None,
    unexplained: Annotated[bool, typer.Option(help="only lookups that no record explains")] = False,
    lookups: Annotated[bool, typer.Option(help="every lookup, not only who")] = False,
    reason: Why = "",
    as_json: AsJson = False,
) -> None:
    """Say who looked at SUBJECT and everything linked with it, since when, and by what it was explained.

    That you ask is in the audit log before. Exit code 1: somebody did; 0: nobody.
    """
    history = history_of(since, until)
    note(Settings(), "search", subjects=[subject], reason=reason)
    linked = history.linked(subject, hops)
    names = [each.subject for each in linked]
    rows = [
        row
        for row in (history.of_subjects(names) if lookups or as_json else ())
        if not unexplained or row["explanation"] != "record"
    ]
    if as_json:
        _write_json(rows)
        raise typer.Exit(1 if rows else 0)
    if len(linked) > 1:
        out.print(
            f"{subject} and {len(linked) - 1} linked: "
            + ", ".join(f"{each.subject} ({each.how})" for each in linked[1:])
        )
    found = history.lookers(names, unexplained)
    from rich.table import Table

    table = Table("actor", "unit", "lookups", "explained", "plausible", "neither", "first", "last", "at")
    for each in found:
        neither = each.lookups - each.explained - each.plausible
        counts = (str(n) for n in (each.lookups, each.explained, each.plausible, neither))
        at = ", ".join(each.subjects[:4]) + (f" and {len(each.subjects) - 4} more" if len(each.subjects) > 4 else "")
        table.add_row(each.actor, each.unit or "", *counts, _time(each.first), _time(each.last), at)
    out.print(table)
    if lookups:
        _print_rows(rows, "actor")
    raise typer.Exit(1 if found else 0)


def timeline(
    actor: Annotated[str, typer.Argument(help="the actor's id")],
    since: Since = None,
    until: Until = None,
    unexplained: Annotated[bool, typer.Option(help="only lookups that no record explains")] = False,
    reason: Why = "",
    as_json: AsJson = False,
) -> None:
    """Print what ACTOR looked at, in order of time, and what explained it. That you ask is in the audit log before.

    Exit code 0, also when it is nothing.
    """
    history = history_of(since, until)
    note(Settings(), "view-actor", actors=[actor], reason=reason)
    rows = [row for row in history.of_actor(actor) if not unexplained or row["explanation"] != "record"]
    if as_json:
        _write_json(rows)
        return
    _print_rows(rows, "subject")
    out.print(f"{len(rows)} lookups, {sum(row['explanation'] == 'record' for row in rows)} explained by a record")


def _write_json(rows: list[dict[str, Any]]) -> None:
    import orjson

    from monitor.archive.rows import lookup_of

    for row in rows:
        typer.echo(orjson.dumps(lookup_of(row), option=orjson.OPT_SORT_KEYS))


def _print_rows(rows: list[dict[str, Any]], who: str) -> None:
    from rich.table import Table

    table = Table("time", who, "system", "action", "kind", "purpose", "explanation", "id")
    for row in rows:
        claimed = " ".join(each for each in (row["case"], row["purpose"]) if each)
        what = {"record": row["explained_by"], "plausible": f"plausible: {row['explained_by']}"}
        explanation = what.get(row["explanation"], "none") or ""
        cells = (
            row[who] or "",
            row["system"],
            row["action"],
            row["subject_kind"] or "",
            claimed,
            explanation,
            row["id"],
        )
        table.add_row(_time(row["time"]), *cells)
    out.print(table)


def _time(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
