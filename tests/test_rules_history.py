"""``monitor rules backtest`` and ``monitor rules diff`` as processes: over a small made-up force."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from monitor.commands.rules_history import _days_left
from monitor.rules.windows import DAY_MS
from tests.rules.samples import correlation, detection


def monitor(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "monitor", *map(str, arguments)],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def force(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("force")
    monitor("simulate", place, "--seed", "2", "--days", "9", "--actors", "40", "--start", "2026-10-01")
    return place


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rules that wait, count and join."""
    place = tmp_path_factory.mktemp("pack") / "rules"
    place.mkdir()
    made = {
        "base": detection({"explanation": "none"}),
        "print": detection({"action": "print"}, name="print", level="low", typology="bulk-harvest"),
        "export": detection({"action": "export"}, name="export", level="critical", typology="bulk-harvest"),
        "false": detection({"purpose.status": "false"}, name="false", grace="2h", suppress="1d", level="medium"),
        "many": correlation("many", type="value_count", condition={"field": "subject.id", "gte": 4}),
        "several": correlation(
            "several",
            type="value_count",
            group_by=["subject.id"],
            timespan="2d",
            condition={"field": "actor.id", "gte": 2},
        ),
        "silent": correlation(
            "silent", type="absence", rules=["base", "print"], timespan="6h", condition={}, generate=True
        ),
    }
    made["each"] = correlation("each", group_by=["subject.id"], timespan="1s", window="tumbling", condition={"gte": 1})
    made["left"] = correlation(
        "left",
        type="absence",
        rules=["base", "print"],
        group_by=["subject.id"],
        timespan="6h",
        condition={},
        generate=True,
    )
    for name, text in made.items():
        typology = ', "typology": "curiosity"}' if name in ("many", "several") else "}"
        (place / f"{name}.yml").write_text(text.removesuffix("}") + typology)
    return place


def of(force: Path) -> tuple[str | Path, ...]:
    return "--events", force / "events.jsonl", "--reference", force / "reference.jsonl"


def backtest(force: Path, pack: Path, *more: str | Path, code: int = 0) -> dict[str, Any]:
    arguments = (*of(force), "--rules", pack, "--format", "json", *more)
    found: dict[str, Any] = orjson.loads(monitor("rules", "backtest", *arguments, code=code).stdout)
    return found


@pytest.fixture(scope="module")
def alone(force: Path, pack: Path) -> dict[str, Any]:
    files = ("--labels", force / "labels.jsonl", "--alerts", force / "alone.jsonl")
    return backtest(force, pack, "--jobs", "1", *files)


def test_however_many_processes_the_alerts_are_those_of_the_backtest(
    force: Path, pack: Path, alone: dict[str, Any]
) -> None:
    several = backtest(
        force, pack, "--jobs", "3", "--alerts", force / "several.jsonl", "--labels", force / "labels.jsonl"
    )
    written = (force / "alone.jsonl").read_bytes()
    assert (force / "several.jsonl").read_bytes() == written
    assert {**several, "seconds": 0} == {**alone, "seconds": 0}
    monitor("backtest", *of(force), "--rules", pack, "--alerts", force / "whole.jsonl")
    whole = (force / "whole.jsonl").read_bytes().splitlines()
    assert set(written.splitlines()) == {line for line in whole if orjson.loads(line)["kind"] == "rule"}
    assert len(written.splitlines()) == alone["alerts"] > 30


