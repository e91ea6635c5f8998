"""Whatever is in a rule file: it is loaded or reported, without a crash, without a hang, and without harm to other files."""

from __future__ import annotations

import copy
import random
import string
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.documents import MAX_DEPTH, MAX_NODES, MAX_TEXT
from monitor.rules import LoadReport, load_texts
from tests.rules.samples import correlation, detection, rule_id
from tests.samples import lookup

GOOD = detection({"action": "read"}, name="good")
LETTERS = string.ascii_lowercase


def load(text: str) -> LoadReport:
    """Load a text beside a good one, which must be whatever the text is, twice: the second time from the cache."""
    cache: dict[str, bytes] = {}
    first = load_texts({"good.yml": GOOD, "x.yml": text}, cache=cache)
    again = load_texts({"good.yml": GOOD, "x.yml": text}, cache=cache)
    assert rule_id("good") in [rule.id for rule in first.rules.detections]
    assert not any("not understood" in problem.message for problem in first.problems)
    assert all(problem.path == "x.yml" and problem.line >= 1 and problem.column >= 1 for problem in first.problems)
    assert [problem.message for problem in first.problems] == [problem.message for problem in again.problems]
    assert {id_: rule.fingerprint for id_, rule in first.rules.by_id.items()} == {
        id_: rule.fingerprint for id_, rule in again.rules.by_id.items()
    }
    first.rules.matches(lookup())
    return first


def bomb(form: str, close: str) -> str:
    """Nine levels of nine aliases each: 387 million nodes."""
    lines = [f"a: &a {form}x: 1{close}" if form == "{" else f"a: &a {form}x{close}"]
    for level, name in enumerate(LETTERS[1:10]):
        aliases = ", ".join([f"*{LETTERS[level]}"] * 9)
        lines.append(f"{name}: &{name} " + (f"{{<<: [{aliases}]}}" if form == "{" else f"[{aliases}]"))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 200_000, "nested deeper"),
        ("{a: " * 200_000, "nested deeper"),
        ("- " * 200_000 + "a", "nested deeper"),
        ("? " * 200_000 + "a", "nested deeper"),
        ("title: " + "[" * (MAX_DEPTH + 5) + "]" * (MAX_DEPTH + 5), "nested deeper"),
        (bomb("[", "]"), "nodes"),
        (bomb("{", "}"), "nodes"),
        ("a: &a [*a]", "inside of itself"),
        ("a: &a {b: {c: *a}}", "inside of itself"),
        ("a: &a {<<: *a}", "inside of itself"),
        ("a: *b", "undefined alias"),
        ("a: [" + "x, " * MAX_NODES + "]", "nodes"),
        ("a: " + "x" * MAX_TEXT, "characters"),
        ("title: 0x" + "f" * 5000, "64 bits"),
        ("title: 123456789012345678901", "64 bits"),
        ("title: " + "9" * 5000, "64 bits"),
        ("{a: 1, a: 2}", "there twice"),
        ("? [a]\n: b", "unhashable"),
        ("a: !!python/object:os.system {}", "constructor"),
        ('a: "\\ud800"', ""),
        ("a: \x00", ""),
        ("%YAML 3.0\n---\na: b", ""),
        ("a: !!binary '*'", ""),
        ("a: !!timestamp x", ""),
        ("a: !!int x", ""),
        ("a: !!float x", ""),
        ("a: !!bool x", "not YAML"),
        ("a: !!set {x, y}", "title is missing"),
        ("a: !!omap [x: 1]", "title is missing"),
        ("\ufeffa: b", "title is missing"),
        ("--- a\n--- b\n--- [c]\n---\n--- {d: e}", "a rule must be a mapping"),
    ],
    ids=lambda part: part[:25].replace("\x00", "NUL"),
)
def test_a_text_that_is_no_rule_is_reported(text: str, message: str) -> None:
    problems = load(text).problems
    assert problems
    assert any(message in problem.message for problem in problems), problems


def test_documents_before_an_endless_one_are_read() -> None:
    loaded = load(f"{detection({'action': 'list'}, name='before')}\n---\n{bomb('[', ']')}\n---\n{GOOD}")
    assert [rule.name for rule in loaded.rules.detections] == ["good", "before"]
    (problem,) = loaded.problems
    assert "nodes" in problem.message
    assert problem.line > 2


def test_aliases_and_merges_of_a_reasonable_size_are_fine() -> None:
    text = f"""
title: A
id: {rule_id("a")}
logsource: &source {{category: lookup}}
copy: *source
detection:
  one: &one {{action: read, system: [bvi, brp]}}
  two: {{<<: *one, results: 0}}
  condition: one or two
"""
    loaded = load(text)
    assert loaded.problems == []
    assert [rule.title for rule in loaded.rules.matches({**lookup(), "action": "read"})] == ["good", "A"]


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet="()ansotr 1f*_\t", max_size=60))
def test_any_condition_is_taken_or_reported(condition: str) -> None:
    load(
        orjson.dumps(
            {**orjson.loads(detection({"a": "b"}, name="x")), "detection": {"s": {"a": "b"}, "condition": condition}}
        ).decode()
    )


