"""Every suite that needs no Kafka runs at a tiny size, and notices when what it measures gives something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from bench import __main__ as door
from bench.peers import streams_count
from bench.peers.contender import ROOT, Broken
from bench.recovery import Recovered
from bench.report import BROKEN, MET, MISSED, Result, Target, judge, summarise
from bench.suites import backtest, console, count, curves, latency, memory, recovery, rules, turns, whole
from bench.suites.outcome import Goal, Outcome, as_json, goal_of, tables, text_of
from bench.tree import Tree
from monitor import local_kafka_dist

OUTCOME = Outcome("it", "what it does", ("name", "number"), [["a", 1.5]], [Goal("number", 1.5, 2.0, "s")])


def silent(words: str) -> None:
    """Say nothing."""


@pytest.fixture
def few_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack that is loaded at once, and one run of each."""
    monkeypatch.setattr("bench.rules.RUNS", 1)
    for module in ("bench.rules", "bench.suites.curves"):
        monkeypatch.setattr(f"{module}.pack_dir", lambda: ROOT / "rules" / "base")


# Goals and the door.


@pytest.mark.parametrize(
    ("value", "at_most", "met"),
    [
        (2.0, True, True),
        (2.1, True, False),
        (2.0, False, True),
        (1.9, False, False),
        (None, True, False),
        (float("nan"), True, False),
    ],
)
def test_a_goal(value: float | None, at_most: bool, met: bool) -> None:
    assert Goal("x", value, 2.0, at_most=at_most).met is met


def test_the_exit_code_of_an_outcome() -> None:
    assert OUTCOME.code == MET
    assert replace(OUTCOME, goals=[*OUTCOME.goals, Goal("other", 3.0, 2.0)]).code == MISSED
    assert replace(OUTCOME, goals=[]).code == BROKEN


def test_a_target_for_a_second_of_processor_time_is_held_against_that() -> None:
    results = [Result("ours", 100, 1.0, None, 0.5), Result("peer", 100, 0.5, None, 2.0)]
    by_clock, by_cpu = judge(
        summarise(results), [Target("ours", "peer", 1.0), Target("ours", "peer", 1.0, per_core=True)]
    )
    assert (by_clock.ratio, by_cpu.ratio) == (0.5, 4.0)
    assert not goal_of(by_clock).met
    assert goal_of(by_cpu).met
    (unknown,) = judge(
        summarise([Result("ours", 1, 1.0), Result("peer", 1, 1.0)]), [Target("ours", "peer", 1.0, per_core=True)]
    )
    assert unknown.ratio is None


def test_an_outcome_is_shown_and_written() -> None:
    assert len(tables(OUTCOME)) == 2
    made = orjson.loads(orjson.dumps(as_json({}, [OUTCOME], {"other": "why"})))
    assert made["suites"]["it"]["goals"][0]["met"] is True
    assert made["broken"] == {"other": "why"}
    assert [text_of(each) for each in (None, 1.23456, 12345.6, 12345, "x")] == ["–", "1.23", "12,346", "12,345", "x"]


class _Fake:
    """A suite that gives what it is told to."""

    def __init__(self, gives: Outcome | Exception) -> None:
        self._gives = gives

    Size = backtest.Size
    QUICK = backtest.QUICK

    def run(self, size: object, say: object) -> Outcome:
        if isinstance(self._gives, Exception):
            raise self._gives
        return self._gives


@pytest.mark.parametrize(
    ("gives", "code"),
    [
        (OUTCOME, MET),
        (replace(OUTCOME, goals=[Goal("x", 3.0, 2.0)]), MISSED),
        (Broken("counted wrongly"), BROKEN),
        (ZeroDivisionError(), BROKEN),
    ],
)
def test_the_exit_code_of_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gives: Any, code: int) -> None:
    monkeypatch.setattr(door, "SUITES", {"good": _Fake(OUTCOME), "it": _Fake(gives)})
    with pytest.raises(SystemExit) as ended:
        door.main(suite=None, quick=True, json=tmp_path / "all.json")
    assert ended.value.code == code
    written = orjson.loads((tmp_path / "all.json").read_bytes())
    assert set(written["broken"]) == ({"it"} if code == BROKEN else set())


def test_no_suite_is_made_up_and_sizes_take_what_is_given() -> None:
    with pytest.raises(SystemExit) as ended:
        door.main(suite=["counting"])
    assert ended.value.code == BROKEN
    assert door.sized("count", True, {"repeat": 2, "lookups": 7, "messages": None}) == replace(turns.QUICK, repeat=2)
    assert door.sized("backtest", False, {"lookups": 1_000, "repeat": 2}) == backtest.Size(lookups=1_000)
    assert set(door.SUITES) == {
        "count", "whole", "rules", "backtest", "recovery", "latency", "memory", "console", "curves",
    }  # fmt: skip


# The suites.


@pytest.mark.usefixtures("few_rules")
def test_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    size = rules.Size(100, 20, 2, (50, 60), (60, 50))
    found = rules.run(size, silent)
    assert [row[0] for row in found.rows] == ["50", "60"]
    assert found.goals[0].value is not None
    monkeypatch.setattr("bench.rules._run_floor", lambda rules, lookups: 1)
    with pytest.raises(Broken, match="other matches"):
        rules.run(size, silent)


