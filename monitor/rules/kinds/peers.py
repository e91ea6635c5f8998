"""``peer_deviation``: a group's count departs from that of its peers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from monitor.rules.kinds.baseline import late_periods
from monitor.rules.kinds.kind import Hit, Kind, entry_of, number, span_words, with_evidence
from monitor.rules.model import Correlation, Lookup
from monitor.rules.plan import group_values
from monitor.rules.state import Entry, Peers, State, Waiting
from monitor.rules.windows import Window, is_quiet, note_fired

MAX_MEMBERS: Final = 5_000
MIN_PEERS: Final = 5
#: A member without a lookup in so many periods is no peer any more.
KNOWN_FOR: Final = 8
_MAD: Final = 1.4826
Grouped = Sequence[tuple[str, str]]


class PeerDeviation(Kind):
    """The group's count in a period of ``timespan`` (aligned to the epoch) against those of its peers (the same value of
    ``peer``) in the period before. With ``factor``: at least so many times their median (which counts as 1 if it is less);
    with ``deviations``: at least so many robust standard deviations above it (median absolute deviation, at least 1; F. R.
    Hampel, JASA 69, 1974). With both, both must hold. ``minimum`` is the least count that can fire.

    A peer is who has had a lookup in one of the eight periods before; fewer than five peers say nothing. One period is one
    alert of a group. The lookup is the evidence.
    """

    noun = "lookups"
    needs_bound = False
    options = {"factor": float, "deviations": float, "minimum": int}  # noqa: RUF012 (read only)

    def start(self, rule: Correlation) -> State:
        return Peers()

    def observe(self, rule: Correlation, state: Peers, lookup: Lookup, hits: tuple[int, ...]) -> Hit | None:
        ts = lookup["ts"]
        period = ts // rule.span_ms
        group = group_values(rule, lookup, rule.rules[hits[0]])
        if group is None or period < max(ts, state.newest) // rule.span_ms - late_periods(rule):
            return None
        state.newest = max(state.newest, ts)
        member = _member(group)
        counts = state.counts.setdefault(member, {})
        counts[period] = counts.get(period, 0) + 1
        oldest = state.newest // rule.span_ms - late_periods(rule) - rule.grace_ms // rule.span_ms - KNOWN_FOR
        for old in [each for each in counts if each < oldest]:
            del counts[old]
        self._forget(state, oldest)
        hit = self._of_period(rule, state, member, period)
        return None if hit is None else hit._replace(inside=[entry_of(lookup, None)])

    def _of_period(self, rule: Correlation, state: Peers, member: str, period: int) -> Hit | None:
        count = state.counts.get(member, {}).get(period, 0)
        least = max(1, rule.options.get("minimum", 1), rule.options.get("factor", 0), rule.options.get("deviations", 0))
        if count < least:
            return None
        window = Window(period * rule.span_ms, (period + 1) * rule.span_ms - 1, 0, 0)
        quiet = is_quiet(rule, state.fired_by.get(member, ()), window)
        if quiet and not rule.suppress_ms:
            return None
        others = [
            each.get(period - 1, 0)
            for name, each in state.counts.items()
            if name != member and any(period - KNOWN_FOR <= seen < period for seen in each)
        ]
        usual = self.departs(rule, count, others) if len(others) >= MIN_PEERS else None
        if usual is None:
            return None
        reason = f"{count} lookups within {span_words(rule.span_ms)}, where peers have {number(usual)}"
        return Hit(window.end, count, [], reason, quiet)

    def fire(self, rule: Correlation, state: Peers, group: Grouped, end: int) -> int:
        note_fired(rule, state.fired_by.setdefault(_member(group), []), end)
        return state.hushed_by.pop(_member(group), 0)

    def hush(self, rule: Correlation, state: Peers, group: Grouped) -> None:
        member = _member(group)
        state.hushed_by[member] = state.hushed_by.get(member, 0) + 1

    def quiet(self, rule: Correlation, state: Peers, waiting: Waiting) -> bool:
        start = waiting.end - rule.span_ms + 1
        return is_quiet(rule, state.fired_by.get(_member(waiting.group), ()), Window(start, waiting.end, 0, 0))

    def again(self, rule: Correlation, state: Peers, waiting: Waiting, gone: Sequence[Entry]) -> Hit | None:
        member, period = _member(waiting.group), waiting.end // rule.span_ms
        if gone:
            counts = state.counts.get(member, {})
            left = counts.pop(period, 0) - 1
            if left > 0:
                counts[period] = left
            return None
        hit = self._of_period(rule, state, member, period)
        return with_evidence(hit, waiting)

    @staticmethod
    def _forget(state: Peers, oldest: int) -> None:
        if len(state.counts) > MAX_MEMBERS:
            ordered = sorted(state.counts, key=lambda name: (max(state.counts[name], default=0), name))
            idle = [name for name in ordered if max(state.counts[name], default=0) < oldest]
            for name in idle or ordered[: MAX_MEMBERS // 10]:
                del state.counts[name]
                state.fired_by.pop(name, None)
                state.hushed_by.pop(name, None)

    def departs(self, rule: Correlation, count: int, others: list[int]) -> float | None:
        """What is usual among the peers if the count departs from it, else ``None``."""
        usual: Any = median(others)
        if "factor" in rule.options and count < rule.options["factor"] * max(usual, 1):
            return None
        if "deviations" in rule.options:
            spread = max(1.0, _MAD * median(abs(each - usual) for each in others))
            if (count - usual) / spread < rule.options["deviations"]:
                return None
        return float(usual)


def _member(group: Grouped) -> str:
    return "\x1f".join(value for _, value in group)
