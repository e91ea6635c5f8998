"""What can be told of a condition without a lookup: that it never holds, always does, or asks for nothing.

It is careful rather than clever: what it says is so, but it does not see everything. Fields of which a lookup has several
values at once may meet several tests at once, so these contradict nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from monitor.rules import tree
from monitor.rules.lint.known import REQUIRED, is_single
from monitor.rules.values import COMPARE, exact_of, number_of

Bound = tuple[str, float]


def plain(node: tree.Node) -> tree.Node:
    """The condition without the names of selections."""
    match node:
        case tree.Named():
            return plain(node.part)
        case tree.All():
            return tree.All(tuple(each for part in node.parts for each in _flat(plain(part), tree.All)))
        case tree.AnyOf():
            return tree.AnyOf(tuple(each for part in node.parts for each in _flat(plain(part), tree.AnyOf)))
        case tree.Not():
            return tree.Not(plain(node.part))
    return node


def _flat(node: tree.Node, kind: type[tree.All] | type[tree.AnyOf]) -> tuple[tree.Node, ...]:
    return node.parts if isinstance(node, kind) else (node,)


def signature(node: tree.Node) -> str:
    """The same text for conditions that say the same but for names and the order of their parts."""
    match node:
        case tree.Named():
            return signature(node.part)
        case tree.All() | tree.AnyOf():
            parts = sorted({signature(part) for part in plain(node).parts})  # type: ignore[union-attr]
            return parts[0] if len(parts) == 1 else f"{type(node).__name__}({','.join(parts)})"
        case tree.Not():
            return f"Not({signature(node.part)})"
    return repr(node)


def asks_for_something(node: tree.Node) -> bool:
    """Whether a lookup must have something to match, rather than only lack something."""
    match node:
        case tree.Is():
            return True
        case tree.All():
            return any(asks_for_something(part) for part in node.parts)
        case tree.AnyOf():
            return all(asks_for_something(part) for part in node.parts)
        case tree.Named():
            return asks_for_something(node.part)
    return False


def never(node: tree.Node) -> bool:
    """Whether it is certain that no lookup matches."""
    match node:
        case tree.Is(field=str(field), test=tree.Null() | tree.Exists(yes=False)):
            return field in REQUIRED
        case tree.Named():
            return never(node.part)
        case tree.Not():
            return always(node.part)
        case tree.AnyOf():
            return all(never(part) for part in node.parts)
        case tree.All():
            parts = plain(node).parts  # type: ignore[union-attr]
            return any(never(part) for part in parts) or _clashes(parts)
    return False


def always(node: tree.Node) -> bool:
    """Whether it is certain that every lookup matches."""
    match node:
        case tree.Is(field=str(field), test=tree.Exists(yes=True) | tree.Text(parts=(tree.STAR,))):
            return field in REQUIRED
        case tree.Named():
            return always(node.part)
        case tree.Not():
            return never(node.part)
        case tree.All():
            return all(always(part) for part in node.parts)
        case tree.AnyOf():
            parts = plain(node).parts  # type: ignore[union-attr]
            said = {signature(part) for part in parts}
            return any(always(part) for part in parts) or any(
                isinstance(part, tree.Not) and signature(part.part) in said for part in parts
            )
    return False


def _clashes(parts: Sequence[tree.Node]) -> bool:
    """Whether parts that must all hold exclude each other."""
    said = {signature(part) for part in parts}
    if any(isinstance(part, tree.Not) and signature(part.part) in said for part in parts):
        return True
    wanted: defaultdict[str, list[tree.Node]] = defaultdict(list)
    for part in parts:
        names = {found.field for found in tree.walk(part)}
        name = names.pop() if len(names) == 1 else None
        if name is not None:
            wanted[name].append(part)
    return any(_clash_about(name, found) for name, found in wanted.items())


def _clash_about(field: str, parts: Sequence[tree.Node]) -> bool:
    tests = [part.test for part in parts if isinstance(part, tree.Is)]
    is_absent = any(test in (tree.Null(), tree.Exists(False)) for test in tests)
    is_there = any(test not in (tree.Null(), tree.Exists(False)) for test in tests)
    if is_absent and is_there:
        return True
    if not is_single(field):
        return False
    bounds = _bounds(tests)
    if any(not feasible(each) for each in bounds.values()):
        return True
    sets = [found for part in parts if (found := _exact(part)) is not None]
    out = [found for part in parts if isinstance(part, tree.Not) and (found := _exact(part.part)) is not None]
    if not sets:
        return False
    left = frozenset.intersection(*sets).difference(*out)
    return not any(_within(value, bounds.get(None, [])) for value in left)


def _exact(part: tree.Node) -> frozenset[str] | None:
    """The texts of which a field must equal one; ``None`` when it is not so simple."""
    parts = part.parts if isinstance(part, tree.AnyOf) else (part,)
    found = [exact_of(each.test) if isinstance(each, tree.Is) else None for each in parts]
    return None if None in found else frozenset(str(each) for each in found)


def _bounds(tests: Iterable[tree.Test]) -> dict[str | None, list[Bound]]:
    """The bounds for a number (under ``None``), and for each part of a time."""
    made: defaultdict[str | None, list[Bound]] = defaultdict(list)
    for test in tests:
        if isinstance(test, tree.Compare):
            made[test.part].append((test.op, test.value))
    return dict(made)


def _within(text: str, bounds: Iterable[Bound]) -> bool:
    number = number_of(text)
    return number is not None and holds(bounds, number) if bounds else True


def holds(bounds: Iterable[Bound], number: float) -> bool:
    """Whether a number is within all bounds."""
    return all(COMPARE[name](number, bound) for name, bound in bounds)


def candidates(bounds: Iterable[Bound], least: float, most: float, whole: bool) -> list[float]:
    """Numbers among which there is one that meets the bounds if any number does, and one that does not if any does not."""
    made = {least, most}
    for _, bound in bounds:
        step = 1.0 if whole else max(1e-9, abs(bound) * 1e-9)
        middle = math.floor(bound) if whole else bound
        made |= {middle - step, middle, middle + step, middle + 2 * step}
    return sorted(number for number in made if least <= number <= most)


def feasible(bounds: Iterable[Bound], least: float = -math.inf, most: float = math.inf, whole: bool = False) -> bool:
    """Whether any number from ``least`` to ``most`` is within all bounds."""
    bounds = list(bounds)
    return any(holds(bounds, number) for number in candidates(bounds, least, most, whole))


def met_by_all(bounds: Iterable[Bound], least: float, most: float, whole: bool = False) -> bool:
    """Whether all numbers from ``least`` to ``most`` are within all bounds."""
    bounds = list(bounds)
    return all(holds(bounds, number) for number in candidates(bounds, least, most, whole))