@pytest.mark.parametrize("many", [10, 60, 400, 2000])
def test_a_condition_nested_deep_is_taken_or_reported(many: int) -> None:
    for condition in ("(" * many + "s" + ")" * many, "not " * many + "s", " or ".join(["s"] * many), "(s or " * many):
        load(detection({"a": "b"}, condition, name="x"))
        load(correlation("y", rules=["good"], type="temporal", condition=condition.replace("s", "good")))


FILTER = {
    "title": "f",
    "id": rule_id("f"),
    "logsource": {"category": "lookup"},
    "expires": "2027-06-30",
    "filter": {"rules": ["base"], "s": {"actor.id": "o-1"}, "condition": "s"},
}
EVERY: list[dict[str, Any]] = [
    orjson.loads(text)
    for text in (
        detection({"action": "read", "x|contains|all": ["a", "b"], "y|re|i": "^a", "z|cidr": "10.0.0.0/8"}, suppress="1h"),
        detection({"s": ["word", {"x|expand": "%l%"}], "t": {"time|hour|gte": 22}}, "s and not t", name="two"),
        correlation("c1", suppress="1d", grace="2h"),
        correlation("c2", type="value_count", window="session", gap="5m", condition={"field": ["a", "b"], "gte": 3}),
        correlation("c3", type="temporal", rules=["base", "two"], condition="base and not two"),
        correlation("c4", type="temporal_ordered", rules=["base", "c1"], aliases={"who": {"base": "x"}}, group_by=["actor.id", "who"]),
        correlation("c5", type="rate_change", condition={"factor": 3, "minimum": 5, "baseline": 4}),
        correlation("c6", type="peer_deviation", peer="actor.unit", condition={"deviations": 4}),
        correlation("c7", type="share", rules=["two", "base"], condition={"gte": 0.5, "minimum": 10}),
        correlation("c8", type="absence", rules=["base", "two"], condition={}),
        correlation("c9", type="value_percentile", condition={"field": "results", "gte": 5, "percentile": 95}),
    )
] + [FILTER]  # fmt: skip
ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**18, 1e308, "", "a", "10m", "any", "base", "c1", [], [[]], {}, {"a": {}}, ["a", 1, None],
    "\u2028", "%l%", "*", "(", "x|re", {"gte": 1}, [{}], "é" * 300, "1y", "99999y", "not s", "1 of them", "__proto__",
]  # fmt: skip


def changed(chance: random.Random, document: Any) -> Any:
    """A document with a few values, somewhere in it, replaced, removed, doubled or swapped."""
    document = copy.deepcopy(document)
    for _ in range(chance.randint(1, 3)):
        here = document
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(here[key], (dict, list)) and chance.random() < 0.75:
                here = here[key]
                continue
            match chance.randrange(4):
                case 0:
                    del here[key]
                case 1 if isinstance(here, dict):
                    here[chance.choice([f"{key}|neq", f"{key}|cased", f"{key}|", "condition", "field", "x"])] = here[
                        key
                    ]
                case 2:
                    here[key] = [here[key], copy.deepcopy(chance.choice(ODD))]
                case _:
                    here[key] = copy.deepcopy(chance.choice(ODD))
            break
    return document


@settings(max_examples=400, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_rule_with_anything_anywhere_is_taken_or_reported(chance: random.Random) -> None:
    documents = [changed(chance, each) if chance.random() < 0.4 else each for each in EVERY]
    chance.shuffle(documents)
    load("\n---\n".join(orjson.dumps(each).decode() for each in documents))


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"x|cidr": None}, "Modifier SigmaCIDRModifier incompatible to value type of 'null'"),
        ({"x|re|i": [["^a"], "^b"]}, "a value of x|re|i is a list or a mapping"),
        ({"x|re": ["a", None]}, "a value of x|re is no text"),
        ({"x": [{"a": 1}]}, "a value of x is a list or a mapping"),
        ({"x": 1e308}, None),
    ],
)
def test_what_went_wrong_once(selection: Any, message: str | None) -> None:
    found = [problem.message for problem in load(detection(selection, name="x")).problems]
    assert found == ([] if message is None else [message])


def test_the_rules_that_are_changed_there_are_right() -> None:
    loaded = load_texts({"x.yml": "\n---\n".join(orjson.dumps(each).decode() for each in EVERY), "lists/l.txt": "a"})
    assert loaded.problems == []
    assert len(loaded.rules.by_id) == len(EVERY) - 1


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_taken_or_reported(data: bytes) -> None:
    load(data.decode(errors="replace"))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=60))
def test_a_damaged_cache_is_no_cache(data: bytes) -> None:
    cache: dict[str, bytes] = {}
    fresh = load_texts({"good.yml": GOOD}, cache=cache)
    (key,) = cache
    cache[key] = data
    assert load_texts({"good.yml": GOOD}, cache=cache).rules.by_id == fresh.rules.by_id


def test_a_text_with_half_a_character_has_a_version_and_stops_nothing() -> None:
    loaded = load_texts({"good.yml": GOOD, "x.yml": "title: \ud800", "lists/a.txt": "\ud800"})
    assert [rule.name for rule in loaded.rules.detections] == ["good"]
    assert len(loaded.rules.version) == 16
