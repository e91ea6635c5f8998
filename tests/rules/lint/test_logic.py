"""What is said of a condition without a lookup is so for every lookup."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules import tree
from monitor.rules.compile import compile_tree
from monitor.rules.lint.logic import always, asks_for_something, feasible, holds, met_by_all, never, plain, signature
from tests.samples import lookup

FIELDS = st.sampled_from(["system", "results", "query.fields", "actor.id"])
TEXTS = st.sampled_from(["a", "b", "1", "3"])
PART = st.one_of(TEXTS, st.sampled_from([tree.STAR, tree.ONE]))
TESTS = st.one_of(
    st.builds(tree.Text, st.lists(PART, min_size=1, max_size=2).map(tuple), st.booleans()),
    st.builds(tree.Exactly, st.sampled_from([1, 3, True])),
    st.builds(tree.Compare, st.sampled_from(["lt", "lte", "gt", "gte"]), st.sampled_from([1.0, 2.0, 3.0])),
    st.builds(tree.Regex, st.sampled_from(["a", "^b$"])),
    st.builds(tree.Null),
    st.builds(tree.Exists, st.booleans()),
)
NODES = st.recursive(
    st.builds(tree.Is, FIELDS, TESTS),
    lambda inner: st.one_of(
        st.builds(tree.All, st.lists(inner, min_size=2, max_size=4).map(tuple)),
        st.builds(tree.AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(tree.Not, inner),
        st.builds(tree.Named, st.just("s"), inner),
    ),
    max_leaves=8,
)
VALUES = st.sampled_from(["a", "b", "A", "1", "3", "ab", 1, 2, 3, True])
LOOKUPS = st.fixed_dictionaries(
    {"actor.id": st.sampled_from(["a", "b", "1"]), "system": st.sampled_from(["a", "b", "3", "ab"])},
    optional={"results": st.integers(0, 4), "query.fields": st.lists(VALUES, max_size=3)},
)


def is_match(node: tree.Node, fields: dict[str, Any]) -> bool:
    return compile_tree(node)[0]({**lookup(), **fields})


@settings(max_examples=500, deadline=None)
@given(NODES, st.lists(LOOKUPS, min_size=5, max_size=12))
def test_never_and_always_are_so(node: tree.Node, lookups: list[dict[str, Any]]) -> None:
    found = {is_match(node, fields) for fields in lookups}
    if never(node):
        assert True not in found
    if always(node):
        assert False not in found
    if asks_for_something(node) and not any(
        isinstance(part.test, (tree.Null, tree.Exists)) for part in tree.walk(node)
    ):
        assert not compile_tree(node)[0]({}), "a lookup that has nothing has nothing that is asked for"
    assert {is_match(plain(node), fields) for fields in lookups} == found


@settings(max_examples=300, deadline=None)
@given(NODES, NODES, LOOKUPS)
def test_what_has_one_signature_matches_the_same(one: tree.Node, other: tree.Node, fields: dict[str, Any]) -> None:
    turned = tree.All((tree.Named("x", other), one))
    assert signature(tree.All((one, other))) == signature(turned)
    assert is_match(tree.All((one, other)), fields) == is_match(turned, fields)
    if signature(one) == signature(other):
        assert is_match(one, fields) == is_match(other, fields)


BOUNDS = st.lists(
    st.tuples(
        st.sampled_from(["lt", "lte", "gt", "gte", "eq", "neq"]), st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, 2.5, 3.0])
    ),
    max_size=3,
)


@given(BOUNDS, st.integers(-1, 2), st.integers(2, 4))
def test_bounds_over_whole_numbers(bounds: list[tuple[str, float]], least: int, most: int) -> None:
    numbers = range(least, most + 1)
    assert feasible(bounds, least, most, True) == any(holds(bounds, number) for number in numbers)
    assert met_by_all(bounds, least, most, True) == all(holds(bounds, number) for number in numbers)


@given(BOUNDS, st.integers(-1, 2), st.integers(2, 4))
def test_bounds_over_all_numbers(bounds: list[tuple[str, float]], least: int, most: int) -> None:
    numbers = [least + step / 64 for step in range((most - least) * 64 + 1)]
    assert feasible(bounds, least, most) == any(holds(bounds, number) for number in numbers)
    assert met_by_all(bounds, least, most) == all(holds(bounds, number) for number in numbers)


@pytest.mark.parametrize(
    ("bounds", "yes"),
    [([], True), ([("gt", 3.0)], True), ([("gt", 3.0), ("lt", 3.0)], False), ([("gte", 3.0), ("lte", 3.0)], True)],
)
def test_bounds_without_an_end(bounds: list[tuple[str, float]], yes: bool) -> None:
    assert feasible(bounds) == yes
    assert feasible(bounds, 1, math.inf, True) == yes
