"""Cases of filters, files and inline tests."""

from __future__ import annotations

from tests.rules.lint.samples import NEWS, PATHS, Case, case, exports, news, press

_EXPIRES = "expires: 2027-03-01"
_EVENT = "        action: read\n"
_TESTS = NEWS[NEWS.index("tests:") :]
_HEAD = "title: Someone in the news"


def moved(path: str, mark: str = "") -> dict[str, str]:
    """The news rule in another file; where it was there is only a tip."""
    return {
        path: f"{mark}{NEWS}",
        PATHS["news"]: "title: Tips\nname: tip2\ndescription: A tip.\nexplanation: {record: case}\n",
    }


CASES: dict[str, list[Case]] = {
    "LM350": [case(press("filter:\n", "¦filter:\n"), press(_EXPIRES, ""), says="the exception never ends")],
    "LM351": [
        case(press(_EXPIRES, "¦expires: 2026-11-24"), says="it expired on 2026-11-24", good=press(_EXPIRES, "expires: 2026-11-25")),
        case(press(_EXPIRES, "¦expires: 2026-11-24T12:00:00Z"), says="it expired on 2026-11-24"),
    ],
    "LM352": [case(press(_EXPIRES, "¦expires: 2028-01-01"), says="until 2028-01-01", good=press(_EXPIRES, "expires: 2027-11-26"))],
    "LM353": [
        case(press("rules:\n    - in-news", "¦rules: any"), says="every rule there will ever be", good=press("- in-news", "- in-news")),
        case(press("rules:\n    - in-news", "¦rules: []"), says="every rule there will ever be"),
    ],
    "LM354": [
        case(
            press("- in-news", "- ¦Someone in the news was looked up"),
            says="is the title of a rule",
            good=press("- in-news", "- 3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a01"),
        )
    ],
    "LM355": [
        case(
            press("condition: press", "¦condition: not press"),
            says="the not before the condition is taken off",
            good=press("condition: press", "condition: press and not no\n  no:\n    action: export"),
        )
    ],
    "LM356": [
        case(
            press("- in-news", "- ¦in-news"),
            news("level: high", "level: critical"),
            news("grace: 1d\n", ""),
            says="in-news is critical",
        )
    ],
    "LM360": [
        case({"rules/curiosity/In News.yml": "¦"}, says="is called In News.yml", good={"rules/curiosity/in_news-2.yml": ""}),
        case({"rules/curiosity/x.yaml": "¦"}, says="is called x.yaml"),
    ],
    "LM361": [
        case(moved("rules/curious/news.yml", "¦"), says="the folder curious is no typology", good=moved("news.yml")),
    ],
    "LM362": [
        case(
            news("typology: curiosity", "¦typology: sleeper"),
            says="the typology is sleeper, but the folder curiosity",
            good=moved("rules/more/news.yml"),
        )
    ],
    "LM363": [case(news("author: Security desk", "author: Security¦\tdesk"), says="there is a tab", good=news("Security d", "Sec\\td"))],
    "LM364": [
        case(news("author: Security", "author: Sec¦\u200burity"), says="zero width space", good=news("author: S", "author: Ş")),
        case(news("author: Security ", "author: Security¦\u00a0"), says="no-break space"),
        case(news("author: Security", "author: Sec¦\u202eurity"), says="right-to-left override"),
    ],
    "LM365": [case(news("author: Security", "author: Sec¦\ufffdurity"), says="not UTF-8", good=news("author: S", "author: é"))],
    "LM366": [
        case(news(_HEAD, f"# lint: disable=LM101,¦LM999\n{_HEAD}"), says="no check LM999", good=news(_HEAD, f"# lint: disable=tab\n{_HEAD}")),
    ],
    "LM367": [case({"rules/curiosity/empty.yml": "¦# later\n"}, says="nothing in it", good={"rules/curiosity/x.yml": "# tips\ntitle: More\nname: tip3\ndescription: A tip of another kind.\nexplanation: {record: dispatch}\n"})],
    "LM370": [
        case(
            news("title: S", "¦title: S"),
            news(_TESTS, ""),
            says="there are no tests",
            good=news(_TESTS, "tests: []\n"),
        )
    ],
    "LM371": [
        case(news("tests:", "¦tests:"), news("    alerts: 1\n", "    alerts: 0\n"), says="no test expects an alert"),
        case(news(_TESTS, "¦tests: []\n"), says="no test expects an alert", good=news(_TESTS, "")),
    ],
    "LM372": [
        case(
            news("tests:", "¦tests:"),
            news("    alerts: 0\n", "    alerts: 2\n"),
            says="no test expects that nothing happens",
            good=exports("alerts: []", "alerts: 0"),
        )
    ],
    "LM373": [
        case(news(_TESTS, "¦tests: {name: one}\n"), says="tests is not a list", good=news(_TESTS, "tests: []\n")),
        case(news(_TESTS, "tests:\n  - ¦one\n"), says="a test is a mapping"),
        case(news("then: 2d", "¦than: 2d"), says="a test has no than"),
        case(news("then: 2d", "¦then: later"), says="then later is no span", good=news("then: 2d", "then: 0s")),
        case(news(_TESTS, "tests:\n  - ¦name: one\n    alerts: 0\n"), says="the test has no events"),
        case(news(_TESTS, "tests:\n  - name: one\n    ¦events: []\n    alerts: 0\n"), says="the test has no events"),
        case(news("at: 5m", "¦at: 5 minutes"), says="at 5 minutes is no span", good=news("at: 5m", "at: 0m")),
        case(news("repeat: 2", "¦repeat: 0"), says="repeat is not a number from 1", good=news("repeat: 2", "repeat: 1")),
        case(news("        repeat: 2\n        every", "        ¦every"), says="every is only for what is repeated"),
        case(news("- {action: read, purpose.case: c-1}", "- ¦read"), says="an event is a mapping"),
        case(news("reference:\n      - {record: actor, id: o-1}", "¦reference: o-1"), says="reference is not a list"),
        case(news("- name: read without", "- ¦name: read without"), news("    alerts: 1\n", ""), says="neither a count"),
        case(news("alerts: 1", "¦alerts: many"), says="neither a count nor a list"),
        case(news("alerts: 1", "¦alerts: -1"), says="neither a count nor a list"),
        case(exports("entity: o-1", "¦entities: o-1"), says="an alert has no entities"),
        case(exports("- {at: 2m, entity: o-1, count: 3}", "- ¦one"), says="an expected alert is a mapping"),
    ],
    "LM374": [
        case(news("- name: read without a case\n    reference", "- ¦reference"), says="the test has no name"),
        case(news("name: read for a case", "¦name: read without a case"), says="another test is called"),
    ],
    "LM375": [
        case(news(_EVENT, "        ¦actoin: read\n"), says="a field actoin", good=news(_EVENT, "        query.text: a\n")),
        case(news("{id: p-1}", "{¦idd: p-1}"), says="subject.idd", good=news("{id: p-1}", "{kind: person}")),
        case(news(_EVENT, "        ¦vendor.x: 1\n"), says="vendor.x", good=news(_EVENT, "        vendor.x: 1\n"), fields=["vendor.*"]),
    ],
}  # fmt: skip
