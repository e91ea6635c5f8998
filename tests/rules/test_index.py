"""The index finds exactly what asking each rule finds, and asks few of them however many there are."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules import RuleSet, load_texts
from monitor.rules.index import WitnessIndex
from monitor.rules.model import Detection
from monitor.rules.witness import cost_of, share_of
from tests.rules.samples import detection, report, rule_id
from tests.samples import lookup

FIELDS = ("x", "y", "z", "explanation", "actor.unit")
WORDS = ("a", "ab", "Abba", "b", "ba", "1", "10", "none", "Σας", "İx", "", "a.b", "c*", "10.0.0.1", "fd00::1", "true")
VALUES: tuple[Any, ...] = (*WORDS, 1, 10, 2.5, True, False, None)


def random_item(chance: random.Random) -> tuple[str, Any]:
    """A field with modifiers, and what is asked of it."""
    field, words = chance.choice(FIELDS), chance.sample(WORDS[:-3], chance.randint(1, 3))
    kind = chance.choice(
        ["", "", "", "|contains", "|startswith", "|endswith", "|cased", "|contains|all", "|re", "|re|i", "|cidr", "|exists",
         "|gt", "|neq", "|fieldref", "|fieldref|contains", "|expand", "|contains|expand", "null", "|contains|neq"]
    )  # fmt: skip
    match kind:
        case "null":
            return field, None
        case "|exists":
            return f"{field}|exists", chance.random() < 0.7
        case "|gt":
            return f"{field}|gt", chance.choice([0, 5, 2.5])
        case "|re" | "|re|i":
            return field + kind, chance.choice(["^a", "b$", "^[ab]+$", "1.", ""])
        case "|cidr":
            return field + kind, chance.choice(["10.0.0.0/8", "fd00::/8"])
        case "|fieldref" | "|fieldref|contains":
            return field + kind, chance.choice(FIELDS)
        case "|expand" | "|contains|expand":
            return field + kind, "%listed%"
        case "|contains|all":
            return field + kind, [word for word in words if word] or ["a"]
    return field + kind, chance.choice([words, words[0], chance.choice([1, 10, True, 2.5])])


def random_selection(chance: random.Random) -> Any:
    """A selection: fields, a list of them, or keywords."""
    if chance.random() < 0.1:
        words = chance.sample([word for word in WORDS if word], 2)
        return chance.choice([words, {"|all": words}, {"|re": ["^b", "a{2}"]}, [*words, 10]])
    items = [dict(random_item(chance) for _ in range(chance.randint(1, 3))) for _ in range(chance.choice([1, 1, 1, 2]))]
    return items[0] if len(items) == 1 else items


CONDITIONS = (
    "s",
    "s",
    "s and t",
    "s or t",
    "not s",
    "s and not t",
    "1 of them",
    "all of them",
    "not (s and t)",
    ["s and t", "t"],
)


def random_rules(chance: random.Random, count: int) -> dict[str, str]:
    """Rules, and exceptions to some of them."""
    texts = {"lists/listed.txt": "ab\nb*\n1?\n"}
    for number in range(count):
        body = {"s": random_selection(chance), "t": random_selection(chance)}
        texts[f"{number:04}.yml"] = detection(body, chance.choice(CONDITIONS), name=f"r{number}")
        if chance.random() < 0.1:
            made = {"rules": [f"r{number}"], "s": random_selection(chance), "condition": "s"}
            about = {"title": f"f{number}", "id": rule_id(f"f{number}"), "logsource": {"category": "lookup"}}
            texts[f"{number:04}f.yml"] = orjson.dumps({**about, "filter": made}).decode()
    return texts


def random_lookup(chance: random.Random) -> dict[str, Any]:
    """A lookup that has some of the fields, with single values and lists."""
    found = {
        name: chance.choice([chance.choice(VALUES), [chance.choice(VALUES) for _ in range(chance.randint(0, 3))]])
        for name in FIELDS
        if chance.random() < 0.7
    }
    return {**lookup(), **found}


def loaded(chance: random.Random, count: int) -> RuleSet:
    made = load_texts(random_rules(chance, count))
    assert [problem for problem in made.problems if "more than once" not in problem.message] == []
    return made.rules


def asking_each(rules: RuleSet, one: dict[str, Any]) -> list[Detection]:
    return [rule for rule in rules.detections if rule.predicate(one)]


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 25))
def test_a_few_rules(seed: int, count: int) -> None:
    chance = random.Random(seed)
    rules = loaded(chance, count)
    for _ in range(8):
        one = random_lookup(chance)
        assert rules.matches(one) == asking_each(rules, one)


@pytest.fixture(scope="module")
def thousand() -> RuleSet:
    return loaded(random.Random(7), 1_000)


def test_a_thousand_rules(thousand: RuleSet) -> None:
    chance = random.Random(8)
    total: Counter[str] = Counter()
    for _ in range(400):
        one = random_lookup(chance)
        found = thousand.matches(one)
        assert found == asking_each(thousand, one)
        total.update(rule.name for rule in found if rule.name is not None)
    assert len(total) > 800, "most of the rules match something"


def test_a_witness_is_met_by_every_lookup_that_matches(thousand: RuleSet) -> None:
    chance = random.Random(9)
    for _ in range(100):
        one = random_lookup(chance)
        for rule in asking_each(thousand, one):
            for witness in rule.witnesses:
                alone = WitnessIndex([replace(rule, witnesses=(witness,))])
                assert alone.matches(one) == [rule], (witness, one)


def test_what_is_only_known_by_one_witness_is_found_too(thousand: RuleSet) -> None:
    """As it is when a witness is all that a cache has kept."""
    chance = random.Random(10)
    kept = [replace(rule, witnesses=()) for rule in thousand.detections]
    index = WitnessIndex(kept)
    for _ in range(100):
        one = random_lookup(chance)
        assert index.matches(one) == asking_each(thousand, one)


def asked_of(count: int) -> float:
    """How many of so many rules are asked about a lookup, on average. Each matches one value in a hundred, of two fields."""
    chance = random.Random(3)
    asked = 0

    def counting(rule: Detection) -> Detection:
        def predicate(one: Any) -> bool:
            nonlocal asked
            asked += 1
            return rule.predicate(one)

        return replace(rule, predicate=predicate)

    bodies = [
        {"explanation": "none", "actor.unit": f"u-{chance.randrange(20)}", "subject.area": f"a-{chance.randrange(50)}"}
        for _ in range(count)
    ]
    rules = report(*(detection(body, name=f"r{number}") for number, body in enumerate(bodies))).rules
    index = WitnessIndex([counting(rule) for rule in rules.detections])
    for _ in range(500):
        fields = {"actor.unit": f"u-{chance.randrange(20)}", "subject.area": f"a-{chance.randrange(50)}"}
        index.matches({**lookup(), "explanation": ["none"], **fields})
    return asked / 500


def test_the_number_of_rules_asked_does_not_grow_with_the_number_of_rules() -> None:
    """Two thousand rules of which a lookup matches two: it was twenty times as many when one witness was all."""
    assert asked_of(2_000) < 8


def test_witnesses() -> None:
    def of(selection: Any, condition: str = "s") -> list[frozenset[tuple[str, str, str]]]:
        (rule,) = report(detection(selection, condition)).rules.detections
        assert (rule.witness is None) == (not rule.witnesses)
        assert rule.witness is None or rule.witness == min(rule.witnesses, key=cost_of)
        return list(rule.witnesses)

    assert of({"x": "A", "y|contains": ["b", "cc"]}) == [{("x", "=", "a")}, {("y", "~", "b"), ("y", "~", "cc")}]
    assert of({"x|re": "a", "y|gt": 5}) == [{("x", "?", "")}, {("y", "?", "")}]
    assert of({"x": None}) == []
    assert of({"x": None, "y": 5}) == [{("y", "=", "5")}]
    assert of({"x": "a"}, "not s") == []
    assert of({"s": {"x": "a"}, "t": {"y": "b"}}, "s or t") == [{("x", "=", "a"), ("y", "=", "b")}]
    assert of({"s": {"x": "a"}, "t": {"y": None}}, "s or t") == []
    assert of(["needle"]) == [{("", "~", "needle")}]
    assert of({"|re": ["needle"]}) == []
    assert of({"x": "*ab?cde*"}) == [{("x", "~", "cde")}]
    assert of({"x|exists": True}) == [{("x", "?", "")}]
    assert of({"x|exists": False}) == []


def test_what_is_rarer_costs_less() -> None:
    clauses = [
        ("subject.id", "=", "p-1"),
        ("actor.unit", "=", "u"),
        ("explanation", "=", "none"),
        ("in_area", "=", "true"),
        ("x", "?", ""),
    ]
    assert sorted(clauses, key=share_of) == clauses
    assert share_of(("x", "~", "abcd")) < share_of(("x", "~", "a")) < share_of(("", "~", "a"))
    assert cost_of(frozenset(clauses[:2]))[0] == pytest.approx(share_of(clauses[0]) + share_of(clauses[1]))
