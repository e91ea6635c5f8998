"""An alert of the model says what made it, what is usual among peers, and what speaks for the actor."""

from __future__ import annotations

import random
from typing import Any

import pytest

from monitor import alerts
from monitor.model import FEATURES, PeerModel, explain, family
from monitor.model.catalogue import EXPLAINED
from monitor.model.scorer import FEWEST, WARM_UP
from monitor.rules import RuleSet
from monitor.scoring import score_lookup
from tests.samples import lookup

NOW = 1_790_000_000_000
MINUTE = 60_000
AT = {name: position for position, name in enumerate(FEATURES)}


def ordinary(chance: random.Random) -> list[float]:
    """A vector like most; one lookup a day, so that each is an actor-day."""
    made = [min(1.0, max(0.0, chance.gauss(0.2, 0.05))) for _ in FEATURES] + [500.0, 5.0, 7.0, 0.0]
    made[FEATURES.index("rate_1d")] = 0.005
    return made


@pytest.fixture(scope="module")
def warm() -> bytes:
    model, chance = PeerModel(0.99), random.Random(1)
    for number in range(WARM_UP + 1000):
        model.learn(f"o-{number % 50}", NOW + number * MINUTE, ordinary(chance))
    return model.to_bytes()


def odd(**values: float) -> list[float]:
    vector = [0.2] * len(FEATURES) + [500.0, 5.0, 7.0, 0.0]
    vector[AT["rate_1d"]] = 0.005
    for name, value in values.items():
        vector[AT[name]] = value
    return vector


def raised(model: PeerModel, vector: list[float], parent: PeerModel | None = None, **fields: Any) -> list[alerts.Alert]:
    later = lookup(actor__id="o-x", ts=NOW + 10**10, subject__id="p", **fields)
    return score_lookup(model, later, vector, [], RuleSet(), parent)


def test_the_factors_are_what_made_the_score_with_the_effect_of_each(warm: bytes) -> None:
    model = PeerModel.from_bytes(warm)
    vector = odd(unexplained=0.9, rate_1h=0.6)
    full = model.ranges.score(vector)
    found = explain.factors_of(model, vector)
    assert {factor.name for factor in found[:2]} == {"unexplained", "rate_1h"}
    for factor in found:
        position = AT[factor.name]
        without = list(vector)
        without[position] = model.ranges.at(position, 0.5)
        assert factor.effect == pytest.approx(max(0.0, full - model.ranges.score(without)), abs=1e-4)
    by_name = {factor.name: factor for factor in found}
    share, rate = by_name["unexplained"], by_name["rate_1h"]
    assert (share.value, share.unit) == (90.0, "%")
    assert share.usual == pytest.approx(20, abs=1.5)
    assert share.low == pytest.approx(20 - 1.28 * 5, abs=2)
    assert share.high == pytest.approx(20 + 1.28 * 5, abs=2)
    assert (rate.value, rate.unit) == (60.0, "lookups"), "0.6 = n / (n + 40)"
    text = explain.sentence(share)
    assert text.startswith("a large share without an explanation in the work: 90 %, where 8 in 10 of the peers have 1")
    assert text.endswith(f"at their median of {share.usual:.0f} the score would be {share.effect:.3f} lower")


def test_an_alert_has_reasons_factors_and_what_speaks_for_the_actor(warm: bytes) -> None:
    vector = odd(unexplained=0.9, rate_1h=0.6, bad_purpose=0.9)
    (alert,) = raised(
        PeerModel.from_bytes(warm), vector, on_shift=True, in_area=True, explanation=["none"], purpose__status="claimed"
    )
    assert alert.rule == alerts.MODEL_RULE
    assert len(alert.factors) == 3
    assert alert.reasons[:3] == [explain.sentence(factor) for factor in alert.factors]
    assert alert.reasons[3] == "no other day of a peer in the last weeks was more unusual"
    assert alert.speaks_for[:3] == [
        "the actor was on shift",
        "the subject is in the actor's own area",
        "the actor stated a purpose",
    ]
    assert any(text.startswith("peers make such lookups too: 100 % of theirs") for text in alert.speaks_for)
    assert any("lookups a day" in text for text in alert.speaks_for)
    assert alerts.decode(alerts.encode(alert)) == alert


