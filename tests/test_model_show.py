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
    lookups = len((folder / "events.jsonl").read_bytes().splitlines())
    actors = [
        each
        for line in (folder / "reference.jsonl").read_bytes().splitlines()
        if (each := orjson.loads(line))["record"] == "actor"
    ]
    of_all = {name for name in cards if name.startswith("all (partition ")}
    assert of_all
    assert cards.keys() - of_all <= {each.get("peer_group") or f"role:{each.get('role')}" for each in actors} | {
        "unknown"
    }
    # Nobody's first lookups are learned from.
    assert 0 < sum(each["lookups"] for each in cards.values()) < lookups
    officer = cards["officer"]
    assert officer["lookups"] > 0
    assert officer["threshold"] is None, "it is young, and so judges nobody"
    assert list(officer["usual"]) == list(FEATURES)
    assert all(0 <= low <= middle <= high <= 1 for low, middle, high in officer["usual"].values())
    assert any(low < high for low, _, high in officer["usual"].values())
    assert officer["per_thousand"] == pytest.approx(officer["alerts"] / officer["lookups"] * 1000)
    said = CliRunner().invoke(app, ["model", "show", *files], env={"COLUMNS": "240"})
    assert "officer" in said.output
    assert FEATURES[0] in said.output


def test_a_group_that_is_known_has_a_threshold() -> None:
    model = PeerModel()
    for number in range(8000):
        vector = {**dict.fromkeys(FEATURES, 0.1), FEATURES[0]: 0.1 + number % 7 / 10}
        model.step(f"o-{number % 40}", number * 400_000, vector)
    made = card("known", model, 0.999, alerts=4)
    assert made.threshold is not None
    assert made.quantiles["0.5"] < made.quantiles["0.999"] <= made.threshold < 1
    low, middle, high = made.usual[FEATURES[0]]
    assert low < middle < high
    assert made.per_thousand == 4 / model.seen * 1000


def test_a_model_that_is_not_warm_alerts_from_no_score() -> None:
    made = card("new", PeerModel(), 0.999)
    assert (made.lookups, made.threshold, made.alerts) == (0, None, None)
    assert made.quantiles.keys() == {str(q) for q in QUANTILES}


def test_used_wrongly() -> None:
    assert CliRunner().invoke(app, ["model", "show", "--events=x"]).exit_code == 2
