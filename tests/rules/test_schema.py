"""The schema of rule files: it takes what the loader takes, and refuses what is wrong in form."""

from __future__ import annotations

from typing import Any

import jsonschema
import orjson
import pytest

from monitor.documents import parse_text
from monitor.rules import load_texts, read_dir
from monitor.rules.kinds import KINDS
from monitor.rules.lint import about, inline
from monitor.rules.schema import DOCUMENTS, json_schema
from monitor.rules.schema.inline import ALERT, EVENT, TEST
from monitor.settings import pack_dir
from tests.rules.lint import cases_about, cases_correlation, cases_detection, cases_others, cases_refused
from tests.rules.lint.samples import GOOD, Case, edited, unmarked
from tests.rules.samples import correlation, detection

CHECKER = jsonschema.FormatChecker()
ANY = jsonschema.Draft202012Validator(json_schema(), format_checker=CHECKER)
#: Cases that are wrong in form. The rest is wrong by what other rules, lists or expressions say, which no schema knows.
FORM = (
    "LM003",
    "LM004",
    "LM006",
    "LM007",
    "LM012",
    "LM014",
    "LM015",
    "LM016",
    "LM017",
    "LM018",
    "LM019",
    "LM020",
    "LM021",
)
CASES: dict[str, list[Case]] = {
    **{name: cases_refused.CASES[name] for name in (*FORM, "LM022", "LM023")},
    **{name: cases_about.CASES[name] for name in ("LM101", "LM115", "LM119", "LM123")},
    **{name: cases_detection.CASES[name] for name in ("LM223",)},
    **{name: cases_correlation.CASES[name] for name in ("LM304", "LM305")},
    **{name: cases_others.CASES[name] for name in ("LM373",)},
}
BEYOND = {
    ("LM012", "is too long"),
    ("LM012", "timespan is too long for a tumbling window"),
    ("LM014", ""),
    ("LM014", "other"),
    ("LM014", "no selection is called"),
    ("LM017", "in-news is no rule of this correlation"),
}


def documents(files: dict[str, str]) -> list[Any]:
    return [each.data for path in files if path.endswith(".yml") for each in parse_text(path, files[path], [])]


def kind_of(document: dict[str, Any]) -> str:
    return next((name for name in ("explanation", "correlation", "filter") if name in document), "detection")


def is_valid(document: Any) -> bool:
    """Whether any schema takes it; the schema of its own kind says the same."""
    one = jsonschema.Draft202012Validator(json_schema(kind_of(document)), format_checker=CHECKER)
    assert one.is_valid(document) == ANY.is_valid(document)
    return ANY.is_valid(document)


@pytest.mark.parametrize("kind", [None, *DOCUMENTS])
def test_a_schema_is_one(kind: str | None) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(kind))


def test_the_whole_pack_is_valid() -> None:
    found = documents(read_dir(pack_dir()))
    assert len(found) > 20
    for document in found:
        ANY.validate(document)


def test_all_good_rules_are_valid() -> None:
    found = documents(dict(GOOD))
    assert {kind_of(document) for document in found} == set(DOCUMENTS)
    assert all(is_valid(document) for document in found)


@pytest.mark.parametrize(
    "case", [pytest.param(one, id=f"{name}-{one.says}") for name, several in CASES.items() for one in several]
)
def test_what_is_good_is_valid(case: Case) -> None:
    assert all(is_valid(document) for document in documents(unmarked(edited(*case.good))[0]))


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(one, id=f"{name}-{one.says}")
        for name, several in CASES.items()
        for one in several
        if (name, one.says) not in BEYOND
    ],
)
def test_what_is_wrong_in_form_is_not_valid(case: Case) -> None:
    assert not all(is_valid(document) for document in documents(unmarked(edited(*case.bad))[0]))


