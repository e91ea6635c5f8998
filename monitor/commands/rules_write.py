"""``monitor rules schema``, ``new`` and ``coverage``: what helps to write rules."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from monitor.commands.common import err, fail, out
from monitor.documents import Wrong, nearest
from monitor.rules import load_texts, read_dir
from monitor.rules.coverage import Coverage
from monitor.rules.coverage import coverage as coverage_of
from monitor.rules.model import LEVELS
from monitor.rules.scaffold import IDS, TYPES, scaffold
from monitor.rules.schema import DOCUMENTS, json_schema
from monitor.settings import Settings


def schema(
    kind: Annotated[str | None, typer.Argument(help=f"{', '.join(DOCUMENTS)}; default: any of them")] = None,
) -> None:
    """Print the JSON Schema of rule files, for editors."""
    if kind is not None and kind not in DOCUMENTS:
        raise fail(f"there is no schema of a {kind}; {nearest(kind, DOCUMENTS)}")
    typer.echo(msgspec.json.format(msgspec.json.encode(json_schema(kind))).decode())


def new(
    name: Annotated[str, typer.Argument(help="the rule's name and the file's, such as many-exports")],
    typology: Annotated[str, typer.Option(help="the pattern of misuse it looks for")],
    kind: Annotated[str, typer.Option("--type", help=f"{', '.join(TYPES)}")] = "detection",
    folder: Annotated[Path | None, typer.Option("--dir", help="folder of rules; default: the pack")] = None,
) -> None:
    """Begin a rule: a file that loads, with a test that alerts and one that does not, to be filled in."""
    folder = folder or Settings().rules
    try:
        text = scaffold(name, typology, kind, [str(uuid.uuid4()) for _ in range(IDS)], datetime.now(UTC).date())
    except Wrong as wrong:
        raise fail(f"{wrong.message} ({wrong.hint})") from None
    path = folder / typology / f"{name}.yml"
    if path.exists():
        raise fail(f"{path} is there already; choose another name")
    around = read_dir(folder) if folder.is_dir() else {}
    problems = [each for each in load_texts({**around, str(path): text}).problems if each.path == str(path)]
    if problems:
        raise fail(f"{problems[0].message} ({problems[0].hint})")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise fail(f"{path}: {error.strerror}") from None
    out.print(f"{path}: fill it in, then `monitor rules lint {path}`", markup=False, soft_wrap=True)


def coverage(
    rules: Annotated[Path | None, typer.Option(help="folder of rules; default: the pack")] = None,
    form: Annotated[str, typer.Option("--format", help="text, or json (one object a typology)")] = "text",
) -> None:
    """Show by typology which rules and tests there are; exit code 1 if no rule alerts about one of them."""
    if form not in ("text", "json"):
        raise fail(f"--format {form} is none; there are text and json")
    folder = rules or Settings().rules
    if not folder.is_dir():
        raise fail(f"{folder} is not a folder of rules")
    files = read_dir(folder)
    rows = coverage_of(files)
    if form == "json":
        for row in rows:
            typer.echo(msgspec.json.encode({**msgspec.structs.asdict(row), "covered": row.covered}).decode())
    else:
        out.print(_table(rows))
    problems = load_texts(files).problems
    for problem in problems:
        err.print(str(problem), markup=False, soft_wrap=True)
    bare = [row.typology for row in rows if row.typology and not row.covered]
    if bare:
        err.print(f"no rule alerts about {', '.join(bare)}", markup=False, soft_wrap=True)
    if bare or problems:
        raise typer.Exit(1)


def _table(rows: list[Coverage]) -> Table:
    levels = [level for level in reversed(LEVELS) if any(level in row.rules for row in rows)]
    table = Table("typology", *levels, "parts", "loud tests", "quiet tests", title="rules that alert, by level")
    for row in rows:
        counts = [str(row.rules.get(level, "")) for level in levels]
        style = None if row.covered or not row.typology else "red"
        table.add_row(
            row.typology or "none", *counts, str(row.parts), str(row.positive), str(row.negative), style=style
        )
    return table
