"""Windows of event time over a log of lookups: sliding, tumbling and session; what they keep, and when they keep quiet.

A *sliding* window ends at a lookup and reaches back one span: (t - span, t]. *Tumbling* windows follow each other, aligned
to the epoch. A *session* ends at a lookup too, and reaches back as long as lookups are no further apart than ``gap``, at
most one span.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from monitor.rules.model import Correlation
from monitor.rules.state import Entry, Log

_HOUR: Final = 3600 * 1000
DAY_MS: Final = 24 * _HOUR
#: Windows longer than this are counted in slots rather than lookup by lookup.
LONG_MS: Final = 31 * DAY_MS
#: The longest span there is: a leak of years must fit.
MAX_SPAN_MS: Final = 5 * 366 * DAY_MS
MAX_ENTRIES: Final = 10_000
TS: Final = attrgetter("ts")


def insert(entries: list[Entry], entry: Entry, lateness_ms: int) -> bool:
    """Put an entry where its time belongs; ``False`` when it is too late for any window."""
    if entries and entry.ts < entries[-1].ts:
        if entry.ts < entries[-1].ts - lateness_ms:
            return False
        insort(entries, entry, key=TS)
    else:
        entries.append(entry)
    return True


def horizon_of(rule: Correlation, newest: int) -> int:
    """Lookups up to this time are in no window that may still change, given the newest lookup's time."""
    reach = newest - rule.lateness_ms
    return reach - reach % rule.span_ms - 1 if rule.window == "tumbling" else reach - rule.span_ms


def forget(rule: Correlation, log: Log) -> None:
    """Drop what is in no window any more."""
    entries = log.entries
    stale = bisect_right(entries, horizon_of(rule, entries[-1].ts), key=TS)
    stale = max(stale, len(entries) - MAX_ENTRIES)
    if stale > 0:
        del entries[:stale]


def windows_with(rule: Correlation, entries: Sequence[Entry], ts: int) -> Iterator[tuple[int, int, int, int]]:
    """The windows that a lookup at ``ts`` is in: (start, end, first, past); ``entries[first:past]`` are inside.

    Start and end are event times. Sliding windows and sessions come by their ends, and only those that end at a lookup.
    """
    if rule.window == "tumbling":
        start = ts - ts % rule.span_ms
        end = start + rule.span_ms - 1
        yield start, end, bisect_left(entries, start, key=TS), bisect_right(entries, end, key=TS)
        return
    here = bisect_right(entries, ts, key=TS) - 1
    past = here + 1
    while here < len(entries) and entries[here].ts < ts + rule.span_ms:
        end = entries[here].ts
        while past < len(entries) and entries[past].ts == end:
            past += 1
        first = bisect_right(entries, end - rule.span_ms, key=TS)
        if rule.window == "session":
            first = _run_from(entries, first, here, rule.gap_ms)
            if entries[first].ts > ts:
                return  # a gap: what comes later is another session
        yield max(entries[first].ts, end - rule.span_ms + 1), end, first, past
        here = past


def _run_from(entries: Sequence[Entry], first: int, last: int, gap_ms: int) -> int:
    """The first of the lookups up to ``last`` that follow each other without a gap."""
    at = last
    while at > first and entries[at].ts - entries[at - 1].ts <= gap_ms:
        at -= 1
    return at


def is_quiet(rule: Correlation, fired: int | None, start: int, end: int) -> bool:
    """Whether a window need not be asked, as one near it has fired: a burst is one alert."""
    if fired is None:
        return False
    if rule.suppress_ms:
        return abs(end - fired) < rule.suppress_ms
    if rule.window == "sliding":
        return abs(end - fired) < rule.span_ms
    return start <= fired <= end or (rule.window == "session" and 0 < fired - end < rule.span_ms)


def keep_newest(entries: list[Entry], older_than: int, keep: int) -> None:
    """Of the entries up to the time ``older_than``, keep only the ``keep`` newest: more of them decide nothing."""
    older = bisect_right(entries, older_than, key=TS)
    if older > keep:
        del entries[: older - keep]
