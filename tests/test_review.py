"""The sample for review: random, the same in every replay, and nobody's choice."""

from __future__ import annotations

from types import SimpleNamespace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from monitor.reference import Reference
from monitor.review import Sampler
from monitor.rules import RuleSet
from monitor.stream.intake import Intake
from monitor.stream.tables import Table
from monitor.stream.topics import EVENTS, KEYED, REVIEW
from monitor.stream.versions import Pinned
from tests.samples import GOOD

KEY = b"0123456789abcdef0123456789abcdef"


def names(count: int) -> list[str]:
    return [f"bvi/{number}" for number in range(count)]


def test_the_share_is_taken_and_another_key_takes_others() -> None:
    for share in (0.01, 0.1, 0.5):
        taken = sum(map(Sampler(share, KEY).takes, names(20_000)))
        assert abs(taken - share * 20_000) < 4 * (20_000 * share * (1 - share)) ** 0.5
    one, other = ({name for name in names(20_000) if Sampler(0.1, key).takes(name)} for key in (KEY, b"another"))
    assert 120 < len(one & other) < 290  # a hundredth of all, as by chance
    assert not any(map(Sampler(0.0, KEY).takes, names(1000)))
    assert all(map(Sampler(1.0, KEY).takes, names(1000)))


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_takes_what_a_smaller_one_does(name: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert Sampler(large, KEY).takes(name) or not Sampler(small, KEY).takes(name)
    assert 0 <= Sampler(small, KEY).number(name) <= 1


def records(count: int) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(
            topic=EVENTS, partition=1, offset=number, key=b"o-1", timestamp=1_800_000_000_000, headers=(),
            value=orjson.dumps({**GOOD, "id": str(number)}),
        )
        for number in range(count)
    ]  # fmt: skip


def test_intake_writes_the_sample_whatever_the_chunks_and_crashes() -> None:
    sampler, log = Sampler(0.1, KEY), records(500)

    def intake() -> Intake:
        return Intake(1, 4, Table("state", 1), Reference(), Pinned(RuleSet()), sampler)

    whole = [each for each in intake().process(log)[0] if each.topic == REVIEW]
    pieces = [each for each in intake().process(log[:200])[0] if each.topic == REVIEW]
    pieces += [each for each in intake().process(log[150:])[0] if each.topic == REVIEW]  # state was lost: some again
    assert {each.key for each in whole} == {each.key for each in pieces}
    assert [each.key for each in whole] == [f"bvi/{n}".encode() for n in range(500) if sampler.takes(f"bvi/{n}")]
    assert 30 < len(whole) < 75
    message = orjson.loads(whole[0].value or b"")
    assert message["actor.id"] == GOOD["actor"]["id"]
    assert message["purpose.status"]  # as the monitor saw it
    assert "@" not in message


def test_without_a_sampler_nothing_goes_to_review_and_the_lookups_are_the_same() -> None:
    plain, _ = Intake(1, 4, Table("state", 1), Reference(), Pinned(RuleSet())).process(records(50))
    sampled, _ = Intake(1, 4, Table("state", 1), Reference(), Pinned(RuleSet()), Sampler(1.0)).process(records(50))
    assert not [each for each in plain if each.topic == REVIEW]
    assert len([each for each in sampled if each.topic == REVIEW]) == 50
    assert [each for each in plain if each.topic == KEYED] == [each for each in sampled if each.topic == KEYED]
