"""From pySigma's syntax tree of a detection to a closure over a flat lookup, and its witness.

Sigma 2.1: strings compare without regard to case unless ``|cased``; a list in the lookup matches when any item does; a
field that is not there matches only ``null`` and ``exists: false``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final

from sigma import types as sigma
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)

from monitor.rules.model import Lookup, Predicate, Witness

#: Text beyond this many characters is not searched by regular expressions, so that no lookup can make one run long.
MAX_TEXT: Final = 4096
Test = Callable[[Any], bool]
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "LT": lambda a, b: a < b,
    "LTE": lambda a, b: a <= b,
    "GT": lambda a, b: a > b,
    "GTE": lambda a, b: a >= b,
}


class CannotCompile(Exception):
    """A detection uses something this engine does not know."""


def key_of(value: Any) -> str:
    """The form in which values are compared for equality: text without case; numbers and booleans as their text."""
    kind = type(value)
    if kind is str:
        return value.lower()  # type: ignore[no-any-return]
    if kind is bool:
        return "true" if value else "false"
    if kind is float and value.is_integer():
        return str(int(value))
    return str(value)


def compile_condition(node: Any) -> tuple[Predicate, Witness]:
    """Compile a condition's tree. Raises :class:`CannotCompile`."""
    match node:
        case ConditionAND():
            return _all([compile_condition(part) for part in node.args])
        case ConditionOR():
            return _one_of(node.args) or _any([compile_condition(part) for part in node.args])
        case ConditionNOT():
            inner, _ = compile_condition(node.args[0])
            return (lambda lookup: not inner(lookup)), None
        case ConditionFieldEqualsValueExpression():
            return _field(node.field, node.value)
        case ConditionValueExpression():
            return _keyword(node.value)
    raise CannotCompile(f"a condition of type {type(node).__name__} is not supported")


def _all(parts: list[tuple[Predicate, Witness]]) -> tuple[Predicate, Witness]:
    if len(parts) == 1:
        return parts[0]
    predicates = tuple(predicate for predicate, _ in parts)

    def every(lookup: Lookup) -> bool:
        for predicate in predicates:  # noqa: SIM110 (a generator would cost twice the time)
            if not predicate(lookup):
                return False
        return True

    # Any part's witness will do; the smallest set, and the longest values in it, are met least often.
    known = [witness for _, witness in parts if witness is not None]
    best = min(
        known, key=lambda pairs: (len(pairs), -min(len(value) for _, value in pairs), sorted(pairs)), default=None
    )
    return every, best


def _any(parts: list[tuple[Predicate, Witness]]) -> tuple[Predicate, Witness]:
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
    return some, frozenset(pair for witness in witnesses for pair in witness or ())


def _one_of(parts: list[Any]) -> tuple[Predicate, Witness] | None:
    """A list of plain values of one field, the commonest alternative of all, as one look into a set."""
    fields = {part.field if isinstance(part, ConditionFieldEqualsValueExpression) else None for part in parts}
    if len(fields) != 1 or None in fields:
        return None
    values = [_exact(part.value) for part in parts]
    if None in values or any(isinstance(part.value, sigma.SigmaCasedString) for part in parts):
        return None
    return _is_among(str(fields.pop()), frozenset(value for value in values if value is not None))


def _is_among(name: str, wanted: frozenset[str]) -> tuple[Predicate, Witness]:
    def predicate(lookup: Lookup) -> bool:
        found = lookup.get(name)
        if found is None:
            return False
        if type(found) is str:
            return found.lower() in wanted
        if type(found) is list:
            return not wanted.isdisjoint(map(key_of, found))
        return key_of(found) in wanted

    return predicate, frozenset((name, value) for value in wanted)


