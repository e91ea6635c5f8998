"""Cases of correlations, and of rules beside each other."""

from __future__ import annotations

from tests.rules.lint.samples import NEWS, Case, Edit, case, correlation, count, exports, news

_SPAN = "  timespan"
_PART = "description: Part of the correlation below."


def of_type(kind: str, condition: str, *changes: tuple[str, str]) -> Edit:
    """The correlation with another type and condition (the lines below ``condition:``, or nothing for none)."""
    new = f"  condition:\n    {condition}\n" if condition else ""
    return count(("event_count", kind), ("  condition:\n    gte: 3\n", new), *changes)


def of_two(kind: str, condition: str, *changes: tuple[str, str]) -> Edit:
    """The same of two rules."""
    return of_type(
        kind, condition, ("    - export-unexplained\n", "    - in-news\n    - export-unexplained\n"), *changes
    )


def also(line: str) -> tuple[str, str]:
    """The change that adds a line to the body."""
    return _SPAN, f"  {line}\n  timespan"


#: The news rule with its selections in another order, and under other names.
_OTHER = (
    NEWS[: NEWS.index("related")]
    .replace("5a01", "5a07")
    .replace("name: in-news", "name: other")
    .replace("title: Someone", "title: Somebody")
    + "logsource: {category: lookup}\ndetection:\n  why:\n    explanation: none\n  who:\n    subject.tags: [in-news]\n"
    "  condition: why and who\n"
)
_COUNT = """  type: event_count
  rules: [export-unexplained]
  group-by: [actor.id]
  timespan: 24h
  condition: {{gte: {}}}
"""
_ALIAS = "aliases:\n    who:\n      export-unexplained: actor.id"