def test_what_it_counts(force: Path, alone: dict[str, Any]) -> None:
    alerts = [orjson.loads(line) for line in (force / "alone.jsonl").read_bytes().splitlines()]
    labels = [orjson.loads(line) for line in (force / "labels.jsonl").read_bytes().splitlines()]
    misuse = {event for label in labels for event in label["events"]}
    assert alone["lookups"] == len((force / "events.jsonl").read_bytes().splitlines())
    assert sum(alone["fates"].values()) == alone["lookups"]
    assert sum(row["alerts"] for row in alone["rules"]) == len(alerts) == sum(alone["levels"].values())
    assert sum(alone["by_week"].values()) == len(alerts)
    assert list(alone["by_week"]) == ["2026-W40", "2026-W41"]
    assert "unknown" not in alone["units"]
    assert 1.2 < alone["weeks"] < 1.4
    for row in alone["rules"]:
        own = [alert for alert in alerts if alert["rule"]["id"] == row["id"]]
        true = [alert for alert in own if misuse & set(alert["events"])]
        assert row["alerts"] == len(own)
        assert row["precision"] == (len(true) / len(own) if own else None)
    quality = alone["labels"]
    there = [label for label in labels if label["typology"] == "curiosity"]
    (row,) = [each for each in quality["typologies"] if each["typology"] == "curiosity"]
    assert row["scenarios"] == len(there)
    assert 0 < quality["precision"] < 1
    assert quality["false_alerts_a_week_per_100_innocents"] > 0
    assert quality["median_ms_to_first_alert"] >= 0


def test_time_may_go_on_after_the_log(force: Path, pack: Path, alone: dict[str, Any]) -> None:
    """What waits at the log's end is told of, and decided when time goes on: in one process, in several, and with the model."""
    assert alone["undecided"] > 0
    assert alone["undecided_days"] == 1
    days = f"{alone['undecided_days']}d"
    written = {}
    for name, more in {"one": ("--jobs", "1"), "two": ("--jobs", "2"), "model": ("--model",)}.items():
        found = backtest(force, pack, "--run-on", days, "--alerts", force / name, *more)
        assert found["undecided"] == 0
        assert found["weeks"] == alone["weeks"]
        lines = (force / name).read_bytes().splitlines()
        written[name] = {line for line in lines if orjson.loads(line)["kind"] == "rule"}
    assert written["one"] == written["two"] == written["model"]
    before = set((force / "alone.jsonl").read_bytes().splitlines())
    assert before < written["one"]
    silent = [orjson.loads(line)["rule"]["title"] for line in written["one"] - before]
    assert {"left", "silent"} & set(silent)
    said = monitor("rules", "backtest", *of(force), "--rules", pack).stdout
    assert f"{alone['undecided']:,} decisions wait for what may come after the log's end; `--run-on 1d`" in said
    assert "decisions wait" not in monitor("rules", "backtest", *of(force), "--rules", pack, "--run-on", "1d").stdout


def test_for_people(force: Path) -> None:
    said = monitor("rules", "backtest", *of(force), "--labels", force / "labels.jsonl").stdout
    for words in (
        "lookups in ",
        " alerts; refused: none",
        "2026-W41",
        "recall",
        "curiosity",
        "for every 100 innocents",
        "h\n",
    ):
        assert words in said
    assert "innocents" not in monitor("rules", "backtest", *of(force)).stdout


def test_with_the_model(force: Path, pack: Path) -> None:
    found = backtest(force, pack, "--model", "--alerts", force / "model.jsonl")
    monitor("backtest", *of(force), "--rules", pack, "--alerts", force / "whole.jsonl")
    assert set((force / "model.jsonl").read_bytes().splitlines()) == set(
        (force / "whole.jsonl").read_bytes().splitlines()
    )
    assert found["actors"] > 25
    assert 1.2 < found["weeks"] < 1.4


