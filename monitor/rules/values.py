"""Tests of one value: what each of the tree's tests says of a value that a lookup holds.

Sigma 2.1: texts compare without regard to case unless ``cased``; numbers and booleans as their text. Nothing here takes
longer than in proportion to the value's length: wildcards are found from left to right, expressions run on RE2.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any, Final

import re2
from sigma.types import SigmaString, SpecialChars

from monitor.rules import tree

Test = Callable[[Any], bool]
Lists = Mapping[str, Sequence[str]]
#: The most texts that the lists of one pattern may make.
MAX_EXPANSION: Final = 100_000
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


class CannotCompile(Exception):
    """A detection uses something this engine does not know."""


def key_of(value: Any) -> str:
    """The form in which values are compared for equality: text without case; numbers and booleans as their text."""
    kind = type(value)
    if kind is str:
        return value.lower()  # type: ignore[no-any-return]
    return text_of(value)


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
            return lambda found: search(text_of(found)) is not None
        case tree.Network():
            return _network_test(test.cidr)
        case tree.Compare():
            return _compare_test(test)
    raise CannotCompile(f"a value of type {type(test).__name__} is not supported here")


def regex(test: tree.Regex) -> Callable[[str], Any]:
    """The search of a regular expression. Raises :class:`CannotCompile` when RE2 does not know it."""
    flags = f"(?{test.flags})" if test.flags else ""
    return _compiled(flags + test.pattern).search  # type: ignore[no-any-return]


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise CannotCompile(f"not an expression that RE2 knows: {reason}") from None


def _text_test(test: tree.Text, lists: Lists) -> Test:
    names = [part.name for part in test.parts if isinstance(part, tree.Listed)]
    if names:
        return _listed_test(test, names, lists)
    pattern = _pattern([part for part in test.parts if isinstance(part, (str, int))], test.cased)
    if test.cased:
        return lambda found: pattern(text_of(found))
    return lambda found: pattern(key_of(found))


def _pattern(parts: Sequence[str | int], cased: bool) -> Callable[[str], bool]:
    """The test of a text that is in lower case already, unless ``cased``."""
    joined = _joined(parts if cased else [part.lower() if isinstance(part, str) else part for part in parts])
    match joined:
        case []:
            return lambda text: text == ""
        case [str(plain)]:
            return lambda text: text == plain
        case [tree.STAR]:
            return lambda text: True
        case [tree.STAR, str(plain), tree.STAR]:
            return lambda text: plain in text
        case [str(plain), tree.STAR]:
            return lambda text: text.startswith(plain)
        case [tree.STAR, str(plain)]:
            return lambda text: text.endswith(plain)
    if tree.ONE not in joined:
        return _stars(joined)
    escaped = (".*" if part == tree.STAR else "." if part == tree.ONE else re2.escape(str(part)) for part in joined)
    fullmatch = _compiled(f"(?s){''.join(escaped)}").fullmatch
    return lambda text: fullmatch(text) is not None


def _joined(parts: Sequence[str | int]) -> list[str | int]:
    """Neighbouring texts as one, neighbouring stars as one."""
    made: list[str | int] = []
    for part in parts:
        last = made[-1] if made else None
        if isinstance(part, str) and isinstance(last, str):
            made[-1] = last + part
        elif part != "" and not (part == tree.STAR and last == tree.STAR):
            made.append(part)
    return made


def _stars(parts: Sequence[str | int]) -> Callable[[str], bool]:
    """Texts between stars: each is taken at the first place it is found, so the text is read once."""
    texts = [str(part) for part in parts if part != tree.STAR]
    first = texts.pop(0) if parts[0] != tree.STAR else ""
    last = texts.pop() if parts[-1] != tree.STAR else ""

    def match(text: str) -> bool:
        if not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for middle in texts:
            at = text.find(middle, at, end)
            if at < 0:
                return False
            at += len(middle)
        return at <= end

    return match


def _listed_test(test: tree.Text, names: list[str], lists: Lists) -> Test:
    """A pattern with lists in it. Lists may change while it runs (those of the reference data), so it is made anew then."""
    known: list[Any] = [None] * len(names)
    plain: frozenset[str] = frozenset()
    patterns: list[Callable[[str], bool]] = []
    form = text_of if test.cased else key_of

    def match(found: Any) -> bool:
        nonlocal known, plain, patterns
        now = [lists.get(name, ()) for name in names]
        if any(one is not other for one, other in zip(now, known, strict=True)):
            plain, patterns = _expanded(test, now)
            known = now
        text = form(found)
        return text in plain or any(pattern(text) for pattern in patterns)

    return match


def _expanded(test: tree.Text, values: list[Sequence[str]]) -> tuple[frozenset[str], list[Callable[[str], bool]]]:
    plain: set[str] = set()
    patterns = []
    size = 1
    for each in values:
        size *= len(each)
    if size > MAX_EXPANSION:
        raise CannotCompile(f"the lists of one value make {size:,} texts; at most {MAX_EXPANSION:,} are possible")
    for chosen in product(*([_parts_of(value) for value in each] for each in values)):
        rest = list(chosen)
        parts = _joined([p for part in test.parts for p in (rest.pop(0) if isinstance(part, tree.Listed) else [part])])
        if all(isinstance(part, str) for part in parts):
            text = "".join(str(part) for part in parts)
            plain.add(text if test.cased else text.lower())
        else:
            patterns.append(_pattern(parts, test.cased))
    return frozenset(plain), patterns


def _parts_of(value: str) -> list[str | int]:
    """A list's value, which may hold wildcards as a rule's may."""
    return [
        part if isinstance(part, str) else tree.STAR if part is SpecialChars.WILDCARD_MULTI else tree.ONE
        for part in SigmaString(value).s
    ]


def _network_test(cidr: str) -> Test:
    network = ip_network(cidr, strict=False)

    def test(found: Any) -> bool:
        if type(found) is not str:
            return False
        try:
            return ip_address(found) in network
        except ValueError:
            return False

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
    """A value as a number: numbers, and texts that are one; not booleans, not infinities."""
    kind = type(found)
    if kind is int or kind is float:
        return found  # type: ignore[no-any-return]
    if kind is not str or len(found) > 64:
        return None
    try:
        number = float(found)
    except ValueError:
        return None
    return number if number - number == 0 else None


def time_of(found: Any) -> datetime | None:
    """A value as a time, by the clock it is written in: ISO 8601 texts, or seconds or milliseconds since the epoch (UTC)."""
    try:
        if type(found) is str:
            return datetime.fromisoformat(found)
        if type(found) in (int, float):
            return datetime.fromtimestamp(found / 1000 if abs(found) >= _MS_FROM else found, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
