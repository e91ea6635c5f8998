"""The card of a peer group's model, from a history."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from monitor.cli import app
from monitor.commands.model import QUANTILES, card
from monitor.model import FEATURES, PeerModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("world")
    done = CliRunner().invoke(app, ["simulate", str(made), "--seed=5", "--days=5", "--actors=60", "--start=2026-09-01"])
    assert done.exit_code == 0, done.output
    return made


def test_a_history_gives_a_card_for_every_peer_group(folder: Path) -> None:
    files = [f"--{name}={folder / name}.jsonl" for name in ("events", "reference")]
    done = CliRunner().invoke(app, ["model", "show", "--format=json", *files])
    assert done.exit_code == 0, done.output
    cards = {each["group"]: each for each in orjson.loads(done.output)}
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    lookups = {(each["system"], each["id"]) for each in map(orjson.loads, lines)}  # some are delivered twice
    actors = [
        each
        for line in (folder / "reference.jsonl").read_bytes().splitlines()
        if (each := orjson.loads(line))["record"] == "actor"
    ]
    assert cards.keys() <= {each.get("peer_group") or f"role:{each.get('role')}" for each in actors} | {"unknown"}
    assert sum(each["lookups"] for each in cards.values()) == len(lookups)
    officer = cards["officer"]
    assert officer["lookups"] > 2000
    assert 0 < officer["threshold"] <= 1
    assert list(officer["means"]) == list(FEATURES)
    assert officer["per_thousand"] == pytest.approx(officer["alerts"] / officer["lookups"] * 1000)
    said = CliRunner().invoke(app, ["model", "show", *files], env={"COLUMNS": "240"})
    assert "officer" in said.output
    assert FEATURES[0] in said.output


def test_a_model_that_is_not_warm_alerts_from_no_score() -> None:
    made = card("new", PeerModel(), 0.999)
    assert (made.lookups, made.threshold, made.alerts) == (0, None, None)
    assert made.quantiles.keys() == {str(q) for q in QUANTILES}


def test_used_wrongly() -> None:
    assert CliRunner().invoke(app, ["model", "show", "--events=x"]).exit_code == 2
