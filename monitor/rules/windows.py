"""Windows of event time over a log of lookups: sliding, tumbling and session; what they keep, and when they keep quiet.

A *sliding* window ends at a lookup and reaches back one span: (t - span, t]. *Tumbling* windows follow each other, aligned
to the epoch. A *session* ends at a lookup too, and reaches back as long as lookups are no further apart than ``gap``, at
most one span.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from monitor.rules.model import DAY_MS, Correlation, Rule
from monitor.rules.state import Entry, Log

#: Windows longer than this are counted in slots rather than lookup by lookup.
LONG_MS: Final = 31 * DAY_MS
#: The longest span there is: a leak of years must fit.
MAX_SPAN_MS: Final = 5 * 366 * DAY_MS
#: The most lookups that a log keeps; beyond that the oldest go.
MAX_ENTRIES: Final = 4_000
#: In so many windows, those that end first, a late lookup is looked at.
MAX_WINDOWS: Final = 200
#: So many of a group's last alerts are remembered, to keep quiet near them.
_MAX_FIRED: Final = 16
TS: Final = attrgetter("ts")


class Window(NamedTuple):
    """From ``start`` to ``end``, event times; ``entries[first:past]`` are inside."""

    start: int
    end: int
    first: int
    past: int


def insert(rule: Correlation, entries: list[Entry], entry: Entry) -> bool:
    """Put an entry where its time belongs; ``False`` when it is too late for any window."""
    if entries and entry.ts < entries[-1].ts:
        if entry.ts < entries[-1].ts - rule.late_ms:
            return False
        insort(entries, entry, key=TS)
    else:
        entries.append(entry)
    return True


def horizon_of(rule: Correlation, newest: int) -> int:
    """Lookups up to this time are in no window that may still change or be decided, given the newest lookup's time."""
    reach = newest - rule.late_ms - rule.grace_ms
    return reach - reach % rule.span_ms - 1 if rule.window == "tumbling" else reach - rule.span_ms


def forget(rule: Correlation, log: Log) -> None:
    """Drop what is in no window any more, and the oldest of too many."""
    entries = log.entries
    horizon = horizon_of(rule, entries[-1].ts)
    if entries[0].ts <= horizon:
        del entries[: bisect_right(entries, horizon, key=TS)]
    if len(entries) > MAX_ENTRIES:
        lose(log, len(entries) - MAX_ENTRIES)


def lose(log: Log, count: int) -> None:
    """Drop the oldest lookups of a log although windows may ask for them."""
    log.lost = log.entries[count - 1].ts
    del log.entries[:count]


def windows_with(rule: Correlation, entries: Sequence[Entry], ts: int) -> Iterator[Window]:
    """The windows that a lookup at ``ts`` is in, at most :data:`MAX_WINDOWS`.

    Sliding windows and sessions come by their ends, and only those that end at a lookup.
    """
    if rule.window == "tumbling":
        yield window_at(rule, entries, ts)
        return
    here = bisect_right(entries, ts, key=TS) - 1
    if here < 0 or entries[here].ts < ts:
        return  # there were too many to keep it
    for _ in range(MAX_WINDOWS):
        window = window_at(rule, entries, entries[here].ts)
        if rule.window == "session" and window.start > ts:
            return  # a gap: what comes later is another session
        yield window
        here = window.past
        if here >= len(entries) or entries[here].ts >= ts + rule.span_ms:
            return


def window_at(rule: Correlation, entries: Sequence[Entry], end: int) -> Window:
    """The window that ends at a time (for tumbling windows: that a time is in); nothing is inside when it has no lookup."""
    if rule.window == "tumbling":
        start = end - end % rule.span_ms
        end = start + rule.span_ms - 1
        return Window(start, end, bisect_left(entries, start, key=TS), bisect_right(entries, end, key=TS))
    start, past = end - rule.span_ms + 1, bisect_right(entries, end, key=TS)
    first = bisect_left(entries, start, key=TS)
    if rule.window == "session" and first < past:
        first = _run_from(entries, first, past - 1, rule.gap_ms)
        start = entries[first].ts
    return Window(start, end, first, past)


def _run_from(entries: Sequence[Entry], first: int, last: int, gap_ms: int) -> int:
    """The first of the lookups up to ``last``, but not before ``first``, that follow each other without a gap."""
    at = last
    while at > first and entries[at].ts - entries[at - 1].ts <= gap_ms:
        at -= 1
    return at


def is_quiet(rule: Rule, fired: Sequence[int], window: Window, entries: Sequence[Entry] = ()) -> bool:
    """Whether one near it has fired: a burst is one alert.

    Near is less than ``suppress`` away, before or after; without ``suppress``, less than a span away, and for tumbling
    windows and sessions (``entries`` are those of the log) the same one.
    """
    if not fired:
        return False
    end = window.end
    if rule.suppress_ms:
        return any(abs(end - one) < rule.suppress_ms for one in fired)
    if not isinstance(rule, Correlation) or rule.window == "sliding":
        span = rule.span_ms if isinstance(rule, Correlation) else 0
        return any(abs(end - one) < span for one in fired)
    stop = end
    if rule.window == "session" and max(fired) > end:
        at = window.past
        while at < len(entries) and entries[at].ts - stop <= rule.gap_ms and entries[at].ts < end + rule.span_ms:
            stop = entries[at].ts
            at += 1
    return any(window.start <= one <= stop for one in fired)


def note_fired(rule: Rule, fired: list[int], end: int) -> None:
    """Remember that a window fired, and forget those that no other is near any more."""
    span = rule.span_ms if isinstance(rule, Correlation) else 0
    late = rule.late_ms + rule.grace_ms if isinstance(rule, Correlation) else DAY_MS + rule.grace_ms
    oldest = end - late - max(span, rule.suppress_ms)
    fired[:] = [*(one for one in fired if one > oldest), end][-_MAX_FIRED:]


def keep_newest(entries: list[Entry], older_than: int, keep: int) -> None:
    """Of the entries up to the time ``older_than``, keep only the ``keep`` newest: more of them decide nothing."""
    if len(entries) > keep:
        older = bisect_right(entries, older_than, key=TS)
        if older > keep:
            del entries[: older - keep]
