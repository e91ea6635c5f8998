"""The days of a run, in milliseconds since the epoch, and how they are written down."""

from datetime import date, datetime, time, timedelta, tzinfo

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
CACHED_MINUTES = 5_000


class Timeline:
    """The local days of one run.

    Day 0 is the local date of `start`; its time of day is not used, because shifts and event
    numbers follow whole days.
    Days before 0 exist too: cases were opened before the run began.

    Raises ValueError when `start` has no offset, or `days` is not positive.
    """

    def __init__(self, start: datetime, days: int) -> None:
        if start.tzinfo is None:
            raise ValueError(f"start {start.isoformat()} has no offset: give a time zone, such as +01:00")
        if days < 1:
            raise ValueError(f"days is {days}: a run needs at least one day")
        self.days = days
        self.zone: tzinfo = start.tzinfo
        self.first: date = start.date()
        self._midnights: dict[int, int] = {}
        self._minutes: dict[int, tuple[str, str]] = {}
        self.begin = self.midnight(0)
        self.end = self.midnight(days)

    def midnight(self, day: int) -> int:
        """When local day `day` begins, in milliseconds since the epoch."""
        known = self._midnights.get(day)
        if known is None:
            moment = datetime.combine(self.date(day), time(), self.zone)
            known = self._midnights[day] = round(moment.timestamp() * 1000)
        return known

    def at(self, day: int, hour: float) -> int:
        """`hour` hours after the midnight with which `day` begins, in milliseconds."""
        return self.midnight(day) + int(hour * HOUR)

    def date(self, day: int) -> date:
        """The local date of `day`."""
        return self.first + timedelta(days=day)

    def stamp(self, day: int) -> str:
        """The date of `day` as it is written in ids: 20261124."""
        return f"{self.date(day):%Y%m%d}"

    def weekday(self, day: int) -> int:
        """0 is Monday."""
        return (self.first.weekday() + day) % 7

    def day_of(self, ms: int) -> int:
        """The local day in which the moment `ms` lies."""
        day = (ms - self.begin) // DAY
        while ms < self.midnight(day):
            day -= 1
        while ms >= self.midnight(day + 1):
            day += 1
        return day

    def text(self, ms: int) -> str:
        """The moment `ms` as RFC 3339 with milliseconds and the local offset."""
        minute, rest = divmod(ms, MINUTE)
        parts = self._minutes.get(minute) or self._minute(minute)
        return f"{parts[0]}{rest // 1000:02d}.{rest % 1000:03d}{parts[1]}"

    def _minute(self, minute: int) -> tuple[str, str]:
        # A day has few minutes and many lookups: formatting a date is the dearest part of an event.
        if len(self._minutes) > CACHED_MINUTES:
            self._minutes.clear()
        moment = datetime.fromtimestamp(minute * 60, self.zone)
        offset = moment.strftime("%z")
        parts = (moment.strftime("%Y-%m-%dT%H:%M:"), f"{offset[:3]}:{offset[3:5]}")
        self._minutes[minute] = parts
        return parts