#: The condition of each type, and other keys that it needs.
CONDITIONS: dict[str, dict[str, Any]] = {
    **{key: {"gte": 2} for key in ("event_count", "temporal", "temporal_ordered")},
    **{key: {"field": "results", "gte": 2} for key in ("value_count", "value_sum", "value_avg", "value_median")},
    "value_percentile": {"field": "results", "gte": 2, "percentile": 90},
    "new_value": {"field": "system", "learning": "7d"},
    "rate_change": {"factor": 2.5, "minimum": 5, "baseline": 6},
    "peer_deviation": {"deviations": 3, "minimum": 5},
    "share": {"gte": 0.5, "minimum": 10},
    "absence": {},
    "sequence_run": {"field": "subject.id", "gte": 4, "gap": 2},
    "anomaly": {"quantile": 0.99},
}
CHANGES: list[dict[str, Any]] = [
    {},
    {"rules": []},
    {"rules": "base"},
    {"timespan": 5},
    {"timespan": "1 hour"},
    {"condition": 3},
    {"window": "tumbling"},
    {"window": "session", "gap": "10m"},
    {"window": "session"},
    {"gap": "10m"},
    {"peer": "actor.unit"},
    {"aliases": {"who": {"base": "actor.id"}}},
    {"aliases": {"who": "actor.id"}},
    {"group_by": "actor.id"},
    {"group_by": 3},
    {"over": "1h"},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_every_type_is_valid_when_it_loads_and_only_then(kind: str, change: dict[str, Any]) -> None:
    rules = ["base", "other"][: max(1, KINDS[kind].rules[0])]
    peer = {"peer": "actor.unit"} if kind == "peer_deviation" else {}
    text = correlation(**{"type": kind, "rules": rules, "condition": CONDITIONS[kind], **peer, **change})
    texts = {"a": detection({"action": "read"}), "b": detection({"action": "export"}, name="other"), "c": text}
    loads = load_texts(texts).problems == []
    assert is_valid(orjson.loads(text)) == loads


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change", [{"gte": "many"}, {"over": 3}, {"percentile": 101}, {"minimum": 0}, {"field": []}], ids=str
)
def test_a_wrong_condition_is_not_valid(kind: str, change: dict[str, Any]) -> None:
    peer = {"peer": "actor.unit"} if kind == "peer_deviation" else {}
    rules = ["base", "other"][: max(1, KINDS[kind].rules[0])]
    text = correlation(**{"type": kind, "rules": rules, "condition": {**CONDITIONS[kind], **change}, **peer})
    assert not is_valid(orjson.loads(text))


def test_an_extended_condition_needs_no_rules() -> None:
    body = {"type": "temporal", "timespan": "1h", "condition": "base and not other"}
    rule = {"title": "T", "id": "3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a01"}
    assert is_valid({**rule, "correlation": body})
    assert not is_valid({**rule, "correlation": {**body, "type": "event_count", "rules": ["base"]}})
    assert not is_valid({**rule, "correlation": {**body, "condition": {"gte": 2}}})


def test_lint_and_schema_know_the_same_keys() -> None:
    for kind, keys in about.KEYS.items():
        assert json_schema()["$defs"][kind]["properties"].keys() == keys
    assert tuple(TEST["properties"]) == inline.TEST_KEYS
    assert tuple(EVENT["properties"])[:3] == inline.EVENT_KEYS
    assert tuple(ALERT["properties"]) == inline.ALERT_KEYS


def test_everything_is_described() -> None:
    definitions = json_schema()["$defs"]
    for kind in about.KEYS:
        for name, body in definitions[kind]["properties"].items():
            assert "description" in body or "description" in definitions[body["$ref"].rpartition("/")[2]], name
    for name, body in definitions["correlation"]["properties"]["correlation"]["properties"].items():
        assert body["description"], name
    types = definitions["correlation"]["properties"]["correlation"]["properties"]["type"]["oneOf"]
    assert [each["const"] for each in types] == list(KINDS)
    assert all(each["description"] for each in types)
