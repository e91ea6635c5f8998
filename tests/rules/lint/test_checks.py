"""Every check finds what it is for, at its exact place, and nothing where it should not."""

from __future__ import annotations

import re

import pytest

from monitor.documents import RuleProblem
from monitor.rules.lint import SEVERITIES, lint, registered
from monitor.rules.lint.pack import File, Pack
from tests.rules.lint import (
    cases_about,
    cases_condition,
    cases_correlation,
    cases_detection,
    cases_others,
    cases_refused,
)
from tests.rules.lint.samples import GOOD, TODAY, Case, edited, linted, unmarked

CASES: dict[str, list[Case]] = {}
for module in (cases_refused, cases_about, cases_detection, cases_condition, cases_correlation, cases_others):
    assert not CASES.keys() & module.CASES.keys()
    CASES |= module.CASES
EVERY = [pytest.param(name, one, id=f"{name}-{number}") for name in CASES for number, one in enumerate(CASES[name])]


def test_the_good_rules_are_good() -> None:
    assert linted() == []


def test_every_check_has_a_case() -> None:
    assert {*CASES, "LM099"} == set(registered())
    assert all(CASES.values())


def test_what_no_kind_of_refusal_knows_is_still_reported() -> None:
    file = File("x.yml", "", [], [RuleProblem("x.yml", 3, 5, "the moon is full", "wait")])
    (note,) = registered()["LM099"].run(file, Pack({}, TODAY))
    assert note == ("the moon is full", "wait", (), (3, 5))
    assert list(registered()["LM001"].run(file, Pack({}, TODAY))) == []


@pytest.mark.parametrize(("name", "case"), EVERY)
def test_a_check_finds_what_it_is_for_at_its_place(name: str, case: Case) -> None:
    files, places = unmarked(edited(*case.bad))
    found = [finding for finding in lint(files, TODAY) if finding.id == name]
    assert places, "a case marks where something is to be found"
    assert {(finding.path, finding.line, finding.column) for finding in found} == places
    assert any(case.says in finding.message for finding in found)
    check = registered()[name]
    assert {(finding.name, finding.severity) for finding in found} == {(check.name, check.severity)}


@pytest.mark.parametrize(("name", "case"), EVERY)
def test_a_check_finds_nothing_in_what_is_near_but_good(name: str, case: Case) -> None:
    found = lint(unmarked(edited(*case.good))[0], TODAY, **case.options)
    assert [finding for finding in found if finding.id == name] == []
    assert [finding for finding in found if finding.id < "LM100"] == [], "what is refused shows nothing"


def test_checks_say_what_they_are() -> None:
    for check in registered().values():
        assert check.severity in SEVERITIES
        assert not check.summary.endswith(".")
        assert check.why.endswith((".", "?")), check.id
        assert re.fullmatch(r"LM\d{3}", check.id)
    names = [check.name for check in registered().values()]
    assert len(names) == len(set(names))
    assert len(names) >= 45
    assert GOOD
