"""What the loader refuses: its problems, told apart by kind. A rule with one of these does not run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from monitor.documents import Document, KeyPath, RuleProblem
from monitor.rules.lint.pack import File, Pack
from monitor.rules.lint.registry import FILE, Note, check


class Refusal(NamedTuple):
    """A kind of problem: those whose message ``says`` so, or that are at a path of keys that begins with one of ``at``."""

    id: str
    name: str
    summary: str
    why: str
    says: str = ""
    at: tuple[tuple[str, ...], ...] = ()


#: Messages are looked at first, in this order; what no message tells is told by its place.
REFUSALS: Final = (
    Refusal("LM001", "not-yaml", "the file is no YAML, or no mapping of names to values", "Nothing of it runs.",
            r"^not YAML|^a rule must be a mapping|^the file has more than"),
    Refusal("LM002", "key-twice", "a mapping has the same key twice", "The second would hide the first without a word.",
            r"^the key .* is there twice"),
    Refusal("LM003", "no-title-or-id", "the title or the id is missing", "Alerts are named by them.",
            r"^(title|id) is missing"),
    Refusal("LM004", "id-not-uuid", "the id is not a UUID", "The ids of alerts are made from it.", r"^id .* is not a UUID"),
    Refusal("LM005", "id-or-name-taken", "another rule has the same id or name",
            "Only the first of them runs, and correlations would not know which is meant.", r" is used in .* already"),
    Refusal("LM006", "unknown-word", "the level, status or typology is none there is",
            "The desk sorts by level and measures by typology.", r"^(level|status|typology) .* is none"),
    Refusal("LM007", "wrong-logsource", "the log source is not that of lookups", "The rule is meant for other logs.",
            r"^logsource is not"),
    Refusal("LM008", "missing-list", "a placeholder names a list that is not there",
            "Without its values the rule could never match.", r"^there is no list "),
    Refusal("LM009", "unknown-rule", "it names a rule that is not there, or that is itself refused",
            "A rule that is made of nothing cannot fire.", r"^there is no (rule|detection) |^the condition names "),
    Refusal("LM010", "keys-do-not-nest", "a correlation is made of one that is grouped by less",
            "It would run under a key that does not see all of its lookups.", r"must be grouped by"),
    Refusal("LM011", "circular", "correlations are made of each other, or of rules that are missing",
            "None of them can be begun with.", r"in a circle|^it is made of rules"),
    Refusal("LM012", "wrong-span", "a span of time is none, or too long",
            "Spans are a number and a unit, at most 5 years; some types of correlations have shorter limits.",
            r"^(timespan|gap|suppress|grace|learning) .* is (none|too long)|^timespan is too long"),
    Refusal("LM013", "not-re2", "a value cannot be compiled, such as an expression that RE2 does not know",
            "RE2 has no look-around and no back references, so that no text can make a search run long.",
            r"^not an expression|^Regular expression .* is invalid|^a value of type|^the lists of one value|^nested too deep"),
    Refusal("LM014", "wrong-condition", "the condition is missing or cannot be read", "It says when the rule matches.",
            r"with a condition is missing| has no selection$",
            (("detection", "condition"), ("filter", "condition"))),
    Refusal("LM015", "wrong-correlation-type", "the type of the correlation is none there is, or it is no mapping",
            "The type says what is counted.", r"^correlation must be a mapping", (("correlation", "type"),)),
    Refusal("LM016", "wrong-rules", "the rules of a correlation or filter are missing, or too few or too many",
            "They are what is counted or excepted.", "", (("correlation", "rules"), ("filter", "rules"))),
    Refusal("LM017", "wrong-group", "group-by, aliases or peer are not what the type needs",
            "They say whose lookups are counted together.", "",
            (("correlation", "group-by"), ("correlation", "aliases"), ("correlation", "peer"))),
    Refusal("LM018", "wrong-window", "the window or its gap is none, or the type has none such",
            "They say which lookups are counted together.", "", (("correlation", "window"), ("correlation", "gap"))),
    Refusal("LM019", "wrong-bound", "the condition of a correlation is missing, or not what its type needs",
            "It says when the correlation fires.", "", (("correlation", "condition"),)),
    Refusal("LM020", "wrong-selection", "a selection, or a value or modifier in it, cannot be read",
            "See the Sigma specification 2.1, rules and modifiers.", "", (("detection",), ("filter",))),
    Refusal("LM021", "wrong-correlation-key", "a correlation has a key there is none of",
            "A misspelt key would be left out without a word.", "", (("correlation",),)),
    Refusal("LM022", "wrong-expiry", "the expiry of a filter is no date", "A filter without an end hides for ever.",
            "", (("expires",),)),
    Refusal("LM023", "wrong-kind", "a value is not of the kind its key needs, such as a text for a list",
            "The loader cannot tell what is meant.", r" is not (a|an) [\w ]+$|^\w+ is not true or false"),
    Refusal("LM024", "wrong-explanation", "an explanation cannot be read", "Lookups that it explains would be alerted about.",
            r"^(name|description|explanation) is missing|^name .* cannot be used|^an explanation has no ",
            (("explanation",),)),
    Refusal("LM099", "refused", "the loader refuses it for another reason", "The rule does not run."),
)  # fmt: skip
#: Its messages are so general that places are asked first.
_LAST: Final = "LM023"


def kind_of(problem: RuleProblem, places: Iterable[KeyPath]) -> str:
    """The id of a problem's kind; ``places`` are paths of keys to what is at its place, asked for only when needed."""
    for refusal in REFUSALS:
        if refusal.says and refusal.id != _LAST and re.search(refusal.says, problem.message):
            return refusal.id
    at = next((each for each in places if each), ())
    for refusal in REFUSALS:
        if any(at[: len(start)] == start for start in refusal.at):
            return refusal.id
        if refusal.id == _LAST and re.search(refusal.says, problem.message):
            return refusal.id
    return REFUSALS[-1].id


def path_at(document: Document, line: int, column: int) -> KeyPath:
    """The path of keys to what stands at a place; () when nothing begins there."""
    waiting: list[KeyPath] = [(name,) for name in document.data]
    while waiting:
        at = waiting.pop()
        if document.place(at) == (line, column):
            return at
        inner: Any = document.data
        for name in at:
            inner = inner[name]
        if isinstance(inner, dict):
            waiting += [(*at, name) for name in inner]
        elif isinstance(inner, list):
            waiting += [(*at, number) for number in range(len(inner))]
    return ()


def refused(check_id: str, file: File, pack: Pack) -> Iterator[Note]:
    """The problems of a file that are of one kind."""
    for problem in file.problems:
        places = (path_at(written.document, problem.line, problem.column) for written in file.documents)
        if kind_of(problem, places) == check_id:
            yield Note(problem.message, problem.hint, place=(problem.line, problem.column))


for _refusal in REFUSALS:
    check(_refusal.id, "error", _refusal.summary, FILE, _refusal.name, _refusal.why)(partial(refused, _refusal.id))
