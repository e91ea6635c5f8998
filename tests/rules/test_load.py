"""Loading: every problem has its place and a hint; one bad document never stops the others."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.documents import parse_text
from monitor.rules import load_texts, read_dir
from monitor.rules.model import TYPOLOGIES
from monitor.settings import pack_dir
from tests.rules.samples import correlation, detection, report, rule_id

GOOD = """title: A
id: 00000000-0000-4000-8000-000000000001
name: a
logsource: {category: lookup}
detection:
  s:
    action: read
  condition: s
"""
COUNT = """title: B
id: 00000000-0000-4000-8000-000000000002
correlation:
  type: event_count
  rules: [a]
  group-by: [actor.id]
  timespan: 10m
  condition:
    gte: 3
"""


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        (changed(GOOD, "title: A\n", ""), "1:1", "title is missing", "every rule needs"),
        (
            changed(GOOD, "id: 00000000-0000-4000-8000-000000000001", "id: five"),
            "2:1",
            "id five is not a UUID",
            "for instance",
        ),
        (changed(GOOD, "category: lookup", "category: process_creation"), "4:1", "logsource", "category: lookup"),
        (changed(GOOD, "  condition: s\n", ""), "5:1", "condition is missing", "combine"),
        (changed(GOOD, "condition: s", "condition: other"), "8:3", "other", "selections"),
        (changed(GOOD, "condition: s", "condition: s and"), "8:3", "", "selections"),
        (changed(GOOD, "action: read", "action|contians: read"), "7:5", "contians", "did you mean contains?"),
        (changed(GOOD, "action: read", "action|re: '('"), "7:5", "", ""),
        (GOOD + "level: hihg\n", "9:1", "level hihg", "did you mean high?"),
        (GOOD + "typology: bulk-harvst\n", "9:1", "typology bulk-harvst", "did you mean bulk-harvest?"),
        (changed(GOOD, "title: A", "title: A\n  broken: ["), "2:9", "not YAML", ""),
        ("- a\n- b\n", "1:1", "a rule must be a mapping", "title"),
    ],
)
def test_a_wrong_detection(text: str, place: str, message: str, hint: str) -> None:
    (problem,) = load_texts({"x.yml": text}).problems
    assert f"{problem.line}:{problem.column}" == place
    assert message in problem.message
    assert hint in problem.hint
    assert str(problem).startswith(f"x.yml:{place}: ")


@pytest.mark.parametrize(
    ("old", "new", "place", "message", "hint"),
    [
        ("event_count", "event_cuont", "4:3", "event_cuont", "did you mean event_count?"),
        ("[a]", "[b]", "5:11", "there is no rule b", "there are"),
        ("[a]", "[]", "5:3", "rules is missing", ""),
        ("10m", "10 minutes", "7:3", "timespan 10 minutes is none", "such as 10m"),
        ("10m", "0m", "7:3", "timespan 0m is none", "such as 10m"),
        ("gte: 3", "gt3: 3", "9:5", "condition gt3", "did you mean"),
        ("gte: 3", "gte: many", "9:5", "is not a number", ""),
        ("gte: 3", "gte: true", "9:5", "is not a number", ""),
        ("\n    gte: 3", " {}", "8:3", "no bound", "gte"),
        ("event_count", "value_count", "8:3", "no field, which value_count looks at: different values", "subject.id"),
        ("correlation:\n", "correlation: 3\nx:\n", "3:1", "must be a mapping", ""),
    ],
)
def test_a_wrong_correlation(old: str, new: str, place: str, message: str, hint: str) -> None:
    loaded = load_texts({"a.yml": GOOD, "x.yml": changed(COUNT, old, new)})
    (problem,) = loaded.problems
    assert f"{problem.path}:{problem.line}:{problem.column}" == f"x.yml:{place}"
    assert message in problem.message
    assert hint in problem.hint
    assert [rule.title for rule in loaded.rules.detections] == ["A"]


def test_the_second_of_two_rules_with_one_id_or_name_is_refused() -> None:
    other = changed(GOOD, "000000000001", "000000000009")
    (problem,) = load_texts({"a.yml": GOOD, "b.yml": other}).problems
    assert (problem.path, problem.line) == ("b.yml", 3)
    assert "a is used in a.yml already" in problem.message
    (problem,) = load_texts({"a.yml": GOOD, "b.yml": changed(GOOD, "name: a", "name: b")}).problems
    assert "already" in problem.message


def test_several_documents_in_a_file_and_one_of_them_bad() -> None:
    bad = changed(GOOD, "category: lookup", "category: x")
    loaded = load_texts(
        {
            "x.yml": f"{GOOD}---\n{changed(bad, '000000000001', '000000000003').replace('name: a', 'name: c')}---\n{COUNT}"
        }
    )
    assert [(problem.line, problem.path) for problem in loaded.problems] == [(13, "x.yml")]
    assert [rule.title for rule in loaded.rules.detections] == ["A"]
    assert [rule.title for rule in loaded.rules.correlations] == ["B"]


def test_a_part_of_a_correlation_alerts_only_when_asked_to() -> None:
    base = detection({"action": "read"})
    assert [rule.alerts for rule in report(base).rules.detections] == [True]
    assert [rule.alerts for rule in report(base, correlation()).rules.detections] == [False]
    assert [rule.alerts for rule in report(base, correlation(generate=True)).rules.detections] == [True]


def test_the_version_follows_the_texts() -> None:
    assert load_texts({"a": GOOD}).rules.version == load_texts({"a": GOOD}).rules.version
    assert load_texts({"a": GOOD}).rules.version != load_texts({"a": GOOD + "\n"}).rules.version


def test_a_folder_is_read_whatever_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yml").write_bytes(b"title: \xff\xfe\n")
    (tmp_path / "c.txt").write_text("not a rule")
    loaded = load_texts(read_dir(tmp_path))
    assert [rule.title for rule in loaded.rules.detections] == ["A"]
    assert [Path(problem.path).name for problem in loaded.problems] == ["b.yml"]


def test_the_pack_is_whole() -> None:
    loaded = load_texts(read_dir(pack_dir()))
    assert loaded.problems == []
    every = [*loaded.rules.detections, *loaded.rules.correlations]
    alerting = [rule for rule in every if rule.alerts]
    assert len(alerting) >= 45
    assert {rule.typology for rule in alerting} == set(TYPOLOGIES)
    for rule in alerting:
        assert Path(rule.path).parent.name == rule.typology, rule.path
        assert rule.playbook, rule.path
        assert rule.description, rule.path
        assert rule.tags, rule.path
        assert rule.falsepositives, rule.path
    assert {Path(rule.path).parent.name for rule in every if not rule.alerts} == {"base"}, (
        "what does not alert is a part"
    )
    assert len({rule.type for rule in loaded.rules.correlations}) >= 8


def test_every_rule_of_the_pack_has_a_positive_and_a_negative_test() -> None:
    for path, text in read_dir(pack_dir()).items():
        for document in parse_text(path, text, []):
            if Path(path).parent.name in TYPOLOGIES:
                expected = [test["alerts"] for test in document.data["tests"]]
                assert 0 in expected, path
                assert [count for count in expected if count], path


PACK = sorted(read_dir(pack_dir()).items())


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(PACK))
def test_a_damaged_file_is_reported_and_never_stops_the_others(chance: random.Random, file: tuple[str, str]) -> None:
    text = list(file[1])
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(text))
        match chance.randrange(3):
            case 0:
                del text[at : at + chance.randint(1, 20)]
            case 1:
                text.insert(at, chance.choice(":[]{}-|>&*!%@'\"\n\t #?é\x00\u2028"))
            case _:
                text[at : at + 1] = text[max(0, at - 10) : at]
        if not text:
            text = [" "]
    loaded = load_texts({"good.yml": detection({"action": "read"}), "damaged.yml": "".join(text)})
    assert "base" in [rule.name for rule in loaded.rules.detections]
    assert all(
        problem.path == "damaged.yml" and problem.line >= 1 and problem.column >= 1 for problem in loaded.problems
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PARTS = ["title", "id", "name", "level", "typology", "description", "logsource", "detection", "correlation", "playbook"]
BODY = ["type", "rules", "group-by", "timespan", "condition", "generate"]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PARTS), JSON, st.sampled_from(BODY), JSON)
def test_any_value_anywhere_is_taken_or_reported(part: str, value: object, key: str, inner: object) -> None:
    rule = {**orjson.loads(detection({"action": "read"}, name="x")), part: value}
    count = orjson.loads(correlation("y"))
    count["correlation"][key] = inner
    texts = {"good.yml": detection({"action": "read"})}
    for name, document in (("x.yml", rule), ("y.yml", count)):
        try:
            texts[name] = orjson.dumps(document).decode()
        except TypeError:
            continue  # a number that JSON has no form for
    loaded = load_texts(texts)
    assert rule_id("base") in [found.id for found in loaded.rules.detections]
    for found in (*loaded.rules.detections, *loaded.rules.correlations):
        assert isinstance(found.id, str)
        assert isinstance(found.title, str)
