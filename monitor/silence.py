"""Whether a register has gone silent: what was seen of it against what is usual at this hour of the week.

Usual is a mean of each of the 168 hours of the week, which fades. How far counts stray from it is learned for each span that is
judged, from how wrong the expectation was before (the prequential principle: A. P. Dawid, 1984, Statistical Theory): a register
that delivers once an hour is not judged by its last five minutes, as those are too often empty. A register is silent when so
little came within some span that chance makes it less once in ``1 / FALSE_ALARM`` looks: the large-deviation (Chernoff) bound of
the negative binomial distribution of the lookups' clusters, which for none at all is the probability itself.
"""

from __future__ import annotations

from math import log
from typing import Final

import msgspec

HOUR: Final = 60
DAY: Final = 24 * HOUR
WEEK_HOURS: Final = 168
SATURDAY: Final = 5
#: The spans that are judged, in minutes.
SPANS: Final = (5, 15, 60, 240, 1440)
#: The probability by which one look at one span finds an ordinary register silent, if its counts are as the model says. A year
#: has some 150,000 spans that do not overlap, so that is one false alarm a register in hundreds of years.
FALSE_ALARM: Final = 1e-8
#: How many weeks an hour must have been seen before it is judged.
WEEKS: Final = 2
#: The weight of the newest week in an hour's mean: it forgets half in about four weeks.
_NEWEST: Final = 0.15
#: Up to this factor away from what is usual an hour counts in full, so that one outage, or one rush, is not learned.
_ROBUST: Final = 4.0
#: For how many days it is remembered how counts stray.
_MEMORY_DAYS: Final = 84
#: How many spans are taken for granted besides those seen, each as wrong as those: few spans tell little.
_PRIOR_SPANS: Final = 8.0
#: The least variance of what is usual, as a squared share of it.
_LEAST_SPREAD: Final = 0.05
#: Silence is next to nothing: a quiet night is a tenth of the usual, a register that has stopped is nothing at all.
LITTLE: Final = 0.05
#: Spans in which fewer are usual tell nothing of how counts stray.
_LEAST_EXPECTED: Final = 0.5
#: Heartbeats: how many make a habit, how much later than usual one is overdue, at least (ms), and after how long a register
#: that sends none any more has given the habit up (ms).
_HABIT: Final = 5
_OVERDUE: Final = 3.0
_OVERDUE_MS: Final = 60_000
_GIVEN_UP_MS: Final = 7 * DAY * 60_000


