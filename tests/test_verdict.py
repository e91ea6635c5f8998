"""Why a rule matched, or did not: conditions, filters, and how far correlations have come."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from monitor.reference import Reference
from monitor.rules import load_texts
from monitor.rules.load import lists_in
from monitor.ruletest import lookup_of
from monitor.verdict import Pack, Verdict, pack_of, verdict_of
from tests.rules.samples import correlation, detection, rule_id


def pack(*texts: str, **lists: str) -> Pack:
    files = {f"{number}.yml": text for number, text in enumerate(texts)}
    files |= {f"lists/{name}.txt": text for name, text in lists.items()}
    loaded = load_texts(files)
    assert loaded.problems == []
    return pack_of(files, loaded.rules, lists_in(files))


def lookup(minute: float = 0, **fields: Any) -> dict[str, Any]:
    """A lookup so many minutes after nine; dotted names are written with two underscores."""
    named = {name.replace("__", "."): value for name, value in fields.items()}
    seconds = int(minute * 60)
    base = {
        "id": f"e{minute}",
        "time": f"2026-03-02T{9 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z",
        "system": "bvi",
        "action": "read",
        "actor.id": "o-1",
        "subject.id": "p-1",
        "explanation": "none",
    }
    return lookup_of({**base, **named}, Reference())


def verdict(of: Pack, name: str, event: dict[str, Any], *earlier: dict[str, Any]) -> Verdict:
    return verdict_of(of.rules.by_id[rule_id(name)], of, event, Reference(), earlier)


TREE = pack(
    detection(
        {
            "s": {"action": ["read", "list"], "actor.unit|startswith": "north"},
            "odd": {"on_shift": False},
            "own": {"relation": "self"},
        },
        "s and not odd and not own",
        name="tree",
    )
)


def test_every_condition_has_its_verdict() -> None:
    found = verdict(TREE, "tree", lookup(actor__unit="north-2", on_shift=True))
    assert found.matches
    assert [(row.depth, row.asked.split(" — ")[0], row.holds) for row in found.conditions] == [
        (0, "all of", True),
        (1, "s", True),
        (2, "all of", True),
        (3, "at least one of", True),
        (4, "action = read", True),
        (4, "action = list", False),
        (3, "actor.unit = north*", True),
        (1, "not", True),
        (2, "odd", False),
        (3, "on_shift = false", False),
        (1, "not", True),
        (2, "own", False),
        (3, "relation = self", False),
    ]
    assert [said.split(" — ")[0] for said in found.why] == [
        "action = read",
        "actor.unit = north*",
        "on_shift = false",
        "relation = self",
    ]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"actor__unit": "south"}, ["actor.unit = north* — it is south"]),
        ({}, ["actor.unit = north* — it is not there"]),
        ({"actor__unit": "north", "on_shift": False}, ["on_shift = false — it is false"]),
        ({"actor__unit": "north", "action": "print"}, ["action = read — it is print", "action = list — it is print"]),
        ({"actor__unit": "x", "relation": "self"}, ["actor.unit = north* — it is x", "relation = self — it is self"]),
    ],
)
def test_why_it_does_not_match(fields: dict[str, Any], why: list[str]) -> None:
    found = verdict(TREE, "tree", lookup(**fields))
    assert (found.matches, found.why) == (False, why)


def test_only_so_many_reasons_are_given() -> None:
    many = pack(detection({"action": [f"x{number}" for number in range(9)]}, name="many"))
    found = verdict(many, "many", lookup())
    assert len(found.why) == 6
    assert found.why[-1] == "and 4 more"


def test_lists_count() -> None:
    listed = pack(detection({"subject.id|expand": "%known%"}, name="listed"), known="p-1\np-2\n")
    assert verdict(listed, "listed", lookup()).matches
    assert not verdict(listed, "listed", lookup(subject__id="p-3")).matches


def exemption(title: str, rules: Any, selection: dict[str, Any], **more: Any) -> str:
    body = {"rules": rules, "x": selection, "condition": "x"}
    return orjson.dumps(
        {"title": title, "id": rule_id(title), "logsource": {"category": "lookup"}, "filter": body, **more}
    ).decode()


def test_filters_that_name_the_rule() -> None:
    found = pack(
        detection({"action": "read"}, name="r"),
        detection({"action": "read"}, name="other"),
        exemption("by name", ["r"], {"actor.id": "o-1"}),
        exemption("by title", ["r"], {"actor.id": "o-2"}),
        exemption("any", "any", {"actor.id": "o-3"}),
        exemption("expired", [rule_id("r")], {"actor.id": "o-1"}, expires="2026-01-01"),
        exemption("not this", ["other"], {"actor.id": "o-1"}),
    )
    out = verdict(found, "r", lookup())
    assert not out.matches
    assert out.why == ["the filter by name takes it out"]
    assert {each.title: (each.applies, each.expired) for each in out.filters} == {
        "by name": (True, False),
        "by title": (False, False),
        "any": (False, False),
        "expired": (False, True),
    }
    assert [row.holds for row in out.filters[0].conditions] == [True, True]
    free = verdict(found, "r", lookup(actor__id="o-9"))
    assert (free.matches, free.why) == (True, ["action = read — it is read"])
    missed = verdict(found, "r", lookup(action="list"))
    assert missed.why == ["action = read — it is list"], "a filter decides nothing that does not match anyhow"


BASE = detection({"action": "read", "explanation": "none"})
EXPORT = detection({"action": "export"}, name="export")
PRINT = detection({"action": "print"}, name="print")


def test_a_correlation_shows_its_parts_group_window_and_what_is_missing() -> None:
    rules = pack(BASE, correlation("many", type="value_count", condition={"field": "subject.id", "gte": 5}))
    found = verdict(rules, "many", lookup(2), lookup(0, subject__id="p-2"), lookup(1, subject__id="p-2"))
    assert not found.matches
    assert [(part.id, part.matches) for part in found.parts] == [(rule_id("base"), True)]
    assert found.group == {"actor.id": "o-1"}
    assert found.window == "sliding, 1 hour"
    assert found.asks == "5 or more different values of subject.id"
    assert found.so_far == "2 different values of subject.id within 1 hour (the rule asks for 5 or more)"
    assert found.missing == ["3 more different values"]
    assert found.why == ["missing: 3 more different values"]


def test_a_correlation_that_fires_and_keeps_quiet_afterwards() -> None:
    rules = pack(BASE, correlation("many", condition={"gte": 3}))
    before = [lookup(minute) for minute in range(2)]
    fired = verdict(rules, "many", lookup(2), *before)
    assert fired.matches
    assert fired.why == ["3 lookups within 1 hour (the rule asks for 3 or more)"]
    assert fired.missing == []
    quiet = verdict(rules, "many", lookup(3), *before, lookup(2))
    assert not quiet.matches
    assert quiet.why == ["it fired shortly before, and a burst is one alert"]
    assert quiet.missing == []
    assert quiet.so_far == "4 lookups within 1 hour (the rule asks for 3 or more)"
    other = verdict(rules, "many", lookup(2, actor__id="o-2"), *before)
    assert other.missing == ["2 more lookups"], "another actor's count by themselves"


def test_a_lookup_that_does_not_count() -> None:
    rules = pack(BASE, correlation("many", group_by=["actor.unit"], condition={"gte": 3}))
    found = verdict(rules, "many", lookup(action="list"))
    assert found.why == ["none of the rules it is made of matches this lookup"]
    assert found.so_far is None
    found = verdict(rules, "many", lookup())
    assert found.group == {"actor.unit": None}
    assert found.why == ["the lookup has no actor.unit, by which it is grouped"]


def test_what_joins_actors() -> None:
    rules = pack(
        BASE,
        correlation("several", type="value_count", group_by=["subject.id"], condition={"field": "actor.id", "gte": 3}),
    )
    before = [lookup(0), lookup(1, actor__id="o-2"), lookup(1, actor__id="o-3", subject__id="p-2")]
    assert verdict(rules, "several", lookup(2, actor__id="o-4"), *before).matches
    found = verdict(rules, "several", lookup(2, actor__id="o-4", subject__id="p-2"), *before)
    assert (found.matches, found.missing) == (False, ["1 more different values"])
    assert found.group == {"subject.id": "p-2"}


def test_an_alias_stands_for_another_field_of_each_rule() -> None:
    aliases = {"who": {"base": "actor.id", "export": "purpose.text"}}
    rules = pack(
        BASE,
        EXPORT,
        correlation("both", type="temporal", rules=["base", "export"], group_by=["who"], aliases=aliases, condition={}),
    )
    found = verdict(rules, "both", lookup(1, action="export", purpose__text="o-7"), lookup(0))
    assert (found.group, found.missing) == ({"who": "o-7"}, ["base"])
    assert verdict(rules, "both", lookup(1, action="export", purpose__text="o-1"), lookup(0)).matches


def test_rules_that_must_all_match() -> None:
    rules = pack(
        BASE, EXPORT, PRINT, correlation("both", type="temporal", rules=["base", "export", "print"], condition={})
    )
    assert verdict(rules, "both", lookup(2, action="export"), lookup(0)).missing == ["print"]
    assert verdict(rules, "both", lookup(2, action="export"), lookup(0), lookup(1, action="print")).matches
    late = verdict(rules, "both", lookup(70, action="export"), lookup(0), lookup(60, action="print"))
    assert late.missing == ["base"], "what is out of the window has not matched"
    assert late.asks == "all of the rules"
    extended = correlation(
        "but", type="temporal", rules=["base", "export", "print"], condition="base and export and not print"
    )
    found = verdict(
        pack(BASE, EXPORT, PRINT, extended), "but", lookup(2), lookup(0, action="export"), lookup(1, action="print")
    )
    assert found.missing == [found.asks] == ["(base and export and not print)"]


def test_chains_show_the_correlations_they_are_made_of() -> None:
    rules = pack(
        BASE,
        correlation("hourly", condition={"gte": 2}),
        correlation("daily", rules=["hourly"], timespan="1d", condition={"gte": 2}),
    )
    found = verdict(rules, "daily", lookup(1), lookup(0))
    (hourly,) = found.parts
    assert hourly.matches
    assert [part.title for part in hourly.parts] == ["base"]
    assert found.missing == ["1 more lookups"]
    again = verdict(rules, "daily", lookup(182), lookup(0), lookup(1), lookup(180))
    assert again.parts[0].matches
    assert again.matches
    second = verdict(rules, "daily", lookup(2), lookup(0), lookup(1))
    assert second.parts[0].why == ["it fired shortly before, and a burst is one alert"]
    assert second.why == ["none of the rules it is made of matches this lookup"]


def test_what_is_told_later() -> None:
    absence = correlation("silent", type="absence", rules=["base", "export"], timespan="2h", condition={})
    anomaly = correlation("odd", type="anomaly", condition={"quantile": 0.99})
    rules = pack(BASE, EXPORT, absence, anomaly)
    silent = verdict(rules, "silent", lookup())
    assert (silent.matches, silent.missing) == (False, ["that nothing follows within 2 hours"])
    assert verdict(rules, "odd", lookup()).missing == ["the model's score of the lookup"]
    assert verdict(rules, "odd", lookup()).asks == "quantile 0.99"


def test_grace_is_told_and_waited_for() -> None:
    rules = pack(detection({"action": "read"}, grace="2h"), correlation("many", condition={"gte": 2}, timespan="1d"))
    found = verdict(rules, "many", lookup(1), lookup(0))
    assert found.matches
    assert found.parts[0].grace == "2 hours"
    rules = pack(detection({"action": "read"}, grace="2h"), correlation("any", condition={"gte": 1}))
    assert verdict(rules, "any", lookup(0)).matches
    assert not verdict(rules, "any", lookup(1), lookup(0)).matches, "it is the lookup before at which it fires"


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ({"type": "new_value", "timespan": "30d", "condition": {"field": "subject.id"}}, "new value of subject.id"),
        ({"type": "rate_change", "timespan": "1d", "condition": {"factor": 3, "minimum": 5}}, "factor 3, minimum 5"),
        ({"type": "peer_deviation", "peer": "actor.unit", "condition": {"factor": 3}}, "factor 3"),
        ({"type": "sequence_run", "condition": {"field": "subject.id", "gte": 4}}, "3 more values in a row"),
        ({"type": "value_sum", "condition": {"field": "results", "gte": 10}}, "7 more in sum"),
        ({"type": "share", "rules": ["base", "every"], "condition": {"gte": 0.5, "minimum": 10}}, "minimum 10"),
        ({"timespan": "60d", "condition": {"gte": 10}}, "9 more lookups"),
        (
            {"type": "value_count", "timespan": "60d", "condition": {"field": "subject.id", "gte": 10}},
            "9 more different values",
        ),
        ({"window": "tumbling", "condition": {"gt": 1, "lt": 5}}, "more than 1 and less than 5 lookups"),
    ],
)
def test_every_type_says_what_is_missing(body: dict[str, Any], missing: str) -> None:
    every = detection({"system": "bvi"}, name="every")
    rules = pack(BASE, every, correlation("rule", **body))
    found = verdict(rules, "rule", lookup(results=3, actor__unit="north"))
    assert not found.matches
    assert missing in found.missing[0]
    assert found.why == [f"missing: {found.missing[0]}"]


def test_a_group_among_its_peers() -> None:
    peers = {"type": "peer_deviation", "peer": "actor.unit", "timespan": "1h", "condition": {"factor": 3, "minimum": 3}}
    rules = pack(BASE, correlation("peers", **peers))
    before = [lookup(1, actor__id=f"o-{number}", actor__unit="u", id=f"b{number}") for number in range(9)]
    mine = [lookup(60 + number, actor__id="o-1", actor__unit="u") for number in range(4)]
    found = [verdict(rules, "peers", mine[number], *before, *mine[:number]) for number in range(4)]
    assert [each.matches for each in found] == [False, False, True, False]
    assert found[0].so_far == "1 lookups within 1 hour, where peers have 1"
    assert found[0].missing == ["factor 3, minimum 3"]
    assert found[3].why == ["it fired shortly before, and a burst is one alert"]
    assert found[3].so_far == "4 lookups within 1 hour, where peers have 1"


def test_a_value_that_is_new_while_the_rule_still_learns() -> None:
    rules = pack(BASE, correlation("new", type="new_value", timespan="30d", condition={"field": "subject.id"}))
    found = verdict(rules, "new", lookup(1, subject__id="p-2"), lookup(0))
    assert found.so_far == "a value of subject.id not seen for 30 days"
    assert verdict(rules, "new", lookup(1), lookup(0)).so_far is None


def test_it_can_be_written_down() -> None:
    rules = pack(BASE, correlation("many", condition={"gte": 3}))
    made = msgspec.to_builtins(verdict(rules, "many", lookup()))
    assert made["parts"][0]["conditions"][0] == {"depth": 0, "asked": "s", "holds": True}
    assert "filters" not in made