CASES: dict[str, list[Case]] = {
    "LM301": [
        case(of_type("event_count", "gte: 5\n    ¦lt: 3"), says="no number is within", good=of_type("event_count", "gte: 3\n    lt: 5"))
    ],
    "LM302": [
        case(of_type("event_count", "¦lt: 1"), says="lookups never meets", good=of_type("event_count", "lt: 2")),
        case(of_type("event_count", "¦eq: 2.5"), says="never meets"),
        case(of_type("event_count", "¦gt: 4000"), says="never meets", good=of_type("event_count", "gt: 3999")),
        case(
            of_type("value_count", "field: action\n    ¦gte: 7"),
            says="different values never meets",
            good=of_type("value_count", "field: action\n    gte: 6"),
        ),
        case(of_two("temporal", "¦gte: 3"), says="different rules never meets", good=of_two("temporal", "gte: 2")),
        case(of_two("share", "minimum: 9\n    ¦gt: 1"), says="of them never meets", good=of_two("share", "minimum: 9\n    gt: 0.9")),
        case(
            of_type("value_avg", "field: hour\n    ¦gt: 23"),
            says="never meets",
            good=of_type("value_sum", "field: hour\n    gt: 23"),
        ),
    ],
    "LM303": [
        case(
            of_type("event_count", "¦gte: 1"),
            exports("suppress: 2d\n", ""),
            says="the first lookup meets",
            good=of_type("event_count", "gte: 1"),
        ),
        case(
            of_type("temporal", "", ("  rules:", "  ¦rules:")),
            says="one rule alone",
            good=of_two("temporal", ""),
        ),
    ],
    "LM304": [
        case(
            of_type("new_value", "field: system\n    ¦gte: 3"),
            says="new_value does not look at bounds",
            good=of_type("new_value", "field: system"),
        )
    ],
    "LM305": [
        case(
            of_type("event_count", "¦field: subject.id\n    gte: 3"),
            says="event_count looks at no field",
            good=of_type("value_count", "field: subject.id\n    gte: 3"),
        )
    ],
    "LM306": [
        case(
            of_type("value_count", "¦field: actor.id\n    gte: 3"),
            says="it is grouped by actor.id",
            good=of_type("value_count", "field: [actor.id, system]\n    gte: 3"),
        )
    ],
    "LM307": [
        case(
            of_type("rate_change", "factor: 3", ("  condition", "  ¦condition")),
            says="rate_change has no minimum",
            good=of_type("rate_change", "factor: 3\n    minimum: 10"),
        ),
    ],
    "LM308": [
        case(
            of_type("rate_change", "minimum: 5\n    ¦factor: 1"),
            says="1 times the usual is usual",
            good=of_type("rate_change", "minimum: 5\n    factor: 1.5"),
        )
    ],
    "LM310": [
        case(
            count(also("window: session\n  ¦gap: 24h")),
            says="no gap within 1 day is so long",
            good=count(also("window: session\n  gap: 23h")),
        )
    ],
    "LM311": [
        case(count(("24h", "7d"), also("¦window: tumbling")), says="begin on Thursdays", good=count(also("window: tumbling"))),
        case(count(("24h", "5h"), also("¦window: tumbling")), says="at other hours", good=count(("24h", "5h"))),
    ],
    "LM312": [
        case(
            of_two("temporal", "", ("  timespan: 24h", "  ¦timespan: 32d")),
            says="temporal keeps the lookups of 32 days",
            good=of_two("temporal", "", ("24h", "31d")),
        )
    ],
    "LM313": [case(count(("timespan: 24h", "¦timespan: 32d")), says="counted in slots", good=count(("24h", "31d")))],
    "LM320": [
        case(
            count(("group-by:\n    - actor.id", "¦group-by:\n    - subject.id")),
            says="the lookups of all actors",
            good=of_type("value_count", "field: actor.unit\n    gte: 3", ("- actor.id", "- subject.id")),
        ),
        case(
            exports("correlation:\n", "¦correlation:\n"),
            count(("  group-by:\n    - actor.id\n", "")),
            says="the lookups of all actors",
            good=count(also(_ALIAS), ("    - actor.id", "    - who")),
        ),
    ],
    "LM321": [
        case(
            count(("    - actor.id\n", "    - actor.id\n    - subject.id\n    - ¦actor.id\n")),
            says="group-by names actor.id twice",
            good=count(("    - actor.id\n", "    - actor.id\n    - subject.id\n")),
        )
    ],
    "LM322": [
        case(
            count(also(_ALIAS.replace("who", "¦who"))),
            says="group-by does not name the alias who",
            good=count(also(_ALIAS), ("    - actor.id\n", "    - who\n")),
        )
    ],
    "LM323": [
        case(
            of_two("temporal", "", also(_ALIAS.replace("who", "¦who")), ("    - actor.id\n", "    - who\n")),
            says="who is nothing for in-news",
            good=of_two("temporal", "", also(f"{_ALIAS}\n      in-news: actor.id"), ("    - actor.id\n", "    - who\n")),
        )
    ],
    "LM330": [
        case(exports("suppress: 2d", "¦suppress: 1h"), says="alert again", good=exports("suppress: 2d", "suppress: 24h")),
    ],
    "LM331": [
        case(exports("suppress: 2d", "¦suppress: 32d"), says="for 32 days", good=exports("suppress: 2d", "suppress: 31d")),
        case(news("grace: 1d", "¦suppress: 32d"), says="for 32 days"),
    ],
    "LM332": [
        case(
            exports(f"{_PART}\n", f"{_PART}\n¦suppress: 1h\n"),
            says="suppress has no effect",
            good=exports(f"{_PART}\n", f"{_PART}\ngrace: 1h\n"),
        ),
    ],
    "LM333": [
        case(
            of_two("absence", ""),
            exports("suppress: 2d", "¦grace: 1d"),
            says="absence does not wait for grace",
            good=exports("suppress: 2d", "grace: 1d"),
        ),
        case(of_type("anomaly", ""), exports("suppress: 2d", "¦grace: 1d"), says="anomaly does not wait"),
    ],
    "LM334": [
        case(
            news("grace: 1d", "¦grace: 1d"),
            news("  unexplained:\n    explanation: none\n  condition: news and unexplained", "  condition: news"),
            says="does not ask whether a lookup is explained",
            good=news("  unexplained:\n    explanation: none\n", "  unexplained:\n    purpose.status: missing\n"),
        ),
        case(
            exports("suppress: 2d", "¦grace: 1d"),
            exports("    explanation: none\n", ""),
            says="does not ask",
            good=exports("suppress: 2d", "grace: 1d"),
        ),
    ],
    "LM335": [
        case(
            news("grace: 1d", "¦grace: 1d"),
            news("level: high", "level: critical"),
            says="a critical alert waits for 1 day",
            good=[news("grace: 1d\n", ""), news("level: high", "level: critical")],
        )
    ],
    "LM340": [
        case(
            {"rules/curiosity/other.yml": _OTHER.replace("detection", "¦detection")},
            says="in-news in rules/curiosity/news.yml says the same",
            good={"rules/curiosity/other.yml": _OTHER.replace("in-news", "vip")},
        ),
        case(
            correlation(_COUNT.format(3), head="x-a: 1\n¦"),
            exports("suppress: 2d\n", ""),
            says="many-exports in rules/bulk-harvest/exports.yml says the same",
            good=[correlation(_COUNT.format(4)), exports("suppress: 2d\n", "")],
        ),
    ],
    "LM341": [
        case(
            news("level: high", "¦level: informational"),
            says="nothing is made of it",
            good=news("level: high", "level: low"),
        )
    ],
    "LM342": [
        case(exports("level: informational", "¦level: critical"), says="is only high", good=exports("level: informational", "level: high"))
    ],
    "LM343": [
        case(
            count(also("generate: true")),
            exports("level: informational", "level: high"),
            exports("level: high\ntypology: bulk-harvest\nplaybook", "¦level: high\ntypology: bulk-harvest\nplaybook"),
            says="export-unexplained alerts by itself at this level already",
            good=[count(also("generate: true")), exports("level: informational", "level: medium")],
        )
    ],
    "LM344": [
        case(
            count(("    - export-unexplained\n", "    - export-unexplained\n    - ¦3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a02\n")),
            says="is named twice",
            good=of_two("temporal", ""),
        )
    ],
}  # fmt: skip
