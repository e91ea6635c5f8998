"""Live alerts against those of a rerun."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import alerts
from monitor.agree import Agree, Agreement, Live
from monitor.alerts import Alert, Entity, RuleInfo
from monitor.rerun import Raised

FROM, TO = 1_000, 2_000


def alert(name: str, ts: int = 1_500, **more: object) -> Alert:
    made = Alert(
        name,
        f"t{ts}",
        ts,
        RuleInfo("r-1", "Rule one", "low", ""),
        Entity("actor", "o-secret"),
        ["o-secret"],
        [],
        ["x-1"],
        0.5,
        [],
        "rule",
    )
    return msgspec.structs.replace(made, **more)


def agreement(
    live: list[Alert | bytes],
    run: list[Alert | Raised],
    is_certain: Callable[[Alert], bool] = lambda _: True,
    settled: bool = True,
) -> Agreement:
    agree = Agree(FROM, TO, is_certain)
    for made in run:
        agree.raised(made if isinstance(made, Raised) else Raised(made, True))
    for number, each in enumerate(live):
        agree.live(Live(0, number, each if isinstance(each, bytes) else alerts.encode(each), settled))
    return agree.result()


NAMES = st.sets(st.text("abc", min_size=1, max_size=3), max_size=12)


@given(NAMES, NAMES, NAMES, st.randoms())
def test_every_alert_is_counted_once_and_on_its_side(
    live: set[str], run: set[str], waiting: set[str], chance: object
) -> None:
    waiting -= run
    made = [*map(alert, sorted(run)), *(Raised(alert(name), False) for name in sorted(waiting))]
    found = agreement([*map(alert, sorted(live)), *map(alert, sorted(live))], made)
    assert found.equal == len(live & (run | waiting))
    assert {each.id for each in found.differences if each.how == "only-live"} == live - run - waiting
    assert {each.id for each in found.differences if each.how == "only-replay"} == run - live
    assert found.undecided == len(waiting - live)
    assert found.compared == len(live | run)


@pytest.mark.parametrize("ts", [FROM - 1, TO])
def test_what_lies_outside_of_the_span_does_not_count(ts: int) -> None:
    assert agreement([alert("a", ts)], [alert("b", ts)]) == Agreement()
    assert agreement([alert("a", FROM), alert("b", TO - 1)], []).compared == 2


def test_an_alert_that_says_something_else_differs() -> None:
    (one,) = agreement([alert("a", reasons=["none"])], [alert("a")]).differences
    assert (one.how, one.id, one.rule, one.kind, one.place) == ("differs", "a", "Rule one", "actor", "0/0")


def test_an_alert_that_is_repeated_with_other_words_differs() -> None:
    (one,) = agreement([alert("a"), alert("a", reasons=["none"])], [alert("a")]).differences
    assert (one.how, one.place) == ("differs", "0/1")


def test_what_is_no_alert_is_seen() -> None:
    found = agreement([b"{}", alert("a")], [alert("a")])
    assert [(each.how, each.place) for each in found.differences] == [("unreadable", "0/0")]
    assert found.equal == 1


def test_what_may_follow_from_later_lookups_is_not_held_against_live() -> None:
    assert agreement([alert("a")], [], settled=False).differences == []
    assert agreement([alert("a", reasons=["no"])], [alert("a")], settled=False).differences != []


def test_what_is_not_certain_is_counted_by_rule_and_not_compared() -> None:
    found = agreement(
        [alert("a"), alert("b"), alert("e")], [alert("c"), alert("b"), alert("d")], lambda each: each.id == "d"
    )
    assert [(each.how, each.id) for each in found.differences] == [("only-replay", "d")]
    assert found.equal == 0
    assert found.left_out == {"Rule one": 4}


def test_differences_name_nobody() -> None:
    found = agreement([alert("a")], [alert("b")])
    assert len(found.differences) == 2
    assert "o-secret" not in str(found)
