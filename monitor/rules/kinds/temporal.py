"""``temporal`` and ``temporal_ordered``: different rules match within the span, in any order or in the order given."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations, product
from typing import Any, Final

from monitor.rules.kinds.kind import OfLog, decided_before, holds, number, span_words
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry, Log
from monitor.rules.windows import TS

#: Of lookups that are old enough, so many an ordered window keeps without looking at them.
MAX_OLD: Final = 100
#: With a number in the condition, so many rules may be looked at in every order.
_MAX_BOUNDED: Final = 6
#: In so many ways may an extended condition be met, when the order is asked for.
MAX_WAYS: Final = 64
Way = tuple[tuple[int, ...], frozenset[int]]


class Temporal(OfLog):
    """All rules match within the span; with a number in the condition, so many different ones; with an extended condition
    (``rule_a and not rule_b``), as it says of the rules that matched. The newest lookup of a window is one that matched one
    of the rules.

    Of the lookups of a sliding window that are older than any that may still come, only each rule's newest is kept.
    """

    noun = "different rules"
    needs_bound = False

    def value(self, rule: Correlation, lookup: Lookup, hits: tuple[int, ...]) -> Any:
        return list(hits)

    def is_same(self, state: Log, at: int, entry: Entry) -> bool:
        known = state.entries.pop(at)
        entry.value[:] = sorted({*entry.value, *known.value})
        return False

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return len(positions(inside))

    def holds(self, rule: Correlation, inside: Sequence[Entry], count: float) -> bool:
        if rule.expression is not None:
            return says(rule.expression, positions(inside))
        if rule.bounds:
            return holds(rule, count)
        return count == len(rule.rules)

    def reason(self, rule: Correlation, count: float) -> str:
        return f"{number(count)} of {len(rule.rules)} rules matched within {span_words(rule.span_ms)}"

    def shorten(self, rule: Correlation, entries: list[Entry]) -> None:
        if len(entries) <= len(rule.rules):
            return
        older = bisect_right(entries, decided_before(rule, entries[-1].ts), key=TS)
        if older <= len(rule.rules):
            return
        seen: set[int] = set()
        kept: list[Entry] = []
        for entry in reversed(entries[:older]):
            if not seen.issuperset(entry.value):
                kept.append(entry)
                seen.update(entry.value)
        entries[:older] = reversed(kept)


class TemporalOrdered(Temporal):
    """As ``temporal``, and in the order given: with a number, so many different ones in that order; with an extended condition,
    it is met by lookups in that order, one for each rule it needs (what it says ``not`` of is in no lookup of the window).
    Lookups of the same moment are in the order in which they came; one lookup stands for one rule.

    When more than 100 lookups of a sliding window are older than any that may still come, only those of them are kept that the
    chains are made of which begin latest, and each rule's newest; where a number is asked for of more than six rules, the
    newest 100.
    """

    def may(self, rule: Correlation, inside: Sequence[Entry]) -> bool:
        return bool(rule.bounds) or rule.expression is not None or follow(inside, range(len(rule.rules)))

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        if rule.expression is not None:
            return super().measure(rule, inside)
        return longest_chain(inside, len(rule.rules))

    def holds(self, rule: Correlation, inside: Sequence[Entry], count: float) -> bool:
        if rule.expression is not None:
            matched = positions(inside)
            return any(not without & matched and follow(inside, wanted) for wanted, without in ways(rule.expression))
        return holds(rule, count) if rule.bounds else count == len(rule.rules)

    def reason(self, rule: Correlation, count: float) -> str:
        return f"{super().reason(rule, count)}, in order"

    def shorten(self, rule: Correlation, entries: list[Entry]) -> None:
        if len(entries) <= MAX_OLD:
            return
        older = bisect_right(entries, decided_before(rule, entries[-1].ts), key=TS)
        if older <= MAX_OLD:
            return
        chains = _chains(rule)
        if chains is None:
            del entries[: older - MAX_OLD]
            return
        kept = _latest_chains(entries[:older], chains)
        newest = {position: at for at, entry in enumerate(entries[:older]) for position in entry.value}
        entries[:older] = [entries[at] for at in sorted(kept | set(newest.values()))]


def _chains(rule: Correlation) -> list[tuple[int, ...]] | None:
    """The orders of rules that a window is asked for; ``None`` when there are too many."""
    every = tuple(range(len(rule.rules)))
    if rule.expression is not None:
        return [wanted for wanted, _ in ways(rule.expression)]
    if not rule.bounds:
        return [every]
    if len(every) > _MAX_BOUNDED:
        return None
    return [chain for length in every for chain in combinations(every, length + 1)]


def _latest_chains(older: Sequence[Entry], chains: Sequence[tuple[int, ...]]) -> set[int]:
    """The lookups, by index, that make up each beginning of each chain, as late as it can begin.

    All windows end after these lookups, so of two chains that begin alike the one that begins later is in more windows.
    """
    kept: set[int] = set()
    for wanted in chains:
        best: list[tuple[int, ...]] = [()] * (len(wanted) + 1)
        for at, entry in enumerate(older):
            for length in range(len(wanted), 0, -1):
                if wanted[length - 1] not in entry.value or (length > 1 and not best[length - 1]):
                    continue
                made = (*best[length - 1], at)
                if not best[length] or made[0] > best[length][0]:
                    best[length] = made
        kept.update(at for chain in best for at in chain)
    return kept


def positions(inside: Sequence[Entry]) -> set[int]:
    """Which rules matched in a window."""
    return set().union(*[entry.value for entry in inside])


def longest_chain(inside: Sequence[Entry], length: int) -> int:
    """How many different rules matched one after the other in their order; one lookup stands for one rule of the chain."""
    longest = [0] * (length + 1)  # of the chains that end before a position
    for entry in inside:
        for position in reversed(entry.value):
            reached = longest[position] + 1
            at = position + 1
            while at <= length and longest[at] < reached:
                longest[at] = reached
                at += 1
    return longest[length]


def follow(inside: Sequence[Entry], wanted: Sequence[int]) -> bool:
    """Whether the rules at these positions matched one after the other."""
    reached = 0
    for entry in inside:
        if reached < len(wanted) and wanted[reached] in entry.value:
            reached += 1
    return reached == len(wanted)


@lru_cache(maxsize=1024)
def ways(expression: Any) -> tuple[Way, ...]:
    """The ways to meet an extended condition: which rules must match, in order, and which must not.

    Raises :class:`ValueError` when there are more than :data:`MAX_WAYS`.
    """
    found = {
        (
            tuple(sorted(position for position, yes in way if yes)),
            frozenset(position for position, yes in way if not yes),
        )
        for way in _ways(expression, True)
    }
    if len(found) > MAX_WAYS:
        raise ValueError(f"the condition can be met in more than {MAX_WAYS} ways")
    return tuple(sorted((way for way in found if way[1].isdisjoint(way[0])), key=lambda way: (way[0], sorted(way[1]))))


def _ways(expression: Any, yes: bool) -> set[frozenset[tuple[int, bool]]]:
    match expression:
        case int():
            return {frozenset({(expression, yes)})}
        case ("not", part):
            return _ways(part, not yes)
        case (word, *parts):
            each = [_ways(part, yes) for part in parts]
            if (word == "or") is yes:
                return {way for some in each for way in some}
            made: set[frozenset[tuple[int, bool]]] = {frozenset()}
            for some in each:
                made = {one | other for one, other in product(made, some)}
                if len(made) > MAX_WAYS:
                    raise ValueError(f"the condition can be met in more than {MAX_WAYS} ways")
            return made
    raise TypeError(f"{expression!r} is not an extended condition")


def says(expression: Any, matched: set[int]) -> bool:
    """What an extended condition says: a rule's position, or ``("and" | "or" | "not", …)``."""
    match expression:
        case int():
            return expression in matched
        case ("not", part):
            return not says(part, matched)
        case ("and", *parts):
            return all(says(part, matched) for part in parts)
        case ("or", *parts):
            return any(says(part, matched) for part in parts)
    raise TypeError(f"{expression!r} is not an extended condition")
