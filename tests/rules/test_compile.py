"""Detections mean what Sigma 2.1 says, and the index finds exactly what asking each one finds."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules import load_texts, read_dir
from monitor.settings import pack_dir
from tests.rules.samples import detection, report, rules
from tests.samples import lookup


def matches(selection: Any, condition: str = "s", **fields: Any) -> bool:
    (rule,) = rules(detection(selection, condition)).detections
    return rule.predicate(lookup(**fields))


@pytest.mark.parametrize(
    ("selection", "fields", "yes"),
    [
        ({"x": "AbC"}, {"x": "aBc"}, True),
        ({"x|cased": "AbC"}, {"x": "aBc"}, False),
        ({"x|cased": "AbC"}, {"x": "AbC"}, True),
        ({"x|cased|contains": "bC"}, {"x": "AbCd"}, True),
        ({"x|cased|contains": "bC"}, {"x": "AbcD"}, False),
        ({"x": "a*c"}, {"x": "aXXc"}, True),
        ({"x": "a?c"}, {"x": "aXXc"}, False),
        ({"x": "a?c"}, {"x": "aXc"}, True),
        ({"x": r"a\*c"}, {"x": "aXc"}, False),
        ({"x": r"a\*c"}, {"x": "a*c"}, True),
        ({"x": "a.c"}, {"x": "abc"}, False),
        ({"x|contains": "bc"}, {"x": "ABCD"}, True),
        ({"x|contains": "bc"}, {"x": "ABXCD"}, False),
        ({"x|startswith": "ab"}, {"x": "ABC"}, True),
        ({"x|startswith": "bc"}, {"x": "ABC"}, False),
        ({"x|endswith": "bc"}, {"x": "ABC"}, True),
        ({"x|endswith": "ab"}, {"x": "ABC"}, False),
        ({"x|contains|all": ["a", "c"]}, {"x": "abc"}, True),
        ({"x|contains|all": ["a", "d"]}, {"x": "abc"}, False),
        ({"x": ["one", "two"]}, {"x": "TWO"}, True),
        ({"x": ["one", "two"]}, {"x": "three"}, False),
        ({"x": ["one", 2, True]}, {"x": 2}, True),
        ({"x": 5}, {"x": 5}, True),
        ({"x": 5}, {"x": "5"}, True),
        ({"x": 5}, {"x": 5.0}, True),
        ({"x": 5}, {"x": 6}, False),
        ({"x": True}, {"x": True}, True),
        ({"x": True}, {"x": False}, False),
        ({"x": False}, {}, False),
        ({"x": None}, {}, True),
        ({"x": None}, {"x": "a"}, False),
        ({"x|exists": True}, {"x": "a"}, True),
        ({"x|exists": True}, {}, False),
        ({"x|exists": False}, {}, True),
        ({"x|exists": False}, {"x": "a"}, False),
        ({"x|re": "^a.c$"}, {"x": "abc"}, True),
        ({"x|re": "^a.c$"}, {"x": "ABC"}, False),
        ({"x|re|i": "^a.c$"}, {"x": "ABC"}, True),
        ({"x|re": "b"}, {"x": "abc"}, True),
        ({"x|cidr": "10.0.0.0/8"}, {"x": "10.2.3.4"}, True),
        ({"x|cidr": "10.0.0.0/8"}, {"x": "11.2.3.4"}, False),
        ({"x|cidr": "fd00::/8"}, {"x": "fd12::1"}, True),
        ({"x|cidr": "10.0.0.0/8"}, {"x": "nonsense"}, False),
        ({"x|gt": 5}, {"x": 6}, True),
        ({"x|gt": 5}, {"x": 5}, False),
        ({"x|gte": 5}, {"x": 5}, True),
        ({"x|lt": 5}, {"x": 4.5}, True),
        ({"x|lte": 5}, {"x": 5.1}, False),
        ({"x|gt": 5}, {"x": "6"}, True),
        ({"x|gt": 5}, {"x": "many"}, False),
        ({"x|gt": 0}, {"x": True}, False),
        ({"x|gt": 0}, {}, False),
        ({"x|fieldref": "y"}, {"x": "A", "y": "a"}, True),
        ({"x|fieldref": "y"}, {"x": "A", "y": "b"}, False),
        ({"x|fieldref": "y"}, {}, False),
        ({"x|fieldref|startswith": "y"}, {"x": "abc", "y": "AB"}, True),
        ({"x|fieldref|endswith": "y"}, {"x": "abc", "y": "AB"}, False),
        ({"x": "b"}, {"x": ["a", "B"]}, True),
        ({"x|contains": "b"}, {"x": ["a", "cBd"]}, True),
        ({"x|gt": 5}, {"x": [1, 9]}, True),
        ({"x": "b"}, {"x": []}, False),
        ({"x": "a", "y": "b"}, {"x": "a", "y": "b"}, True),
        ({"x": "a", "y": "b"}, {"x": "a", "y": "c"}, False),
        ([{"x": "a"}, {"y": "b"}], {"y": "b"}, True),
        ([{"x": "a"}, {"y": "b"}], {"x": "b"}, False),
        (["needle"], {"x": "a Needle in it"}, True),
        (["needle"], {"x": ["hay", "needles"]}, True),
        (["needle"], {"x": "hay"}, False),
        ({"x|base64": "abc"}, {"x": "YWJj"}, True),
        ({"x|windash|contains": " -f"}, {"x": "run /f"}, True),
    ],
)
def test_a_selection(selection: Any, fields: dict[str, Any], yes: bool) -> None:
    assert matches(selection, **fields) is yes


@pytest.mark.parametrize(
    ("condition", "yes"),
    [
        ("s and t", False),
        ("s or t", True),
        ("s and not t", True),
        ("not s", False),
        ("1 of them", True),
        ("all of them", False),
        ("1 of s*", True),
        ("all of s*", True),
        ("1 of t*", False),
        ("(s or t) and not (s and t)", True),
    ],
)
def test_a_condition(condition: str, yes: bool) -> None:
    assert matches({"s": {"x": "a"}, "t": {"y": "b"}}, condition, x="a", y="c") is yes


def test_a_long_text_does_not_make_an_expression_run_long() -> None:
    began = time.perf_counter()
    assert not matches({"x|re": "(a+)+b$"}, x="a" * 50_000 + "c")
    assert matches({"x|re": "(a+)+b$"}, x="a" * 50_000 + "b"), "all of the text is searched"
    assert not matches({"x": "*a*a*a*a*a*a*b*"}, x="a" * 50_000)
    assert not matches({"x": "*a?a?a?a?a?a?b*"}, x="a" * 50_000)
    assert time.perf_counter() - began < 5, "an engine that tries every way would take years"


VALUES = st.sampled_from(["a", "B", "ab", "bA", "c*", 0, 1, 5, 2.5, True, False, "none", ""])
FIELD = st.sampled_from(["x", "y", "explanation"])
ITEM = st.tuples(
    FIELD,
    st.sampled_from(["", "|contains", "|startswith", "|endswith", "|cased", "|exists", "|gt", "|re"]),
    st.lists(VALUES, min_size=1, max_size=3),
)


def item(field: str, modifier: str, values: list[Any]) -> dict[str, Any]:
    if modifier == "|exists":
        return {field + modifier: bool(values[0])}
    if modifier == "|gt":
        return {field + modifier: 1}
    if modifier == "|re":
        return {field + modifier: "^[ab]+$"}
    texts = [str(value) for value in values if value != ""] or ["a"]
    return {field + modifier: values if modifier == "" else texts}


SELECTION = st.lists(ITEM, min_size=1, max_size=3).map(
    lambda items: {key: value for each in items for key, value in item(*each).items()}
)
CONDITION = st.sampled_from(["s", "s and t", "s or t", "not s", "s and not t", "1 of them", "not s or t"])
LOOKUP = st.fixed_dictionaries(
    {}, optional={name: VALUES | st.lists(VALUES, max_size=3) for name in ("x", "y", "explanation")}
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(SELECTION, SELECTION, CONDITION), min_size=1, max_size=6), st.lists(LOOKUP, max_size=6))
def test_the_index_finds_what_asking_each_rule_finds(made: list[Any], found: list[dict[str, Any]]) -> None:
    texts = [detection({"s": s, "t": t}, condition, name=f"r{n}") for n, (s, t, condition) in enumerate(made)]
    ruleset = report(*texts).rules
    for fields in found:
        one = lookup(**fields)
        assert ruleset.matches(one) == [rule for rule in ruleset.detections if rule.predicate(one)]


PACK = load_texts(read_dir(pack_dir())).rules
PACK_LOOKUP = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["read", "export", "print", "follow"]),
        "system": st.sampled_from(["bvi", "obs", "tel", "brp", "cases"]),
        "on_shift": st.booleans(),
        "in_area": st.booleans(),
        "explanation": st.sampled_from([["none"], ["own-case"], ["dispatch", "unit-case"]]),
        "relation": st.sampled_from(["none", "self", "household", "colleague", "relative"]),
        "purpose.status": st.sampled_from(["missing", "false", "claimed", "explained"]),
        "subject.kind": st.sampled_from(["person", "vehicle", "address", "case"]),
        "subject.tags": st.lists(st.sampled_from(["honeytoken", "in-news", "police-vehicle", "employee"]), max_size=2),
        "subject.watched": st.booleans(),
        "actor.role": st.sampled_from(["officer", "support", "service-desk", "ict"]),
        "actor.on_leave": st.booleans(),
        "actor.has_left": st.booleans(),
        "query.fields": st.lists(st.sampled_from(["owner", "observations"]), max_size=2),
    },
)


@settings(max_examples=300, deadline=None)
@given(PACK_LOOKUP)
def test_the_index_finds_what_asking_each_rule_of_the_pack_finds(fields: dict[str, Any]) -> None:
    one = {**lookup(), **fields}
    assert PACK.matches(one) == [rule for rule in PACK.detections if rule.predicate(one)]


def test_the_pack_is_met_in_these_tests() -> None:
    """Else the property above would compare nothing with nothing."""
    one = {**lookup(), "explanation": ["none"], "on_shift": False, "subject.tags": ["honeytoken"]}
    assert len(PACK.matches(one)) >= 2
    assert orjson.dumps(one)
