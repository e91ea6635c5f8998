"""Cases of conditions and of the selections they combine."""

from __future__ import annotations

from tests.rules.lint.samples import Case, Edit, case, condition, news, press, selection


def more(lines: str, text: str) -> Edit:
    """The news rule with one more selection and another condition; ``lines`` begin with its name."""
    return condition(text, f"  {lines}\n", "")


_TWO = "  o:\n    action: read\n  p:\n    action: print\n"
_BOUND = "  o:\n    results: 3\n  p:\n    results|gt: 5\n"

CASES: dict[str, list[Case]] = {
    "LM240": [
        case(more("¦other:\n    action: read", "news and unexplained"), says="does not name other"),
        case(
            more("¦_other:\n    action: read", "1 of n* and unexplained"),
            says="does not name _other",
            good=more("other:\n    action: read", "1 of them"),
        ),
    ],
    "LM241": [
        case(
            more("¦_other:\n    action: read", "1 of them"),
            says="`of them` leaves out _other",
            good=more("_other:\n    action: read", "1 of them and not _other"),
        ),
        case(more("¦_other:\n    action: read", "news and unexplained and _other"), says="says nothing without `of them`"),
    ],
    "LM242": [case(condition("all of them"), says="changes with every new selection", good=condition("1 of them", "", ""))],
    "LM243": [
        case(condition("1 of new* and unexplained"), says="is only news", good=condition("1 of *n*", "", "")),
        case(press("  condition: press", "  ¦condition: 1 of them"), says="`1 of them` is only press"),
    ],
    "LM244": [
        case(condition("[news, ¦unexplained]", "", ""), says="several conditions", good=condition("[news and unexplained]", "", ""))
    ],
    "LM245": [
        case(condition("not news and not unexplained"), says="nearly every lookup matches", good=condition("unexplained and not news", "", "")),
        case(condition("not news or unexplained"), says="nearly every lookup matches"),
        case(press("  condition: press", "  ¦condition: not press and not press2\n  press2:\n    action: read"), says="nearly every"),
    ],
    "LM246": [
        case(selection("results|gte: 5\n    ¦results|lt: 3"), says="no results is within", good=selection("results|gte: 3\n    results|lt: 5")),
        case(
            selection("results|gt: 5\n    ¦results|lte: 5"),
            says="no results is within",
            good=selection("query.fields|gt: 5\n    query.fields|lte: 5"),
        ),
    ],
    "LM247": [
        case(condition("news and not news"), says="the condition can never hold", good=condition("news and not unexplained", "", "")),
        case(condition("o and p", _TWO), says="the condition can never hold", good=condition("o or p", _TWO, "")),
        case(
            condition("o and not p", _TWO.replace("print", "[read, print]")),
            says="the condition can never hold",
            good=condition("o and p", _TWO.replace("action", "subject.tags"), ""),
        ),
        case(condition("o and p", _BOUND), says="can never hold", good=condition("o and p", _BOUND.replace("gt: 5", "gt: 2"), "")),
        case(
            news("  news:\n    subject.tags: in-news", "  ¦news:\n    actor.id|exists: false"),
            says="news can never match",
            good=selection("actor.unit|exists: false"),
        ),
        case(
            news("  news:\n    subject.tags: in-news", "  ¦news:\n    system: null\n    system|contains: a"),
            says="news can never match",
            good=selection("actor.unit: [null, a]"),
        ),
    ],
    "LM248": [
        case(condition("news or not news"), says="every lookup matches", good=condition("news or not unexplained", "", "")),
        case(
            news("  news:\n    subject.tags: in-news", "  ¦news:\n    actor.id: '*'"),
            says="every lookup matches news",
            good=selection("actor.unit: '*'"),
        ),
    ],
    "LM249": [
        case(
            condition("news and unexplained and o", "  ¦o:\n    explanation: none\n", ""),
            says="o says the same as unexplained",
            good=condition("news and unexplained and o", "  o:\n    explanation: own-case\n", ""),
        )
    ],
    "LM250": [
        case(
            condition("n", "  n:\n    purpose.case: null\n"),
            says="nothing in it tells the index",
            good=condition("n and unexplained", "  n:\n    purpose.case: null\n", ""),
        )
    ],
}  # fmt: skip