def test_backtest(monkeypatch: pytest.MonkeyPatch) -> None:
    found = backtest.run(backtest.Size(400, 20), silent)
    assert [row[4] for row in found.rows] == [found.rows[0][4]] * 3
    assert not found.goals[0].met, "nobody does that; if somebody does: the goal may be raised"
    run = Tree.run

    def losing(self: Tree, alerts: Path | None = None, limit: int | None = None, jobs: int = 0) -> Any:
        ran = run(self, alerts, limit, jobs)
        if alerts is not None and jobs == 2:
            alerts.write_bytes(b"".join(alerts.read_bytes().splitlines(keepends=True)[1:]))
        return ran

    monkeypatch.setattr(Tree, "run", losing)
    with pytest.raises(Broken, match="two processes find other alerts"):
        backtest.run(backtest.Size(400, 20), silent)


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    size = memory.Size(3_000, 20, (1,))
    found = memory.run(size, silent)
    ((_, mean, most, *_, taken, _),) = found.rows
    assert 1_000 < mean <= most
    assert mean * 0.8 < taken < mean * 2
    monkeypatch.setattr(memory, "_measured", lambda states, keys: 1_000)
    with pytest.raises(Broken, match="too few to be all there"):
        memory.run(size, silent)


def test_console(monkeypatch: pytest.MonkeyPatch) -> None:
    found = console.run(console.Size(400, 2), silent)
    assert len(found.rows) > 15
    monkeypatch.setattr("bench.console.pages", lambda engine: {"gone": ["/incidents/none"]})
    with pytest.raises(Broken, match="404"):
        console.run(console.Size(150, 2), silent)


@pytest.mark.usefixtures("few_rules")
def test_curves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    size = curves.Size(
        (20, 30, 40), 2, (50, 55, 60), (1, 24, 168), 4, 20, (1, 2, 4), (1, 7, 50), 150, 1, tmp_path, 20, 2
    )
    found = curves.run(size, silent)
    names = {str(row[0]) for row in found.rows}
    assert {path.stem for path in tmp_path.glob("*.svg")} == names
    assert len(found.goals) == len(names) == 8
    chunked = curves._chunked
    monkeypatch.setattr(curves, "_chunked", lambda *what: chunked(*what) + [b"more"] * (what[-1] > 1))
    with pytest.raises(Broken, match="lookups are in a chunk"):
        curves.by_chunk(size, curves.pack())


@pytest.mark.usefixtures("few_rules")
def test_a_backtest_that_counts_less_in_more_partitions_breaks_the_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    size = replace(curves.QUICK, lookups=20, of_actors=20, of_days=1)
    assert len(curves.by_partitions(size, curves.pack()).costs) == 4
    counted = curves._backtest
    monkeypatch.setattr(curves, "_backtest", lambda *what: counted(*what) - (what[-1] > 1))
    with pytest.raises(Broken, match="in no partition"):
        curves.by_partitions(size, curves.pack())


def test_recovery_without_all_keys_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "measure", lambda states, keys: [Recovered("memory", keys - 1, 1.0, 1.0)])
    with pytest.raises(Broken, match="99 of 100 keys"):
        recovery.run(recovery.Size(100, 20, 1), silent)


def test_whole_tells_how_costs_grow_with_partitions() -> None:
    runs = [Result("ours-whole-1", 100, 1.0, None, 1.0), Result("ours-whole-8", 100, 1.0, None, 1.5)]
    assert whole.growth(runs) == pytest.approx(1.5)
    assert whole.growth(runs[:1]) is None


# Latency.


def test_lookups_come_by_a_schedule_and_some_must_alert() -> None:
    size = latency.Size(heap=100, seconds=2.0)
    made = list(latency.events_of(size, 50.0, 10, 1_700_000_000.0))
    assert len(made) == 100
    assert [due for due, *_ in made[:3]] == pytest.approx(
        [1_700_000_000.0, 1_700_000_000.02, 1_700_000_000.04], rel=0, abs=1e-3
    )
    tokens = [(name, actor, lookup) for _, name, actor, lookup in made if name.startswith("token-")]
    assert len(tokens) == 10
    assert len({actor for _, actor, _ in tokens}) == 10, "the rule keeps quiet for an hour about the same actor"
    assert len({lookup["subject"]["id"] for *_, lookup in tokens}) == 10


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    values = [float(each) for each in range(1, 101)]
    assert [latency.percentile(values, share) for share in (0.5, 0.99, 1.0, 0.001)] == [50.0, 99.0, 100.0, 1.0]
    assert latency.percentile([7.0], 0.99) == 7.0
    with pytest.raises(ValueError, match="nothing"):
        latency.percentile([], 0.5)


def test_an_alert_that_does_not_come_is_no_latency() -> None:
    with pytest.raises(Broken, match="1 of 2 alerts"):
        latency.await_all(latency.Sent({"a": 1.0, "b": 1.0}, 0.0), {"a": 2.0}, within=0.0)


# The peers' own parts.


def test_kafka_streams_is_of_the_brokers_version_and_shares_its_jars() -> None:
    broker = local_kafka_dist.parse_lock(local_kafka_dist.LOCK_FILE.read_bytes())
    streams = local_kafka_dist.parse_lock(streams_count.LOCK_FILE.read_bytes())
    assert streams.version == broker.version
    known = {jar.coordinate: jar.sha256 for jar in broker.jars}
    assert sum(known.get(jar.coordinate) == jar.sha256 for jar in streams.jars) >= 8
    assert not [jar for jar in streams.jars if known.get(jar.coordinate, jar.sha256) != jar.sha256]


def test_every_contender_is_judged_or_a_floor() -> None:
    names = {one.name for one in count.CONTENDERS}
    assert {target.ours for target in count.TARGETS} | {target.peer for target in count.TARGETS} <= names
