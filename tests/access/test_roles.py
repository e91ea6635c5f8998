"""What each role may, written out once more: a change must be made twice."""

from __future__ import annotations

import pytest

from monitor.access.roles import Person, Right, Role, conflicts, may

NORTH = frozenset({"north"})


def of(*roles: Role, unit: str | None = None) -> Person:
    return Person("somebody", frozenset(roles), unit)


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        (Role.DESK, {"see-incidents", "act", "judge", "search", "see-rules", "see-health", "ask-identity"}),
        (Role.PRIVACY_OFFICER, {"see-health", "approve-identity", "privacy", "see-audit"}),
        (Role.RULE_AUTHOR, {"see-health", "see-rules", "deploy-rules"}),
        (Role.AUDITOR, {"see-health", "see-incidents", "see-rules", "see-audit"}),
        (Role.SUPERVISOR, {"see-health"}),
    ],
)
def test_what_a_role_may_for_the_whole_force(role: Role, rights: set[str]) -> None:
    assert {right.value for right in Right if may(of(role, unit="north"), right)} == rights


def test_a_supervisor_sees_and_acts_for_his_own_unit_only() -> None:
    there = of(Role.SUPERVISOR, unit="north")
    assert {right.value for right in Right if may(there, right, NORTH)} == {"see-health", "see-incidents", "act"}
    for other in (of(Role.SUPERVISOR, unit="south"), of(Role.SUPERVISOR)):
        assert {right.value for right in Right if may(other, right, NORTH)} == {"see-health"}


def test_another_role_gives_what_the_supervisor_lacks() -> None:
    assert may(of(Role.SUPERVISOR, Role.DESK, unit="south"), Right.SEE_INCIDENTS, NORTH)


def test_nobody_asks_for_an_identity_and_approves_it_by_his_roles() -> None:
    for right in (Right.ASK_IDENTITY, Right.APPROVE_IDENTITY):
        assert [role for role in Role if may(of(role), right)]
    assert not [role for role in Role if may(of(role), Right.ASK_IDENTITY) and may(of(role), Right.APPROVE_IDENTITY)]
    assert conflicts(frozenset({Role.DESK, Role.PRIVACY_OFFICER, Role.RULE_AUTHOR}))
    assert conflicts(frozenset({Role.DESK, Role.AUDITOR}))
    assert not conflicts(frozenset({Role.SUPERVISOR, Role.RULE_AUTHOR}))


def test_without_a_role_nothing_may_be_done() -> None:
    assert not [right for right in Right if may(of(), right, NORTH)]
