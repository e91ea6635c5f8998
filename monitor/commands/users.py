"""users: the local users of the console. Passwords come from a prompt, a file or the environment, and what is new is given to a file."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monitor.access.roles import Role
from monitor.commands.auditing import machine_user
from monitor.commands.common import fail, out
from monitor.secret_files import BadSecretFile, read_line, write_secret
from monitor.settings import Settings
from monitor.when import rfc3339

if TYPE_CHECKING:
    from monitor.access.users import Secrets, Users

PASSWORD_VARIABLE: Final = "LOOKUP_MONITOR_NEW_PASSWORD"
Name = Annotated[str, typer.Argument(metavar="NAME")]
Roles = Annotated[list[Role], typer.Option("--role", help="may be given more than once")]
Unit = Annotated[str | None, typer.Option(help="whose incidents a supervisor sees")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help=f"file of the password, readable by you alone; or set {PASSWORD_VARIABLE}; else you are asked"),
]
SecretsTo = Annotated[
    Path | None,
    typer.Option(
        help="new file for what the user needs once: the second factor and recovery codes; else they are shown"
    ),
]


def add(
    name: Name, role: Roles, unit: Unit = None, password_file: PasswordFile = None, secrets_to: SecretsTo = None
) -> None:
    """Add a user with these roles. Everybody has a second factor (TOTP): give the user what is shown, by a safe way."""
    with _users() as (users, settings):
        _check_place(secrets_to)
        words = f"add {name}: {_roles(role)}, unit {unit or 'none'}"
        made = users.add(name, frozenset(role), unit, _password(password_file), time.time(), _audited(settings, words))
        _tell(made, secrets_to)
    out.print(f"{name} added: {_roles(role)}")


def list_users() -> None:
    """List the users with their roles, and who may not log in."""
    from rich.table import Table

    with _users() as (users, _):
        table = Table("name", "roles", "unit", "recovery codes left", "changed", "")
        found = users.all()
    for user in found:
        state = "disabled" if user.is_disabled else ""
        table.add_row(user.name, _roles(user.roles), user.unit or "", str(len(user.recovery)), user.changed, state)
    out.print(table)
    out.print(f"{len(found):,} users")


def roles(name: Name, role: Roles, unit: Unit = None) -> None:
    """Give a user these roles and no others. They count at the next click."""
    with _users() as (users, settings):
        words = f"roles of {name}: {_roles(role)}, unit {unit or 'none'}"
        users.set_roles(name, frozenset(role), unit, time.time(), _audited(settings, words))
    out.print(f"{name}: {_roles(role)}")


def disable(name: Name) -> None:
    """Let nobody of that name in; what they have open ends at once. With OpenID Connect too: `name` is what the provider calls them."""
    with _users() as (users, settings):
        users.disable(name, time.time(), _audited(settings, f"disable {name}"))
    out.print(f"{name} is disabled")


def enable(name: Name) -> None:
    """Let a name in again that was disabled."""
    with _users() as (users, settings):
        users.enable(name, time.time(), _audited(settings, f"enable {name}"))
    out.print(f"{name} may log in again")


def reset(name: Name, password_file: PasswordFile = None, secrets_to: SecretsTo = None) -> None:
    """Give a user a new password, second factor and recovery codes; the old ones end, and who was disabled may log in."""
    with _users() as (users, settings):
        _check_place(secrets_to)
        made = users.reset(name, _password(password_file), time.time(), _audited(settings, f"reset {name}"))
        _tell(made, secrets_to)
    out.print(f"{name} is reset")


@contextmanager
def _users() -> Iterator[tuple[Users, Settings]]:
    """The users that are set; exits with what is wrong."""
    from monitor.access.passwords import BadPassword
    from monitor.access.users import BadUser, Users
    from monitor.audit.event import AuditUnavailable

    settings = Settings()
    if settings.users_file is None:
        raise fail("LOOKUP_MONITOR_USERS_FILE is not set: it names the file of the users")
    try:
        yield Users(settings.users_file), settings
    except (BadUser, BadPassword, BadSecretFile) as error:
        raise fail(str(error)) from None
    except AuditUnavailable as error:
        raise fail(f"{error}; nothing was changed") from None
    except OSError as error:
        raise fail(f"{error.filename}: {error.strerror}") from None


def _audited(settings: Settings, words: str) -> Callable[[], None]:
    """Write down that it is done, before it is."""

    def write() -> None:
        from monitor.audit.event import AuditEvent
        from monitor.stream.auditing import audited

        event = AuditEvent(id=str(uuid.uuid4()), time=_now(), by=machine_user(), what="user-change", reason=words)
        asyncio.run(audited(settings, event))

    return write


def _password(file: Path | None) -> str:
    if file is not None:
        return read_line(file)
    if (given := os.environ.get(PASSWORD_VARIABLE)) is not None:
        return given
    found: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return found


def _check_place(to: Path | None) -> None:
    """What is told once must have a place to go to, before anything is changed."""
    if to is None:
        if not sys.stdout.isatty():
            raise fail("give --secrets-to FILE: what is not shown on a terminal would stay in some log")
    elif to.exists():
        raise fail(f"{to} is there already")
    elif not os.access(to.parent, os.W_OK):
        raise fail(f"{to.parent}: no file can be made there")


def _tell(made: Secrets, to: Path | None) -> None:
    lines = [made.totp_uri, *made.recovery]
    if to is None:
        typer.echo(
            "For the user's authenticator, and codes for when it is lost, each good once. They are not shown again:"
        )
        for line in lines:
            typer.echo(line)
        return
    write_secret(to, "".join(f"{line}\n" for line in lines).encode(), is_new=True)
    out.print(f"{to}: second factor and recovery codes, for the user alone")


def _roles(roles: list[Role]) -> str:
    return ", ".join(sorted(roles))


def _now() -> str:
    return rfc3339(int(time.time() * 1000))
