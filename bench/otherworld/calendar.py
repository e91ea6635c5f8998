"""The world's time: milliseconds since the epoch, in one winter offset (UTC+1); a day is numbered from the world's first."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
#: The world keeps winter time all through; the hours of its days are those of UTC+1.
OFFSET: Final = HOUR


def midnight(day: date) -> int:
    """When the day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000) - OFFSET


@lru_cache(maxsize=4096)
def _date(number: int) -> str:
    return date.fromordinal(719_163 + number).isoformat()


def day_of(ms: int) -> str:
    """The local day, ``YYYY-MM-DD``."""
    return _date((ms + OFFSET) // DAY)


def stamp(ms: int) -> str:
    """RFC 3339 with the world's offset, to the millisecond."""
    number, rest = divmod(ms + OFFSET, DAY)
    hour, rest = divmod(rest, HOUR)
    minute, rest = divmod(rest, MINUTE)
    second, thousandth = divmod(rest, SECOND)
    return f"{_date(number)}T{hour:02}:{minute:02}:{second:02}.{thousandth:03}+01:00"
