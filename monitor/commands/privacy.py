"""privacy: keys, pseudonyms, and identities that two people agree to show."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from monitor.access.roles import Person, Role
from monitor.commands.auditing import audit_of
from monitor.commands.common import fail, kafka_errors, out
from monitor.commands.incidents import find
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.privacy.desk import Stamp, UnmaskingDesk
    from monitor.privacy.unmasking import Request

T = TypeVar("T")
By = Annotated[str, typer.Option(help="who does it")]
As = Annotated[list[Role] | None, typer.Option("--as", help="what they are; there are no logins on the command line")]
Why = Annotated[str, typer.Option(help="why; it is kept")]
WhichRequest = Annotated[str, typer.Argument(metavar="REQUEST", help="its id, or as much of it as no other has")]


def key(
    file: Annotated[Path, typer.Argument(help="the file to make")],
    rotate: Annotated[bool, typer.Option("--rotate", help="put a new key before those the file has")] = False,
) -> None:
    """Make a key for pseudonyms or identities, in a file that its owner alone can read."""
    from monitor.stream.masking import rotate_key, write_key
    from monitor.stream.seal import BadKey

    try:
        (rotate_key if rotate else write_key)(file)
    except FileExistsError:
        raise fail(f"{file} is there already; --rotate puts a new key before those it has") from None
    except (OSError, BadKey) as error:
        raise fail(str(error)) from None
    out.print(f"{file}: {'a new key before the others' if rotate else 'a new key'}", soft_wrap=True)


def name(
    names: Annotated[list[str], typer.Argument(help="ids of actors or subjects")],
    kind: Annotated[str, typer.Option(help="actor or subject")] = "actor",
) -> None:
    """Say what pseudonyms ids have, by every key: the way from a person to what is held about them. It takes the key of pseudonyms."""
    from monitor.stream.masking import pseudonyms_of
    from monitor.stream.seal import BadKey

    if kind not in ("actor", "subject"):
        raise fail("--kind is actor or subject")
    try:
        pseudonyms = pseudonyms_of(Settings())
    except BadKey as error:
        raise fail(str(error)) from None
    if pseudonyms is None:
        raise fail("LOOKUP_MONITOR_PSEUDONYMS is off")
    for each in names:
        typer.echo(" ".join([each, *pseudonyms.every("subject" if kind == "subject" else "actor", each)]))


def ask(
    incident: Annotated[str, typer.Argument(metavar="INCIDENT", help="its id, or as much of it as no other has")],
    names: Annotated[list[str], typer.Argument(metavar="PSEUDONYM…", help="of the incident, as it names them")],
    by: By,
    reason: Why,
    roles: As = None,
) -> None:
    """Ask for the identities behind pseudonyms of an incident. Somebody else has to approve."""
    from monitor.privacy.pseudonym import read

    settings = Settings()
    found = find(settings, incident)
    try:
        wanted = [read(each) for each in names]
    except ValueError as error:
        raise fail(str(error)) from None
    person = person_of(by, roles, Role.DESK)
    made = _do(settings, lambda desk: desk.ask(person, found, wanted, reason, stamp()))
    out.print(f"request {made.id} about incident {found.id}: somebody else has to approve it", soft_wrap=True)


def approve(request: WhichRequest, by: By, reason: Why, roles: As = None) -> None:
    """Approve what somebody else asked for. From then on they can see it for LOOKUP_MONITOR_UNMASK_HOURS."""
    made = _answer(request, True, by, reason, roles)
    out.print(f"request {made.id}: approved until {_time(made.until)}", soft_wrap=True)


def refuse(request: WhichRequest, by: By, reason: Why, roles: As = None) -> None:
    """Refuse what somebody else asked for, or take an approval back."""
    made = _answer(request, False, by, reason, roles)
    out.print(f"request {made.id}: refused", soft_wrap=True)


def show(request: WhichRequest, by: By, roles: As = None) -> None:
    """Show the identities of an approved request to who asked for them, until its time is over. Each time is audited."""
    settings = Settings()
    person = person_of(by, roles, Role.DESK)

    async def act(desk: UnmaskingDesk) -> dict[str, str]:
        found = _one(await desk.requests(), request)
        incident = await asyncio.to_thread(find, settings, found.incident)
        return await desk.show(person, found.id, incident, stamp())

    for pseudonym, identity in _do(settings, act).items():
        typer.echo(f"{pseudonym} {identity}")


def requests(
    every: Annotated[bool, typer.Option("--all", help="also those that were refused, or whose time is over")] = False,
) -> None:
    """List requests for identities: who asked, why, and who answered. No identity is in it."""
    from rich.table import Table

    settings = Settings()
    found = _do(settings, lambda desk: desk.requests())
    now = datetime.now(UTC).timestamp() * 1000
    table = Table("request", "incident", "asked", "by", "why", "names", "status", "answered by", "until", "seen")
    for each in found:
        is_over = each.status == "refused" or (each.status == "approved" and each.until <= now)
        if every or not is_over:
            status = "over" if is_over and each.status == "approved" else each.status
            until = _time(each.until) if each.until else ""
            table.add_row(
                each.id, each.incident, _time(each.asked), each.by, each.reason, "\n".join(each.names), status,
                each.answered_by, until, str(len(each.seen)),
            )  # fmt: skip
    out.print(table)


def _answer(request: str, approve: bool, by: str, reason: str, roles: list[Role] | None) -> Request:
    person = person_of(by, roles, Role.PRIVACY_OFFICER)

    async def act(desk: UnmaskingDesk) -> Request:
        found = _one(await desk.requests(), request)
        return await desk.answer(person, found.id, approve, reason, stamp())

    return _do(Settings(), act)


def _one(found: list[Request], which: str) -> Request:
    fitting = [each for each in found if which and each.id.startswith(which)]
    if len(fitting) != 1:
        what = "there is no request" if not fitting else f"{len(fitting)} requests begin with"
        raise fail(f"{what} {which!r}; see `monitor privacy requests --all`", code=1)
    return fitting[0]


def _do(settings: Settings, act: Callable[[UnmaskingDesk], Awaitable[T]]) -> T:
    """Do something at the desk of identities; what is refused is said, with exit code 1."""
    from monitor.audit.event import AuditUnavailable
    from monitor.privacy.desk import NotAllowed
    from monitor.privacy.unmasking import Refused
    from monitor.stream.seal import BadKey
    from monitor.stream.unmaskings import unmasking_desk

    log = audit_of(settings)

    async def work() -> T:
        async with unmasking_desk(settings, log) as desk:
            return await act(desk)

    with kafka_errors(settings.kafka):
        try:
            return asyncio.run(work())
        except BadKey as error:
            raise fail(str(error)) from None
        except (NotAllowed, Refused) as error:
            raise fail(str(error), code=1) from None
        except AuditUnavailable as error:
            raise fail(f"the audit log does not take it, so nothing is done: {error}") from None


def person_of(name: str, roles: list[Role] | None, default: Role) -> Person:
    """Who does it, as the command line says; exits when one person must not be all of that."""
    from monitor.access.roles import conflicts

    found = frozenset(roles or [default])
    if apart := conflicts(found):
        raise fail(f"one person must not be {' and '.join(sorted(apart[0]))}")
    return Person(name, found)


def stamp() -> Stamp:
    """A new id, and the time now."""
    from monitor.privacy.desk import Stamp

    return Stamp(str(uuid.uuid4()), datetime.now(UTC).isoformat(timespec="milliseconds"))


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def seal(
    team: Annotated[str, typer.Option(help="the owner of the list; alerts and incidents name it")],
    key_file: Annotated[Path, typer.Option(help="the team's keys, `TEAM KEY` a line, as the workers have them")],
    name: Annotated[str, typer.Option(help="name of the list: its records are NAME-1 and on")] = "",
    source: Annotated[Path, typer.Option("--list", help="subjects, one a line")] = Path("-"),
    may_know: Annotated[list[str] | None, typer.Option(help="an actor who may look; several times for several")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="since when, RFC 3339")] = None,
    to: Annotated[str | None, typer.Option(help="until when, RFC 3339")] = None,
) -> None:
    """Make the `watch` records of a list of subjects that nobody but a team can read: JSON Lines for `monitor reference load`."""
    from monitor.commands.common import read_lines
    from monitor.privacy.watch_list import sealed_watches
    from monitor.records import BadRecord, decode
    from monitor.reference import Reference

    subjects = [line.decode().strip() for line in read_lines(source)]
    made = sealed_watches(name or team, team, _team_keys(team, key_file), subjects, may_know or (), from_, to)
    try:
        Reference(map(decode, made))
    except BadRecord as error:
        raise fail(str(error)) from None
    for record in made:
        typer.echo(record.decode())


def unseal(
    team: Annotated[str, typer.Option(help="the owner of the list")],
    key_file: Annotated[Path, typer.Option(help="the team's keys, `TEAM KEY` a line")],
    source: Annotated[Path, typer.Option("--list", help="records, JSON Lines")] = Path("-"),
) -> None:
    """Say what subjects the sealed records of a team hold, to who has its key."""
    from monitor.commands.common import read_lines
    from monitor.privacy.watch_list import opened_watch
    from monitor.records import BadRecord, Watch, decode

    keys = _team_keys(team, key_file)
    for line in read_lines(source):
        try:
            record = decode(line)
        except BadRecord as error:
            raise fail(str(error)) from None
        if isinstance(record, Watch) and record.team == team:
            for subject in opened_watch(record, keys):
                typer.echo(f"{record.id} {subject}")


def _team_keys(team: str, file: Path) -> tuple[bytes, ...]:
    from monitor.sealed_watch import BadTeams, parse_teams

    try:
        keys = parse_teams(file.read_text().splitlines()).get(team)
    except OSError as error:
        raise fail(f"{file}: {error.strerror}") from None
    except BadTeams as error:
        raise fail(f"{file}: {error}") from None
    if keys is None:
        raise fail(f"{file} has no key of {team}")
    return keys
