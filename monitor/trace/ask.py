"""What the trace asks of the archive. Times are UTC."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from monitor.history.ask import History
from monitor.trace.likelihood import OTHER, Trace
from monitor.trace.model import Base, Leak, Look

#: How long before the date by which it had leaked a lookup may lie, by default, in days.
WITHIN_DAYS: Final = 90.0

_LOOKS: Final = """
SELECT l.actor, l.subject, l.time, l.explanation, l.explained_by, l.system, l.id
FROM lookups l JOIN leaks USING (subject)
WHERE l.time < leaks."by" AND l.time >= leaks."by" - $within
ORDER BY l.time, l.system, l.id
"""
_AREAS: Final = """
SELECT subject, max_by(subject_area, time) FROM lookups JOIN leaks USING (subject) GROUP BY subject
"""
#: Each (actor, subject) is one pair, however often. How many of all actors there are is estimated (HyperLogLog, some 2 % off): it
#: is divided by, and to count 100 million exactly takes longer than all else.
_PAIRS: Final = """
SELECT subject_area, approx_count_distinct(hash(actor, subject)) FROM lookups
WHERE explanation IS DISTINCT FROM 'record' AND subject IS NOT NULL AND time >= $since AND time < $until
GROUP BY subject_area
"""
_MINE: Final = """
SELECT actor, subject_area, count(DISTINCT subject) FROM lookups
WHERE actor IN (SELECT unnest($actors))
  AND explanation IS DISTINCT FROM 'record' AND subject IS NOT NULL AND time >= $since AND time < $until
GROUP BY actor, subject_area
"""
_ACTORS: Final = "SELECT approx_count_distinct(actor) FROM lookups WHERE time >= $since AND time < $until"


def trace_of(
    history: History, leaks: Sequence[Leak], within: timedelta = timedelta(days=WITHIN_DAYS), other: float = OTHER
) -> tuple[Trace, list[Look]]:
    """The trace of some leaks, and all lookups of them before their dates, none of which is older than ``within``."""
    db = history.db
    db.execute('CREATE OR REPLACE TEMP TABLE leaks (subject VARCHAR, "by" TIMESTAMPTZ)')
    db.executemany("INSERT INTO leaks VALUES (?, ?)", [(leak.subject, leak.by) for leak in leaks])
    looks = [Look(*row) for row in db.execute(_LOOKS, {"within": within}).fetchall()]
    areas = dict(db.execute(_AREAS).fetchall())
    span = {"since": min(leak.by for leak in leaks) - within, "until": max(leak.by for leak in leaks)}
    actors = sorted({look.actor for look in looks})
    mine: defaultdict[str, dict[str | None, int]] = defaultdict(dict)
    for actor, area, count in db.execute(_MINE, {**span, "actors": actors}).fetchall():
        mine[actor][area] = count
    (everybody,) = db.execute(_ACTORS, span).fetchone() or (0,)
    base = Base(everybody, dict(db.execute(_PAIRS, span).fetchall()), dict(mine))
    return Trace(leaks, looks, base, areas, other), looks
