"""The model of a peer group: what it learns, what it refuses to learn, and that it goes on where it was."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model import FEATURES, PeerModel, scorer, top_features
from monitor.model.quantile import DAY, SPAN_MS, ScoreQuantile
from monitor.model.scorer import FEWEST, QUIET_MS, WARM_UP

HOUR = 3600_000
GOLDEN = Path(__file__).parents[1] / "golden"


def ordinary(chance: random.Random) -> dict[str, float]:
    """A vector like most; one lookup a day, so that each is an actor-day."""
    made = {name: min(1.0, max(0.0, chance.gauss(0.2, 0.05))) for name in FEATURES}
    return {**made, "rate_1d": 0.005}


EXTREME = dict.fromkeys(FEATURES, 1.0)


def trained(count: int, seed: int = 1, quantile: float = 0.99) -> PeerModel:
    model, chance = PeerModel(quantile), random.Random(seed)
    for number in range(count):
        model.step(f"o-{number % 50}", number * 1000, ordinary(chance))
    return model


@pytest.fixture(scope="module")
def warm() -> bytes:
    return trained(WARM_UP + 500).to_bytes()


def test_there_is_no_alert_before_the_group_is_known() -> None:
    model = trained(WARM_UP - 1)
    assert not model.step("o-1", 0, EXTREME).alert


def test_the_extreme_is_an_alert_and_the_ordinary_is_not(warm: bytes) -> None:
    model = PeerModel.from_bytes(warm)
    scored = model.step("o-new", 10**12, EXTREME)
    assert scored.alert
    assert scored.score > scored.threshold
    chance = random.Random(9)
    scores = [model.step(f"o-{n}", 10**12 + n, ordinary(chance)) for n in range(500)]
    assert sum(scored.alert for scored in scores) <= 500 * 0.01 * 5


def test_one_actor_alerts_once_in_a_while(warm: bytes) -> None:
    model = PeerModel.from_bytes(warm)
    steps = [(0, True), (QUIET_MS - 1, False), (QUIET_MS, True)]
    assert [model.step("o-x", 10**12 + at, EXTREME).alert for at, _ in steps] == [alert for _, alert in steps]
    assert model.step("o-y", 10**12 + 1, EXTREME).alert


def test_a_poisoner_does_not_teach_the_model(warm: bytes) -> None:
    """Whoever repeats the extreme stays extreme, and moves not what is usual in the group."""
    model = PeerModel.from_bytes(warm)
    first = model.step("o-x", 10**12, EXTREME)
    usual = dict(model.medians)
    for number in range(400):
        last = model.step("o-x", 10**12 + number * HOUR, EXTREME)
    assert last.score == first.score
    assert last.score > last.threshold
    assert model.medians == usual


def test_one_extreme_does_not_change_how_the_ordinary_is_scored(warm: bytes) -> None:
    model, chance = PeerModel.from_bytes(warm), random.Random(4)
    vectors = [ordinary(chance) for _ in range(50)]
    before = [model.score(vector) for vector in vectors]
    assert model.step("o-x", 10**12, EXTREME).alert
    assert [model.score(vector) for vector in vectors] == before


def test_the_reasons_name_what_stands_out(warm: bytes) -> None:
    model = PeerModel.from_bytes(warm)
    usual = dict(model.medians)
    for name in ("off_shift", "new_subjects"):
        reasons = top_features(model, {**usual, name: 1.0}, 1)
        assert scorer_words(name) in reasons[0]
        assert "100 %, where 8 in 10 of the peers have 1" in reasons[0]
        assert "at their median of 20 the score would be 0." in reasons[0]


def scorer_words(name: str) -> str:
    from monitor.model.features import WORDS

    return WORDS[name]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1200), st.integers(0, 2**16))
def test_a_saved_model_goes_on_exactly_where_it_was(count: int, seed: int) -> None:
    model, chance = trained(count, seed), random.Random(seed + 1)
    copy = PeerModel.from_bytes(model.to_bytes())
    assert copy.to_bytes() == model.to_bytes()
    for number in range(60):
        vector, at = ordinary(chance), (count + number) * 1000
        assert copy.step("o-1", at, vector) == model.step("o-1", at, vector)
    assert copy.to_bytes() == model.to_bytes()


@given(st.binary(max_size=60))
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="saved model"):
        PeerModel.from_bytes(data)


def test_a_model_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "MODEL_VERSION", 99)
    data = PeerModel().to_bytes()
    monkeypatch.undo()
    with pytest.raises(ValueError, match="version 99"):
        PeerModel.from_bytes(data)


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_every_process_gives_the_same_scores(hash_seed: str) -> None:
    code = (
        "import hashlib\nfrom tests.model.test_scorer import trained\n"
        "print(hashlib.sha256(trained(700).to_bytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=True,
    )
    import hashlib

    assert done.stdout.strip() == hashlib.sha256(trained(700).to_bytes()).hexdigest()


@settings(max_examples=50)
@given(st.lists(st.floats(0.0, 0.9999), min_size=1, max_size=400), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_quantile_is_within_a_bin_of_the_true_one(scores: list[float], q: float) -> None:
    quantile = ScoreQuantile(q)
    for score in scores:
        quantile.update(score)
    quantile.refresh()
    # The histogram gives an edge of a bin: at most a share 1 - q of the scores lies above it, and with one bin less, more.
    above = sum(score > quantile.value for score in scores)
    assert above <= (1 - q) * len(scores) + 1e-9
    lower = 1 - (1 - quantile.value) * 10 ** (4.0 / 800 * 1.01)
    assert sum(score >= lower for score in scores) > (1 - q) * len(scores) - 1e-9


def test_scores_of_two_months_ago_count_no_more() -> None:
    quantile = ScoreQuantile(0.9)
    for number in range(8000):
        quantile.update(0.2, 1 + number * SPAN_MS // 2500)
    assert quantile.value == pytest.approx(0.2, abs=0.01)
    for number in range(8000):
        quantile.update(0.1, 4 * SPAN_MS + number * SPAN_MS // 2500)
    assert quantile.value == pytest.approx(0.1, abs=0.01)
    assert quantile.share_above(0.15) == 0.0
    assert quantile.total < 6000 * DAY


def test_a_group_of_a_few_actors_judges_nobody() -> None:
    model, chance = PeerModel(0.99), random.Random(1)
    for number in range(WARM_UP + 100):
        model.step(f"o-{number % (FEWEST - 1)}", number * 1000, ordinary(chance))
    assert model.is_young
    assert not model.step("o-1", 10**10, EXTREME).alert
    assert model.quantile_at(0.5) == 1.0


def test_a_model_of_version_3_keeps_its_alerts_and_learns_anew() -> None:
    """Written by the version before, of half-space trees: o-x was alerted about, and the rule ``rule`` about o-y."""
    model = PeerModel.from_bytes(bytes.fromhex((GOLDEN / "model-v3.hex").read_text()))
    assert (model.seen, model.quantile.q, model.is_young) == (0, 0.99, True)
    assert not model.is_due("rule/o-y", 10**12 + 999, 1000)
    chance = random.Random(3)
    for number in range(WARM_UP):
        model.step(f"o-{number % 50}", 10**12 - WARM_UP + number, ordinary(chance))
    assert not model.step("o-x", 10**12 + 1, EXTREME).alert
    assert model.step("o-x", 10**12 + QUIET_MS, EXTREME).alert
    assert PeerModel.from_bytes(model.to_bytes()).to_bytes() == model.to_bytes()
