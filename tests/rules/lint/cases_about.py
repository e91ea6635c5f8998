"""Cases of what rules say about themselves."""

from __future__ import annotations

from tests.rules.lint.samples import Case, case, exports, news, press

_RELATED = "  - id: 3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a03\n    type: similar"
_TITLE = "title: Someone in the news was looked up"
_DESCRIPTION = "description: The subject is in the news, and nothing in the work explains the lookup."
_PLAYBOOK = "playbook: Ask the unit before the person.\n"
_FALSE = "falsepositives:\n  - The case was entered late\n"
_MEDIUM = news("level: high", "level: medium")

CASES: dict[str, list[Case]] = {
    "LM101": [
        case(news("grace: 1d", "¦grece: 1d"), says="a detection has no grece", good=news("grace: 1d", "x-grece: 1d")),
        case(press("expires: 2027", "¦suppress: 1d\nexpires: 2027"), says="a filter has no suppress"),
        case(exports("suppress: 2d", "¦logsource: {category: lookup}\nsuppress: 2d"), says="a correlation has no logsource"),
    ],
    "LM102": [
        case(news("title: S", f"¦title: {'S' * 80}"), says="the title has 112 characters", good=news("title: S", f"title: {'S' * 78}"))
    ],
    "LM103": [
        case(news("title: Someone", "¦title: someone"), says="capital", good=news("title: Someone", "title: '2 or more'\nx-t: a")),
    ],
    "LM104": [case(news(_TITLE, f"¦{_TITLE}."), says="period", good=news(_TITLE, f"{_TITLE}?"))],
    "LM105": [
        case(news(_TITLE, f"¦{_TITLE}"), news(f"{_DESCRIPTION}\n", ""), says="the detection has no description"),
        case(press("description: Answering the press is its task.", "¦description: ''"), says="the filter has no description"),
    ],
    "LM106": [case(news(_TITLE, f"¦{_TITLE}"), news("level: high\n", ""), says="so it is medium")],
    "LM107": [case(news(_TITLE, f"¦{_TITLE}"), news("status: experimental\n", ""), says="no status")],
    "LM108": [case(news(_TITLE, f"¦{_TITLE}"), news("typology: curiosity\n", ""), says="no typology")],
    "LM109": [
        case(news(_TITLE, f"¦{_TITLE}"), news(_PLAYBOOK, ""), _MEDIUM, says="no playbook", good=news(_PLAYBOOK, "")),
    ],
    "LM110": [
        case(news(_TITLE, f"¦{_TITLE}"), news(_FALSE, ""), _MEDIUM, says="no falsepositives", good=news(_FALSE, "")),
        case(news(_FALSE, "¦falsepositives: []\n"), _MEDIUM, says="no falsepositives"),
    ],
    "LM111": [
        case(news("level: high", "¦level: high"), news(_PLAYBOOK, ""), says="level high has no playbook"),
        case(news(_FALSE, "¦falsepositives: []\n"), says="no falsepositives", good=[news(_FALSE, ""), _MEDIUM]),
    ],
    "LM112": [case(news(_TITLE, f"¦{_TITLE}"), news("tags:\n  - attack.collection\n", ""), says="no tags")],
    "LM113": [case(press("title: T", "¦title: T"), press("author: Security desk\n", ""), says="no author")],
    "LM114": [case(news(_TITLE, f"¦{_TITLE}"), news("date: 2026-11-01\n", ""), says="no date")],
    "LM115": [
        case(news("date: 2026-11-01", "¦date: 2026/11/01"), says="date 2026/11/01 is no date"),
        case(news("modified: 2026-11-02", "¦modified: 2026-02-30"), says="is no date", good=news("2026-11-02", "2026-11-20")),
        case(news("date: 2026-11-01", "¦date: 20261101"), says="is no date"),
    ],
    "LM116": [
        case(
            news("modified: 2026-11-02", "¦modified: 2026-10-31"),
            says="is before its date 2026-11-01",
            good=news("2026-11-02", "2026-11-01"),
        )
    ],
    "LM117": [case(news("modified: 2026-11-02", "¦modified: 2026-11-26"), says="not come", good=news("2026-11-02", "2026-11-25"))],
    "LM118": [
        case(
            exports("status: experimental\ndescription: Part", "¦status: deprecated\ndescription: Part"),
            says="it is deprecated but nothing is related",
            good=news("status: experimental", "status: deprecated"),
        )
    ],
    "LM119": [
        case(news("- attack.collection", "- attack.collection\n  - ¦Curious"), says="Curious is no tag"),
        case(news("- attack.collection", "- ¦attack"), says="attack is no tag", good=news("attack.coll", "attack.t1213.00-coll")),
    ],
    "LM120": [
        case(news(_RELATED, "  - ¦type: similar"), says="no id that is a UUID"),
        case(news(_RELATED, _RELATED.replace("- id", "- ¦id").replace("similar", "alike")), says="cannot be related as alike"),
        case(news(_RELATED, _RELATED.replace("- id", "- ¦id").replace("5a03", "5a01")), says="related to itself"),
    ],
    "LM121": [case(news(_RELATED, _RELATED.replace("id", "¦id").replace("5a03", "5a99")), says="there is no rule")],
    "LM122": [
        case(
            news(_DESCRIPTION, "¦description: >-\n  Someone  in the news was looked-up."),
            news(_TITLE, "title: Someone in the news was looked up"),
            says="the description repeats the title",
            good=news(_DESCRIPTION, "description: Someone in the news was looked up without an explanation."),
        ),
        case({"rules/explanations/tips.yml": "title: Tips\nname: tip\n¦description: Tips.\nexplanation: {record: case}\n"}, says="repeats"),
    ],
    "LM123": [
        case(news("author: Security desk", "¦author: [Security desk]"), says="author is not a text"),
        case(news("references:\n  - https://example.org/why", "¦references: https://example.org/why"), says="references is not a list"),
    ],
    "LM124": [
        case(
            news(_TITLE, "¦title: Several exports, without an explanation"),
            says="many-exports in rules/bulk-harvest/exports.yml has the same title",
            good=news(_TITLE, "title: Some exports without an explanation"),
        )
    ],
}  # fmt: skip
