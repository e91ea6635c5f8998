"""acls: what each part of the monitor must be allowed by Kafka."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
import typer

from monitor.acls import ROLES, commands, rights_of
from monitor.commands.common import fail
from monitor.settings import Settings


def acls(
    role: Annotated[list[str] | None, typer.Argument(metavar="[ROLE]...", help="only these; else all")] = None,
    user: Annotated[
        list[str] | None, typer.Option(metavar="ROLE=PRINCIPAL", help="whom a role is; else User:lookup-ROLE")
    ] = None,
    form: Annotated[Literal["commands", "json"], typer.Option("--format")] = "commands",
) -> None:
    """Print the least rights of each part of the monitor, as lines of Kafka's `kafka-acls`; nothing is changed."""
    wanted = role or list(ROLES)
    named = dict(each.partition("=")[::2] for each in user or ())
    if unknown := sorted({*wanted, *named} - set(ROLES)):
        raise fail(f"no such role: {', '.join(unknown)}; there are {', '.join(ROLES)}")
    if empty := [each for each, principal in named.items() if not principal.startswith("User:")]:
        raise fail(f"--user {empty[0]}={named[empty[0]]}: a principal begins with User:")
    settings = Settings()
    principals = {each: named.get(each, f"User:lookup-{each}") for each in wanted}
    if form == "json":
        found = {each: [right._asdict() for right in rights_of(each, settings.group)] for each in wanted}
        made = {each: {"principal": principals[each], "rights": rights} for each, rights in found.items()}
        typer.echo(orjson.dumps(made, option=orjson.OPT_INDENT_2).decode())
        return
    for each in wanted:
        typer.echo(f"# {each}: {ROLES[each].what}")
        for line in commands(each, settings.group, principals[each], settings.bootstrap):
            typer.echo(line)
