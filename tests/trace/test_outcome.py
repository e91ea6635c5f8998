"""Outcomes: what is one, which are traced together, and that none raises anew what was raised."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerts import Alert
from monitor.archive.store import Archive
from monitor.history.ask import History, Period
from monitor.trace.alert import alert_of, of_outcome, to_raise
from monitor.trace.ask import trace_of
from monitor.trace.model import Leak, Look, Suspect
from monitor.trace.outcome import (
    KINDS,
    MAX_SUBJECTS,
    REASONS,
    Ask,
    BadOutcome,
    Leaked,
    Outcome,
    Outcomes,
    decode,
    encode,
    joined,
    json_schema,
    span_of,
)
from tests.archive.made import DAY, START, archive, lookup

GOOD: dict[str, Any] = {
    "id": "out-1",
    "time": "2026-11-24T09:15:02+01:00",
    "kind": "failed-raid",
    "subjects": [{"id": "p-1", "by": "2026-11-24"}],
    "source": "team-3",
}
WRONG = [
    (b"", "empty"),
    (b"{", "not-json"),
    (b"[]", "not-an-object"),
    ({**GOOD, "kind": "bad luck"}, "wrong-field"),
    ({**GOOD, "subjects": []}, "wrong-field"),
    ({**GOOD, "subjects": [{"id": f"p{n}", "by": "2026-11-24"} for n in range(MAX_SUBJECTS + 1)]}, "wrong-field"),
    ({**GOOD, "subjects": [{"id": "p-1"}]}, "missing-field"),
    ({**GOOD, "subjects": [{"id": "p-1", "by": "last week"}]}, "wrong-field"),
    ({**GOOD, "subjects": [{"id": "p-1", "by": "2026-11-24T10:00:00"}]}, "time-without-offset"),
    ({**GOOD, "subjects": [{"id": "p-1", "by": "9999-12-31"}]}, "wrong-field"),
    ({**GOOD, "time": "2026-11-24T09:15:02"}, "time-without-offset"),
    ({**GOOD, "source": ""}, "wrong-field"),
    ({name: value for name, value in GOOD.items() if name != "source"}, "missing-field"),
    ({**GOOD, "note": "x" * 5000}, "wrong-field"),
]


@pytest.mark.parametrize(("document", "reason"), WRONG)
def test_what_is_none_is_refused_with_its_reason_and_names_nobody(document: Any, reason: str) -> None:
    with pytest.raises(BadOutcome) as caught:
        decode(document if isinstance(document, bytes) else orjson.dumps(document))
    assert caught.value.reason == reason
    assert reason in REASONS
    assert "p-1" not in caught.value.detail


@given(
    st.sampled_from(KINDS),
    st.lists(st.text(min_size=1, max_size=100), min_size=1, max_size=5),
    st.none() | st.just("c"),
)
def test_what_is_encoded_is_decoded_and_as_the_schema_says(kind: Any, names: list[str], case: str | None) -> None:
    leaked = [Leaked(name, "2026-11-24") for name in names]
    made = Outcome(id="1", time=GOOD["time"], kind=kind, subjects=leaked, source="s", case=case)
    assert decode(encode(made)) == made
    jsonschema.validate(orjson.loads(encode(made)), json_schema(), jsonschema.Draft202012Validator)


def outcome(number: int, day: float, *subjects: str, case: str | None = None, by: float | None = None) -> Outcome:
    at = datetime.fromtimestamp(START / 1000, UTC) + timedelta(days=day)
    when = at if by is None else datetime.fromtimestamp(START / 1000, UTC) + timedelta(days=by)
    return Outcome(
        id=str(number),
        time=at.isoformat(),
        kind="failed-raid",
        subjects=[Leaked(each, when.isoformat()) for each in subjects],
        source="s",
        case=case,
    )


def lists(asks: list[Ask]) -> list[tuple[list[str], list[str]]]:
    return [([leak.subject for leak in each.leaks], sorted(each.new)) for each in asks]


def test_what_is_of_one_case_or_near_in_time_is_traced_together() -> None:
    known = Outcomes(30)
    assert lists(known.take(outcome(1, 0, "a", case="x"))) == [(["a"], ["a"])]
    assert lists(known.take(outcome(2, 200, "b", case="x"))) == [(["a", "b"], ["b"]), (["b"], ["b"])]
    assert lists(known.take(outcome(3, 210, "c"))) == [(["b", "c"], ["c"])]
    assert lists(known.take(outcome(4, 400, "d", case="y"))) == [(["d"], ["d"])]
    assert lists(known.take(outcome(5, 195, "e", case="x"))) == [(["a", "b", "e"], ["e"]), (["b", "c", "e"], ["e"])]


def test_what_adds_nothing_asks_for_nothing() -> None:
    known = Outcomes(30)
    known.take(outcome(1, 0, "a", "b"))
    assert known.take(outcome(1, 0, "a", "b")) == []
    assert known.take(outcome(2, 1, "a", by=0)) == []
    assert known.take(outcome(3, 1, "b", by=5)) == [], "that it leaked later is nothing new"
    assert lists(known.take(outcome(4, 1, "a", by=-1))) == [(["a", "b"], ["a"])], "that it leaked earlier is"
    with pytest.raises(BadOutcome) as caught:
        known.take(outcome(1, 0, "a", "c"))
    assert caught.value.reason == "other-outcome"


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.sets(st.sampled_from("abcd"), min_size=1), st.sampled_from([None, "x", "y"])),
        max_size=8,
    )
)
def test_each_list_holds_its_outcome_and_what_belongs_to_it_and_nothing_else(drawn: list[Any]) -> None:
    known, so_far = Outcomes(30), []
    for number, (day, subjects, case) in enumerate(drawn):
        new = outcome(number, day, *sorted(subjects), case=case)
        near = [each for each, at in so_far if abs(at - day) <= 30]
        same = [each for each, _ in so_far if case is not None and each.case == case]
        for ask in known.take(new):
            assert ask.leaks in (joined([*near, new]), joined([*same, new]))
            assert ask.new <= subjects
            assert ask.new
        so_far.append((new, day))


def suspect(actor: str, hits: list[str], corrected: float, evidence: float = 9.0) -> Suspect:
    return Suspect(actor, hits, [], evidence, 0.1, corrected / 10, corrected)


def looks(actor: str, *subjects: str) -> list[Look]:
    at = datetime.fromtimestamp(START / 1000, UTC)
    return [Look(actor, each, at, "none", None, "bvi", f"{actor}-{each}") for each in subjects]


LEAKS = [Leak(name, datetime.fromtimestamp((START + DAY) / 1000, UTC)) for name in "abc"]


def test_who_had_not_looked_at_what_is_new_is_not_told_of_again() -> None:
    both = [suspect("o-1", ["a", "b"], 1e-6), suspect("o-2", ["a", "c"], 1e-6)]
    seen = [*looks("o-1", "a", "b"), *looks("o-2", "a", "c")]
    raised = of_outcome([(Ask(LEAKS, frozenset("c")), both, seen)])
    assert [each.actors for each in raised] == [["o-2"]]
    assert raised == [alert_of(both[1], LEAKS, seen)], "the alert that `monitor trace` gives"


def test_that_it_was_asked_twice_is_corrected_for_and_one_alert_comes_of_it() -> None:
    seen = looks("o-1", "a", "b")
    weak, strong = suspect("o-1", ["a", "b"], 0.006, 5.0), suspect("o-1", ["a", "b"], 0.004, 7.0)
    new = frozenset("a")
    assert len(of_outcome([(Ask(LEAKS, new), [weak], seen)])) == 1
    assert of_outcome([(Ask(LEAKS, new), [weak], seen), (Ask(LEAKS[:2], new), [weak], seen)]) == []
    (only,) = of_outcome([(Ask(LEAKS, new), [strong], seen), (Ask(LEAKS[:2], new), [weak], seen)])
    assert only.score == pytest.approx(1 - 0.008)


def traced(there: Archive, asks: list[Ask]) -> list[Alert]:
    found = []
    for ask in asks:
        history = History(there, Period(*span_of(ask.leaks, timedelta(days=90))))
        trace, seen = trace_of(history, ask.leaks)
        found.append((ask, trace.suspects(), seen))
    return of_outcome(found)


def test_one_failed_raid_says_little_and_several_of_a_case_name_the_leaker(tmp_path: Path) -> None:
    """Sixty officers look at thirty people each; one of them looked at all that leaked."""
    rows = [
        lookup(n, actor__id=f"o-{n % 60}", subject__id=f"p-{n * 7 % 331}", subject__area="limburg") for n in range(1800)
    ]
    rows += [
        lookup(5000 + n, ts=START + n * DAY // 2, actor__id="o-bad", subject__id=f"s-{n}", subject__area="limburg")
        for n in range(6)
    ]
    there, known = archive(tmp_path, *rows), Outcomes(2)
    raised = [traced(there, known.take(outcome(n, 3 + n * 10, f"s-{n}", case="x"))) for n in range(6)]
    named = [[alert.actors for alert in each] for each in raised]
    assert named[0] == []
    assert named[-1] == [["o-bad"]]
    first = next(at for at, each in enumerate(named) if each)
    assert 0 < first < 5
    assert all(each == [["o-bad"]] for each in named[first:])
    # The same list by hand.
    leaks = joined(outcome(n, 3 + n * 10, f"s-{n}", case="x") for n in range(6))
    trace, seen = trace_of(History(there), leaks)
    (by_hand,) = to_raise(trace.suspects())
    assert raised[-1][0].id == alert_of(by_hand, leaks, seen).id
    # And nothing new of what is known.
    assert traced(there, known.take(outcome(9, 50, "s-1", case="x", by=13))) == []
    # Somebody else's subject adds nothing about them.
    assert traced(there, known.take(outcome(10, 54, "elsewhere", case="x"))) == []
