"""A field against another field of the same lookup, in time that grows with their lengths and not with their product."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Final

from monitor.rules import tree
from monitor.rules.model import Lookup, Predicate
from monitor.rules.patterns import any_inside
from monitor.rules.values import key_of, text_of


def same_as(name: str, test: tree.SameAs) -> Predicate:
    """Whether any value of the field ``name`` equals, begins with, ends with or contains any value of the other field."""
    other, form = test.field, text_of if test.cased else key_of
    one, many = _COMPARISONS[test.starts, test.ends]

    def predicate(lookup: Lookup) -> bool:
        mine, theirs = lookup.get(name), lookup.get(other)
        if mine is None or theirs is None:
            return False
        if type(mine) is not list and type(theirs) is not list:
            return one(form(mine), form(theirs))
        lefts, rights = _texts(mine, form), _texts(theirs, form)
        return bool(lefts) and bool(rights) and many(lefts, rights)

    return predicate


def _texts(found: Any, form: Callable[[Any], str]) -> list[str]:
    return [form(item) for item in found if item is not None] if type(found) is list else [form(found)]


def _any_equal(lefts: list[str], rights: list[str]) -> bool:
    return not set(lefts).isdisjoint(rights)


def _any_starts(lefts: list[str], rights: list[str]) -> bool:
    """A text begins with another only if the first one from that other on, in order, does."""
    ordered = sorted(lefts)
    for right in rights:
        at = bisect_left(ordered, right)
        if at < len(ordered) and ordered[at].startswith(right):
            return True
    return False


def _any_ends(lefts: list[str], rights: list[str]) -> bool:
    return _any_starts([left[::-1] for left in lefts], [right[::-1] for right in rights])


def _any_contains(lefts: list[str], rights: list[str]) -> bool:
    if "" in rights:
        return True
    inside = any_inside(rights)
    return any(inside(left) for left in lefts)


_COMPARISONS: Final[
    dict[tuple[bool, bool], tuple[Callable[[str, str], bool], Callable[[list[str], list[str]], bool]]]
] = {
    (False, False): (lambda left, right: left == right, _any_equal),
    (True, False): (lambda left, right: left.startswith(right), _any_starts),
    (False, True): (lambda left, right: left.endswith(right), _any_ends),
    (True, True): (lambda left, right: right in left, _any_contains),
}
