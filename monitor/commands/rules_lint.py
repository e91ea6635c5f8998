"""``monitor rules lint``: reads files, prints what the checks find, and lists the checks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.table import Table

from monitor.commands.common import fail, out
from monitor.documents import nearest
from monitor.rules import read_dir
from monitor.rules.lint import SEVERITIES, Check, Finding, formats, lint, registered
from monitor.rules.lint.known import near
from monitor.settings import Settings

_FORMATS: Final = ("text", "json", "sarif", "markdown")


def lint_command(
    paths: Annotated[list[Path] | None, typer.Argument(help="files or folders of rules; default: the pack")] = None,
    form: Annotated[str, typer.Option("--format", help="text, json (one object a line) or sarif")] = "text",
    fail_on: Annotated[str, typer.Option(help="exit code 1 from this severity on: error, warning or info")] = "warning",
    disable: Annotated[list[str] | None, typer.Option(metavar="ID", help="checks to leave out, by id or name")] = None,
    field: Annotated[list[str] | None, typer.Option(help="a field of your own systems; vendor.* for several")] = None,
    known: Annotated[list[str] | None, typer.Option("--list-name", help="a list of the reference data")] = None,
    listing: Annotated[bool, typer.Option("--list", help="print all checks instead")] = False,
) -> None:
    """Check rules: what does not run, what can never fire, and what is risky or could be better, each at its place."""
    checks = registered()
    if form not in _FORMATS or (form == "markdown" and not listing):
        raise fail(f"--format {form} is none; there are text, json and sarif")
    if fail_on not in SEVERITIES:
        raise fail(f"--fail-on {fail_on} is none; {nearest(fail_on, SEVERITIES)}")
    off = _names(disable or ())
    for name in off:
        if not any(name in (each.id, each.name) for each in checks.values()):
            names = {each for one in checks.values() for each in (one.id, one.name)}
            raise fail(f"there is no check {name}; {near(name, names, '`monitor rules lint --list` prints all')}")
    if listing:
        _print_checks(checks, form)
        return
    files, only = gather(paths or [], Settings().rules)
    today = datetime.now(UTC).date()
    found = lint(files, today, disable=off, only=only, fields=_names(field or ()), lists=_names(known or ()))
    _print_findings(found, checks, form, len(only))
    if formats.reaches(found, fail_on):
        raise typer.Exit(1)


def _names(given: Iterable[str]) -> list[str]:
    """Names given one by one or with commas."""
    return [name.strip() for each in given for name in each.split(",") if name.strip()]


def gather(paths: list[Path], pack: Path) -> tuple[dict[str, str], set[str]]:
    """The texts of rules by path, and which paths were asked for; exits when there is nothing to look at.

    A file in the pack is seen together with all of the pack.
    """
    files: dict[str, str] = {}
    for path in paths or [pack]:
        if path.is_dir():
            files |= {_shown(name): text for name, text in read_dir(path).items()}
        elif path.is_file():
            files[_shown(path)] = path.read_text(encoding="utf-8", errors="replace")
        else:
            raise fail(f"{path} is neither a file nor a folder")
    only = {name for name in files if not name.endswith(".txt")}
    if not only:
        raise fail(f"there are no rules in {', '.join(map(str, paths or [pack]))} (files that end in .yml)")
    around = {_shown(name): text for name, text in read_dir(pack).items()} if pack.is_dir() else {}
    return ({**around, **files} if not only.isdisjoint(around) else files), only


def _shown(path: str | Path) -> str:
    """A path as it is printed: relative if it is below the current folder."""
    full, here = os.path.abspath(path), os.getcwd()
    return os.path.relpath(full, here) if full.startswith(here + os.sep) else full


def _print_findings(found: list[Finding], checks: dict[str, Check], form: str, files: int) -> None:
    if form == "sarif":
        log = formats.sarif(found, checks, version(formats.TOOL))
        typer.echo(msgspec.json.format(msgspec.json.encode(log)).decode())
    elif form == "json":
        for finding in found:
            typer.echo(formats.json_of(finding))
    else:
        for finding in found:
            out.print(formats.line_of(finding), markup=False, soft_wrap=True)
        out.print(f"{files} file{'' if files == 1 else 's'}: {formats.counted(found)}")


def _print_checks(checks: dict[str, Check], form: str) -> None:
    if form == "markdown":
        typer.echo(formats.markdown(checks.values()), nl=False)
    elif form == "text":
        table = Table("id", "name", "severity", "what is found")
        for each in checks.values():
            table.add_row(each.id, each.name, each.severity, each.summary)
        out.print(table)
    else:
        for each in checks.values():
            row = {
                "id": each.id,
                "name": each.name,
                "severity": each.severity,
                "summary": each.summary,
                "why": each.why,
            }
            typer.echo(msgspec.json.encode(row).decode())
