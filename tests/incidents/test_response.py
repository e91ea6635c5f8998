"""Who is told: by level and watch, within the day's budget, again when nobody answers, and never more than that."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.incidents.response import DAY_MS, Policy
from tests.incidents.made import HOUR, SAMPLER, T0, Desk, alert

MINUTE = 60_000


@pytest.mark.parametrize(
    ("level", "watched", "queue", "kind"),
    [
        ("informational", False, "supervisor/north", "question"),
        ("low", False, "supervisor/north", "question"),
        ("medium", False, "desk", "desk"),
        ("high", False, "pager", "page"),
        ("critical", False, "pager", "page"),
        ("low", True, "pager", "page"),
    ],
)
def test_who_is_told_of_what(level: str, watched: bool, queue: str, kind: str) -> None:
    found = Desk().raised(alert("a", level), watched)
    assert (found.queue, [each.kind for each in found.notices]) == (queue, [kind])


def test_a_ring_is_no_question_for_one_supervisor() -> None:
    assert Desk().raised(alert("a", "low", ("o-1", "o-2"))).queue == "desk"


def test_what_rises_is_told_again_and_higher() -> None:
    desk = Desk()
    for name, level in (("a", "low"), ("b", "medium"), ("c", "high"), ("d", "high"), ("e", "critical"), ("f", "low")):
        found = desk.raised(alert(name, level, subjects=(name,)))
    assert [(each.kind, each.level) for each in found.notices] == [
        ("question", "low"),
        ("desk", "medium"),
        ("page", "high"),
        ("page", "critical"),
    ]


def test_the_day_has_so_many_pages_and_the_rest_is_held_for_the_next() -> None:
    desk = Desk(Policy(page_budget=5, page_share=0.0))
    ids = [desk.raised(alert(f"a-{n}", "high", (f"o-{n}",))).id for n in range(8)]
    assert [desk.at(each).response for each in ids] == ["pager"] * 5 + ["desk"] * 3
    assert desk.book.pages_left == 0
    held = desk.at(ids[5])
    assert (held.held, held.due, [each.kind for each in held.notices]) == (True, T0 + DAY_MS, ["desk"])
    steps = len(held.history)
    desk.raised(alert("more", "high", ("o-5",), ("p-7",)))
    assert len(desk.at(ids[5]).history) == steps, "it is not said again with every alert"
    desk.asked("acknowledge", ids[6])
    desk.tick(DAY_MS)
    assert [desk.at(each).response for each in ids] == ["pager"] * 6 + ["desk", "pager"]
    assert not desk.at(ids[6]).held, "somebody works on it"


def test_what_is_critical_or_watched_goes_out_in_any_case() -> None:
    desk = Desk(Policy(page_budget=0))
    assert desk.raised(alert("a", "high")).response == "desk"
    assert desk.raised(alert("b", "critical", ("o-2",))).response == "pager"
    assert desk.raised(alert("c", "low", ("o-3",)), watched=True).response == "pager"


def test_a_share_of_the_pages_is_drawn_and_cannot_be_used_up_by_the_rest() -> None:
    policy = Policy(page_budget=10, page_share=0.2)
    desk = Desk(policy)
    found = [desk.raised(alert(f"a-{n}", "high", (f"o-{n}",))) for n in range(200)]
    paged = [each for each in found if each.response == "pager"]
    assert [each.id for each in paged[:8]] == [each.id for each in found[:8]]
    assert len(paged) == 10
    assert all(SAMPLER.takes(each.id) for each in paged[8:])
    again = Desk(policy)
    assert [again.raised(alert(f"a-{n}", "high", (f"o-{n}",))).response for n in range(200)] == [
        each.response for each in found
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), max_size=80), st.integers(0, 6))
def test_no_day_has_more_pages_than_its_budget(raised: list[tuple[int, int]], budget: int) -> None:
    desk = Desk(Policy(page_budget=budget, page_share=0.3))
    for number, (actor, hours) in enumerate(raised):
        desk.now += hours * HOUR
        desk.raised(alert(f"a-{number}", "high", (f"o-{actor}",), (f"p-{number}",)))
    pages: dict[str, int] = {}
    for incident in desk.book.all():
        for notice in incident.notices:
            if notice.reason.endswith(("[budget]", "[drawn]")):
                pages[notice.time[:10]] = pages.get(notice.time[:10], 0) + 1
    assert all(count <= budget for count in pages.values())
    assert not raised or not budget or pages


def test_a_page_that_nobody_acknowledges_is_sent_again_twice_at_most() -> None:
    desk = Desk()
    name = desk.raised(alert("a", "high")).id
    desk.tick(29 * MINUTE)
    assert len(desk.at(name).notices) == 1
    for _ in range(10):
        desk.tick(30 * MINUTE)
    assert [each.kind for each in desk.at(name).notices] == ["page", "escalation", "escalation"]
    assert desk.book.due is None


def test_acknowledged_is_quiet_until_it_rises() -> None:
    desk = Desk()
    name = desk.raised(alert("a", "high")).id
    found = desk.asked("acknowledge", name)
    assert (found.status, found.due, found.notices[-1].kind) == ("acknowledged", 0, "acknowledged")
    desk.tick(5 * HOUR)
    desk.raised(alert("b", "high", subjects=("p-2",), ts=T0 + 5 * HOUR))
    assert len(desk.at(name).notices) == 2
    found = desk.raised(alert("c", "critical", subjects=("p-3",), ts=T0 + 5 * HOUR))
    assert (found.status, found.notices[-1].kind) == ("open", "page")


def test_a_supervisor_who_does_not_answer_is_passed_by() -> None:
    desk = Desk()
    silent, answered = desk.raised(alert("a", "low")).id, desk.raised(alert("b", "low", ("o-2",))).id
    desk.asked("acknowledge", answered, by="chief-north")
    desk.tick(8 * DAY_MS)
    assert [each.kind for each in desk.at(silent).notices] == ["question", "desk"]
    assert [each.kind for each in desk.at(answered).notices] == ["question", "acknowledged"]


def test_somebody_can_hand_it_up_whatever_the_budget() -> None:
    desk = Desk(Policy(page_budget=0))
    name = desk.raised(alert("a", "low")).id
    assert desk.asked("escalate", name, by="chief").response == "desk"
    found = desk.asked("escalate", name, by="desk-1")
    assert (found.response, found.notices[-1].kind) == ("pager", "page")
    assert [each.by for each in found.history if each.what == "escalate"] == ["chief", "desk-1"]
    assert desk.book.done["asked"] == 1


def test_what_the_desk_has_acknowledged_is_not_paged_for_more_of_the_same() -> None:
    desk = Desk(Policy(page_budget=1, page_share=0.0))
    desk.raised(alert("first", "high", ("o-9",)))
    name = desk.raised(alert("a", "high")).id
    assert desk.at(name).held
    desk.asked("acknowledge", name)
    desk.tick(DAY_MS)
    found = desk.raised(alert("b", "high", subjects=("p-2",)))
    assert (found.response, found.status, desk.book.pages_left) == ("desk", "acknowledged", 1)


def test_of_what_was_held_the_heaviest_is_paged_first() -> None:
    desk = Desk(Policy(page_budget=1, page_share=0.0))
    ids = [desk.raised(alert(f"a-{n}", "high", (f"o-{n}",))).id for n in range(6)]
    heavy = max(ids[1:])
    actor = desk.at(heavy).members[0]
    assert desk.raised(alert("more", "medium", (actor,), ("p-2",), rule="other")).risk == 110.0
    desk.tick(DAY_MS)
    assert [each for each in ids[1:] if desk.at(each).response == "pager"] == [heavy]