def _spreads(span: int) -> list[Spread]:
    return [Spread() for _ in range(2 * DAY // max(span, HOUR))]


class Spread(msgspec.Struct, array_like=True):
    """How far the counts of spans were from what was expected: fading sums of (count - expected)² / expected."""

    n: float = 0.0
    x: float = 0.0
    y: float = 0.0

    def learn(self, expected: float, y: float, keep: float) -> None:
        """A span is over. ``keep`` is what is left of the earlier ones."""
        self.n = self.n * keep + 1
        self.x = self.x * keep + expected
        self.y = self.y * keep + y

    def share(self, cluster: float) -> float:
        """The variance of the mean as a squared share of it, beyond what lookups that come in clusters explain."""
        if self.n <= 0 or self.x <= 0:
            return 1.0
        return max(_LEAST_SPREAD, (self.y - cluster * self.n) / self.x) * (1.0 + _PRIOR_SPANS / self.n)


class Clusters(msgspec.Struct, array_like=True):
    """In how large clusters lookups come: fading sums for the line y = cluster + spread · expected, least squares."""

    n: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def learn(self, x: float, y: float, keep: float) -> None:
        """A span is over."""
        self.n, self.x, self.y = self.n * keep + 1, self.x * keep + x, self.y * keep + y
        self.xx, self.xy = self.xx * keep + x * x, self.xy * keep + x * y

    def size(self) -> float:
        """The mean size of a cluster, from 1."""
        width = self.n * self.xx - self.x * self.x
        if self.n < 2 or width <= 1e-9 * self.n * self.xx:
            return 1.0
        slope = max(0.0, (self.n * self.xy - self.x * self.y) / width)
        return max(1.0, (self.y - slope * self.x) / self.n)


class Register(msgspec.Struct, array_like=True):
    """What is known of one register. Times are minutes since the epoch; ``now`` is up to where minutes are over.

    ``shift`` is how many hours its own clock is ahead of UTC, ``minutes`` the counts of the last day, by minute modulo a day.
    """

    now: int = -1
    shift: int = 0
    means: list[float] = msgspec.field(default_factory=lambda: [0.0] * WEEK_HOURS)
    weeks: list[int] = msgspec.field(default_factory=lambda: [0] * WEEK_HOURS)
    minutes: list[int] = msgspec.field(default_factory=lambda: [0] * DAY)
    #: By span, whether it ends at a weekend, and when in the day: nights differ from nights in other ways than days from days.
    spreads: list[list[Spread]] = msgspec.field(default_factory=lambda: [_spreads(span) for span in SPANS])
    clusters: Clusters = msgspec.field(default_factory=Clusters)
    #: Minutes that are known in a row until ``now``.
    known: int = 0
    is_silent: bool = False
    beats: int = 0
    last_beat: int = 0
    beat_every: float = 0.0

    def count(self, minute: int, number: int) -> None:
        """So many lookups came in this minute. One that is over, or not begun, counts as the nearest that is neither."""
        if self.now < 0:
            self.now = minute
        self.minutes[max(minute, self.now) % DAY] += number

    def beat(self, ts: int) -> None:
        """A heartbeat, sent at ``ts`` (milliseconds since the epoch)."""
        if ts <= self.last_beat:
            return
        if self.beats:
            gap, weight = ts - self.last_beat, max(0.1, 1 / self.beats)
            # A pause is not a new habit.
            usual = self.beat_every or gap
            self.beat_every = usual + weight * (min(gap, 2 * usual) - usual)
        self.beats += 1
        self.last_beat = ts

    def advance(self, minute: int) -> None:
        """The minutes before ``minute`` are over."""
        if self.now < 0:
            self.now = minute
        if minute - self.now > DAY:
            # Nobody looked: after a pause of the whole log nothing is known of the time between.
            self.minutes, self.now, self.known = [0] * DAY, minute, 0
        while self.now < minute:
            self._end_minute()

    def _end_minute(self) -> None:
        self.now += 1
        self.known = min(self.known + 1, DAY)
        self.minutes[self.now % DAY] = 0
        for span in SPANS:
            if self.now % span == 0 and self.known >= span and not self.is_silent:
                self._learn_span(span)
        if self.now % HOUR == 0 and self.known >= HOUR:
            self._learn_hour()

    def _learn_span(self, span: int) -> None:
        expected = self.expected(span)
        if expected is None or expected < _LEAST_EXPECTED:
            return
        # Only what is less: rushes, and what had waited for a lost line, say nothing of how little there may be.
        y = 2 * max(0.0, expected - self.seen(span)) ** 2 / expected
        self._spread(span).learn(expected, y, 1 - min(span, HOUR) / HOUR / _MEMORY_DAYS)
        if span == SPANS[0]:
            self.clusters.learn(expected, y, 1 - span / DAY / _MEMORY_DAYS)

    def _spread(self, span: int) -> Spread:
        of = self.spreads[SPANS.index(span)]
        day, hour = divmod(self._cell(self.now - 1), 24)
        half = len(of) // 2
        return of[(half if day >= SATURDAY else 0) + hour * half // 24]

    def _learn_hour(self) -> None:
        cell, count = self._cell(self.now - 1), float(self.seen(HOUR))
        weeks, mean = self.weeks[cell], self.means[cell]
        if weeks >= WEEKS:
            count = min(max(count, mean / _ROBUST), mean * _ROBUST + 10)
        self.means[cell] = mean + max(_NEWEST, 1 / (weeks + 1)) * (count - mean)
        self.weeks[cell] = weeks + 1

    def _cell(self, minute: int) -> int:
        # The epoch was a Thursday; weeks begin on Monday.
        return (minute // HOUR + self.shift + 72) % WEEK_HOURS

    def seen(self, span: int) -> int:
        """How many lookups came in the last ``span`` minutes that are over."""
        begin, end = (self.now - span) % DAY, self.now % DAY
        if begin < end:
            return sum(self.minutes[begin:end])
        # The minute that runs is not over, also where a span is a whole day.
        return sum(self.minutes[begin:]) + sum(self.minutes[:end]) - (self.minutes[end] if span == DAY else 0)

    def expected(self, span: int, least: bool = False) -> float | None:
        """How many are usual in the last ``span`` minutes; ``None`` when that is not known yet.

        With ``least`` each hour counts as the least of it and its neighbours: within an hour it is not known when work begins.
        """
        total, minute, begin = 0.0, self.now, self.now - span
        needed = WEEKS if least else 1
        while minute > begin:
            start = max(begin, (minute - 1) // HOUR * HOUR)
            cell = self._cell(minute - 1)
            near = (cell - 1, cell, (cell + 1) % WEEK_HOURS) if least and span <= HOUR else (cell,)
            if any(self.weeks[each] < needed for each in near):
                return None
            total += min(self.means[each] for each in near) * (minute - start) / HOUR
            minute = start
        return total

    def judge(self, now_ms: int) -> bool:
        """Whether the register is silent now, of which :attr:`now` is the minute."""
        # Once silent it stays so until more comes: a span in which something came must not hide that before nothing did.
        factor = 0.5 if self.is_silent else 1.0
        is_little = any(self._surprise(span) > factor * -log(FALSE_ALARM) for span in SPANS)
        self.is_silent = is_little or self.is_overdue(now_ms)
        return self.is_silent

    def _surprise(self, span: int) -> float:
        expected = self.expected(span, least=True) if self.known >= span else None
        if not expected or self.seen(span) > LITTLE * expected:
            return 0.0
        cluster = self.clusters.size()
        return surprise(self.seen(span), expected, cluster, self._spread(span).share(cluster))

    def is_overdue(self, now_ms: int) -> bool:
        """Whether a register that sends heartbeats has stopped to."""
        late = now_ms - self.last_beat
        if self.beats < _HABIT or late > _GIVEN_UP_MS:
            return False
        return late > max(_OVERDUE_MS, _OVERDUE * self.beat_every)


def surprise(count: int, expected: float, cluster: float, spread: float) -> float:
    """Minus the logarithm of the bound of the probability that ``count`` or fewer come where ``expected`` are usual.

    Lookups come in clusters of ``cluster``; the number of clusters is negative binomial, with variance mean + mean² · spread.
    """
    n, mean, k = count / cluster, expected / cluster, 1 / spread
    if n >= mean:
        return 0.0
    gone = (n + k) * log((mean + k) / (n + k))
    return gone + (n * log(n / mean) if n else 0.0)
