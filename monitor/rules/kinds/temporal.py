"""``temporal`` and ``temporal_ordered``: different rules match within the span, in any order or in the order given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from monitor.rules.kinds.kind import OfLog, decided_before, holds, number, span_words
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry

#: Of lookups that are old enough, how many an ordered window keeps.
MAX_OLD: Final = 200


class Temporal(OfLog):
    """All rules match within the span; with a number in the condition, so many different ones; with an extended condition
    (``rule_a and not rule_b``), as it says. The newest lookup of a window is one that matched."""

    noun = "different rules"
    needs_bound = False

    def value(self, rule: Correlation, lookup: Lookup, hits: tuple[int, ...]) -> Any:
        return list(hits)

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
        """Of lookups that are old enough, each rule's newest says all."""
        if rule.window != "sliding" or len(entries) <= 2 * len(rule.rules):
            return
        limit = decided_before(rule, entries[-1].ts)
        seen: set[int] = set()
        kept: list[Entry] = []
        for entry in reversed(entries):
            if entry.ts > limit or not seen.issuperset(entry.value):
                kept.append(entry)
                if entry.ts <= limit:
                    seen.update(entry.value)
        if len(kept) < len(entries):
            entries[:] = reversed(kept)


class TemporalOrdered(Temporal):
    """As ``temporal``, and the rules match in the order given. Lookups of the same moment count in the order they came."""

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        return longest_chain(inside, len(rule.rules))

    def holds(self, rule: Correlation, inside: Sequence[Entry], count: float) -> bool:
        if rule.expression is not None:
            return says(rule.expression, positions(inside)) and in_order(inside, rule.expression)
        return holds(rule, count) if rule.bounds else count == len(rule.rules)

    def reason(self, rule: Correlation, count: float) -> str:
        return f"{super().reason(rule, count)}, in order"

    def shorten(self, rule: Correlation, entries: list[Entry]) -> None:
        limit = decided_before(rule, entries[-1].ts)
        older = sum(entry.ts <= limit for entry in entries)
        if older > MAX_OLD:
            del entries[: older - MAX_OLD]


def positions(inside: Sequence[Entry]) -> set[int]:
    """Which rules matched in a window."""
    return {position for entry in inside for position in entry.value}


def longest_chain(inside: Sequence[Entry], length: int) -> int:
    """How many of the rules 0, 1, 2, … matched one after the other; one lookup stands for one rule of the chain."""
    reached = 0
    for entry in inside:
        if reached < length and reached in entry.value:
            reached += 1
    return reached


def in_order(inside: Sequence[Entry], expression: Any) -> bool:
    """Whether the rules that an extended condition asks for, among those that matched, did so in the order given."""
    wanted = [position for position in sorted(asked_for(expression)) if position in positions(inside)]
    reached = 0
    for entry in inside:
        if reached < len(wanted) and wanted[reached] in entry.value:
            reached += 1
    return reached == len(wanted)


def asked_for(expression: Any) -> set[int]:
    """The rules that an extended condition wants to match (not those under a ``not``)."""
    match expression:
        case int():
            return {expression}
        case ["not", _]:
            return set()
        case [_, *parts]:
            return {position for part in parts for position in asked_for(part)}
    return set()


def says(expression: Any, matched: set[int]) -> bool:
    """What an extended condition says: a rule's position, or ``["and" | "or" | "not", …]``."""
    match expression:
        case int():
            return expression in matched
        case ["not", part]:
            return not says(part, matched)
        case ["and", *parts]:
            return all(says(part, matched) for part in parts)
        case ["or", *parts]:
            return any(says(part, matched) for part in parts)
    raise TypeError(f"{expression!r} is not an extended condition")
