"""Rules over any JSON: the flat view of a document, and matches that are those of asking every rule."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.matching import Matcher, flat
from monitor.rules import RuleSet, load_texts
from tests import corpus


def loaded(count: int, seed: int = 1) -> RuleSet:
    chance = random.Random(seed)
    report = load_texts({f"{number:04}.yml": corpus.rule(chance, number) for number in range(count)}, foreign=True)
    assert report.problems == []
    return report.rules


@pytest.mark.parametrize(
    ("document", "seen"),
    [
        ({"a": 1, "b": [1, None]}, {"a": 1, "b": [1, None]}),
        ({"a": {"b": 1}}, {"a": [], "a.b": 1}),
        ({"a": {"b": None}}, {"a": [], "a.b": None}),
        ({"a": {"b": 1}, "a.b": 2}, {"a": [], "a.b": 2}),
        ({"a.b": 2, "a": {"b": 1}}, {"a": [], "a.b": 2}),
        ({"a": {"b": {"c": 1}, "b.c": 2}}, {"a": [], "a.b": [], "a.b.c": 2}),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [], "a.b": [1, 2]}),
        ({"a": [{"b": 1}, {"c": 2}, 3]}, {"a": [3], "a.b": [1], "a.c": [2]}),
        ({"a": [{"b": [1, 2]}, {"b": None}]}, {"a": [], "a.b": [1, 2, None]}),
        ({"a": [{"b": [{"c": 1}]}, {"b": {"c": 2}}]}, {"a": [], "a.b": [], "a.b.c": [1, 2]}),
        ({"a": [[1, 2], [3, {"b": 4}]]}, {"a": [1, 2, 3], "a.b": [4]}),
        ({"a": {}}, {"a": []}),
        ({}, {}),
    ],
)
def test_a_document_is_seen_flat(document: dict[str, Any], seen: dict[str, Any]) -> None:
    before = orjson.dumps(document)
    assert flat(document) == seen
    assert orjson.dumps(document) == before


VALUES = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from("xy"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "a.b", "c"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def named(value: Any, name: str) -> list[tuple[int, Any]]:
    """Whatever goes by a name in a value, with the steps to it: the definition, told the slow way."""
    if isinstance(value, list):
        return [(steps, found) for item in value for steps, found in named(item, name)]
    if not isinstance(value, dict):
        return []
    here = [(1, value[name])] if name in value else []
    for key, inner in value.items():
        if name.startswith(f"{key}."):
            here += [(steps + 1, found) for steps, found in named(inner, name[len(key) + 1 :])]
    return here


@given(st.dictionaries(st.sampled_from(["a", "b", "a.b", "c"]), VALUES, max_size=4))
def test_what_a_name_means_in_any_document(document: dict[str, Any]) -> None:
    seen = flat(document)
    for name in ("a", "b", "a.b", "c", "a.c", "a.b.c", "a.a.b", "b.a.b.c"):
        found = named(document, name)
        assert (name in seen) == bool(found)
        values = seen[name] if isinstance(seen.get(name), list) else [seen.get(name)]
        assert not any(isinstance(value, (list, dict)) for value in values)
        if found and not isinstance(seen[name], list):
            nearest = min(steps for steps, _ in found)
            assert seen[name] in [value for steps, value in found if steps == nearest]


def test_matches_are_those_of_asking_every_rule() -> None:
    rules, chance = loaded(200), random.Random(2)
    matcher = Matcher(rules)
    events = [corpus.event(chance) for _ in range(400)]
    expected = [
        {"line": number, "rule_id": rule.id}
        for number, event in enumerate(events, 1)
        for rule in rules.detections
        if rule.predicate(flat(event))
    ]
    log = b"\n".join(map(orjson.dumps, events)) + b"\n"
    result = matcher.run(log, 1)
    assert [orjson.loads(line) for line in result.output.splitlines()] == expected
    assert (result.problems, result.lines) == ([], 400)
    assert len(expected) > 2000
    asked = {each["rule_id"] for each in expected}
    assert len(asked) > 150, "nearly every rule has something to say"


def test_a_log_in_pieces_is_the_log() -> None:
    rules, chance = loaded(50), random.Random(3)
    matcher = Matcher(rules)
    lines = [orjson.dumps(corpus.event(chance)) + b"\n" for _ in range(100)]
    whole = matcher.run(b"".join(lines), 1)
    parts = [matcher.run(b"".join(lines[at : at + 7]), at + 1) for at in range(0, 100, 7)]
    assert b"".join(part.output for part in parts) == whole.output


@pytest.mark.parametrize(
    ("log", "problems", "lines"),
    [
        (b"", [], 0),
        (b"\n", [], 1),
        (b"{}", [], 1),
        (b"{}\n\n  \r\n{}\n", [], 4),
        (b"\xef\xbb\xbf{}\n", [], 1),
        (b"{}\n\xef\xbb\xbf{}\n", ["2: not JSON"], 2),
        (
            b"{\n[1]\n3\nnull\n\xff\n",
            ["1: not JSON", "2: not an object", "3: not an object", "4: not an object", "5: "],
            5,
        ),
        (b'{"a":NaN}\n', ["1: not JSON"], 1),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}\n", ["1: "], 1),
        (b'{"a":' + b'[{"a":' * 300 + b"1" + b"}]" * 300 + b"}\n", [], 1),
        (b'{"a":' + b'[{"a":' * 500 + b"1" + b"}]" * 500 + b"}\n", ["1: nested too deep"], 1),
    ],
)
def test_what_is_no_object_is_said_with_its_line(log: bytes, problems: list[str], lines: int) -> None:
    result = Matcher(loaded(3)).run(log, 1)
    assert result.lines == lines
    assert len(result.problems) == len(problems)
    for (number, said), expected in zip(result.problems, problems, strict=True):
        assert f"{number}: {said}".startswith(expected)
