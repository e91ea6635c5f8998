"""Versions of a model: which are kept, that each is what the model was, and that a model goes on from one as it went on then."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model import FEATURES, PeerModel, learned
from monitor.model.catalogue import SIZE
from monitor.model.scorer import MODEL_VERSION, QUIET_MS, SETTLED
from monitor.model.versions import (
    DAY_MS,
    DAYS,
    WEEKS,
    BadVersions,
    Group,
    Version,
    Versions,
    day_of,
    days_kept,
    decode,
    encode,
    named,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "versions-v1.hex"
TODAY = day_of("2026-11-24")


def vector(chance: random.Random, high: float = 0.0) -> list[float]:
    values = [min(1.0, max(0.0, chance.gauss(0.2, 0.05) + high)) for _ in FEATURES]
    values[FEATURES.index("rate_1d")] = 0.005
    return [*values, float(SETTLED), 0.0, 0.0, 0.0]


def known(quantile: float = 0.99, count: int = 2500) -> PeerModel:
    model, chance = PeerModel(quantile), random.Random(1)
    for number in range(count):
        model.learn(f"o-{number % 50}", TODAY * DAY_MS + number, vector(chance))
    assert not model.is_young
    return model


def test_every_day_of_the_week_before_and_mondays_before_that() -> None:
    found = [named(day) for day in days_kept(TODAY)]
    assert found[: DAYS + 1] == [f"2026-11-{day}" for day in range(24, 16, -1)]
    mondays = found[DAYS + 1 :]
    assert mondays[:3] == ["2026-11-23", "2026-11-16", "2026-11-09"]
    assert len(mondays) == WEEKS


@settings(max_examples=60, deadline=None)
@given(gaps=st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_a_version_is_what_the_model_was_when_the_day_began(gaps: list[int]) -> None:
    """For every day that can be asked for: what was learned of the lookups of the days before it, and of no other."""
    group, chance = Group(PeerModel(), Versions()), random.Random(2)
    history: list[tuple[int, list[float]]] = []
    day = TODAY
    for gap in gaps:
        day += gap
        values = vector(chance)
        history.append((day, values))
        group.turn(day * DAY_MS + 5)
        group.model.learn("o", day * DAY_MS + 5, values)
    for asked in days_kept(day):
        again = PeerModel()
        for then, values in history:
            if then < asked:
                again.learn("o", then * DAY_MS + 5, values)
        made = group.versions.model(asked, 0.999)
        if made is None:
            assert asked > day or not [then for then, _ in history if then >= asked]
        else:
            assert made.learned() == again.learned(), named(asked)
    # Two for each day that can be asked for, at most: no more is kept however long it goes on.
    assert len(group.versions.kept) <= len(set(days_kept(day)))


def test_time_that_goes_back_makes_no_version() -> None:
    group = Group(known(), Versions(day=TODAY))
    assert not group.turn(TODAY * DAY_MS)
    assert not group.turn((TODAY - 3) * DAY_MS)
    assert group.turn((TODAY + 1) * DAY_MS)
    assert [(each.first, each.last) for each in group.versions.kept] == [(TODAY + 1, TODAY + 1)]


def test_a_model_of_before_there_were_versions_stays_as_it_is() -> None:
    group = Group(known(), Versions())
    before = group.model.to_bytes()
    group.turn(TODAY * DAY_MS)
    assert group.versions.kept == []
    assert not group.roll_back(TODAY - 1)
    assert group.model.to_bytes() == before
    assert group.versions.line == 1


def test_a_group_that_was_not_there_yet_begins_with_nothing() -> None:
    group, chance = Group(PeerModel(), Versions()), random.Random(3)
    for number in range(300):
        group.turn(TODAY * DAY_MS + number)
        group.model.learn("o", TODAY * DAY_MS + number, vector(chance))
    assert group.roll_back(TODAY - 2)
    assert group.model.learned() == PeerModel().learned()


def test_a_model_goes_on_as_it_went_on_then_and_alerts_about_nobody_twice() -> None:
    group = Group(known(), Versions(day=TODAY))
    group.turn((TODAY + 1) * DAY_MS)
    chance = random.Random(4)
    for number in range(1500):
        group.model.learn(f"o-{number % 50}", (TODAY + 1) * DAY_MS + number, vector(chance, 0.3))
    at = (TODAY + 1) * DAY_MS + 10_000
    assert group.model.learn("o-bad", at, [1.0] * len(FEATURES) + [200.0, 0.0, 0.0, 0.0]).alert
    taught = group.model.score(dict.fromkeys(FEATURES, 0.5))
    assert group.roll_back(TODAY + 1)
    then = group.versions.model(TODAY + 1, 0.99)
    assert then is not None
    assert group.model.score(dict.fromkeys(FEATURES, 0.5)) > taught, "what is high was being learned as usual"
    again = group.model.learn("o-bad", at + 1000, [1.0] * len(FEATURES) + [200.0, 0.0, 0.0, 0.0])
    assert again.score > again.threshold
    assert not again.alert, "nobody is alerted about twice within a day"
    assert then.learn("o-bad", at + 1000, [1.0] * len(FEATURES) + [200.0, 0.0, 0.0, 0.0]).alert
    for number in range(50):
        values = vector(chance)
        mine, theirs = (each.learn(f"o-{number}", at + number, values) for each in (group.model, then))
        assert (mine.score, mine.threshold) == (theirs.score, theirs.threshold)
    assert QUIET_MS == DAY_MS


def test_what_another_version_of_the_model_has_learned_changes_nothing() -> None:
    model = known()
    other = model.learned()
    other.version = MODEL_VERSION - 1
    before = model.to_bytes()
    with pytest.raises(ValueError, match="version"):
        model.restore(other)
    assert model.to_bytes() == before


def test_what_was_learned_shares_nothing_with_the_model() -> None:
    model = known()
    kept = model.learned()
    raw = learned.encode(kept)
    for number in range(600):
        # On the same day: another day's masses are new ones in any case.
        model.learn("o-9", TODAY * DAY_MS + 10_000 + number, vector(random.Random(number)))
    assert learned.encode(kept) == raw != learned.encode(model.learned())


def test_another_quantile_counts_at_once_and_the_same_changes_nothing() -> None:
    model = known(0.9)
    before = model.to_bytes()
    model.use(0.9)
    assert model.to_bytes() == before
    model.use(0.99)
    assert model.quantile.value == model.quantile.at(0.99) > model.quantile.at(0.9)


def frozen() -> Versions:
    model = PeerModel()
    model.learn("o-1", TODAY * DAY_MS, [0.25] * len(FEATURES) + [200.0, 0.0, 7.0, 0.0])
    raw = learned.encode(model.learned())
    return Versions(day=TODAY + 1, line=2, kept=[Version(0, TODAY, 0, b""), Version(TODAY + 1, TODAY + 1, 2, raw)])


def test_saved_versions_of_this_form_can_always_be_read() -> None:
    found = decode(bytes.fromhex(GOLDEN.read_text()))
    wanted = frozen()
    assert [(each.first, each.last, each.line) for each in found.kept] == [
        (each.first, each.last, each.line) for each in wanted.kept
    ]
    assert learned.decode(found.kept[1].learned) == learned.decode(wanted.kept[1].learned)
    assert (found.day, found.line) == (TODAY + 1, 2)
    assert len(learned.decode(found.kept[1].learned).masses) == SIZE - 4


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x80", encode(Versions(version=2)), encode(Versions())[:-1]])
def test_what_is_something_else_is_refused(raw: bytes) -> None:
    with pytest.raises(BadVersions):
        decode(raw)


@pytest.mark.parametrize("raw", [b"", b"what", b"x\x9cwhat", learned.encode(PeerModel().learned())[:-4]])
def test_what_no_model_has_learned_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not what a model has learned"):
        learned.decode(raw)


@pytest.mark.parametrize("text", ["", "soon", "2026-11-31", "2026-1-1", "20261124", "2026-11-24T00:00", "1969-12-31"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a day"):
        day_of(text)


@given(day=st.integers(0, 40_000))
def test_a_day_has_one_name(day: int) -> None:
    assert day_of(named(day)) == day
