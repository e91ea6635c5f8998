"""From a condition's tree to a closure over a flat lookup, and its witness.

A list in the lookup matches when any item does; a field that is not there matches only ``null`` and ``exists: false``.
A *witness* is a set of clauses of which at least one holds for every lookup the condition matches; the index
(:mod:`monitor.rules.index`) finds by them the few conditions worth asking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from monitor.rules import tree
from monitor.rules.model import Clause, Lookup, Predicate, Witness
from monitor.rules.patterns import fold
from monitor.rules.same import same_as
from monitor.rules.values import Lists, exact_of, key_of, text_of, value_test

Compiled = tuple[Predicate, Witness]
#: What the monitor makes of a lookup's time; keywords are not looked for in it.
OF_TIME: Final = frozenset({"ts", "hour", "weekday"})
#: What a clause costs: how often it may hold for lookups the condition does not match.
_COSTS: Final = {"=": 1.0, "~": 4.0, "?": 50.0}
_KEYWORD_COST: Final = 200.0


def compile_tree(node: tree.Node, lists: Lists | None = None) -> Compiled:
    """Compile a condition; ``lists`` are the values of placeholders by name. Raises :class:`CannotCompile`."""
    known: Lists = {} if lists is None else lists
    match node:
        case tree.Named():
            return compile_tree(node.part, known)
        case tree.All():
            return _all([compile_tree(part, known) for part in node.parts])
        case tree.AnyOf():
            return _one_of(node.parts) or _any([compile_tree(part, known) for part in node.parts])
        case tree.Not():
            inner, _ = compile_tree(node.part, known)
            return (lambda lookup: not inner(lookup)), None
        case tree.Is(field=None):
            return _keyword(node.test, known)
        case tree.Is(field=str(field)):
            return _field(field, node.test, known)
    raise TypeError(f"{type(node).__name__} is not a condition")


def both(one: Compiled, other: Compiled) -> Compiled:
    """A condition that holds when both do."""
    return _all([one, other])


def _all(parts: list[Compiled]) -> Compiled:
    if len(parts) == 1:
        return parts[0]
    predicates = tuple(predicate for predicate, _ in parts)

    def every(lookup: Lookup) -> bool:
        for predicate in predicates:  # noqa: SIM110 (a generator would cost twice the time)
            if not predicate(lookup):
                return False
        return True

    known = [witness for _, witness in parts if witness is not None]
    return every, min(known, key=_cost, default=None)


def _cost(witness: frozenset[Clause]) -> tuple[float, list[Clause]]:
    total = 0.0
    for field, kind, text in witness:
        total += _COSTS[kind] + 4.0 / (1 + len(text)) + (_KEYWORD_COST if field == "" else 0.0)
    return total, sorted(witness)


def _any(parts: list[Compiled]) -> Compiled:
    if len(parts) == 1:
        return parts[0]
    predicates = tuple(predicate for predicate, _ in parts)

    def some(lookup: Lookup) -> bool:
        for predicate in predicates:  # noqa: SIM110 (a generator would cost twice the time)
            if predicate(lookup):
                return True
        return False

    witnesses = [witness for _, witness in parts]
    if any(witness is None for witness in witnesses):
        return some, None
    return some, frozenset(clause for witness in witnesses for clause in witness or ())


def _one_of(parts: Sequence[Any]) -> Compiled | None:
    """A list of plain values of one field, the commonest alternative of all, as one look into a set."""
    tests = [part for part in parts if isinstance(part, tree.Is)]
    fields = {test.field for test in tests}
    values = [exact_of(test.test) for test in tests]
    if len(tests) != len(parts) or len(fields) != 1 or None in fields or None in values:
        return None
    return _is_among(str(fields.pop()), frozenset(value for value in values if value is not None))


def _is_among(name: str, wanted: frozenset[str]) -> Compiled:
    def predicate(lookup: Lookup) -> bool:
        found = lookup.get(name)
        if found is None:
            return False
        if type(found) is str:
            return (found.lower() if found.isascii() else fold(found)) in wanted
        if type(found) is list:
            return not wanted.isdisjoint(map(key_of, found))
        return key_of(found) in wanted

    return predicate, frozenset((name, "=", value) for value in wanted)


def _field(name: str, test: tree.Test, lists: Lists) -> Compiled:
    match test:
        case tree.Null():
            return _is_null(name), None
        case tree.Exists(yes=True):
            return (lambda lookup: name in lookup), frozenset({(name, "?", "")})
        case tree.Exists():
            return (lambda lookup: name not in lookup), None
        case tree.SameAs():
            return same_as(name, test), frozenset({(name, "?", "")})
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

    return predicate, frozenset({_clause(name, test)})


def _is_null(name: str) -> Predicate:
    def predicate(lookup: Lookup) -> bool:
        found = lookup.get(name)
        return found is None or (type(found) is list and None in found)

    return predicate


def _clause(name: str, test: tree.Test) -> Clause:
    if isinstance(test, tree.Text) and not any(isinstance(part, tree.Listed) for part in test.parts):
        texts = [fold(part) for part in test.parts if isinstance(part, str)]
        if len(texts) == len(test.parts):
            return name, "=", "".join(texts)
        longest = max(texts, key=len, default="")
        if longest:
            return name, "~", longest
    return name, "?", ""


def _keyword(test: tree.Test, lists: Lists) -> Compiled:
    """A keyword is looked for anywhere in the texts of a lookup."""
    inner = value_test(test, lists)

    def predicate(lookup: Lookup) -> bool:
        for name, found in lookup.items():
            if name in OF_TIME or found is None:
                continue
            if any(inner(item) for item in found if item is not None) if type(found) is list else inner(found):
                return True
        return False

    clause = _clause("", test)
    return predicate, frozenset({clause}) if clause[1] == "~" else None


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
