"""Days and written times, also on the days the clock changes."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.simulate.timeline import DAY, HOUR, Timeline

AUTUMN = datetime(2026, 10, 24, 15, 30, tzinfo=ZoneInfo("Europe/Amsterdam"))  # the clock goes back on the 25th


def test_a_run_begins_at_midnight_whatever_the_time_of_start() -> None:
    assert Timeline(AUTUMN, 1).text(Timeline(AUTUMN, 1).begin) == "2026-10-24T00:00:00.000+02:00"


def test_the_day_the_clock_goes_back_is_an_hour_longer() -> None:
    timeline = Timeline(AUTUMN, 3)
    assert timeline.midnight(1) - timeline.midnight(0) == DAY
    assert timeline.midnight(2) - timeline.midnight(1) == DAY + HOUR
    assert timeline.text(timeline.midnight(2)) == "2026-10-26T00:00:00.000+01:00"


@given(st.integers(min_value=-30 * DAY, max_value=30 * DAY))
def test_written_times_read_back_and_lie_in_their_day(offset: int) -> None:
    timeline = Timeline(AUTUMN, 3)
    ms = timeline.begin + offset
    read = datetime.fromisoformat(timeline.text(ms))
    assert read.astimezone(UTC) == datetime.fromtimestamp(ms / 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    day = timeline.day_of(ms)
    assert timeline.midnight(day) <= ms < timeline.midnight(day + 1)
    assert read.date() == timeline.date(day)


def test_a_start_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="no offset"):
        Timeline(datetime(2026, 1, 1), 1)
