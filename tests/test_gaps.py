"""Numbers of lookups: what never came is said once, in whatever order the rest came, and only then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor import events
from monitor.alerts import encode
from monitor.backtest import Backtest
from monitor.events import BadEvent, Notice
from monitor.gaps import AFTER_MS, GAP_RULE, MAX_COUNTERS, MAX_HOLES, Numberings
from monitor.reference import Reference
from monitor.rules import RuleSet
from tests.samples import GOOD, NOW

T0 = 1_790_000_100_000
MINUTE = 60_000


def lost(alerts: list[Any]) -> list[str]:
    return [alert.reasons[0] for alert in alerts]


def stepped(numbers: list[tuple[int, int]], **more: Any) -> Numberings:
    """After lookups of (number, minutes after the start)."""
    made = Numberings(**more)
    for number, minutes in numbers:
        made.step("bvi", number, T0 + minutes * MINUTE, T0 + minutes * MINUTE, False)
    return made


def test_a_gap_is_said_when_it_has_had_its_time_and_once() -> None:
    made = stepped([(5, 0), (9, 1)])
    assert made.due(T0 + AFTER_MS) == []
    (alert,) = made.due(T0 + 3 * AFTER_MS)
    assert alert.reasons == ["bvi: 3 lookups never came, numbers 6 to 8"]
    assert (alert.kind, alert.rule, alert.entity.id) == ("rule", GAP_RULE, "bvi")
    assert alert.actors == alert.subjects == alert.events == []
    assert made.due(T0 + 9 * AFTER_MS) == []
    assert made.lost == {"bvi": 3}, "counted once, whenever it is asked"
    assert encode(alert) == encode(*stepped([(5, 0), (9, 1)]).due(T0 + 7 * AFTER_MS)), "whenever it is asked for"


@given(
    order=st.permutations(range(20)),
    missing=st.sets(st.integers(1, 18)),
    again=st.lists(st.integers(0, 19), max_size=10),
)
def test_only_what_never_came_is_lost_whatever_the_order_and_however_often_it_comes(
    order: list[int], missing: set[int], again: list[int]
) -> None:
    """The first and the highest number do come, as what is before and behind them cannot be known."""
    numbers = [0, *(each for each in [*order, *again] if each not in missing and each != 0)]
    made = Numberings()
    for number in numbers:
        made.step("bvi", 100 + number, T0, T0, False)
    said = lost(made.due(T0 + 3 * AFTER_MS))
    assert len(said) == bool(missing)
    assert made.lost.total() == len(missing)
    if missing:
        count = f"{len(missing)} lookup" + "s" * (len(missing) > 1)
        assert said[0].startswith(f"bvi: {count} never came")
        assert f"{100 + min(missing)}" in said[0]
        assert said[0].endswith(f"{100 + max(missing)}")


def test_what_comes_in_time_fills_the_hole_and_later_does_not() -> None:
    after = AFTER_MS // MINUTE
    assert stepped([(5, 0), (9, 1), (6, after), (7, after), (8, after)]).due(T0 + 9 * AFTER_MS) == []
    late = stepped([(5, 0), (7, 1), (50, 3 * after)])
    late.step("bvi", 6, T0, T0 + 3 * AFTER_MS, False)
    assert lost(late.due(T0 + 4 * AFTER_MS)) == ["bvi: 1 lookup never came, number 6"]


def test_a_heartbeat_tells_of_what_was_lost_at_the_end() -> None:
    made = stepped([(5, 0)])
    made.step("bvi", 7, T0 + MINUTE, T0 + MINUTE, True)
    made.step("bvi", 7, T0, T0 + MINUTE, False)
    assert lost(made.due(T0 + 3 * AFTER_MS)) == ["bvi: 1 lookup never came, number 6"]
    first = Numberings()
    first.step("bvi", 1000, T0, T0, True)
    assert first.due(T0 + 9 * AFTER_MS) == [], "what came before the first that is heard is not known"


def test_a_counter_that_begins_anew_is_said_and_followed() -> None:
    after = AFTER_MS // MINUTE
    made = stepped([(500, 0), (1, 2 * after), (2, 2 * after), (4, 2 * after)])
    said = lost(made.due(T0 + 9 * AFTER_MS))
    assert said == ["bvi: 1 lookup never came, number 3", "bvi: the counter began anew at 1, after 500"]


def test_a_repeat_of_old_lookups_is_no_new_counter() -> None:
    made = stepped([(500, 0), (501, 60)])
    for number in (499, 500, 501):
        made.step("bvi", number, T0 - 86_400_000, T0 + 120 * MINUTE, False)
    assert made.due(T0 + 9 * AFTER_MS + 200 * MINUTE) == []


@example([(2**53, 0), (0, 0)])
@given(st.lists(st.tuples(st.integers(0, 2**53), st.integers(0, 500)), max_size=60))
def test_any_numbers_at_all_are_taken_and_what_is_kept_is_bounded(numbers: list[tuple[int, int]]) -> None:
    made = Numberings()
    for number, minutes in numbers:
        made.step("bvi", number, T0 + minutes * MINUTE, T0 + minutes * MINUTE, number % 2 == 0)
    made.due(T0 + 10**9)
    assert not made.known or not made.known["bvi"].holes


def test_every_second_number_is_one_alert_a_span_and_not_one_each() -> None:
    made = stepped([(2 * number, 0) for number in range(3 * MAX_HOLES)])
    assert len(made.known["bvi"].holes) == MAX_HOLES
    (said,) = lost(made.due(T0 + 3 * AFTER_MS))
    assert f"{3 * MAX_HOLES - 1} lookups never came, numbers 1 to {6 * MAX_HOLES - 3}" in said


def test_counters_beyond_the_bound_are_refused() -> None:
    made = Numberings()
    assert all(made.step(f"s/{number}", 1, T0, T0, False) for number in range(MAX_COUNTERS))
    assert not made.step("one more", 1, T0, T0, False)


@pytest.mark.parametrize("seq", [-1, 2**53 + 1, "7", 1.5, True, [1]])
def test_a_number_that_is_none_is_refused(seq: Any) -> None:
    for document in ({**GOOD, "seq": seq}, {"kind": "heartbeat", "system": "bvi", "time": GOOD["time"], "seq": seq}):
        with pytest.raises(BadEvent, match="seq is not"):
            events.decode(orjson.dumps(document), received_ms=NOW)


def test_source_is_checked_only_where_it_names_a_counter() -> None:
    assert events.decode(orjson.dumps({**GOOD, "source": {"ip": "::1"}}), received_ms=NOW)["source.ip"] == "::1"
    with pytest.raises(BadEvent, match="source is not"):
        events.decode(orjson.dumps({**GOOD, "seq": 1, "source": 5}), received_ms=NOW)


@pytest.mark.parametrize(
    "fields",
    [{"time": None}, {"system": None}, {"system": ""}, {"time": "yesterday"}, {"time": "1999-01-01T00:00:00Z"}],
)
def test_a_heartbeat_needs_its_register_and_a_time(fields: dict[str, Any]) -> None:
    good = {"kind": "heartbeat", "system": "bvi", "time": GOOD["time"]}
    with pytest.raises(Notice):
        events.decode(orjson.dumps(good), received_ms=NOW)
    with pytest.raises(BadEvent):
        events.decode(orjson.dumps({**good, **fields}), received_ms=NOW)


def message(number: int | None, minutes: float, actor: str = "o-1", **more: Any) -> bytes:
    time = datetime.fromtimestamp(T0 / 1000 + minutes * 60, UTC).isoformat(timespec="milliseconds")
    return orjson.dumps(
        {**GOOD, "id": f"x-{number}-{minutes}", "time": time, "actor": {"id": actor}, "seq": number, **more}
    )


def test_a_backtest_says_what_is_missing_over_all_partitions() -> None:
    """The numbers of a register are spread over them; those of another, and of another of its machines, are their own."""
    log = [message(n, n / 10, f"o-{n}") for n in range(400) if n not in (7, 8)]
    log += [message(n, 40.0, source="b") for n in (1, 2)]
    run = Backtest(RuleSet(), Reference([]), 4, lambda name: sum(name.encode()) % 4, 0.999)
    assert lost(list(run.run(log, T0 + 10**8))) == ["bvi: 2 lookups never came, numbers 7 to 8"]
    assert run.fates.total() == 400
    assert not run.refused
