"""The roles of people and what each may do. This is the one place that decides it; pages and commands ask :func:`may`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec


class Role(StrEnum):
    """What somebody is to the monitor. One person may have several, but see :data:`APART`."""

    DESK = "desk"
    SUPERVISOR = "supervisor"
    PRIVACY_OFFICER = "privacy-officer"
    RULE_AUTHOR = "rule-author"
    AUDITOR = "auditor"


class Right(StrEnum):
    """One kind of thing that can be done. Those with "of the unit" can be had for one unit alone."""

    SEE_INCIDENTS = "see-incidents"  # of the unit: the queue, an incident, its alerts and evidence
    ACT = "act"  # of the unit: acknowledge, comment, escalate
    JUDGE = "judge"  # give a verdict
    SEARCH = "search"  # by subject or actor, and their pages
    SEE_RULES = "see-rules"
    SEE_HEALTH = "see-health"  # rate, lag, what is silent: nothing about anybody
    DEPLOY_RULES = "deploy-rules"
    ASK_IDENTITY = "ask-identity"
    APPROVE_IDENTITY = "approve-identity"
    PRIVACY = "privacy"  # export, erase, hold, seal a watch list
    SEE_AUDIT = "see-audit"


_DESK: Final = frozenset({Right.SEE_INCIDENTS, Right.ACT, Right.JUDGE, Right.SEARCH, Right.ASK_IDENTITY})
_EVERYBODY: Final = frozenset({Right.SEE_HEALTH})
RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.DESK: _EVERYBODY | _DESK | {Right.SEE_RULES},
    Role.SUPERVISOR: _EVERYBODY | {Right.SEE_INCIDENTS, Right.ACT},
    Role.PRIVACY_OFFICER: _EVERYBODY | {Right.APPROVE_IDENTITY, Right.PRIVACY, Right.SEE_AUDIT},
    Role.RULE_AUTHOR: _EVERYBODY | {Right.SEE_RULES, Right.DEPLOY_RULES},
    Role.AUDITOR: _EVERYBODY | {Right.SEE_INCIDENTS, Right.SEE_RULES, Right.SEE_AUDIT},
}
#: Rights that these roles have for the incidents of their own unit only, and only for those that were put to them as a question.
OF_UNIT: Final = frozenset({Role.SUPERVISOR})
#: Roles that one person must not have together: who asks for an identity or watches the desk must not be the desk.
APART: Final = (frozenset({Role.DESK, Role.PRIVACY_OFFICER}), frozenset({Role.DESK, Role.AUDITOR}))


class Person(msgspec.Struct, frozen=True):
    """Somebody who has logged in. ``name`` is what the audit log and the history of an incident call them."""

    name: str
    roles: frozenset[Role]
    unit: str | None = None


def may(person: Person, right: Right, units: frozenset[str] | None = None) -> bool:
    """Whether ``person`` has ``right`` for what concerns actors of ``units``; None: for what concerns nobody, or everybody.

    A role of :data:`OF_UNIT` counts only when ``units`` has the person's own. Whether an incident is one that was put to
    supervisors is for the caller to ask.
    """
    for role in person.roles:
        if right not in RIGHTS[role]:
            continue
        if role not in OF_UNIT or right in _EVERYBODY:
            return True
        if units is not None and person.unit in units:
            return True
    return False


def conflicts(roles: frozenset[Role]) -> list[frozenset[Role]]:
    """Which of these roles one person must not have together."""
    return [pair for pair in APART if pair <= roles]
