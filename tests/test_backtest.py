"""The pack and the model over a made-up force: what is hidden is found, honest work is left alone, and always the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from monitor import alerts
from monitor.alerts import Alert
from monitor.recall import recall_by_typology


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty days of two hundred actors."""
    place = tmp_path_factory.mktemp("force")
    monitor("simulate", str(place), "--seed", "1", "--days", "30", "--actors", "200", "--start", "2026-10-01")
    return place


def monitor(*arguments: str, code: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "monitor", *arguments],
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


def backtest(folder: Path, name: str, *more: str, code: int = 0, **environment: str) -> str:
    files = ("--events", folder / "events.jsonl", "--reference", folder / "reference.jsonl", "--alerts", folder / name)
    return monitor("backtest", *map(str, files), *more, code=code, **environment)


def read(path: Path) -> Iterator[Alert]:
    return map(alerts.decode, path.read_bytes().splitlines())


@pytest.fixture(scope="module")
def found(folder: Path) -> tuple[str, list[Alert]]:
    """What was said and found; beside it, another process does the same for ``b.jsonl``."""
    with ThreadPoolExecutor() as beside:
        other = beside.submit(backtest, folder, "b.jsonl", PYTHONHASHSEED="77")
        said = backtest(folder, "a.jsonl", "--labels", str(folder / "labels.jsonl"), PYTHONHASHSEED="0")
        other.result()
    return said, list(read(folder / "a.jsonl"))


def test_what_is_hidden_is_found(folder: Path, found: tuple[str, list[Alert]]) -> None:
    labels = list(map(orjson.loads, (folder / "labels.jsonl").read_bytes().splitlines()))
    rows = recall_by_typology(labels, found[1])
    assert len(rows) == 15
    missed = {typology for typology, there, hits in rows if not hits}
    assert missed == set()
    assert sum(hits for _, _, hits in rows) >= 0.8 * sum(there for _, there, _ in rows)
    for typology, _, _ in rows:
        assert typology in found[0]


def test_honest_work_is_left_alone(folder: Path, found: tuple[str, list[Alert]]) -> None:
    """A loud alert that holds no hidden misuse can break a career; a low one is a question to the actor."""
    labels = list(map(orjson.loads, (folder / "labels.jsonl").read_bytes().splitlines()))
    misuse = {event for label in labels for event in label["events"]}
    guilty = {actor for label in labels for actor in label["actors"]}
    wrong = [alert for alert in found[1] if not misuse & set(alert.events) and not guilty & set(alert.actors)]
    weeks = 200 * 30 / 7
    rules = [alert for alert in wrong if alert.kind == "rule"]
    assert sum(alert.rule.level not in ("informational", "low") for alert in rules) <= weeks * 0.02
    assert sum(alert.kind == "model" for alert in wrong) <= weeks * 0.1
    assert sum(alert.rule.level == "low" for alert in rules) <= weeks * 2


def test_alerts_carry_their_evidence(folder: Path, found: tuple[str, list[Alert]]) -> None:
    lookups = {}
    for line in (folder / "events.jsonl").read_bytes().splitlines():
        event = orjson.loads(line)
        lookups[event["id"]] = event
    assert {alert.kind for alert in found[1]} == {"rule", "model"}
    for alert in found[1]:
        assert alert.events
        assert alert.reasons
        assert {lookups[event]["actor"]["id"] for event in alert.events} <= set(alert.actors)
        if alert.entity.kind == "actor":
            assert alert.actors == [alert.entity.id]
    assert len({alert.id for alert in found[1]}) == len(found[1])


def test_the_same_log_gives_the_same_bytes_in_another_process(folder: Path, found: tuple[str, list[Alert]]) -> None:
    assert (folder / "b.jsonl").read_bytes() == (folder / "a.jsonl").read_bytes()
    assert found[1]


def test_bad_lines_are_counted_and_named(folder: Path, tmp_path: Path) -> None:
    first = (folder / "events.jsonl").read_bytes().splitlines()[:10]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join([*first, b"{", b"\xff", b""]))
    reference = (folder / "reference.jsonl").read_bytes().splitlines()[:10]
    (tmp_path / "reference.jsonl").write_bytes(b"\n".join([*reference, b'{"record":"spy"}']))
    said = backtest(tmp_path, "a.jsonl", code=1)
    assert "'not-json': 1" in said
    assert "'not-utf8': 1" in said
    assert f"{tmp_path}/reference.jsonl:11: " in said
    assert "'counted': 10" in said


def test_a_missing_file_or_folder_is_said(tmp_path: Path) -> None:
    said = backtest(tmp_path, "a.jsonl", code=2)
    assert "reference.jsonl: No such file" in said
    (tmp_path / "reference.jsonl").write_bytes(b"")
    assert "events.jsonl: No such file" in backtest(tmp_path, "a.jsonl", code=2)
    assert "is not a folder of rules" in backtest(tmp_path, "a.jsonl", "--rules", str(tmp_path / "none"), code=2)


def test_a_bad_rule_is_named_and_the_others_run(folder: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "bad.yml").write_text("title: x\n")
    (rules / "good.yml").write_text(
        "title: All\nid: 00000000-0000-4000-8000-000000000001\nlogsource: {category: lookup}\n"
        "detection:\n  s:\n    action: export\n  condition: s\n"
    )
    for name, most in (("events.jsonl", 5_000), ("reference.jsonl", None)):
        lines = (folder / name).read_bytes().splitlines(keepends=True)
        (tmp_path / name).write_bytes(b"".join(lines[:most]))
    said = backtest(tmp_path, "c.jsonl", "--rules", str(rules), code=1)
    assert f"{rules}/bad.yml:1:1: id is missing" in said
    assert any(alert.rule.title == "All" for alert in read(tmp_path / "c.jsonl"))
