"""The command line: ``monitor <command>``. Exit codes: 0 fine, 1 the check found something, 2 used wrongly or broken."""

from __future__ import annotations

import sys

import typer

from monitor.lazy_commands import lazy_group

#: Every command, where it is, and, for groups, where theirs are. Nothing is imported before it is asked for.
COMMANDS = {
    "demo": "monitor.commands.demo:demo",
    "up": "monitor.commands.run:up",
    "worker": "monitor.commands.run:worker",
    "canary": "monitor.commands.canary:canary",
    "watch": "monitor.commands.watch:watch",
    "rank": "monitor.commands.feedback:rank",
    "dispose": "monitor.commands.feedback:dispose",
    "simulate": "monitor.commands.data:simulate",
    "ingest": "monitor.commands.ingest:ingest",
    "ship": "monitor.commands.ship:ship",
    "backtest": "monitor.commands.data:backtest",
    "replay": "monitor.commands.evidence:replay",
    "export": "monitor.commands.evidence:export",
    "verify": "monitor.commands.evidence:verify",
    "backup": "monitor.commands.backup:backup",
    "restore": "monitor.commands.backup:restore",
    "topics": "monitor.commands.topics:topics",
    "schema": "monitor.commands.data:schema",
    "acls": "monitor.commands.acls:acls",
    "audit": "monitor.cli:audit_app",
    "users": "monitor.cli:users_app",
    "doctor": "monitor.commands.run:doctor",
    "incidents": "monitor.cli:incidents_app",
    "console": "monitor.commands.console:console_app",
    "sinks": "monitor.cli:sinks_app",
    "archive": "monitor.cli:archive_app",
    "hunt": "monitor.commands.history:hunt",
    "timeline": "monitor.commands.history:timeline",
    "trace": "monitor.commands.trace:trace",
    "outcomes": "monitor.cli:outcomes_app",
    "privacy": "monitor.cli:privacy_app",
    "report": "monitor.cli:report_app",
    "model": "monitor.cli:model_app",
    "reference": "monitor.cli:reference_app",
    "rules": "monitor.cli:rules_app",
    "dlq": "monitor.commands.topics:dlq_app",
    "kafka": "monitor.cli_kafka:app",
}
RULES = {
    "test": "monitor.commands.rules_run:run_tests",
    "explain": "monitor.commands.rules_run:explain",
    "match": "monitor.commands.rules_run:match",
    "backtest": "monitor.commands.rules_run:backtest",
    "diff": "monitor.commands.rules_run:diff",
    "deploy": "monitor.commands.rules_deploy:deploy",
    "versions": "monitor.commands.rules_deploy:versions",
    "keygen": "monitor.commands.rules_sign:keygen",
    "sign": "monitor.commands.rules_sign:sign",
    "lint": "monitor.commands.rules_lint:lint_command",
    "new": "monitor.commands.rules_write:new",
    "coverage": "monitor.commands.rules_write:coverage",
    "schema": "monitor.commands.rules_write:schema",
}

app = lazy_group(COMMANDS, str(__doc__))
reference_app = lazy_group(
    {"load": "monitor.commands.ingest:reference_load"}, "What is known about actors, subjects and cases."
)
incidents_app = lazy_group(
    {
        "run": "monitor.commands.incidents:run",
        "list": "monitor.commands.incidents:list_incidents",
        "show": "monitor.commands.incidents:show",
        "ack": "monitor.commands.incidents:acknowledge",
        "comment": "monitor.commands.incidents:comment",
        "escalate": "monitor.commands.incidents:escalate",
        "close": "monitor.commands.incidents:close",
    },
    "Incidents: what alerts about one actor or ring add up to, and what is done about it.",
)
sinks_app = lazy_group(
    {"run": "monitor.commands.sinks:run", "list": "monitor.commands.sinks:list_sinks"},
    "Sinks: telling people of incidents, by Alertmanager, PagerDuty, webhook, mail, chat or OCSF.",
)
archive_app = lazy_group(
    {
        "run": "monitor.commands.archive:run",
        "status": "monitor.commands.archive:status",
        "compact": "monitor.commands.archive:compact",
    },
    "The archive: every lookup that was ever made, once, in Parquet.",
)
outcomes_app = lazy_group(
    {
        "run": "monitor.commands.outcomes:run",
        "add": "monitor.commands.outcomes:add",
        "list": "monitor.commands.outcomes:list_outcomes",
    },
    "Outcomes: failed raids, press leaks and the like, each of which starts a leak trace by itself.",
)
privacy_app = lazy_group(
    {
        name: f"monitor.commands.privacy:{name}"
        for name in ("key", "name", "ask", "approve", "refuse", "show", "requests", "seal", "unseal")
    }
    | {name: f"monitor.commands.privacy_held:{name}" for name in ("export", "erase", "hold", "lift", "holds")},
    "Pseudonyms and their keys, and identities that are shown when a second person approves, what is held of people and for how long.",
)
report_app = lazy_group(
    {"precision": "monitor.commands.feedback:precision", "fairness": "monitor.commands.fairness:fairness"},
    "Reports: how good the queue gets by what the desk says, and whom alerts fall upon.",
)
audit_app = lazy_group(
    {
        "verify": "monitor.commands.audit:verify",
        "head": "monitor.commands.audit:head",
        "list": "monitor.commands.audit:list_events",
        "show": "monitor.commands.audit:show",
        "relay": "monitor.commands.audit_relay:relay",
    },
    "The audit log: what the monitor's own users did, and whether anybody changed what is written of it.",
)
users_app = lazy_group(
    {
        "add": "monitor.commands.users:add",
        "list": "monitor.commands.users:list_users",
        "roles": "monitor.commands.users:roles",
        "disable": "monitor.commands.users:disable",
        "enable": "monitor.commands.users:enable",
        "reset": "monitor.commands.users:reset",
    },
    "The local users of the console. No password or secret is ever an argument.",
)
MODEL = {
    "show": "monitor.commands.model:show",
    "compare": "monitor.commands.model_compare:compare",
    "versions": "monitor.commands.model_versions:versions",
    "rollback": "monitor.commands.model_versions:rollback",
}
model_app = lazy_group(MODEL, "The models: what they have learned, how two differ, and back to an earlier one.")
rules_app = lazy_group(
    RULES,
    "Rules: check and test them, ask why they match, see what they find in a log.",
    "monitor.commands.rules:rules_app",
)


def main() -> None:
    """Run the command line; a wrong setting is said in one line each."""
    try:
        app()
    except ValueError as error:
        from pydantic import ValidationError

        from monitor.connection import BadConnection

        if isinstance(error, BadConnection):
            typer.echo(f"setting LOOKUP_MONITOR_{error}", err=True)
            sys.exit(2)

        if not isinstance(error, ValidationError):
            raise
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"])
            # What does not go together begins with the name of one of them.
            said = f"{name.upper()}: {problem['msg']}" if name else str(problem["ctx"]["error"])
            typer.echo(f"setting LOOKUP_MONITOR_{said}", err=True)
        sys.exit(2)
