"""What each part of the monitor, and each kind of its users, must be allowed by Kafka: so much, and no more.

One Kafka user a role. Who may write ``lookup.events.v1`` decides what the monitor sees, and who may write ``lookup.rules.v1`` what it
looks for; no role may do both but ``author``, who marks in the log where new rules begin to count, or the models of an earlier day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from monitor.stream.topics import (
    ALERTS,
    AUDIT,
    CANARIES,
    COMMANDS,
    COMMANDS_DLQ,
    DETECT_STATE,
    DISPOSITIONS,
    DISPOSITIONS_DLQ,
    DLQ,
    EVENTS,
    FEATURES,
    HOLDS,
    INCIDENTS,
    INCIDENTS_STATE,
    INTAKE_STATE,
    JOURNAL,
    KEYED,
    OUTCOMES,
    OUTCOMES_DLQ,
    PRIORITIES,
    RANK_STATE,
    REFERENCE,
    REVIEW,
    RULES,
    SCORE_STATE,
    SINKS_DLQ,
    SINKS_STATE,
    SOURCES,
    SOURCES_STATE,
    UNMASKINGS,
)

#: How all topics of the monitor begin.
PREFIX: Final = "lookup."
Operation = Literal["Read", "Write", "Create", "Describe", "DescribeConfigs"]
_CHECKS: Final[tuple[Operation, ...]] = ("Describe", "DescribeConfigs")


@dataclass(frozen=True)
class Role:
    """``what`` it does. ``of_all`` it may to every topic of the monitor, which tells nothing of what is in them.
    ``group`` it may to the workers' consumer group, or with ``group_suffix`` to one of its own; with ``sees_workers`` it is told how far the
    workers' has come besides."""

    what: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    group: Operation | None = None
    of_all: tuple[Operation, ...] = ()
    group_suffix: str = ""
    sees_workers: bool = False


class Right(NamedTuple):
    """One right: to do ``operation`` to the ``kind`` (``topic`` or ``group``) that is called ``name``, or begins so."""

    operation: Operation
    kind: Literal["topic", "group"]
    name: str
    is_prefix: bool = False


