"""The arithmetic of the trace, against counting everything out and against cases worked by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from math import exp, log, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.trace.likelihood import Trace, at_least
from monitor.trace.model import BadLeaks, Base, Leak, Look, read_leaks

AT = datetime(2026, 3, 1, tzinfo=UTC)
CHANCE = st.floats(0.0, 1.0, allow_nan=False)


def look(actor: str, subject: str, kind: str | None = "none") -> Look:
    return Look(actor, subject, AT, kind, None, "bvi", f"{actor}-{subject}")


def trace(looks: list[Look], subjects: str = "abcd", mine: int = 10, actors: int = 1000, pairs: int = 10_000) -> Trace:
    base = Base(actors, {"north": pairs}, {each.actor: {"north": mine} for each in looks})
    return Trace([Leak(name, AT) for name in subjects], looks, base, dict.fromkeys(subjects, "north"))


@given(st.lists(CHANCE, max_size=9), st.integers(0, 10))
def test_the_chance_of_so_many_hits_is_that_of_counting_all_out(chances: list[float], hits: int) -> None:
    counted = sum(
        prod(chance if hit else 1 - chance for hit, chance in zip(way, chances, strict=True))
        for way in product([True, False], repeat=len(chances))
        if sum(way) >= hits
    )
    assert at_least(hits, chances) == pytest.approx(counted, abs=1e-9)


def test_a_case_worked_by_hand() -> None:
    # Of 10,000 pairs the actor has 10, and each subject was looked at by one: 1 - exp(-10/10,000) each.
    looks = [look("o-1", name) for name in "abc"]
    (found,) = trace(looks).suspects()
    chance = 1 - exp(-10 / 10_000)
    assert found.hits == ["a", "b", "c"]
    assert found.evidence == pytest.approx(3 * log(0.9 / chance) + log(0.1 / (1 - chance)))
    assert found.expected == pytest.approx(4 * chance)
    assert found.chance == pytest.approx(4 * chance**3 * (1 - chance) + chance**4)
    assert found.corrected == pytest.approx(1000 * found.chance)


def test_who_looks_at_everybody_and_whom_everybody_looks_at_say_little() -> None:
    busy = [look("o-busy", name) for name in "abc"]
    quiet = [look("o-quiet", name) for name in "abc"]
    base = Base(1000, {"north": 10_000}, {"o-busy": {"north": 2000}, "o-quiet": {"north": 5}})
    leaks = [Leak(name, AT) for name in "abcd"]
    found = Trace(leaks, busy + quiet, base, dict.fromkeys("abcd", "north")).suspects()
    assert [each.actor for each in found] == ["o-quiet", "o-busy"]
    assert found[1].corrected == 1.0
    alone, crowded = trace(quiet), trace(quiet + [look(f"o-{n}", name) for n in range(50) for name in "abc"])
    of = {each.actor: each for each in crowded.suspects()}
    assert of["o-quiet"].evidence < alone.suspects()[0].evidence - 3 * log(20)


def test_a_stranger_elsewhere_says_more_than_one_of_the_own_town() -> None:
    looks = [look("o-1", "a"), look("o-2", "b")]
    base = Base(
        100, {"north": 1000, "south": 1000}, {"o-1": {"north": 90, "south": 1}, "o-2": {"north": 90, "south": 1}}
    )
    leaks = [Leak("a", AT), Leak("b", AT)]
    found = Trace(leaks, looks, base, {"a": "south", "b": "north"}).suspects()
    assert [each.actor for each in found] == ["o-1", "o-2"]


def test_what_a_record_explains_does_not_count_and_is_said() -> None:
    found = trace(
        [look("o-1", "a"), look("o-1", "b", "record"), look("o-1", "a", "record"), look("o-2", "c", "record")]
    )
    (suspect,) = found.suspects()
    assert (suspect.hits, suspect.explained) == (["a"], ["b"])
    plausible = trace([look("o-1", "a", "plausible"), look("o-2", "b", None)]).suspects()
    assert {each.actor for each in plausible} == {"o-1", "o-2"}


def test_holm_never_falls_along_the_order_and_is_at_most_one() -> None:
    looks = [look(f"o-{n}", name) for n in range(5) for name in "abcd"[: n + 1 if n < 4 else 1]]
    found = sorted(trace(looks, actors=40).suspects(), key=lambda each: each.chance)
    assert [each.corrected for each in found] == sorted(each.corrected for each in found)
    assert found[0].corrected == pytest.approx(min(1.0, 40 * found[0].chance))
    assert found[1].corrected >= min(1.0, 39 * found[1].chance) - 1e-12
    assert max(each.corrected for each in found) <= 1.0


def test_two_who_shared_the_work_are_found_together() -> None:
    subjects = "abcdefghij"
    looks = [look("o-1", name) for name in "abcde"] + [look("o-2", name) for name in "fghij"]
    looks += [look("o-3", name) for name in "af"]
    found = trace(looks, subjects)
    suspects = found.suspects()
    (pair,) = found.couples(suspects)
    assert set(pair.actors) == {"o-1", "o-2"}
    assert (pair.hits, pair.alone) == (list(subjects), (5, 5))
    assert pair.evidence > suspects[0].evidence + log(999 / 2)


def test_one_who_covers_all_is_no_pair() -> None:
    looks = [look("o-1", name) for name in "abcdefgh"] + [look("o-2", name) for name in "abcd"]
    found = trace(looks, "abcdefgh")
    assert found.couples(found.suspects()) == []


def test_the_order_of_lookups_and_leaks_changes_nothing() -> None:
    looks = [look(f"o-{n % 4}", name) for n, name in enumerate("aabbccddab")]
    one, other = trace(looks).suspects(), trace(looks[::-1]).suspects()
    assert one == other


def test_a_list_is_read() -> None:
    text = ["Subject,Date,why", "p-1,2026-02-03,raid", "p-2, 2026-02-04T12:00:00+01:00,", "p-1,2026-02-01,chat"]
    assert read_leaks(text) == [
        Leak("p-1", datetime(2026, 2, 2, tzinfo=UTC)),
        Leak("p-2", datetime(2026, 2, 4, 11, tzinfo=UTC)),
    ]
    assert read_leaks(["by,subject", "2026-02-03,p-1"]) == [Leak("p-1", datetime(2026, 2, 4, tzinfo=UTC))]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["who,when"], "line 1"),
        (["subject,date"], "no subject"),
        (["subject,date", "p-1,soon"], "line 2"),
        (["subject,date", ",2026-01-01"], "line 2"),
        (["subject,date", "p-1"], "line 2"),
    ],
)
def test_a_list_that_is_wrong_is_said_to_be(lines: list[str], says: str) -> None:
    with pytest.raises(BadLeaks, match=says) as raised:
        read_leaks(lines)
    assert "p-1" not in str(raised.value)
