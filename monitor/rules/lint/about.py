"""Checks of what a rule says about itself: title, description, dates, tags, and what the desk needs to know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from monitor.rules.lint.known import near
from monitor.rules.lint.pack import Pack, Written, plain_words
from monitor.rules.lint.registry import EVERY, RULES, Note, check
from monitor.rules.model import LEVELS

#: SigmaHQ's own limit; the specification allows 256, which no pager shows.
TITLE_CHARACTERS: Final = 110
#: What a document may have at its top, by its kind; a force's own keys begin with ``x-``.
ANY_KEYS: Final = frozenset(
    {"title", "id", "name", "related", "taxonomy", "status", "description", "license", "references", "author", "date"}
    | {"modified", "tags", "scope", "falsepositives", "level", "fields", "typology", "playbook", "tests"}
)
KEYS: Final = {
    "detection": ANY_KEYS | {"logsource", "detection", "suppress", "grace"},
    "correlation": ANY_KEYS | {"correlation", "suppress", "grace"},
    "filter": ANY_KEYS | {"logsource", "filter", "expires"},
}
OWN: Final = "x-"
RELATIONS: Final = ("derived", "obsolete", "merged", "renamed", "similar")
_TAG: Final = re.compile(r"[a-z0-9_-]+\.[a-z0-9._-]+")
_TEXTS: Final = ("description", "author", "license", "playbook", "taxonomy")
_LISTS: Final = ("references", "fields", "related")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RETIRED: Final = ("deprecated", "unsupported")


@check("LM101", "warning", "an unknown key at the top of a document")
def unknown_key(rule: Written, pack: Pack) -> Iterator[Note]:
    """A misspelt key is left out without a word. Keys of your own begin with `x-`."""
    allowed = KEYS[rule.kind]
    for name in rule.data:
        if name not in allowed and not name.startswith(OWN):
            hint = near(name, allowed, f"begin it with {OWN} if it is your own")
            yield Note(f"a {rule.kind} has no {name}", hint, (name,))


@check("LM102", "warning", f"a title of more than {TITLE_CHARACTERS} characters")
def title_too_long(rule: Written, pack: Pack) -> Iterator[Note]:
    """The title is what the pager shows."""
    length = len(rule.text("title"))
    if length > TITLE_CHARACTERS:
        yield Note(f"the title has {length} characters", f"at most {TITLE_CHARACTERS}; say the rest below", ("title",))


@check("LM103", "warning", "a title that does not begin with a capital", EVERY)
def title_begins_small(rule: Written, pack: Pack) -> Iterator[Note]:
    """Titles stand alone, as headings of alerts."""
    if rule.text("title")[:1].islower():
        yield Note("the title does not begin with a capital", "", ("title",))


@check("LM104", "warning", "a title that ends with a period", EVERY)
def title_ends_with_period(rule: Written, pack: Pack) -> Iterator[Note]:
    """A title is no sentence."""
    if rule.text("title").rstrip().endswith("."):
        yield Note("the title ends with a period", "take it off", ("title",))


@check("LM105", "warning", "no description")
def no_description(rule: Written, pack: Pack) -> Iterator[Note]:
    """It is printed in the alert and says what was seen; for a filter it says why there is an exception."""
    if not rule.text("description").strip():
        yield Note(f"the {rule.kind} has no description", "say what it sees", _place(rule, "description"))


@check("LM106", "warning", "no level", RULES)
def no_level(rule: Written, pack: Pack) -> Iterator[Note]:
    """Without one it counts as medium, which may not be what was meant."""
    if "level" not in rule.data:
        yield Note("there is no level, so it is medium", f"one of {', '.join(LEVELS)}")


@check("LM107", "warning", "no status", RULES)
def no_status(rule: Written, pack: Pack) -> Iterator[Note]:
    """It tells the desk how far a rule can be relied on."""
    if "status" not in rule.data:
        yield Note("there is no status", "a new rule is experimental")


@check("LM108", "warning", "no typology", RULES)
def no_typology(rule: Written, pack: Pack) -> Iterator[Note]:
    """Recall and coverage are counted by typology."""
    if "typology" not in rule.data and (rule.alerts or rule.rule is None):
        yield Note("there is no typology", "the pattern of misuse it looks for, such as bulk-harvest")


@check("LM109", "info", "an alerting rule without a playbook", RULES)
def no_playbook(rule: Written, pack: Pack) -> Iterator[Note]:
    """It says what the desk should do first."""
    if rule.alerts and not _is_severe(rule) and not rule.text("playbook").strip():
        yield Note("there is no playbook", "say what the desk should do", _place(rule, "playbook"))


@check("LM110", "info", "an alerting rule without false positives", RULES)
def no_falsepositives(rule: Written, pack: Pack) -> Iterator[Note]:
    """They say what to rule out before an actor is asked."""
    if rule.alerts and not _is_severe(rule) and not rule.data.get("falsepositives"):
        yield Note("there are no falsepositives", "list what else may look like this", _place(rule, "falsepositives"))


@check("LM111", "warning", "a high or critical rule without a playbook or false positives", RULES)
def severe_without_guidance(rule: Written, pack: Pack) -> Iterator[Note]:
    """Such an alert wakes somebody up, who must know what to do and what to rule out."""
    if rule.alerts and _is_severe(rule):
        for name in ("playbook", "falsepositives"):
            if not rule.data.get(name):
                yield Note(f"a rule of level {rule.text('level')} has no {name}", "", _place(rule, name, "level"))


@check("LM112", "info", "no tags", RULES)
def no_tags(rule: Written, pack: Pack) -> Iterator[Note]:
    """Other tools find rules by them."""
    if rule.alerts and not rule.data.get("tags"):
        yield Note("there are no tags", "for instance attack.collection", _place(rule, "tags"))


@check("LM113", "info", "no author")
def no_author(rule: Written, pack: Pack) -> Iterator[Note]:
    """Somebody must be able to answer for it."""
    if not rule.text("author").strip():
        yield Note("there is no author", "who can be asked about it", _place(rule, "author"))


@check("LM114", "info", "no date")
def no_date(rule: Written, pack: Pack) -> Iterator[Note]:
    """It says since when the rule has been there."""
    if "date" not in rule.data:
        yield Note("there is no date", "the day it was written, such as 2026-11-24")


@check("LM115", "warning", "a date that is none", EVERY)
def wrong_date(rule: Written, pack: Pack) -> Iterator[Note]:
    """The specification has one form, YYYY-MM-DD."""
    for name in ("date", "modified"):
        if name in rule.data and _day(rule, name) is None:
            yield Note(f"{name} {rule.data[name]} is no date", "write it as 2026-11-24", (name,))


@check("LM116", "warning", "modified before its date", EVERY)
def modified_before_date(rule: Written, pack: Pack) -> Iterator[Note]:
    """One of the two is wrong."""
    written, modified = _day(rule, "date"), _day(rule, "modified")
    if written is not None and modified is not None and modified < written:
        yield Note(f"modified {modified} is before its date {written}", "", ("modified",))


@check("LM117", "warning", "a date that has not come yet", EVERY)
def date_in_future(rule: Written, pack: Pack) -> Iterator[Note]:
    """Nobody has written it then."""
    for name in ("date", "modified"):
        day = _day(rule, name)
        if day is not None and day > pack.today:
            yield Note(f"{name} {day} has not come yet", "", (name,))


@check("LM118", "warning", "deprecated or unsupported without saying what replaces it", RULES)
def retired_without_related(rule: Written, pack: Pack) -> Iterator[Note]:
    """Who meets it should find what to use instead."""
    if rule.data.get("status") in _RETIRED and not rule.data.get("related"):
        yield Note(
            f"it is {rule.data['status']} but nothing is related", "name its successor in `related`", ("status",)
        )


@check("LM119", "warning", "a tag that is none")
def wrong_tag(rule: Written, pack: Pack) -> Iterator[Note]:
    """A tag is a namespace, a point and a name, in lower case."""
    for number, tag in enumerate(rule.listed("tags")):
        if not isinstance(tag, str) or _TAG.fullmatch(tag) is None:
            yield Note(f"{tag} is no tag", "for instance attack.collection", ("tags", number))


@check("LM120", "warning", "a related entry that is none")
def wrong_related(rule: Written, pack: Pack) -> Iterator[Note]:
    """An entry has the id of another rule and says how they are related."""
    for number, entry in enumerate(rule.listed("related")):
        said = _wrong_related(rule, entry)
        if said is not None:
            yield Note(said, f"id: a UUID, type: {', '.join(RELATIONS)}", ("related", number))


@check("LM121", "info", "a related rule that is not in the pack")
def related_elsewhere(rule: Written, pack: Pack) -> Iterator[Note]:
    """The link leads nowhere, at least here."""
    for number, entry in enumerate(rule.listed("related")):
        if _wrong_related(rule, entry) is None and pack.found(entry["id"]) is None:
            yield Note(f"there is no rule {entry['id']} here", "", ("related", number, "id"))


@check("LM122", "warning", "a description that repeats the title", EVERY)
def description_repeats_title(rule: Written, pack: Pack) -> Iterator[Note]:
    """It says nothing that the title has not said."""
    title, description = (plain_words(rule.text(name)) for name in ("title", "description"))
    if title and title == description:
        yield Note("the description repeats the title", "say what was seen and why it matters", ("description",))


@check("LM123", "warning", "a text or list that is something else", EVERY)
def not_a_text(rule: Written, pack: Pack) -> Iterator[Note]:
    """Tools that read rules expect the specification's kinds."""
    for name, kind, noun in (*((name, str, "text") for name in _TEXTS), *((name, list, "list") for name in _LISTS)):
        value = rule.data.get(name)
        if value is not None and not isinstance(value, kind):
            yield Note(f"{name} is not a {noun}", "", (name,))


@check("LM124", "warning", "a title that another rule has")
def title_taken(rule: Written, pack: Pack) -> Iterator[Note]:
    """The desk could not tell their alerts apart."""
    first = pack.titles.get(plain_words(rule.text("title")), rule)
    if first is not rule:
        yield Note(f"{first.called} in {first.path} has the same title", "say in which they differ", ("title",))


def _place(rule: Written, name: str, otherwise: str = "title") -> tuple[str, ...]:
    """Where to say that something is missing: at its key if it is there but empty."""
    return (name,) if name in rule.data else (otherwise,)


def _is_severe(rule: Written) -> bool:
    return rule.rank >= LEVELS.index("high")


def _day(rule: Written, name: str) -> date | None:
    text = rule.text(name)
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else None
    except ValueError:
        return None


def _wrong_related(rule: Written, entry: Any) -> str | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or _UUID.fullmatch(entry["id"]) is None:
        return "a related entry has no id that is a UUID"
    if entry.get("type") not in RELATIONS:
        return f"a rule cannot be related as {entry.get('type')}"
    return "the rule is related to itself" if entry["id"] == rule.text("id") else None
