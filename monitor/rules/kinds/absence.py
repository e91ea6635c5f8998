"""``absence``: one thing is not followed by another in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from monitor.rules.kinds.kind import Hit, Kind, entry_of, span_words
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry, Log, State, Waiting
from monitor.rules.windows import insert

#: How much longer than the span is waited, so that what arrives late still counts.
SLACK_MS: Final = 3600 * 1000
#: Lookups that may follow another are kept apart by time, so many at most.
_MAX_FOLLOWING: Final = 400


class Absence(Kind):
    """A lookup of the first rule is not followed, within ``timespan``, by one of the second (or of any further rule).

    What follows is another lookup, of the same moment or later. It is decided one hour after the span has passed, so that
    what comes late still counts; with ``grace``, when that has passed and the lookup is not explained. Each lookup that
    nothing followed is an alert; with ``suppress``, those near another one are only counted.
    """

    noun = "lookups"
    rules = (2, 1000)
    needs_bound = False
    waits = True
    single = True

    def start(self, rule: Correlation) -> State:
        return Log()

    def observe(self, rule: Correlation, state: Log, lookup: Lookup, hits: tuple[int, ...]) -> Hit | None:
        """Note a lookup; nothing is decided yet."""
        entry = entry_of(lookup, [0 in hits, any(hits)])
        if hits and insert(rule, state.entries, entry):
            _thin_out(rule, state.entries)
        return None

    @staticmethod
    def due(rule: Correlation, lookup: Lookup) -> int:
        """When it can be decided, in event time."""
        return int(lookup["ts"]) + max(rule.span_ms + SLACK_MS + rule.delay_ms, rule.grace_ms)

    def asked(self, rule: Correlation, state: Log, waiting: Waiting) -> Sequence[Entry]:
        first = _of(state, waiting)
        return [first] if rule.grace_ms and first is not None else []

    def again(self, rule: Correlation, state: Log, waiting: Waiting, gone: Sequence[Entry]) -> Hit | None:
        """The hit of a lookup of the first rule that nothing has followed and that is not explained; it is forgotten then."""
        first = _of(state, waiting)
        if first is None:
            return None
        followed = any(
            other.value[1] and first.ts <= other.ts <= first.ts + rule.span_ms and not _is_one(first, other)
            for other in state.entries
        )
        # It may still be what follows another, and is the newest until another comes.
        decided = Entry(first.ts, first.id, first.actor, first.subject, [False, first.value[1]])
        state.entries[state.entries.index(first)] = decided
        if followed or gone:
            return None
        return Hit(first.ts, 1, [first], f"nothing followed within {span_words(rule.span_ms)}")


def _of(state: Log, waiting: Waiting) -> Entry | None:
    ts, name = waiting.lookup["ts"], waiting.lookup["id"]
    return next((each for each in state.entries if each.ts == ts and each.id == name and each.value[0]), None)


def _is_one(one: Entry, other: Entry) -> bool:
    """Whether both are of one lookup, told twice as a part waited."""
    return (one.ts, one.id, one.actor) == (other.ts, other.id, other.actor)


def _thin_out(rule: Correlation, entries: list[Entry]) -> None:
    """Drop what can follow nothing any more, and of what follows all that stands between two others within a span.

    What one of those in the middle follows, the one before or the one after it follows too.
    """
    horizon = entries[-1].ts - max(rule.span_ms + SLACK_MS + rule.delay_ms, rule.grace_ms) - rule.late_ms
    kept: list[Entry] = []
    following = 0
    for entry in entries:
        if entry.ts < horizon or (entry.value == [False, False] and entry is not entries[-1]):
            continue
        if _only_follows(entry):
            if len(kept) > 1 and _is_between(rule, kept[-2], kept[-1], entry):
                kept.pop()
                following -= 1
            following += 1
        kept.append(entry)
    for entry in [each for each in kept if _only_follows(each)][: max(0, following - _MAX_FOLLOWING)]:
        kept.remove(entry)
    entries[:] = kept


def _is_between(rule: Correlation, before: Entry, entry: Entry, after: Entry) -> bool:
    """Whether two others stand for an entry between them: one of them follows whatever it follows, and is another lookup."""
    if not (_only_follows(before) and _only_follows(entry)) or after.ts - before.ts > rule.span_ms:
        return False
    return entry.ts < after.ts or before.ts == after.ts


def _only_follows(entry: Entry) -> bool:
    return bool(entry.value == [False, True])