def test_what_is_wrong_is_said_and_the_rest_is_done(force: Path, pack: Path, tmp_path: Path) -> None:
    lines = (force / "events.jsonl").read_bytes().splitlines()[:3000]
    with gzip.open(tmp_path / "events.jsonl", "wb") as file:
        file.write(b"\n".join([b"{", b"", *lines]))
    (tmp_path / "reference.jsonl").write_bytes((force / "reference.jsonl").read_bytes()[:20_000] + b"\n{}\n")
    for jobs in ("1", "2"):
        found = backtest(tmp_path, pack, "--jobs", jobs, code=1)
        assert found["refused"] == {"not-json": 1}
        assert found["lookups"] == 3001
    packed = (tmp_path / "events.jsonl").read_bytes()
    (tmp_path / "events.jsonl").write_bytes(packed[: len(packed) // 2])
    said = monitor("rules", "backtest", *of(tmp_path), code=2)
    assert "not a whole gzip file" in said.stderr


def test_wrong_use(force: Path, tmp_path: Path) -> None:
    assert "no such file" in monitor("rules", "backtest", *of(tmp_path), code=2).stderr
    said = monitor("rules", "backtest", *of(force), "--run-on", "4", code=2).stderr
    assert "--run-on 4 is none: a number and s, m, h, d, w, M or y, such as 10m" in said
    (tmp_path / "labels").write_text('{"typology": "x"}\n')
    said = monitor("rules", "backtest", *of(force), "--labels", tmp_path / "labels", code=2).stderr
    assert f"{tmp_path}/labels:1: a label without actors, events, from" in said
    (tmp_path / "labels").write_text("[]\n")
    assert (
        "not a JSON object" in monitor("rules", "backtest", *of(force), "--labels", tmp_path / "labels", code=2).stderr
    )
    assert "is not a folder of rules" in monitor("rules", "diff", tmp_path / "no", tmp_path, *of(force), code=2).stderr


@pytest.fixture(scope="module")
def other(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack with one rule gone, one that asks for less, one with another level, and one new."""
    place = tmp_path_factory.mktemp("rules") / "other"
    shutil.copytree(pack, place)
    (place / "export.yml").unlink()
    (place / "many.yml").write_text((pack / "many.yml").read_text().replace('"gte":4', '"gte":2'))
    (place / "several.yml").write_text((pack / "several.yml").read_text().replace('"title"', '"level":"high","title"'))
    (place / "list.yml").write_text(detection({"action": "list"}, name="list"))
    return place


def test_a_difference(force: Path, pack: Path, other: Path) -> None:
    found = orjson.loads(monitor("rules", "diff", pack, other, *of(force), "--format", "json", code=1).stdout)
    assert found["different"] is True
    assert [[info["title"] for info in found[name]] for name in ("added", "removed", "changed")] == [
        ["list"],
        ["export"],
        ["many"],
    ]
    by_title = {
        each["rule"]["title"]: {name for name in ("added", "lost", "changed") if each[name]} for each in found["alerts"]
    }
    assert by_title == {"list": {"added"}, "export": {"lost"}, "many": by_title["many"], "several": {"changed"}}
    assert "added" in by_title["many"]
    said = monitor("rules", "diff", pack, other, *of(force), "--jobs", "1", code=1).stdout
    for words in ("rule added: list", "rule removed: export", "rule changed: many"):
        assert words in said


def test_no_difference(force: Path, pack: Path, tmp_path: Path) -> None:
    shutil.copytree(pack, tmp_path / "copy")
    assert monitor("rules", "diff", pack, tmp_path / "copy", *of(force)).stdout == "no difference\n"
    (tmp_path / "copy" / "bad.yml").write_text("title: x\n")
    assert "bad.yml:1:1" in monitor("rules", "diff", pack, tmp_path / "copy", *of(force), code=1).stderr


@pytest.mark.parametrize(
    ("waits", "days"),
    [([], 0), ([-5], 1), ([0], 1), ([1], 1), ([DAY_MS - 1], 1), ([DAY_MS], 2), ([3, DAY_MS + 1], 2), ([4 * DAY_MS], 5)],
)
def test_the_days_that_are_named_are_enough(waits: list[int], days: int) -> None:
    """What is due is decided when its time has passed, so not by a span that ends at it."""
    done: Any = SimpleNamespace(newest=1_000, undecided=[1_000 + after for after in waits])
    assert _days_left(done) == days
