"""Times as people give them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.when import parse_duration, parse_when

NOW = 1_790_000_000_000
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=ZONES))
def test_a_time_is_its_milliseconds(at: datetime) -> None:
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_when(at.isoformat(), NOW) == since // timedelta(milliseconds=1)


@given(st.integers(1, 10**6), st.sampled_from([("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 7 * 86_400)]))
def test_a_duration_is_so_long_before_now(count: int, unit: tuple[str, int]) -> None:
    assert parse_duration(f"{count}{unit[0]}") == count * unit[1] * 1000
    assert parse_when(f" {count}{unit[0]} ", NOW) == max(0, NOW - count * unit[1] * 1000)


def test_now_is_now() -> None:
    assert parse_when("now", NOW) == NOW


@pytest.mark.parametrize("text", ["", "yesterday", "24", "-24h", "1.5h", "2026-11-24", "24H", "0d"])
def test_what_is_neither_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="24h"):
        parse_when(text, NOW)


def test_a_time_without_an_offset_says_so() -> None:
    with pytest.raises(ValueError, match=r"offset.*24h"):
        parse_when("2026-11-24T09:00:00", NOW)


@pytest.mark.parametrize("text", ["now", "2026-11-24T09:00:00Z", "", "0h", "٣h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
