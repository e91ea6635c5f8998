"""Cases of what the loader refuses."""

from __future__ import annotations

from tests.rules.lint.samples import Case, case, condition, correlation, count, news, press, selection, tips

_ID = "id: 3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a01\n"
_TITLE = "title: Someone in the news was looked up\n"
_OTHER = "id: 3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a02\n"
_MORE = "id: 3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a09\n"
_SOURCE = "logsource:\n  category: lookup"
_TOWNS = news(
    "detection:\n  news:\n    subject.tags: in-news", "¦detection:\n  news:\n    subject.area|expand: '%towns%'"
)
#: A correlation of one other.
_OF_ONE = """  type: event_count
  ¦rules: [{}]
  group-by: [{}]
  timespan: 1h
  condition: {{gte: 2}}
"""


def extended(text: str, mark: str = "¦") -> tuple[str, str]:
    """The change to an extended condition."""
    return "condition:\n    gte: 3", f"{mark}condition: {text}"


def temporal() -> tuple[str, str]:
    """The change to a correlation that may have an extended condition."""
    return "event_count", "temporal"


CASES: dict[str, list[Case]] = {
    "LM001": [
        case(news("title: Someone", "title: a\n  broken¦: [\nx: Someone"), says="not YAML"),
        case({"rules/curiosity/x.yml": "¦- a\n"}, says="must be a mapping"),
    ],
    "LM002": [case(news("author: S", "author: x\n¦author: S"), says="author is there twice")],
    "LM003": [
        case(news(_TITLE + _ID, "¦" + _ID), says="title is missing"),
        case(news(_TITLE + _ID, "¦" + _TITLE), says="id is missing"),
    ],
    "LM004": [case(news(_ID, "¦id: five\n"), says="id five is not a UUID")],
    "LM005": [
        case(news(_ID, "¦" + _OTHER), says="is used in rules/bulk-harvest/exports.yml already"),
        case(news("name: in-news", "¦name: many-exports"), says="many-exports is used"),
    ],
    "LM006": [
        case(news("level: high", "¦level: hihg"), says="level hihg is none"),
        case(news("status: e", "¦status: xe"), says="status xexperimental"),
        case(news("typology: curiosity", "¦typology: curious"), says="typology curious"),
    ],
    "LM007": [
        case(news(_SOURCE, "¦logsource:\n  category: process"), says="logsource"),
        case(press(_SOURCE, "¦logsource:\n  category: process"), says="logsource"),
    ],
    "LM008": [
        case(_TOWNS, says="there is no list towns", good=selection("subject.area|expand: '%places%'")),
        case(_TOWNS, says="towns", good=selection("subject.area|expand: '%towns%'"), lists=["towns"]),
    ],
    "LM009": [
        case(count(("- export-unexplained", "- ¦export-unexplaned")), says="there is no rule"),
        case(press("rules:\n    - in-news", "¦rules:\n    - in-nws"), says="there is no detection"),
        case(
            count(temporal(), extended("export-unexplained and in-news")),
            says="the condition names in-news",
            good=count(temporal(), extended("export-unexplained", "")),
        ),
    ],
    "LM010": [
        case(
            correlation(_OF_ONE.format("many-exports", "subject.id")),
            says="must be grouped by subject.id",
            good=correlation(_OF_ONE.format("many-exports", "actor.id")),
        )
    ],
    "LM011": [
        case(
            correlation(_OF_ONE.format("circle-b", "actor.id"), "circle-a"),
            correlation(_OF_ONE.format("circle-a", "actor.id"), "circle-b"),
            says="it is made of rules that are missing, wrong, or made of it",
            good=correlation(_OF_ONE.format("many-exports", "actor.id"), "circle-a"),
        )
    ],
    "LM012": [
        case(count(("timespan: 24h", "¦timespan: 1 day")), says="is none", good=count(("timespan: 24h", "timespan: 9m"))),
        case(count(("timespan: 24h", "¦timespan: 6y")), says="is too long", good=count(("timespan: 24h", "timespan: 5y"))),
        case(
            count(("timespan: 24h", "window: tumbling\n  ¦timespan: 32d")),
            says="timespan is too long for a tumbling window",
            good=count(("timespan: 24h", "window: tumbling\n  timespan: 31d")),
        ),
        case(news("grace: 1d", "¦grace: 1 day"), says="grace 1 day is none"),
    ],
    "LM013": [
        case(selection("¦system|re: '(?=a)b'"), says="is invalid", good=selection("system|re: '(a|b)c'")),
    ],
    "LM014": [
        case(condition("news and"), says=""),
        case(condition("news and other"), says="other", good=condition("news and other", "  other:\n    results: 0\n", "")),
        case(condition("1 of other*"), says="no selection is called", good=condition("1 of unex*", "", "")),
        case(condition("[]"), says="condition is not a text"),
        case(news("detection:", "¦detection:"), news("  condition: news and unexplained\n", ""), says="is missing"),
    ],
    "LM015": [
        case(count(("type: event_count", "¦type: event_cuont")), says="event_cuont is not supported"),
        case({"rules/bulk-harvest/more.yml": f"title: More\n{_MORE}¦correlation: 3\n"}, says="must be a mapping"),
    ],
    "LM016": [
        case(count(("rules:\n    - export-unexplained", "¦rules: []")), says="rules is missing"),
        case(
            count(("event_count", "absence"), ("rules:", "¦rules:"), ("  condition:\n    gte: 3\n", "")),
            says="it takes 2 or more rules, not 1",
            good=count(
                ("event_count", "absence"), ("  condition:\n    gte: 3\n", ""), ("- export", "- in-news\n    - export")
            ),
        ),
        case(press("rules:\n    - in-news", "¦rules: {in: news}"), says="rules is not a list of rules"),
    ],
    "LM017": [
        case(count(("group-by:\n    - actor.id", "¦group-by: 5")), says="group-by is not a list"),
        case(
            count(("  timespan", "  aliases:\n    who:\n      ¦in-news: actor.id\n  timespan")),
            says="in-news is no rule of this correlation",
            good=count(("  timespan", "  aliases:\n    who:\n      export-unexplained: actor.id\n  timespan")),
        ),
        case(count(("  timespan", "  ¦peer: actor.unit\n  timespan")), says="peer is only for peer_deviation"),
    ],
    "LM018": [
        case(count(("  timespan", "  ¦window: hopping\n  timespan")), says="window hopping is none"),
        case(
            count(("  timespan", "  ¦window: session\n  timespan")),
            says="a session needs a gap",
            good=count(("  timespan", "  window: session\n  gap: 1h\n  timespan")),
        ),
        case(count(("  timespan", "  ¦gap: 1h\n  timespan")), says="gap is only for sessions"),
    ],
    "LM019": [
        case(count(("gte: 3", "¦gt3: 3")), says="condition gt3 is none", good=count(("gte: 3", "gt: 3"))),
        case(count(("gte: 3", "¦gte: many")), says="is not a number"),
        case(count(("condition:\n    gte: 3", "¦condition: {}")), says="no bound"),
        case(count(("event_count", "value_count"), ("condition:", "¦condition:")), says="no field"),
        case(count(extended("export-unexplained")), says="event_count has no extended condition"),
    ],
    "LM020": [
        case(selection("¦system|contians: b"), says="contians", good=selection("system|contains: b")),
        case(press("press:\n    actor.unit: press", "press:\n    ¦actor.unit|startwith: press"), says="startwith"),
    ],
    "LM021": [
        case(count(("  timespan", "  ¦groupby: actor.id\n  timespan")), says="correlation has no groupby"),
    ],
    "LM022": [
        case(press("expires: 2027-03-01", "¦expires: soon"), says="expires soon is no date"),
        case(press("expires: 2027-03-01", "¦expires: 2027-02-30"), says="", good=press("2027-03-01", "2027-03-01T12:00:00Z")),
    ],
    "LM024": [
        case(tips("title: Tips\nname: tip\n", "¦title: Tips\n"), says="name is missing"),
        case(tips("name: tip", "¦name: none"), says="name none cannot be used"),
        case(tips("record: case", "¦record: rumour"), says="rumour"),
        case(tips("record: case", "record: case\n  ¦strenght: 1"), says="an explanation has no strenght"),
        case(tips("record: case", "record: case\n  ¦subject: claimed"), says="only claimed is no explanation"),
        case(
            tips("record: case", "record: case\n  ¦kind: plausible"),
            says="needs a when",
            good=tips("record: case", "record: case\n  kind: plausible\n  when: {purpose.for: '*'}"),
        ),
    ],
    "LM023": [
        case(news("name: in-news", "¦name: [in-news]"), says="name is not a text"),
        case(news("tags:\n  - attack.collection", "¦tags: attack.collection"), says="tags is not a list"),
    ],
}  # fmt: skip
