"""Checks of values: lists, wildcards, texts and regular expressions that could be said better, or say nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from sigma.types import SigmaString, SpecialChars

from monitor.rules.lint.pack import Item, Pack, Written
from monitor.rules.lint.registry import SELECTING, Note, check
from monitor.rules.values import key_of

_PIECES: Final = frozenset({"contains", "startswith", "endswith"})
#: Modifiers under which a ``*`` is no wildcard, or the value no text to be matched.
_NO_TEXTS: Final = frozenset({"re", "cidr", "fieldref", "exists", "lt", "lte", "gt", "gte", "base64", "base64offset"})
_BOUNDS: Final = frozenset({"lt", "lte", "gt", "gte"})
_SIGNS: Final = re.compile(r"[.*+?()\[\]{}|^$\\]")
_ESCAPED_SIGN: Final = re.compile(r"\\([^\w\s])")
STAR: Final = SpecialChars.WILDCARD_MULTI


def _patterns(rule: Written) -> Iterator[tuple[Item, str, Any]]:
    """Texts with wildcards: each with its item and path."""
    for item in rule.items:
        if _NO_TEXTS.isdisjoint(item.modifiers):
            for text, at in item.texts:
                yield item, text, at


def _expressions(rule: Written) -> Iterator[tuple[Item, str, Any]]:
    for item in rule.items:
        if "re" in item.modifiers:
            for text, at in item.texts:
                yield item, text, at


@check("LM220", "warning", "one value under |all", SELECTING)
def all_of_one(rule: Written, pack: Pack) -> Iterator[Note]:
    """It asks that all of several values are met; of one it says nothing."""
    for item in rule.items:
        if "all" in item.modifiers and len(item.values) == 1:
            yield Note("|all has only one value", "leave it out, or list further values", item.at)


@check("LM221", "warning", "null in a list of values", SELECTING)
def null_in_list(rule: Written, pack: Pack) -> Iterator[Note]:
    """It means: or the field is not there. That is easily overlooked."""
    for item in rule.items:
        for value, at in item.values if item.is_list else ():
            if value is None:
                yield Note(
                    "null in a list also matches lookups without the field", "give it a selection of its own", at
                )


@check("LM222", "warning", "a value that is listed twice", SELECTING)
def value_twice(rule: Written, pack: Pack) -> Iterator[Note]:
    """Case makes no difference, unless |cased or |re says so."""
    for item in rule.items:
        seen: Counter[str] = Counter()
        exact = "cased" in item.modifiers or "re" in item.modifiers
        for value, at in item.values:
            key = str(value) if exact else key_of(value)
            seen[key] += 1
            if seen[key] == 2:
                yield Note(f"{value} is listed twice", "leave one out", at)


@check("LM223", "warning", "an empty list of values", SELECTING)
def no_values(rule: Written, pack: Pack) -> Iterator[Note]:
    """Nothing is one of no values, so it never matches."""
    for item in rule.items:
        if item.is_list and not item.values:
            yield Note(f"{item.field} has no values to match", "list some, or leave the line out", item.at)


@check("LM224", "warning", "a value that every text matches", SELECTING)
def any_value(rule: Written, pack: Pack) -> Iterator[Note]:
    """It only asks whether the field is there."""
    for item, text, at in _patterns(rule):
        parts = SigmaString(text).s
        if all(part is STAR for part in parts) and (parts or not _PIECES.isdisjoint(item.modifiers)):
            hint = f"write {item.field}|exists: true" if item.field else "leave it out"
            yield Note("every value matches it", hint, at)


@check("LM225", "info", "an empty text", SELECTING)
def empty_text(rule: Written, pack: Pack) -> Iterator[Note]:
    """A field that is not there is null, not an empty text."""
    for item, text, at in _patterns(rule):
        if text == "" and _PIECES.isdisjoint(item.modifiers):
            yield Note("it matches an empty text only", "write null for a field that is not there", at)


@check("LM226", "info", "wildcards at an end where a modifier says it better", SELECTING)
def wildcard_at_end(rule: Written, pack: Pack) -> Iterator[Note]:
    """`|contains`, `|startswith` and `|endswith` say what is meant, and cannot be misread as a part of the value."""
    for item, text, at in _patterns(rule):
        parts = SigmaString(text).s
        inner = [part for part in parts[1:-1] if not isinstance(part, str)]
        if len(parts) < 2 or inner or (parts[0] is not STAR and parts[-1] is not STAR):
            continue
        if not item.field or "contains" in item.modifiers:
            yield Note("it is looked for anywhere already", "take the wildcards off", at)
        elif _PIECES.isdisjoint(item.modifiers):
            better = "contains" if parts[0] is parts[-1] else "endswith" if parts[0] is STAR else "startswith"
            yield Note(f"{text} is better said with |{better}", f"{item.field}|{better}: {text.strip('*')}", at)


@check("LM227", "info", "a number under a modifier of texts", SELECTING)
def number_as_text(rule: Written, pack: Pack) -> Iterator[Note]:
    """It is taken as its digits."""
    for item in rule.items:
        found = {"contains", "startswith", "endswith", "cased", "re", "base64", "base64offset"} & {*item.modifiers}
        for value, at in item.values if found else ():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield Note(f"{value} is taken as a text", f"write '{value}' if that is meant", at)


@check("LM228", "info", "a case modifier on a value without letters", SELECTING)
def case_without_letters(rule: Written, pack: Pack) -> Iterator[Note]:
    """It makes no difference."""
    for item in rule.items:
        name = next((each for each in item.modifiers if each in ("cased", "i", "ignorecase")), None)
        values = [re.sub(r"\\.", "", text) if "re" in item.modifiers else text for text, _ in item.texts]
        if name and values and not any(re.search(r"[^\W\d_]", text) for text in values):
            yield Note(f"|{name} makes no difference, as no value has letters", "leave it out", item.at)


@check("LM229", "info", "a regular expression that is a plain text", SELECTING)
def plain_regex(rule: Written, pack: Pack) -> Iterator[Note]:
    """Texts are faster, the index of rules knows them, and they need no escapes."""
    for item, text, at in _expressions(rule):
        starts, ends = text.startswith("^"), text.endswith("$") and not text.endswith("\\$")
        plain = text[starts : len(text) - ends]
        if not plain or _SIGNS.search(_ESCAPED_SIGN.sub("", plain)):
            continue
        better = {(True, True): "", (True, False): "|startswith", (False, True): "|endswith"}.get(
            (starts, ends), "|contains"
        )
        case = "" if {"i", "ignorecase"} & {*item.modifiers} else "|cased"
        value = _ESCAPED_SIGN.sub(r"\1", plain)
        yield Note(f"{text} is a plain text", f"write {item.field}{better}{case}: {value}", at)


@check("LM230", "info", "a regular expression that begins or ends with .*", SELECTING)
def open_regex(rule: Written, pack: Pack) -> Iterator[Note]:
    """An expression is searched for anywhere, so that it finds the same without."""
    for _, text, at in _expressions(rule):
        if text.lstrip("^").startswith(".*") or re.search(r"(?<!\\)\.\*\$?$", text):
            yield Note(f"{text} is searched for anywhere already", "take .* off its ends", at)


@check("LM231", "info", "a keyword, looked for in every value", SELECTING)
def keyword(rule: Written, pack: Pack) -> Iterator[Note]:
    """It costs more than a field, and matches where nobody expects it, such as in ids."""
    for item in rule.items:
        if not item.field and item.values:
            yield Note("a value without a field is looked for in all of a lookup", "name the field", item.values[0][1])


@check("LM232", "warning", "several bounds in one list", SELECTING)
def bounds_in_list(rule: Written, pack: Pack) -> Iterator[Note]:
    """One of a list is enough, so only the weakest bound says something."""
    for item in rule.items:
        found = [name for name in item.modifiers if name in _BOUNDS]
        if found and "all" not in item.modifiers and len(item.values) > 1:
            yield Note(f"of several values of |{found[0]} one is enough", "keep the weakest one", item.at)


@check("LM233", "warning", "a list without values", SELECTING)
def empty_list(rule: Written, pack: Pack) -> Iterator[Note]:
    """A placeholder stands for the values of its list; of none it never matches."""
    for item, text, at in _patterns(rule):
        for name in re.findall(r"%([\w-]+)%", text) if "expand" in item.modifiers else ():
            if name in pack.fixed and not pack.fixed[name]:
                yield Note(f"{pack.list_paths[name]} has no values", "list them there, one a line", at)
