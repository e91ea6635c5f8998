"""The command line: ``monitor <command>``. Exit codes: 0 fine, 1 the check found something, 2 used wrongly or broken."""

from __future__ import annotations

import sys

import typer
from pydantic import ValidationError

from monitor import cli_kafka
from monitor.commands import data, demo, ingest, run, topics
from monitor.commands.common import err
from monitor.commands.rules import rules_app

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
reference_app = typer.Typer(help="What is known about actors, subjects and cases.", no_args_is_help=True)
reference_app.command("load")(ingest.reference_load)
for command in (
    demo.demo,
    run.up,
    run.worker,
    data.simulate,
    ingest.ingest,
    data.backtest,
    topics.topics,
    data.schema,
    run.doctor,
):
    app.command()(command)
app.add_typer(reference_app, name="reference")
app.add_typer(rules_app, name="rules")
app.add_typer(topics.dlq_app, name="dlq")
app.add_typer(cli_kafka.app, name="kafka")


def main() -> None:
    """Run the command line; a wrong setting is said in one line each."""
    try:
        app()
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"])
            err.print(f"setting LOOKUP_MONITOR_{name.upper()}: {problem['msg']}", markup=False)
        sys.exit(2)
