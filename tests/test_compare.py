"""Two models over the same lookups: what is said of how far they are apart, and that nobody is named but in the file that is asked for."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import starmap
from pathlib import Path

import orjson
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from typer.testing import CliRunner

from monitor import alerts
from monitor.alerts import Alert, Entity
from monitor.backtest import Scorable
from monitor.cli import app
from monitor.compare import Comparison, Side, _distance, _unmatched
from monitor.model import FEATURES, PeerModel
from monitor.model.catalogue import KINDS
from monitor.model.scorer import QUIET_MS
from monitor.rules import load_texts

GOLDEN = Path(__file__).parent / "golden"
START = datetime(2026, 8, 3, 7, tzinfo=UTC)
RULE = """
title: Unusual
id: 0d3b5a52-5c0e-4c3e-9c56-0f0f4f6f7a12
correlation: {type: anomaly, rules: [any-read], group-by: [actor.id], timespan: 1d, condition: {quantile: 0.97}}
level: low
---
title: Any read
name: any-read
id: 0d3b5a52-5c0e-4c3e-9c56-0f0f4f6f7a13
logsource: {category: lookup}
detection: {s: {action: read}, condition: s}
"""


def lookups(start: datetime = START) -> Iterator[dict[str, object]]:
    """Twelve officers who look up strangers at their own pace for eight weeks, and one who has a bad week."""
    chance, number = random.Random(11), 0
    for day in range(56):
        for hour in range(8):
            for actor in range(12):
                times = 9 if actor == 7 and day > 49 else 3
                for _ in range(chance.randrange(times + 1)):
                    number += 1
                    at = start + timedelta(days=day, hours=hour, seconds=number % 3600)
                    yield {
                        "id": f"l-{number}",
                        "time": at.isoformat(),
                        "system": chance.choice(["bvi", "brp"]) if actor != 7 else "tax",
                        "action": chance.choice(["read", "read", "search", "list" if actor != 7 else "export"]),
                        "actor": {"id": f"o-{actor}", "role": "officer"},
                        "subject": {"kind": "person", "id": f"p-{chance.randrange(40 if actor != 7 else 4000)}"},
                    }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("log")
    (folder / "events.jsonl").write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in lookups()))
    staff = [{"record": "actor", "id": f"o-{n}", "peer_group": "officer"} for n in range(12)]
    (folder / "reference.jsonl").write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in staff))
    (folder / "rules").mkdir()
    (folder / "rules" / "rule.yml").write_text(RULE)
    return [*(f"--{name}={folder / name}.jsonl" for name in ("events", "reference")), f"--rules={folder / 'rules'}"]


def compared(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["model", "compare", *arguments], env={"COLUMNS": "160"})


@pytest.mark.parametrize("form", ["json", "text"])
def test_two_thresholds_over_the_same_lookups(files: list[str], form: str, tmp_path: Path) -> None:
    names = tmp_path / "names.jsonl"
    done = compared("retrained@0.9", "retrained@0.98", *files, f"--format={form}", f"--alerts={names}")
    assert done.exit_code == 1, done.output
    assert done.output == (GOLDEN / f"compare.{form}").read_text()
    assert "o-" not in done.output, "nobody is named"
    only = [orjson.loads(line) for line in names.read_bytes().splitlines()]
    assert {each["model"] for each in only} >= {"A"}
    assert all(each["alert"]["actors"][0].startswith("o-") for each in only)
    (group,) = orjson.loads((GOLDEN / "compare.json").read_bytes())["groups"]
    assert len(only) == group["only_a"] + group["only_b"] > 0


def test_what_is_within_the_tolerance_is_alike(files: list[str]) -> None:
    assert compared("retrained@0.9", "retrained@0.98", *files, "--tolerance=0.4").exit_code == 0


def test_a_model_is_like_itself_over_a_span_of_the_file(files: list[str]) -> None:
    done = compared("retrained", "retrained", *files, "--from=2026-09-14T00:00:00Z", "--format=json")
    assert done.exit_code == 0, done.output
    (group,) = orjson.loads(done.output)["groups"]
    wanted = sum(str(each["time"]) >= "2026-09-14" for each in lookups())
    assert group["lookups"] == wanted


@pytest.mark.parametrize("day", ["soon", "2026-13-01"])
def test_a_day_that_is_none_is_nothing_to_return_to(day: str) -> None:
    done = CliRunner().invoke(app, ["model", "rollback", day])
    assert done.exit_code == 2
    assert "is not a day such as" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("now",),
        ("retrained", "soon"),
        ("retrained", "retrained@2"),
        ("retrained", "retrained@x"),
        ("retrained", "retrained", "--events=x"),
        ("retrained", "retrained", "--export=/none"),
        ("retrained", "retrained", "--rules=/none"),
        ("retrained", "retrained", "--tolerance=2"),
    ],
)
def test_used_wrongly(arguments: tuple[str, ...]) -> None:
    assert compared(*arguments).exit_code == 2


def item(number: int, values: list[float], actor: str = "o-1") -> Scorable:
    lookup = {"id": f"l-{number}", "ts": number * 1000, "time": "t", "system": "bvi", "actor.id": actor}
    return Scorable("g", lookup, [*values, 500.0, 0.0, float(number % KINDS), 0.0], [], load_texts({}).rules)


def test_models_that_know_something_else_rank_otherwise() -> None:
    """The one knows a group to whom the first feature is nothing new; the other one to whom the second is not."""
    chance = random.Random(1)

    def known(feature: int) -> PeerModel:
        model = PeerModel(0.99)
        for number in range(3000):
            values = [0.005] * len(FEATURES)
            values[feature] = chance.random()
            model.learn(f"o-{number % 20}", number, [*values, 500.0, 0.0, 0.0, 0.0])
        return model

    both = Comparison(*(Side(lambda _, feature=feature: known(feature)) for feature in (0, 1)))  # type: ignore[misc]
    for number in range(300):
        values = [0.005] * len(FEATURES)
        values[number % 2] = 0.9
        both.step(item(number, values), "parent")
    (apart,) = both.result()
    assert apart.lookups == 300
    assert apart.ranks > 0.9, "what is high for one is low for the other"
    like = Comparison(Side(lambda _: known(0)), Side(lambda _: known(0)))
    like.step(item(1, [0.5] * len(FEATURES)), "parent")
    assert [(each.ranks, each.lookups) for each in like.result()] == [(0.0, 1)]


numbers = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=30)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(a=numbers, b=numbers)
def test_scores_are_apart_as_scipy_says(a: list[float], b: list[float]) -> None:
    assert _distance(a, b) == pytest.approx(ks_2samp(a, b, method="exact").statistic)


raised = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 10 * QUIET_MS)), max_size=12)


def made(actor: str, ts: int) -> Alert:
    return Alert(str(ts), "t", ts, alerts.MODEL_RULE, Entity("actor", actor), [actor], [], [], 0.5, [], "model")


@given(a=raised, b=raised)
def test_every_alert_is_in_both_or_in_one(a: list[tuple[str, int]], b: list[tuple[str, int]]) -> None:
    mine, theirs = list(starmap(made, a)), list(starmap(made, b))
    only_a, only_b = _unmatched(mine, theirs)
    assert len(mine) - len(only_a) == len(theirs) - len(only_b), "those in both are in both"
    assert _unmatched(mine, mine) == ([], [])
    near = {(each.entity.id, other.ts) for each in mine for other in theirs if abs(each.ts - other.ts) <= QUIET_MS}
    if not near:
        assert (len(only_a), len(only_b)) == (len(mine), len(theirs))
    assert all(each in mine for each in only_a)
    assert all(each in theirs for each in only_b)


def test_the_same_alert_may_come_up_to_a_day_later_and_counts_once() -> None:
    one, soon, late = made("a", 0), made("a", QUIET_MS), made("a", QUIET_MS + 1)
    assert _unmatched([one], [soon]) == ([], [])
    assert _unmatched([one], [late]) == ([one], [late])
    assert _unmatched([one], [one, soon]) == ([], [soon])
    assert _unmatched([one], [made("b", 0)]) == ([one], [made("b", 0)])
