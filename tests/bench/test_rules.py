"""The measurement of the rules: it makes the rules it says, and notices an index that finds something else."""

from __future__ import annotations

from typing import Any

import pytest

from bench import rules as bench
from bench.rules import Cost, lookups_of, measure, ratio, rules_of
from monitor.rules import RuleSet, load_texts


@pytest.fixture(scope="module")
def lookups() -> list[dict[str, Any]]:
    return lookups_of(300)


def test_so_many_rules_are_made_and_more_include_the_fewer(lookups: list[dict[str, Any]]) -> None:
    few, many = rules_of(60, lookups), rules_of(200, lookups)
    loaded = load_texts(many)
    assert loaded.problems == []
    assert len(loaded.rules.by_id) == 200
    assert few.items() <= many.items()
    assert len(loaded.rules.correlations) > 40
    assert rules_of(200, lookups) == many


def test_the_measurement_counts_and_compares(lookups: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "RUNS", 1)
    costs = list(measure((50, 100), lookups))
    assert [cost.rules for cost in costs] == [50, 100]
    assert all(cost.right and cost.matches and cost.match_seconds > 0 for cost in costs)
    found = RuleSet.matches
    monkeypatch.setattr(RuleSet, "matches", lambda self, lookup: found(self, lookup)[1:])
    assert [cost.right for cost in measure((50,), lookups)] == [False]


def test_the_ratio() -> None:
    costs = [Cost(rules, 1, 0, seconds, seconds * 2, 1.0, True) for rules, seconds in ((50, 2.0), (1_000, 3.0))]
    assert ratio(costs) == 1.5
