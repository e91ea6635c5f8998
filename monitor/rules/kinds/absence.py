"""``absence``: one thing is not followed by another in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from monitor.rules.kinds.kind import Hit, Kind, entry_of, span_words
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry, Log, State
from monitor.rules.windows import insert

#: The most lookups of a group that wait at once.
MAX_WAITING: Final = 200
#: How much longer than the span is waited, so that what arrives late still counts: 1 hour.
_SLACK_MS: Final = 3600 * 1000


class Absence(Kind):
    """A lookup of the first rule is not followed, within ``timespan``, by one of the second (or of any further rule)."""

    noun = "lookups"
    rules = (2, 1000)
    needs_bound = False
    waits = True

    def start(self, rule: Correlation) -> State:
        return Log()

    def observe(self, rule: Correlation, state: Log, lookup: Lookup, hits: tuple[int, ...]) -> Iterator[Hit]:
        if insert(state.entries, entry_of(lookup, [0 in hits, any(hits)]), rule.lateness_ms):
            del state.entries[:-MAX_WAITING]
        return iter(())

    def due(self, rule: Correlation, lookup: Lookup) -> int:
        """When it can be decided, in event time."""
        return int(lookup["ts"]) + rule.span_ms + _SLACK_MS + rule.delay_ms

    def decide(self, rule: Correlation, state: Log, waiting_id: str, ts: int) -> Hit | None:
        """The hit of a lookup of the first rule that nothing has followed; it is forgotten then."""
        first = next(
            (each for each in state.entries if each.ts == ts and each.id == waiting_id and each.value[0]), None
        )
        if first is None:
            return None
        followed = any(self._follows(rule, first, other) for other in state.entries)
        horizon = ts - rule.span_ms
        state.entries[:] = [
            each for each in state.entries if each is not first and (each.value[0] or each.ts > horizon)
        ]
        if followed:
            return None
        quiet = state.fired is not None and bool(rule.suppress_ms) and abs(ts - state.fired) < rule.suppress_ms
        return Hit(ts, 1, [first], f"nothing followed within {span_words(rule.span_ms)}", quiet)

    @staticmethod
    def _follows(rule: Correlation, first: Entry, other: Entry) -> bool:
        return other is not first and bool(other.value[1]) and first.ts <= other.ts <= first.ts + rule.span_ms
