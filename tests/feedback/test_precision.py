"""The queue gets better by verdicts, as far as there is something to learn."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
from typer.testing import CliRunner

from monitor.alerts import encode
from monitor.cli import app
from monitor.feedback.precision import Case, compare
from monitor.review import Sampler
from tests.feedback.made import RULES, T0, alert

SAMPLER = Sampler(0.02, b"k" * 32)


def world(seed: int, rates: tuple[float, ...]) -> list[Case]:
    """Forty days of fifty alerts; how many of a rule's are misuse is in ``rates``."""
    chance, made = random.Random(seed), []
    for number in range(2_000):
        at = chance.randrange(len(RULES))
        one = alert(f"{seed}-{number}", RULES[at], f"o-{number % 400}", T0 + number * 40 * 86_400_000 // 2_000)
        made.append((one, chance.random() < rates[at]))
    return made


def test_what_rules_are_worth_is_learned() -> None:
    """The levels say the opposite of what is true here."""
    found = compare(world(1, (0.8, 0.1, 0.7, 0.1, 0.1, 0.1)), 200, 20, SAMPLER)
    assert found.verdicts == 200
    assert found.after.precision > found.before.precision + 0.2
    assert found.after.average > found.before.average + 0.3
    assert found.brier[1] < found.brier[0] - 0.1
    assert found.after.looked_at == found.before.looked_at


def test_where_there_is_nothing_to_learn_it_gets_no_better() -> None:
    found = compare(world(2, (0.4,) * 6), 200, 20, SAMPLER)
    assert abs(found.after.precision - found.before.precision) < 0.1
    assert found.brier[1] < 0.3


def test_no_alerts_at_all() -> None:
    found = compare([], 200, 20, SAMPLER)
    assert (found.verdicts, found.alerts, found.after.looked_at) == (0, 0, 0)


def test_the_command(tmp_path: Path) -> None:
    cases = world(3, (0.8, 0.1, 0.7, 0.1, 0.1, 0.1))
    (tmp_path / "alerts.jsonl").write_bytes(b"\n".join(encode(one) for one, _ in cases))
    label = {"typology": "curiosity", "actors": [], "events": [one.events[0] for one, right in cases if right]}
    (tmp_path / "labels.jsonl").write_bytes(orjson.dumps(label))
    done = CliRunner().invoke(app, ["report", "precision", str(tmp_path)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "before → after 200 verdicts" in done.output
    assert CliRunner().invoke(app, ["report", "precision", str(tmp_path / "nowhere")]).exit_code == 2
    (tmp_path / "labels.jsonl").write_bytes(b"[]")
    assert CliRunner().invoke(app, ["report", "precision", str(tmp_path)]).exit_code == 2