def _field(name: str, value: Any) -> tuple[Predicate, Witness]:
    match value:
        case sigma.SigmaNull():
            return (lambda lookup: lookup.get(name) is None), None
        case sigma.SigmaExists():
            return ((lambda lookup: name in lookup) if value.exists else (lambda lookup: name not in lookup)), None
        case sigma.SigmaFieldReference():
            return _reference(name, value), None
        case sigma.SigmaExpansion():
            return _any([_field(name, each) for each in value.values])
    exact = _exact(value)
    if exact is not None and not isinstance(value, sigma.SigmaCasedString):
        return _is_among(name, frozenset({exact}))
    test = _test(value)

    def predicate(lookup: Lookup) -> bool:
        found = lookup.get(name)
        if found is None:
            return False
        if type(found) is list:
            return any(test(item) for item in found)
        return test(found)

    return predicate, None if exact is None else frozenset({(name, exact)})


def _keyword(value: Any) -> tuple[Predicate, Witness]:
    """A keyword is looked for anywhere in the texts of a lookup."""
    if isinstance(value, sigma.SigmaString):
        star = sigma.SpecialChars.WILDCARD_MULTI
        value = value if value.startswith(star) else star + value
        value = value if value.endswith(star) else value + star
    test = _test(value)

    def predicate(lookup: Lookup) -> bool:
        for found in lookup.values():
            if any(test(item) for item in found) if type(found) is list else test(found):
                return True
        return False

    return predicate, None


def _reference(name: str, value: Any) -> Predicate:
    other, starts, ends = value.field, value.starts_with, value.ends_with

    def predicate(lookup: Lookup) -> bool:
        mine, theirs = lookup.get(name), lookup.get(other)
        if mine is None or theirs is None:
            return False
        left, right = key_of(mine), key_of(theirs)
        if starts and ends:
            return right in left
        return left.startswith(right) if starts else left.endswith(right) if ends else left == right

    return predicate


def _exact(value: Any) -> str | None:
    if isinstance(value, sigma.SigmaString):
        return None if value.contains_special() else key_of(_plain(value))
    if isinstance(value, sigma.SigmaNumber):
        return key_of(value.number)
    if isinstance(value, sigma.SigmaBool):
        return key_of(value.boolean)
    return None


def _test(value: Any) -> Test:
    match value:
        case sigma.SigmaString():
            return _text_test(value, cased=isinstance(value, sigma.SigmaCasedString))
        case sigma.SigmaNumber() | sigma.SigmaBool():
            wanted = _exact(value)
            return lambda found: key_of(found) == wanted
        case sigma.SigmaRegularExpression():
            flags = re.RegexFlag(0)
            for flag in value.flags:
                flags |= value.sigma_to_python_flags[flag]
            search = re.compile(value.regexp.original, flags).search
            return lambda found: search(str(found)[:MAX_TEXT]) is not None
        case sigma.SigmaCIDRExpression():
            return _network_test(value.network)
        case sigma.SigmaCompareExpression():
            return _number_test(_COMPARE[value.op.name], float(value.number.number))
    raise CannotCompile(f"a value of type {type(value).__name__} is not supported")


def _plain(text: Any) -> str:
    return "".join(part for part in text.s if isinstance(part, str))


def _text_test(text: Any, cased: bool) -> Test:
    if not text.contains_special():
        plain = _plain(text)
        if cased:
            return lambda found: str(found) == plain
        lower = plain.lower()
        return lambda found: key_of(found) == lower
    star, one = sigma.SpecialChars.WILDCARD_MULTI, sigma.SpecialChars.WILDCARD_SINGLE
    pattern = "".join(".*" if part is star else "." if part is one else re.escape(str(part)) for part in text.s)
    match = re.compile(pattern, re.DOTALL if cased else re.DOTALL | re.IGNORECASE).fullmatch
    # Most patterns are one text between stars; asking for it directly is several times faster than a regular expression.
    inner = _plain(text)
    if not cased and text.s[0] is star and text.s[-1] is star and len(text.s) == 3:
        lower = inner.lower()
        return lambda found: lower in key_of(found)
    return lambda found: match(str(found)) is not None


def _network_test(network: Any) -> Test:
    def test(found: Any) -> bool:
        try:
            return ip_address(found) in network
        except ValueError:
            return False

    return test


def _number_test(compare: Callable[[float, float], bool], bound: float) -> Test:
    def test(found: Any) -> bool:
        if type(found) is bool:
            return False
        try:
            return compare(float(found), bound)
        except (TypeError, ValueError):
            return False

    return test
