"""Tests of one value: what each of the tree's tests says of a value that a lookup holds.

Sigma 2.1: texts compare without regard to case unless ``cased``; numbers and booleans as their text. Nothing here takes
longer than in proportion to the value's length: wildcards are found from left to right, expressions run on RE2.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from ipaddress import ip_address, ip_network
from itertools import islice, product
from math import prod
from typing import Any, Final

from sigma.types import SigmaString, SpecialChars

from monitor.rules import tree
from monitor.rules.patterns import CannotCompile as CannotCompile
from monitor.rules.patterns import any_pattern, fold, pattern_test, search_test

Test = Callable[[Any], bool]
Lists = Mapping[str, Sequence[str]]
#: The most texts that several lists in one pattern may make together.
MAX_EXPANSION: Final = 100_000
_SPECIAL: Final = frozenset("*?\\")
#: A longer text is kept as a hash of it.
MAX_VALUE: Final = 200
#: A longer text is no number, time or address.
MAX_NUMBER: Final = 64
_NUMBER: Final = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?", re.ASCII).fullmatch
COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}
_MS_FROM: Final = 10**11
#: ISO 8601 numbers weeks from 1; a year has 52 or 53 of them.
_PARTS: Final[dict[str, Callable[[datetime], int]]] = {
    "minute": lambda at: at.minute,
    "hour": lambda at: at.hour,
    "day": lambda at: at.day,
    "week": lambda at: at.isocalendar().week,
    "month": lambda at: at.month,
    "year": lambda at: at.year,
}


def key_of(value: Any) -> str:
    """The form in which values are compared for equality: text without case; numbers and booleans as their text."""
    if type(value) is str:
        return value.lower() if value.isascii() else fold(value)
    return fold(text_of(value))


def text_of(value: Any) -> str:
    """A value as text, in its own case."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return "true" if value else "false"
    if kind is float and value.is_integer():
        return str(int(value))
    return str(value)


def brief(text: str) -> str:
    """A text that is short enough to be kept: itself, or a hash of it (of 128 bits, without regard to case)."""
    if len(text) <= MAX_VALUE:
        return text
    return f"…{blake2b(fold(text).encode(errors='replace'), digest_size=16).hexdigest()}"


def exact_of(test: tree.Test) -> str | None:
    """The one text, without case, that a value must equal to pass; ``None`` when it is not so simple."""
    if isinstance(test, tree.Exactly):
        return key_of(test.value)
    if isinstance(test, tree.Text) and not test.cased and all(isinstance(part, str) for part in test.parts):
        return key_of("".join(str(part) for part in test.parts))
    return None


def value_test(test: tree.Test, lists: Lists) -> Test:
    """The test of a single value that is there (not a list, not null). Raises :class:`CannotCompile`."""
    match test:
        case tree.Text():
            return _text_test(test, lists)
        case tree.Exactly():
            wanted = key_of(test.value)
            return lambda found: key_of(found) == wanted
        case tree.Regex():
            search = regex(test)
            return lambda found: search(text_of(found))
        case tree.Network():
            return _network_test(test.cidr)
        case tree.Compare():
            return _compare_test(test)
    raise CannotCompile(f"a value of type {type(test).__name__} is not supported here")


def regex(test: tree.Regex) -> Callable[[str], bool]:
    """The search of a regular expression. Raises :class:`CannotCompile` when RE2 does not know it."""
    return search_test(f"(?{test.flags}){test.pattern}" if test.flags else test.pattern)


def _text_test(test: tree.Text, lists: Lists) -> Test:
    names = [part.name for part in test.parts if isinstance(part, tree.Listed)]
    if names:
        return _listed_test(test, names, lists)
    pattern = pattern_test([part for part in test.parts if isinstance(part, (str, int))], test.cased)
    if test.cased:
        return lambda found: pattern(text_of(found))
    return lambda found: pattern(key_of(found))


def _listed_test(test: tree.Text, names: list[str], lists: Lists) -> Test:
    """A pattern with lists in it. Lists may change while it runs (those of the reference data), so it is made anew then.

    A list is taken to be the same as long as it is the same object.
    """
    known: list[Any] = [None] * len(names)
    among: Callable[[str], bool]
    form = text_of if test.cased else key_of

    def match(found: Any) -> bool:
        nonlocal known, among
        now = [lists.get(name, ()) for name in names]
        if any(one is not other for one, other in zip(now, known, strict=True)):
            among = any_pattern(_expanded(test, now), test.cased)
            known = now
        return among(form(found))

    size = expansion_of([lists.get(name, ()) for name in names])
    if size > MAX_EXPANSION:
        raise CannotCompile(f"the lists of one value make {size:,} texts; at most {MAX_EXPANSION:,} are possible")
    return match


def expansion_of(values: Sequence[Sequence[str]]) -> int:
    """How many texts the values of several lists in one pattern make; one list alone may have any length."""
    return prod(len(each) for each in values) if len(values) > 1 else 0


def _expanded(test: tree.Text, values: list[Sequence[str]]) -> Iterator[list[Any]]:
    """The patterns that the lists' values make: when they have grown too many while running, the first of them."""
    made = product(*([_parts_of(value) for value in each] for each in values))
    for chosen in made if len(values) == 1 else islice(made, MAX_EXPANSION):
        rest = iter(chosen)
        yield [p for part in test.parts for p in (next(rest) if isinstance(part, tree.Listed) else [part])]


def _parts_of(value: str) -> list[str | int]:
    """A list's value, which may hold wildcards as a rule's may."""
    if _SPECIAL.isdisjoint(value):
        return [value]
    return [
        part if isinstance(part, str) else tree.STAR if part is SpecialChars.WILDCARD_MULTI else tree.ONE
        for part in SigmaString(value).s
    ]


def _network_test(cidr: str) -> Test:
    network = ip_network(cidr, strict=False)

    def test(found: Any) -> bool:
        if type(found) is not str or len(found) > MAX_NUMBER:
            return False
        try:
            address: Any = ip_address(found)
        except ValueError:
            return False
        if address.version != network.version:
            address = getattr(address, "ipv4_mapped", None)  # ::ffff:10.0.0.1 is 10.0.0.1
        return address is not None and address in network

    return test


def _compare_test(test: tree.Compare) -> Test:
    compare, bound = COMPARE[test.op], test.value
    if test.part is not None:
        part = _PARTS[test.part]

        def of_time(found: Any) -> bool:
            at = time_of(found)
            return at is not None and compare(part(at), bound)

        return of_time

    def of_number(found: Any) -> bool:
        number = number_of(found)
        return number is not None and compare(number, bound)

    return of_number


def number_of(found: Any) -> float | None:
    """A value as a number: numbers, and texts that are one (12, -1.5, 2e3); not booleans, not infinities."""
    kind = type(found)
    if kind is int:
        return found  # type: ignore[no-any-return]
    if kind is str:
        if len(found) > MAX_NUMBER or not _NUMBER(found):
            return None
        found = float(found)
    elif kind is not float:
        return None
    return found if found - found == 0 else None  # type: ignore[no-any-return]


def time_of(found: Any) -> datetime | None:
    """A value as a time, by the clock it is written in: ISO 8601 texts, or seconds or milliseconds since the epoch (UTC)."""
    try:
        if type(found) is str:
            return datetime.fromisoformat(found) if len(found) <= MAX_NUMBER else None
        if type(found) in (int, float):
            return datetime.fromtimestamp(found / 1000 if abs(found) >= _MS_FROM else found, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
