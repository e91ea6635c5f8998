"""From a condition's tree to a closure over a flat lookup.

A list in the lookup matches when any item does; a field that is not there matches only ``null`` and ``exists: false``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from monitor.rules import tree
from monitor.rules.model import Lookup, Predicate, Witness
from monitor.rules.patterns import fold
from monitor.rules.same import same_as
from monitor.rules.values import Lists, exact_of, key_of, text_of, value_test
from monitor.rules.witness import OF_TIME, cost_of, rarest, witnesses_of

Compiled = tuple[Predicate, Witness]
#: A part without a witness is asked after those with one.
_LAST: Final = 10.0


def compile_tree(node: tree.Node, lists: Lists | None = None) -> Compiled:
    """Compile a condition to a closure, and say its witness (:mod:`monitor.rules.witness`).

    ``lists`` are the values of placeholders by name. Raises :class:`CannotCompile`.
    """
    return _predicate(node, {} if lists is None else lists), rarest(witnesses_of(node))


def both(one: Compiled, other: Compiled) -> Compiled:
    """A condition that holds when both do."""
    witnesses = [witness for witness in (one[1], other[1]) if witness is not None]
    return _every([one[0], other[0]]), rarest(witnesses)


def _predicate(node: tree.Node, lists: Lists) -> Predicate:
    match node:
        case tree.Named():
            return _predicate(node.part, lists)
        case tree.All():
            return _every([_predicate(part, lists) for part in _in_order(node.parts)])
        case tree.AnyOf():
            return _one_of(node.parts) or _some([_predicate(part, lists) for part in node.parts])
        case tree.Not():
            inner = _predicate(node.part, lists)
            return lambda lookup: not inner(lookup)
        case tree.Is(field=None):
            return _keyword(node.test, lists)
        case tree.Is(field=str(field)):
            return _field(field, node.test, lists)
    raise TypeError(f"{type(node).__name__} is not a condition")


def _in_order(parts: Sequence[tree.Node]) -> list[tree.Node]:
    """Parts that all must hold, those that hold least often first.

    But the rarest two come last: when the index has found the condition by them, they hold.
    """

    def share(part: tree.Node) -> float:
        witness = rarest(witnesses_of(part))
        return _LAST if witness is None else cost_of(witness)[0]

    ordered = sorted(parts, key=share)
    return [*ordered[2:], *ordered[:2]]


def _every(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    if len(predicates) == 2:
        first, second = predicates
        return lambda lookup: first(lookup) and second(lookup)
    all_of = tuple(predicates)

    def every(lookup: Lookup) -> bool:
        for predicate in all_of:  # noqa: SIM110 (a generator would cost twice the time)
            if not predicate(lookup):
                return False
        return True

    return every


def _some(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    all_of = tuple(predicates)

    def some(lookup: Lookup) -> bool:
        for predicate in all_of:  # noqa: SIM110 (a generator would cost twice the time)
            if predicate(lookup):
                return True
        return False

    return some


def _one_of(parts: Sequence[Any]) -> Predicate | None:
    """A list of plain values of one field, the commonest alternative of all, as one look into a set."""
    tests = [part for part in parts if isinstance(part, tree.Is)]
    fields = {test.field for test in tests}
    values = [exact_of(test.test) for test in tests]
    if len(tests) != len(parts) or len(fields) != 1 or None in fields or None in values:
        return None
    return _is_among(str(fields.pop()), frozenset(value for value in values if value is not None))


def _is_among(name: str, wanted: frozenset[str]) -> Predicate:
    def predicate(lookup: Lookup) -> bool:
        found = lookup.get(name)
        if found is None:
            return False
        if type(found) is str:
            return (found.lower() if found.isascii() else fold(found)) in wanted
        if type(found) is list:
            return not wanted.isdisjoint(map(key_of, found))
        return key_of(found) in wanted

    return predicate


def _field(name: str, test: tree.Test, lists: Lists) -> Predicate:
    match test:
        case tree.Null():
            return _is_null(name)
        case tree.Exists(yes=True):
            return lambda lookup: name in lookup
        case tree.Exists():
            return lambda lookup: name not in lookup
        case tree.SameAs():
            return same_as(name, test)
    exact = exact_of(test)
    if exact is not None:
        return _is_among(name, frozenset({exact}))
    inner = value_test(test, lists)

    def predicate(lookup: Lookup) -> bool:
        found = lookup.get(name)
        if found is None:
            return False
        if type(found) is list:
            return any(inner(item) for item in found if item is not None)
        return inner(found)

    return predicate


def _is_null(name: str) -> Predicate:
    def predicate(lookup: Lookup) -> bool:
        found = lookup.get(name)
        return found is None or (type(found) is list and None in found)

    return predicate


def _keyword(test: tree.Test, lists: Lists) -> Predicate:
    """A keyword is looked for anywhere in the texts of a lookup."""
    inner = value_test(test, lists)

    def predicate(lookup: Lookup) -> bool:
        for name, found in lookup.items():
            if name in OF_TIME or found is None:
                continue
            if any(inner(item) for item in found if item is not None) if type(found) is list else inner(found):
                return True
        return False

    return predicate


def explain(node: tree.Node, lookup: Mapping[str, Any], lists: Lists | None = None) -> list[tuple[int, str, bool]]:
    """Each part of a condition with its verdict on a lookup: (depth, what is asked and what was found, whether it holds)."""
    rows: list[tuple[int, str, bool]] = []
    _explain(node, lookup, {} if lists is None else lists, 0, rows)
    return rows


def _explain(node: tree.Node, lookup: Mapping[str, Any], lists: Lists, depth: int, rows: list[Any]) -> bool:
    verdict = compile_tree(node, lists)[0](lookup)
    if isinstance(node, tree.Is):
        rows.append((depth, _words(node, lookup), verdict))
        return verdict
    nouns = {tree.All: "all of", tree.AnyOf: "at least one of", tree.Not: "not"}
    rows.append((depth, node.name if isinstance(node, tree.Named) else nouns[type(node)], verdict))
    for part in node.parts if isinstance(node, (tree.All, tree.AnyOf)) else (node.part,):
        _explain(part, lookup, lists, depth + 1, rows)
    return verdict


def _words(node: tree.Is, lookup: Mapping[str, Any]) -> str:
    if node.field is None:
        return f"any value {words_of(node.test)}"
    if node.field not in lookup:
        found = "is not there"
    else:
        value = lookup[node.field]
        found = f"is {', '.join(map(text_of, value)) if type(value) is list else text_of(value)}"
    return f"{node.field} {words_of(node.test)} — it {found}"


def words_of(test: tree.Test) -> str:
    """What a test asks for, in words."""
    match test:
        case tree.Text():
            signs = {tree.STAR: "*", tree.ONE: "?"}
            parts = (
                f"%{part.name}%" if isinstance(part, tree.Listed) else signs[part] if isinstance(part, int) else part
                for part in test.parts
            )
            return f"= {''.join(parts)}{' (with case)' if test.cased else ''}"
        case tree.Exactly():
            return f"= {text_of(test.value)}"
        case tree.Regex():
            return f"~ /{test.pattern}/{test.flags}"
        case tree.Network():
            return f"in {test.cidr}"
        case tree.Compare():
            return f"{test.part + ' ' if test.part else ''}{test.op} {text_of(test.value)}"
        case tree.SameAs():
            how = {(True, True): "contains", (True, False): "starts with", (False, True): "ends with"}
            cased = " (with case)" if test.cased else ""
            return f"{how.get((test.starts, test.ends), '=')} the value of {test.field}{cased}"
        case tree.Null():
            return "= null"
    return "exists" if test.yes else "does not exist"