def test_nothing_is_said_for_the_actor_that_is_not_known(warm: bytes) -> None:
    vector = odd(unexplained=0.9, no_sequel=0.9, out_of_area=0.9, rate_1d=0.9)
    vector[-2] = 200.0
    (alert,) = raised(PeerModel.from_bytes(warm), vector, explanation=["none"], purpose__status="missing")
    assert alert.speaks_for == []
    (alert,) = raised(PeerModel.from_bytes(warm), vector, explanation=["none", "shift-area"], on_shift=False)
    assert alert.speaks_for == ["the work may explain this lookup: shift-area"]


def test_a_lookup_that_the_work_explains_never_alerts(warm: bytes) -> None:
    model = PeerModel.from_bytes(warm)
    assert raised(model, [*odd(unexplained=0.9, rate_1h=0.6, bad_purpose=0.9)[:-1], float(EXPLAINED)]) == []
    assert raised(model, odd(unexplained=0.9, rate_1h=0.6, bad_purpose=0.9)) != []


def test_the_leak_meter_says_of_how_many_and_how_sure_it_is(warm: bytes) -> None:
    vector = odd()
    vector[-4:-2] = [1000.0, 200.0]
    (alert,) = raised(PeerModel.from_bytes(warm), vector, explanation=["none"])
    assert alert.rule == alerts.METER_RULE
    assert alert.reasons[0].startswith("of 1000 lookups so far, 200 (20.0 %) were unexplained and led to nothing")
    assert "95 % of the peers stay below" in alert.reasons[0]
    assert alert.score > 0.999
    again = PeerModel.from_bytes(warm)
    assert raised(again, vector) != []
    assert raised(again, vector) == [], "once in four weeks"


def test_while_a_group_is_young_all_groups_judge(warm: bytes) -> None:
    young, parent, chance = PeerModel(0.99), PeerModel.from_bytes(warm), random.Random(2)
    vector = odd(unexplained=0.9, rate_1h=0.6, bad_purpose=0.9)
    assert raised(PeerModel(0.99), vector) == [], "nobody to judge by"
    (alert,) = raised(young, vector, parent)
    assert alert.reasons[-1] == "the peers are all staff here: too little is known of the actor's own group"
    # The raised one was the first that it learned.
    for number in range(WARM_UP - 1):
        assert family.judge_of(young, parent) is parent
        family.learn(young, parent, f"o-{number % FEWEST}", NOW + number * MINUTE, ordinary(chance))
    assert family.judge_of(young, parent) is young
    seen = parent.seen
    for number in range(100):
        family.learn(young, parent, "o-1", NOW + number, ordinary(chance))
    assert parent.seen - seen == 100 // family.SAMPLED


def test_the_parent_learns_a_lookup_once_though_it_comes_twice() -> None:
    own, parent, chance = PeerModel(), PeerModel(), random.Random(3)
    family.learn(own, parent, "o-1", NOW, ordinary(chance))
    family.learn(own, None, "o-1", NOW, ordinary(chance))
    assert (own.seen, parent.seen) == (2, 1)


def test_where_a_score_stands(warm: bytes) -> None:
    model = PeerModel.from_bytes(warm)
    model.quantile.counts, model.quantile.before = [0] * 800, [0] * 800
    for number in range(1000):
        model.quantile.update(0.2 if number < 950 else 0.6, NOW, 1 + number % 2)
    assert explain.rank_of(model, 0.4) == "5 % of the peers' days in the last weeks were more unusual"
    assert explain.rank_of(model, 0.7) == "no other day of a peer in the last weeks was more unusual"
