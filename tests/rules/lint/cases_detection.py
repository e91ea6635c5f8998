"""Cases of fields and values."""

from __future__ import annotations

from tests.rules.lint.samples import Case, case, count, exports, news, press, selection

_VALUES = ("event_count", "value_count")


def aliased(field: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """The changes to a group by an alias of a field."""
    return ("    - actor.id\n", "    - who\n"), ("  timespan", f"  aliases:\n    who:\n      {field}\n  timespan")


CASES: dict[str, list[Case]] = {
    "LM201": [
        case(selection("¦subject.tag: in-news"), says="a field subject.tag", good=selection("subject.kind: case")),
        case(selection("¦vendor.class: a"), says="vendor.class", good=selection("vendor.class: a"), fields=["vendor.*"]),
        case(selection("¦class: a"), says="class", good=selection("class: a"), fields=["class"]),
        case(selection("¦system|fieldref: actor.uint"), says="actor.uint", good=selection("system|fieldref: actor.unit")),
        case(exports("    - actor.id", "    - ¦actor.ids"), says="actor.ids", good=exports("    - actor.id", "    - actor.unit")),
        case(
            count(_VALUES, ("gte: 3", "¦field: subject.ids\n    gte: 3")),
            says="subject.ids",
            good=count(_VALUES, ("gte: 3", "field: [subject.id, system]\n    gte: 3")),
        ),
        case(
            count(*aliased("¦export-unexplained: actor.di")),
            says="actor.di",
            good=count(*aliased("export-unexplained: actor.id")),
        ),
    ],
    "LM202": [
        case(selection("¦relation: cousin"), says="relation is never cousin", good=selection("relation|startswith: own")),
        case(selection("action: [read, ¦raed]"), says="action is never raed", good=selection("action: [READ, export]")),
        case(selection("¦hour: 24"), says="hour is never 24", good=selection("hour|gte: 22")),
        case(selection("¦explanation: rumour"), says="never rumour", good=selection("explanation: tip")),
        case(selection("¦in_area: outside"), says="never outside", good=selection("in_area: null")),
        case(selection("¦relation|re: '^cousin'"), says="never ^cousin", good=selection("relation|re: '^own'")),
        case(selection("¦purpose.status|neq: wrong"), says="never wrong", good=selection("purpose.status|neq: 'false'")),
    ],
    "LM203": [
        case(selection("¦on_shift: no"), says="no is a text here", good=selection("on_shift: false")),
        case(selection("on_shift: [¦'off']"), says="off is a text here", good=selection("system: 'off'")),
        case(
            count(("  timespan", "  ¦generate: yes\n  timespan")),
            says="yes is a text here",
            good=count(("  timespan", "  generate: true\n  timespan")),
        ),
    ],
    "LM204": [
        case(selection("¦on_shift: [true, false]"), says="every value of on_shift", good=selection("on_shift: [true, null]")),
        case(selection("¦hour|gte: 0"), says="every value of hour", good=selection("hour|gte: 1")),
        case(selection("¦action|contains: ''"), says="every value of action", good=selection("action|contains: e")),
    ],
    "LM205": [
        case(selection("¦actor.unit|gt: 5"), says="actor.unit is no number", good=selection("results|gt: 5")),
        case(selection("¦results|startswith: 1"), says="results is a number", good=selection("actor.unit|startswith: l")),
    ],
    "LM206": [
        case(
            count(("event_count", "value_sum"), ("gte: 3", "¦field: subject.id\n    gte: 3")),
            says="subject.id is no number",
            good=count(("event_count", "value_sum"), ("gte: 3", "field: results\n    gte: 3")),
        )
    ],
    "LM207": [
        case(selection("¦actor.id: o-10293"), says="the rule names one actor.id", good=selection("actor.id: null")),
        case(selection("subject.id: [¦AB-12-CD]"), says="names one subject.id", good=selection("subject.id|expand: '%places%'")),
        case(press("    actor.unit: press", "    ¦actor.id: o-1"), says="actor.id", good=press("actor.unit: press", "actor.id: svc-*")),
    ],
    "LM208": [
        case(selection("¦query.text: 111222333"), says="a citizen number", good=selection("query.text: 111222334")),
        case(selection("query.text: ['a', ¦'jan@example.org']"), says="an e-mail", good=selection("query.text: example.org")),
        case(selection("¦query.text: AB-12-CD"), says="a plate", good=selection("query.text: a-b-c")),
        case(selection("¦query.text: '+31612345678'"), says="a telephone", good=selection("query.text: '0612'")),
        case(
            news("description: The", "¦description: 111222333 is looked up. The"),
            says="the description has",
            good=news("description: The", "description: 111222334 is looked up. The"),
        ),
    ],
    "LM220": [case(selection("¦subject.tags|all: vip"), says="only one value", good=selection("subject.tags|all: [vip, known]"))],
    "LM221": [case(selection("system: [bvi, ¦null]"), says="null in a list", good=selection("system: null"))],
    "LM222": [
        case(selection("system: [bvi, obs, ¦BVI]"), says="BVI is listed twice", good=selection("system|cased: [bvi, BVI]")),
        case(selection("results: [1, ¦'1', '1']"), says="1 is listed twice", good=selection("system|re: ['a.c', 'A.c']")),
    ],
    "LM223": [case(selection("¦system: []"), says="system has no values", good=selection("system: [bvi]"))],
    "LM224": [
        case(selection("¦system: '*'"), says="every value matches it", good=selection("system: '?*'")),
        case(selection("¦system|contains: ''"), says="every value matches it", good=selection("system|contains: '?'")),
    ],
    "LM225": [case(selection("system: [bvi, ¦'']"), says="an empty text only", good=selection("system|contains: ''"))],
    "LM226": [
        case(selection("¦system: '*bv*'"), says="|contains", good=selection("system: '*b*v*'")),
        case(selection("¦system: '*bv'"), says="|endswith", good=selection("system: 'b*v'")),
        case(selection("¦system: bv*"), says="|startswith", good=selection("system: 'bv\\*'")),
        case(selection("¦system|contains: 'bv*'"), says="looked for anywhere already", good=selection("system|startswith: 'b*v'")),
    ],
    "LM227": [case(selection("actor.unit|contains: [a, ¦12]"), says="12 is taken as a text", good=selection("actor.unit|contains: '12'"))],
    "LM228": [
        case(selection("¦system|cased: '12'"), says="|cased makes no difference", good=selection("system|cased: ['12', b]")),
        case(selection("¦system|re|i: '\\d+'"), says="|i makes no difference", good=selection("system|re|i: '[a-f]+'")),
    ],
    "LM229": [
        case(selection("¦system|re: bvi"), says="bvi is a plain text", good=selection("system|re: b.i")),
        case(selection("¦system|re: '^b\\.i$'"), says="is a plain text", good=selection("system|re: '^bv$|i'")),
    ],
    "LM230": [
        case(selection("¦system|re: '.*b[vw]i.*'"), says="searched for anywhere already", good=selection("system|re: 'b.*i'")),
        case(selection("¦system|re: 'b[vw]i.*$'"), says="searched for", good=selection("system|re: 'b[vw]i\\.*'")),
    ],
    "LM231": [
        case(
            news("  news:\n    subject.tags: in-news", "  news:\n    - ¦needle"),
            says="a value without a field",
            good=news("  news:\n    subject.tags: in-news", "  news:\n    - system: needle\n    - action: read"),
        ),
    ],
    "LM232": [case(selection("¦results|gt: [5, 9]"), says="one is enough", good=selection("results: [5, 9]"))],
    "LM233": [
        case(
            selection("¦subject.area|expand: '%places%'"),
            {"rules/lists/places.txt": "# none yet\n"},
            says="rules/lists/places.txt has no values",
            good=selection("subject.area|expand: '%places%'"),
        )
    ],
}  # fmt: skip
