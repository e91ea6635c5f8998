"""What a pack declares as explanations is what its rules go by, wherever they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from monitor.alerts import Alert
from monitor.backtest import Backtest
from monitor.reference import Reference, decode
from monitor.replay_processes import Log, replay
from monitor.rules import RuleSet, load_texts
from monitor.ruletest import alerts_of
from tests.rules.samples import detection
from tests.samples import GOOD, NOW

RULES = {
    "a.yml": detection({"explanation": "none"}, name="at once"),
    "b.yml": detection({"explanation": "none"}, name="after paperwork", grace="2h"),
}
ONLY_WATCHES = "title: t\nname: watch\ndescription: d\nexplanation: {record: watch, actor: member, subject: listed}\n"
RECORDS: list[dict[str, Any]] = [
    {"record": "actor", "id": "o-1", "unit": "north"},
    {"record": "subject", "id": "known"},
    {"record": "subject", "id": "followed"},
    {"record": "case", "id": "c-1", "subjects": ["known"], "actors": ["o-1"], "opened": "2026-11-01T00:00:00Z"},
    {"record": "case", "id": "c-2", "subjects": ["followed"], "actors": ["o-1"], "opened": "2026-11-20T09:00:00Z"},
]
EVENTS = [
    {**GOOD, "id": "x-1", "subject": {"kind": "person", "id": "known"}},
    {**GOOD, "id": "x-2", "subject": {"kind": "person", "id": "followed"}},
    {**GOOD, "id": "x-3", "time": "2026-11-20T20:00:00+01:00"},
]
BY_DEFAULT = {("at once", "x-2")}
WITHOUT_CASES = {(rule, event) for rule in ("at once", "after paperwork") for event in ("x-1", "x-2")}


def loaded(*declared: str) -> RuleSet:
    report = load_texts(RULES | {f"e{number}.yml": text for number, text in enumerate(declared)})
    assert report.problems == []
    return report.rules


def by_backtest(rules: RuleSet, folder: Path) -> list[Alert]:
    known = Reference(map(decode, map(orjson.dumps, RECORDS)))
    return list(Backtest(rules, known, 1, lambda _: 0, 0.999).run(map(orjson.dumps, EVENTS), NOW))


def by_replay(rules: RuleSet, folder: Path) -> list[Alert]:
    file = folder / "events.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, EVENTS)))
    known = Reference(map(decode, map(orjson.dumps, RECORDS)))
    return replay(Log(file, known, 1, lambda _: 0), rules).alerts


def by_inline_test(rules: RuleSet, folder: Path) -> list[Alert]:
    known = Reference(map(decode, map(orjson.dumps, RECORDS)))
    return alerts_of({"events": EVENTS}, rules, known)


@pytest.mark.parametrize("run", [by_backtest, by_replay, by_inline_test])
def test_rules_go_by_the_explanations_of_their_pack(run: Any, tmp_path: Path) -> None:
    def found(*declared: str) -> set[tuple[str, str]]:
        return {(alert.rule.title, *alert.events) for alert in run(loaded(*declared), tmp_path)}  # type: ignore[misc]

    assert found() == BY_DEFAULT
    assert found(ONLY_WATCHES) == WITHOUT_CASES


def test_a_flawed_explanation_is_a_problem_of_its_pack() -> None:
    report = load_texts(RULES | {"e.yml": ONLY_WATCHES.replace("listed", "anybody")})
    (problem,) = report.problems
    assert (problem.path, problem.line) == ("e.yml", 4)
