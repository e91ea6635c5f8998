"""How much better the queue gets by what the desk says: a desk that works on alerts whose truth is known.

Each day the desk takes the alerts on top of its queue, as many as it can work on, and gives its verdicts, until it has given so
many. What came after that day nobody has seen: it is put in order once by what the rules say (their level, or the model's score)
and once by what was learned, and the two are compared on the same alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from monitor.alerts import Alert
from monitor.feedback.desk import STATE_VERSION, Desk, Priority, State
from monitor.feedback.disposition import Disposition
from monitor.recall import average_precision
from monitor.review import Sampler

T = TypeVar("T")
DAY_MS: Final = 24 * 3600 * 1000
_BINS: Final = 10


class Work(msgspec.Struct, frozen=True):
    """What a desk gets done in one order: so many alerts looked at, a share ``precision`` of which is misuse, about so many different
    ``misusers``; and the mean precision of the whole order over all misuse (``average``)."""

    looked_at: int
    precision: float
    misusers: int
    average: float


class Comparison(msgspec.Struct, frozen=True):
    """The queue before and after ``verdicts``: over ``alerts`` that came later, a share ``misuse`` of which is misuse.

    ``brier`` is the mean squared error of the probabilities (before: of the level's prior), ``calibration`` their expected
    calibration error in ten bins.
    """

    verdicts: int
    alerts: int
    misuse: float
    before: Work
    after: Work
    brier: tuple[float, float]
    calibration: tuple[float, float]


Case = tuple[Alert, bool]


def compare(cases: Sequence[Case], verdicts: int, a_day: int, sampler: Sampler) -> Comparison:
    """Let a desk give so many ``verdicts``, ``a_day`` of them a day, about alerts with their truth, then compare the orders."""
    rest = sorted(cases, key=lambda each: (each[0].ts, each[0].id))
    desk, truth = Desk({}, sampler, State(STATE_VERSION)), {alert.id: right for alert, right in rest}
    waiting: dict[str, Priority] = {}
    ends, at = rest[0][0].ts if rest else 0, 0
    while desk.ranker.learned < verdicts and (at < len(rest) or waiting):
        ends += DAY_MS
        while at < len(rest) and rest[at][0].ts < ends:
            _take(desk, waiting, rest[at][0], at)
            at += 1
        queue = sorted(waiting.values(), key=lambda each: (-each.priority, each.alert))
        for priority in _work(queue, min(a_day, verdicts - desk.ranker.learned), lambda each: each.entity):
            _judge(desk, priority, truth[priority.alert])
            del waiting[priority.alert]
        waiting.update((each.alert, each) for each in desk.rerank())
    return _compared(desk, rest[at:], at, a_day)


def _work(queue: Sequence[T], count: int, entity: Callable[[T], str]) -> list[T]:
    """What the desk looks at on one day: whoever it looks at, it does so once."""
    first: dict[str, T] = {}
    for each in queue:
        first.setdefault(entity(each), each)
    return list(first.values())[:count]


def _take(desk: Desk, waiting: dict[str, Priority], alert: Alert, offset: int) -> None:
    placed = desk.take_alert(alert, 0, offset)
    if placed is not None:
        waiting[alert.id] = placed


def _judge(desk: Desk, priority: Priority, is_misuse: bool) -> None:
    verdict = Disposition(
        verdict="true-misuse" if is_misuse else "benign", by="desk", time="2026-01-01T00:00:00Z", alert=priority.alert
    )
    desk.take_verdict(verdict, desk.position)


def _compared(desk: Desk, later: Sequence[Case], at: int, a_day: int) -> Comparison:
    fresh = Desk({}, Sampler(0.0), State(STATE_VERSION))
    rows = []
    for offset, (alert, right) in enumerate(later, at):
        placed, begun = desk.take_alert(alert, 0, offset), fresh.take_alert(alert, 0, offset)
        if placed is not None and begun is not None:
            rows.append(_Row(alert, right, placed, begun.probability))
    then = [(row.begun, row.right) for row in rows]
    now = [(row.placed.probability, row.right) for row in rows]
    return Comparison(
        desk.ranker.learned,
        len(rows),
        sum(row.right for row in rows) / max(1, len(rows)),
        _worked(rows, a_day, lambda row: row.alert.score, lambda row: row.alert.score),
        _worked(rows, a_day, lambda row: row.placed.priority, lambda row: row.placed.probability),
        (_brier(then), _brier(now)),
        (_calibration(then), _calibration(now)),
    )


class _Row(NamedTuple):
    alert: Alert
    right: bool
    placed: Priority
    begun: float


def _worked(rows: Sequence[_Row], a_day: int, place: Callable[[_Row], float], sure: Callable[[_Row], float]) -> Work:
    """A desk that each day looks at the alerts on top by ``place``, no entity twice a day."""
    looked: list[_Row] = []
    waiting: list[_Row] = []
    at, ends = 0, rows[0].alert.ts if rows else 0
    while at < len(rows):
        ends += DAY_MS
        while at < len(rows) and rows[at].alert.ts < ends:
            waiting.append(rows[at])
            at += 1
        waiting.sort(key=lambda row: (-place(row), row.alert.ts, row.alert.id))
        today = _work(waiting, a_day, lambda row: row.placed.entity)
        looked += today
        done = {row.alert.id for row in today}
        waiting = [row for row in waiting if row.alert.id not in done]
    found = {row.placed.entity for row in looked if row.right}
    order = sorted(rows, key=lambda row: (-sure(row), row.alert.ts, row.alert.id))
    right = sum(row.right for row in looked)
    return Work(len(looked), right / max(1, len(looked)), len(found), average_precision(row.right for row in order))


def _brier(pairs: Sequence[tuple[float, bool]]) -> float:
    return sum((guess - right) ** 2 for guess, right in pairs) / max(1, len(pairs))


def _calibration(pairs: Sequence[tuple[float, bool]]) -> float:
    gaps = [0.0] * _BINS
    for guess, right in pairs:
        gaps[min(_BINS - 1, int(guess * _BINS))] += guess - right
    return sum(map(abs, gaps)) / max(1, len(pairs))
