"""``peer_deviation``: a group's count departs from that of its peers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, Final

from monitor.rules.kinds.kind import Hit, Kind, entry_of, number, span_words
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry, Peers, State

MAX_MEMBERS: Final = 5_000
MIN_PEERS: Final = 5
_MAD: Final = 1.4826


class PeerDeviation(Kind):
    """The group's count in the running period of ``timespan`` against those of its peers (the same value of ``peer``) in
    the period before. With ``factor``: so many times their median; with ``deviations``: so many robust standard deviations
    above it (median absolute deviation; F. R. Hampel, JASA 69, 1974). ``minimum`` is the least count that can fire.
    Fewer than five peers say nothing.
    """

    noun = "lookups"
    needs_bound = False
    options = {"factor": float, "deviations": float, "minimum": int}  # noqa: RUF012 (read only)

    def start(self, rule: Correlation) -> State:
        return Peers()

    def observe(self, rule: Correlation, state: Peers, lookup: Lookup, hits: tuple[int, ...]) -> Iterator[Hit]:
        period = lookup["ts"] // rule.span_ms
        member = self._member(rule, lookup)
        state.newest = max(state.newest, lookup["ts"])
        newest = state.newest // rule.span_ms
        if period < newest - 1:
            return
        counts = state.counts.setdefault(member, {})
        counts[period] = counts.get(period, 0) + 1
        for old in [each for each in counts if each < newest - 1]:
            del counts[old]
        self._forget(state, newest)
        count = counts[period]
        if count < rule.options.get("minimum", 1):
            return
        others = [each.get(period - 1, 0) for name, each in state.counts.items() if name != member]
        if len(others) < MIN_PEERS:
            return
        usual = self.departs(rule, count, others)
        if usual is not None:
            start, end = period * rule.span_ms, (period + 1) * rule.span_ms - 1
            fired = state.fired_by.get(member)
            quiet = fired is not None and (start <= fired <= end or abs(end - fired) < rule.suppress_ms)
            reason = f"{count} lookups within {span_words(rule.span_ms)}, where peers have {number(usual)}"
            yield Hit(end, count, [entry_of(lookup, None)], reason, quiet)

    def fire(self, rule: Correlation, state: Peers, lookup: Lookup, hit: Hit) -> int:
        member = self._member(rule, lookup)
        state.fired_by[member] = hit.end
        return state.hushed_by.pop(member, 0)

    def hush(self, rule: Correlation, state: Peers, lookup: Lookup) -> None:
        member = self._member(rule, lookup)
        state.hushed_by[member] = state.hushed_by.get(member, 0) + 1

    def still(self, rule: Correlation, state: Peers, explained: frozenset[str], inside: Sequence[Entry]) -> bool:
        return any(entry.id not in explained for entry in inside)

    @staticmethod
    def _member(rule: Correlation, lookup: Lookup) -> str:
        return "\x1f".join(str(lookup.get(name)) for name in rule.group_by)

    @staticmethod
    def _forget(state: Peers, newest: int) -> None:
        if len(state.counts) > MAX_MEMBERS:
            idle = [name for name, counts in state.counts.items() if max(counts, default=0) < newest]
            for name in idle or [min(state.counts)]:
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
