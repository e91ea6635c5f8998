"""Lint as a whole: order, comments, what is left out, and that no rule, however broken, breaks it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.enrich import enrich
from monitor.events import decode
from monitor.reference import Reference
from monitor.reference import decode as decode_reference
from monitor.rules import load_texts, read_dir
from monitor.rules.lint import lint
from monitor.rules.lint.comments import disabled_in
from monitor.rules.lint.known import CLOSED, LISTS
from monitor.settings import pack_dir
from monitor.simulate import Settings as ForceSettings
from monitor.simulate import simulate
from tests.rules.lint.samples import EXPORTS, GOOD, PATHS, TODAY, edited, exports, linted, news, unmarked

WRONG = news("level: high", "level: high\nlevle: high")


def ids(*edits: Any, **options: Any) -> list[str]:
    return [finding.id for finding in linted(*edits, **options)]


def test_findings_come_in_the_order_of_their_places() -> None:
    found = linted(WRONG, news("title: S", "title: s"), exports("name: many", "nmae: x\nname: many"))
    assert [(each.path, each.line, each.id) for each in found] == sorted(
        (each.path, each.line, each.id) for each in found
    )
    assert [each.id for each in found] == ["LM101", "LM103", "LM101"]


def test_a_check_is_left_out_by_its_id_or_name() -> None:
    assert ids(WRONG) == ["LM101"]
    assert ids(WRONG, disable=["LM101"]) == ids(WRONG, disable=["unknown-key"]) == []


def test_only_some_files_are_reported_about_but_all_are_seen() -> None:
    bad = (WRONG, exports("name: many", "nmae: x\nname: many"))
    assert [each.path for each in linted(*bad, only={PATHS["news"]})] == [PATHS["news"]]
    assert "LM009" in ids({PATHS["news"]: ""}, only={PATHS["press"]}), "the filter names a rule of another file"


@pytest.mark.parametrize(
    ("text", "line", "off"),
    [
        ("# lint: disable=LM101\n{}", None, True),
        ("# about it\n#  lint: disable=LM102, LM101 \n\n{}", None, True),
        ("# lint: disable=unknown-key\n{}", None, True),
        ("# lint: disable=LM101\n---\n{}", None, True),
        ("# lint: disable=LM102\n{}", None, False),
        ("{}# lint: disable=LM101\n", None, False),
        ("{}", "levle: high  # lint: disable=LM101", True),
        ("{}", "levle: high  # lint: disable=LM102,LM101", True),
        ("{}", "levle: high  # lint: disable=LM102", False),
        ("{}", "levle: 'high # lint: disable'", False),
        ("{}", "# lint: disable=LM101\nlevle: high", False),
    ],
)
def test_a_comment_switches_a_check_off(text: str, line: str | None, off: bool) -> None:
    body = unmarked(edited(news("level: high", f"level: high\n{line or 'levle: high'}")))[0][PATHS["news"]]
    assert ids({PATHS["news"]: text.format(body.replace("{", "{{").replace("}", "}}")).replace("{{", "{").replace("}}", "}")}) == (
        [] if off else ["LM101"]
    )  # fmt: skip


def test_a_comment_at_the_top_is_about_its_own_document() -> None:
    wrong = EXPORTS.replace("name: export", "nmae: x\nname: export").replace("name: many", "nmae: y\nname: many")
    first = f"# lint: disable=LM101\n{wrong}"
    second = wrong.replace("---\n", "---\n# lint: disable=LM101\n")
    assert [each.line for each in linted({PATHS["exports"]: first})] == [wrong.split("\n").index("nmae: y") + 2]
    assert [each.line for each in linted({PATHS["exports"]: second})] == [3]


def test_where_comments_are() -> None:
    (found,) = disabled_in("a: 1 # lint: disable=LM101")
    assert found == ("LM101", 1, 1, 1, 22)
    assert disabled_in("a: 1# lint: disable=LM101") == []
    assert disabled_in("") == []


def test_the_pack_has_no_errors_or_warnings() -> None:
    found = lint(read_dir(pack_dir()), TODAY)
    assert [str(each) for each in found if each.severity != "info"] == []


def test_the_values_of_closed_fields_are_those_that_lookups_have() -> None:
    """Else a rule would be said to ask for what never is, although it is."""
    force = simulate(ForceSettings(seed=5, days=3, actors=60, start=datetime(2026, 11, 1, tzinfo=UTC)))
    reference = Reference(decode_reference(orjson.dumps(record)) for record in force.reference)
    count = 0
    for event in force.events():
        lookup = enrich(decode(orjson.dumps(event), received_ms=2**42), reference)
        count += 1
        for field, values in CLOSED.items():
            found = lookup.get(field, values[0])
            assert isinstance(found, list) == (field in LISTS and field in lookup)
            assert {*(found if isinstance(found, list) else [found])} <= {*values}
    assert count > 500


FILES = sorted(GOOD.items())


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, len(FILES) - 1))
def test_a_damaged_file_is_linted_too(chance: random.Random, number: int) -> None:
    path, good = FILES[number]
    text = list(good)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(text))
        match chance.randrange(3):
            case 0:
                del text[at : at + chance.randint(1, 20)]
            case 1:
                text.insert(at, chance.choice(":[]{}-|>&*!%@'\"\n\t #?é\x00\u2028"))
            case _:
                text[at : at + 1] = text[max(0, at - 10) : at]
        text = text or [" "]
    files = {**GOOD, path: "".join(text)}
    found = lint(files, TODAY)
    refused = {finding.path for finding in found if finding.severity == "error"}
    assert {problem.path for problem in load_texts(files).problems} <= refused
    assert all(finding.path in files and finding.line >= 1 and finding.column >= 1 for finding in found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TOP = [
    "title",
    "related",
    "date",
    "tags",
    "level",
    "description",
    "detection",
    "correlation",
    "filter",
    "tests",
    "expires",
]
BODY = ["type", "rules", "group-by", "timespan", "condition", "generate", "aliases", "window", "gap", "peer"]
SELECTION = [
    "condition",
    "news",
    "rules",
    "action|neq",
    "hour|gte",
    "on_shift",
    "actor.id|all",
    "x|expand",
    "x|contains",
]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(TOP), JSON, st.sampled_from(BODY), JSON, st.sampled_from(SELECTION), JSON)
def test_any_value_anywhere_is_linted(top: str, one: Any, body: str, two: Any, line: str, three: Any) -> None:
    base = {"title": "T", "id": "3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a21", "logsource": {"category": "lookup"}}
    select = {"s": {line: three}, line: three, "condition": "s"}
    count = {
        "type": "event_count",
        "rules": ["in-news"],
        "group-by": ["actor.id"],
        "timespan": "1h",
        "condition": {"gte": 2},
    }
    texts = dict(GOOD)
    for number, more in enumerate(
        (
            {"detection": select},
            {"correlation": {**count, body: two}},
            {"filter": {**select, "rules": ["in-news"]}},
            {top: one},
        )
    ):
        document = {**base, "id": base["id"][:-1] + str(number), "title": f"T{number}", **more}
        try:
            texts[f"rules/curiosity/x{number}.yml"] = orjson.dumps(document).decode()
        except TypeError:
            continue  # a number that JSON has no form for
    assert all(finding.path in texts for finding in lint(texts, TODAY))
