"""``monitor rules``: the commands for those who write rules. Further modules register theirs on :data:`rules_app`."""

from __future__ import annotations

import typer

from monitor.commands import rules_lint, rules_write

rules_app = typer.Typer(help="Rules: check them, begin new ones, see what they cover.", no_args_is_help=True)
rules_app.command("lint")(rules_lint.lint_command)
for command in (rules_write.new, rules_write.coverage, rules_write.schema):
    rules_app.command()(command)