_STATES: Final = (INTAKE_STATE, DETECT_STATE, SCORE_STATE)
ROLES: Final[Mapping[str, Role]] = {
    "worker": Role(
        "`monitor worker`",
        (EVENTS, KEYED, FEATURES, REFERENCE, RULES, *_STATES),
        (DLQ, KEYED, FEATURES, ALERTS, REVIEW, SOURCES, CANARIES, *_STATES),
        "Read",
        _CHECKS,
    ),
    "canary": Role("`monitor canary`", (CANARIES,), (EVENTS,)),
    "watch": Role("`monitor watch`", (SOURCES, SOURCES_STATE), (SOURCES_STATE,), of_all=_CHECKS),
    "rank": Role(
        "`monitor rank`",
        (ALERTS, DISPOSITIONS, PRIORITIES, RANK_STATE),
        (PRIORITIES, RANK_STATE, DISPOSITIONS_DLQ),
        of_all=_CHECKS,
    ),
    "incidents": Role(
        "`monitor incidents run`",
        (ALERTS, DISPOSITIONS, COMMANDS, HOLDS, JOURNAL, REFERENCE, INCIDENTS_STATE),
        (JOURNAL, INCIDENTS, INCIDENTS_STATE, COMMANDS_DLQ, DISPOSITIONS_DLQ),
        of_all=_CHECKS,
    ),
    "sinks": Role("`monitor sinks run`", (INCIDENTS, SINKS_STATE), (SINKS_DLQ, SINKS_STATE), of_all=_CHECKS),
    "relay": Role("`monitor audit relay`", (AUDIT,), (EVENTS,), "Read", _CHECKS, group_suffix="-relay"),
    "archive": Role("`monitor archive run`", (KEYED, HOLDS), of_all=_CHECKS),
    "outcomes": Role(
        "`monitor outcomes run`", (OUTCOMES,), (ALERTS, OUTCOMES_DLQ), "Read", _CHECKS, "-outcomes", sees_workers=True
    ),
    "topics": Role("`monitor topics` and `monitor doctor`", group="Describe", of_all=("Create", *_CHECKS)),
    "source": Role("a register's query system, or `monitor ingest`", writes=(EVENTS,)),
    "registrar": Role("`monitor reference load`", writes=(REFERENCE,)),
    "author": Role(
        "`monitor rules deploy` and `versions`, `monitor model rollback`",
        (AUDIT, RULES, SCORE_STATE),
        (AUDIT, RULES, EVENTS),
    ),
    "desk": Role(
        "`monitor incidents`, `monitor dispose`, what was refused of either, `monitor privacy ask` and `show`",
        (ALERTS, INCIDENTS, DISPOSITIONS_DLQ, COMMANDS_DLQ, UNMASKINGS, AUDIT),
        (DISPOSITIONS, COMMANDS, UNMASKINGS, AUDIT),
    ),
    "privacy": Role(
        "`monitor privacy approve`, `refuse`, `hold`, `lift`, `erase`, `export`",
        (
            UNMASKINGS,
            HOLDS,
            INCIDENTS,
            REFERENCE,
            EVENTS,
            KEYED,
            REVIEW,
            ALERTS,
            JOURNAL,
            DISPOSITIONS,
            COMMANDS,
            PRIORITIES,
            OUTCOMES,
            DETECT_STATE,
            AUDIT,
        ),
        (UNMASKINGS, HOLDS, REFERENCE, AUDIT),
        group="Describe",
    ),
    "investigator": Role(
        "`monitor hunt`, `timeline`, `trace`, `outcomes add` and `list`, what was refused of these",
        (AUDIT, OUTCOMES, OUTCOMES_DLQ),
        (ALERTS, AUDIT, OUTCOMES),
    ),
    "console": Role(
        "`monitor console`",
        (ALERTS, INCIDENTS, DISPOSITIONS, PRIORITIES, REVIEW, RULES, AUDIT, UNMASKINGS),
        (DISPOSITIONS, COMMANDS, AUDIT, UNMASKINGS),
        of_all=_CHECKS,
    ),
    "operator": Role("`monitor dlq` of events and sinks", (DLQ, SINKS_DLQ), (EVENTS,)),
    "audit": Role("`monitor users`", (AUDIT,), (AUDIT,)),
    "auditor": Role(
        "`monitor replay`, `export`, `model show`, `report`, `audit`",
        (AUDIT, EVENTS, KEYED, ALERTS, REFERENCE, RULES, DISPOSITIONS, SCORE_STATE),
        group="Describe",
        of_all=("Describe",),
    ),
}


def rights_of(role: str, group: str) -> list[Right]:
    """All that a role may; ``group`` is the workers' consumer group. Reading and writing a topic let it be described as well."""
    found = ROLES[role]
    rights = [Right("Read", "topic", name) for name in found.reads]
    rights += [Right("Write", "topic", name) for name in found.writes]
    rights += [Right(operation, "topic", PREFIX, is_prefix=True) for operation in found.of_all]
    if found.group is not None:
        rights.append(Right(found.group, "group", group + found.group_suffix))
    if found.sees_workers:
        rights.append(Right("Describe", "group", group))
    return rights


def commands(role: str, group: str, principal: str, bootstrap: str) -> list[str]:
    """The lines of Kafka's own tool that give ``principal`` (as ``User:worker``) the rights of a role."""
    begin = f"kafka-acls --bootstrap-server {bootstrap} --command-config admin.properties --add"
    return [
        f"{begin} --allow-principal '{principal}' --operation {right.operation} --{right.kind} '{right.name}'"
        + (" --resource-pattern-type prefixed" if right.is_prefix else "")
        for right in rights_of(role, group)
    ]
