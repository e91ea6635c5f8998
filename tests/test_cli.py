"""The command line without Kafka: help, exit codes, and errors for people."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = [
    ["demo"],
    ["up"],
    ["worker"],
    ["canary"],
    ["watch"],
    ["rank"],
    ["dispose"],
    ["incidents", "run"],
    ["incidents", "list"],
    ["incidents", "show"],
    ["incidents", "ack"],
    ["incidents", "comment"],
    ["incidents", "escalate"],
    ["incidents", "close"],
    ["sinks", "run"],
    ["sinks", "list"],
    ["report", "precision"],
    ["report", "fairness"],
    ["model", "show"],
    ["simulate"],
    ["ingest"],
    ["backtest"],
    ["replay"],
    ["export"],
    ["verify"],
    ["topics"],
    ["schema"],
    ["doctor"],
    ["reference", "load"],
    ["rules", "lint"],
    ["rules", "test"],
    ["rules", "explain"],
    ["rules", "match"],
    ["rules", "backtest"],
    ["rules", "diff"],
    ["rules", "new"],
    ["rules", "coverage"],
    ["rules", "schema"],
    ["dlq", "list"],
    ["dlq", "show"],
    ["dlq", "replay"],
    ["kafka", "start"],
    ["kafka", "stop"],
    ["kafka", "status"],
]


def monitor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitor", *arguments],
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def nowhere() -> str:
    """An address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_its_help(command: list[str]) -> None:
    done = monitor(*command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lurk"], "No such command"),
        (["demo", "--sceonds", "5"], "No such option"),
        (["demo", "--rate", "0"], "greater than or equal to 1"),
        (["schema", "lookup"], "there are event, reference, alert"),
        (["simulate"], "say where to"),
        (["simulate", "out", "--start", "yesterday"], "is not a date"),
        (["ingest", "no-such-file"], "is not a file"),
        (["backtest"], "Missing option"),
    ],
)
def test_wrong_use_is_exit_code_2_and_said(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "monitor", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named() -> None:
    done = monitor("doctor", LOOKUP_MONITOR_PARTITIONS="many")
    assert done.returncode == 2
    assert "LOOKUP_MONITOR_PARTITIONS" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["topics"],
        ["worker"],
        ["canary", "--once"],
        ["watch"],
        ["rank"],
        ["dispose", "a-1", "benign", "--by", "desk-1"],
        ["incidents", "run"],
        ["incidents", "list"],
        ["sinks", "run"],
        ["report", "fairness"],
        ["dlq", "list"],
        ["ingest", "-"],
        ["replay"],
        ["export", "out", "--from", "2h", "--to", "1h"],
    ],
    ids=" ".join,
)
def test_without_kafka_there_is_one_line_that_helps(arguments: list[str]) -> None:
    at = nowhere()
    done = monitor(*arguments, LOOKUP_MONITOR_BOOTSTRAP=at, LOOKUP_MONITOR_PSEUDONYMS="off")
    assert done.returncode == 2
    assert f"Kafka at {at}" in done.stderr
    assert "monitor kafka start" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_says_that_kafka_is_not_there_and_what_to_do() -> None:
    at = nowhere()
    done = monitor("doctor", LOOKUP_MONITOR_BOOTSTRAP=at)
    assert done.returncode == 1
    assert at in done.stdout
    assert "monitor kafka start" in done.stdout
    assert "faust-streaming" in done.stdout


def test_the_doctor_says_which_rule_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("title: x\n")
    done = monitor("doctor", LOOKUP_MONITOR_BOOTSTRAP=nowhere(), LOOKUP_MONITOR_RULES=str(tmp_path))
    assert done.returncode == 1
    assert "x.yml:1:1" in done.stdout
    (tmp_path / "x.yml").unlink()
    assert (
        "none are loaded"
        in monitor("doctor", LOOKUP_MONITOR_BOOTSTRAP=nowhere(), LOOKUP_MONITOR_RULES=str(tmp_path)).stdout
    )


def test_simulate_says_what_it_made_and_makes_it_again(tmp_path: Path) -> None:
    arguments = ("--seed", "4", "--days", "2", "--actors", "30", "--start", "2026-11-01")
    done = monitor("simulate", str(tmp_path / "a"), *arguments)
    assert done.returncode == 0
    assert "lookups, " in done.stdout
    assert monitor("simulate", str(tmp_path / "b"), *arguments).returncode == 0
    for name in ("events", "reference", "labels"):
        made = (tmp_path / "a" / f"{name}.jsonl").read_bytes()
        assert made
        assert made == (tmp_path / "b" / f"{name}.jsonl").read_bytes()
