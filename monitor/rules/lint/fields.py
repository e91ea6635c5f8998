"""Checks of the fields that rules name, and of values that a field can never have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from monitor.documents import KeyPath, Wrong
from monitor.rules import tree
from monitor.rules.lint.known import FIELDS, IDENTITIES, NUMBERS, is_known, near
from monitor.rules.lint.pack import Item, Pack, Written
from monitor.rules.lint.registry import CORRELATION, SELECTING, SIGMA, Note, check
from monitor.rules.parse import parse_detection
from monitor.rules.values import CannotCompile, value_test

#: YAML 1.1's other words for true and false, which are texts here, as in YAML 1.2.
_OLD_BOOLEANS: Final = {"yes": "true", "no": "false", "on": "true", "off": "false", "y": "true", "n": "false"}
_NO_VALUES: Final = frozenset({"exists", "fieldref", "expand"})
_COMPARING: Final = frozenset({"lt", "lte", "gt", "gte"})
_OF_TIMES: Final = frozenset({"minute", "hour", "day", "week", "month", "year"})
_PIECES: Final = frozenset({"contains", "startswith", "endswith", "re"})
_PERSONAL: Final = (
    ("an e-mail address", re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")),
    ("a plate", re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9]{1,3}(-[A-Za-z0-9]{1,3}){2}")),
    ("a telephone number", re.compile(r"(\+|00)[1-9][0-9 ]{8,14}|0[1-9][0-9 -]{8,10}")),
)
_CITIZEN: Final = re.compile(r"\d{9}")
_PROSE: Final = ("title", "description", "playbook")


def fields_in(rule: Written) -> Iterator[tuple[str, KeyPath]]:
    """Every field that a rule names, with the path to it."""
    for item in rule.items:
        if item.field:
            yield item.field, item.at
        if "fieldref" in item.modifiers:
            yield from item.texts
    yield from _fields_of_correlation(rule)


def _fields_of_correlation(rule: Written) -> Iterator[tuple[str, KeyPath]]:
    at, body = ("correlation",), rule.body
    found = body.get("aliases")
    aliases: dict[str, Any] = found if isinstance(found, dict) else {}
    places: list[tuple[Any, KeyPath]] = [(body.get("peer"), (*at, "peer"))]
    for alias, mapping in aliases.items():
        places += [
            (field, (*at, "aliases", alias, name))
            for name, field in (mapping.items() if isinstance(mapping, dict) else ())
        ]
    condition = body.get("condition")
    places += _each(condition.get("field") if isinstance(condition, dict) else None, (*at, "condition", "field"))
    places += _each(body.get("group-by"), (*at, "group-by"))
    yield from ((field, place) for field, place in places if isinstance(field, str) and field and field not in aliases)


def _each(value: Any, at: KeyPath) -> list[tuple[Any, KeyPath]]:
    return [(each, (*at, number)) for number, each in enumerate(value)] if isinstance(value, list) else [(value, at)]


@check("LM201", "warning", "a field that no lookup is known to have")
def unknown_field(rule: Written, pack: Pack) -> Iterator[Note]:
    """A misspelt field is never there, so the rule never matches. Fields of your own systems are named by `--field`."""
    for field, at in fields_in(rule):
        if not is_known(field, pack.fields):
            hint = near(field, FIELDS, "name it with --field if it is one of your own systems'")
            yield Note(f"no lookup is known to have a field {field}", hint, at)


@check("LM202", "warning", "a value that its field never has", SELECTING)
def unknown_value(rule: Written, pack: Pack) -> Iterator[Note]:
    """The fields that say yes or no, or one of a few words, can have no other value."""
    for item in rule.items:
        possible = pack.values_of(item.field)
        if possible is None or not _NO_VALUES.isdisjoint(item.modifiers):
            continue
        for value, at in item.values:
            if value is None or _old_boolean(item, value, possible) or _passing(item, [value], possible) != []:
                continue
            words = [str(each).lower() for each in possible]
            listed = f"there are {', '.join(words)}" if isinstance(possible[0], (str, bool)) else f"up to {words[-1]}"
            yield Note(f"{item.field} is never {value}", near(str(value), words, listed), at)


@check("LM203", "warning", "yes, no, on or off where true or false is meant", SIGMA)
def old_boolean(rule: Written, pack: Pack) -> Iterator[Note]:
    """They are booleans in YAML 1.1 only; here they are texts, which equal neither true nor false."""
    for item in rule.items:
        for value, at in item.values:
            if _old_boolean(item, value, pack.values_of(item.field) or ()):
                yield _old(value, at)
    generate = rule.body.get("generate")
    if isinstance(generate, str) and generate.lower() in _OLD_BOOLEANS:
        yield _old(generate, ("correlation", "generate"))


def _old(value: str, at: KeyPath) -> Note:
    return Note(f"{value} is a text here, neither true nor false", f"write {_OLD_BOOLEANS[value.lower()]}", at)


def _old_boolean(item: Item, value: Any, possible: tuple[Any, ...]) -> bool:
    return possible == (True, False) and isinstance(value, str) and value.lower() in _OLD_BOOLEANS


@check("LM204", "warning", "values that leave nothing out", SELECTING)
def says_nothing(rule: Written, pack: Pack) -> Iterator[Note]:
    """Every value that the field can have passes, so it only asks whether the field is there."""
    for item in rule.items:
        possible = pack.values_of(item.field)
        if possible and _NO_VALUES.isdisjoint(item.modifiers) and not {"all", "neq"} & {*item.modifiers}:
            passing = _passing(item, [value for value, _ in item.values if value is not None], possible)
            if passing is not None and len(passing) == len(possible):
                hint = f"write {item.field}|exists: true, or leave it out"
                yield Note(f"every value of {item.field} passes", hint, item.at)


def _passing(item: Item, values: list[Any], possible: tuple[Any, ...]) -> list[Any] | None:
    """Which of the possible values pass (with |neq: do not); ``None`` when that cannot be told."""
    key = "|".join((item.field, *(name for name in item.modifiers if name not in ("all", "neq"))))
    try:
        node = parse_detection({"x": {key: values}, "condition": "x"})
        tests = [value_test(found.test, {}) for found in tree.walk(node)]
        return [each for each in possible if any(test(each) for test in tests)]
    except (Wrong, CannotCompile, ValueError):
        return None


@check("LM205", "warning", "a number's field compared as a text, or a text's as a number", SELECTING)
def wrong_comparison(rule: Written, pack: Pack) -> Iterator[Note]:
    """Texts have no order here, and the text of a number says little about it."""
    for item in rule.items:
        compares = [name for name in item.modifiers if name in _COMPARING]
        pieces = [name for name in item.modifiers if name in _PIECES]
        if compares and _OF_TIMES.isdisjoint(item.modifiers) and item.field in FIELDS - NUMBERS:
            yield Note(f"{item.field} is no number, so |{compares[0]} never holds", "", item.at)
        if pieces and item.field in NUMBERS:
            yield Note(f"{item.field} is a number; |{pieces[0]} looks at its digits", "use |gte and |lt", item.at)


@check("LM206", "warning", "a number whose field holds texts", CORRELATION)
def number_of_a_text(rule: Written, pack: Pack) -> Iterator[Note]:
    """A lookup whose field is no number is not counted, so the correlation never fires."""
    if rule.text("correlation", "type") not in ("value_sum", "value_avg", "value_percentile", "value_median"):
        return
    for field, at in _fields_of_correlation(rule):
        if at[1] == "condition" and field in FIELDS - NUMBERS:
            yield Note(f"{field} is no number", f"fields that are: {', '.join(sorted(NUMBERS))}", at)


@check("LM207", "warning", "a person or thing named in a rule", SELECTING)
def names_a_person(rule: Written, pack: Pack) -> Iterator[Note]:
    """Rules are read by many and kept for long. Who is to be watched belongs into a list of the reference data."""
    for item in rule.items:
        if item.field in IDENTITIES and not {*item.modifiers} - {"cased", "all", "neq"}:
            for value, at in item.values:
                if value is not None and not _has_wildcards(value):
                    hint = f"put it into a list and write {item.field}|expand: '%name%'"
                    yield Note(f"the rule names one {item.field}", hint, at)


@check("LM208", "warning", "a value that looks personal", SIGMA)
def looks_personal(rule: Written, pack: Pack) -> Iterator[Note]:
    """E-mail addresses, citizen numbers, plates and telephone numbers belong into lists of the reference data."""
    for item in rule.items:
        if item.field in IDENTITIES or not _NO_VALUES.isdisjoint(item.modifiers):
            continue
        for value, at in item.values:
            what = personal(str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
            if what is not None:
                yield Note(f"the value looks like {what}", "put it into a list of the reference data", at)
    for name in _PROSE:
        if any(is_citizen(found) for found in _CITIZEN.findall(rule.text(name))):
            yield Note(f"the {name} has what looks like a citizen number", "take it out", (name,))


def personal(text: str) -> str | None:
    """What personal thing a text looks like, or ``None``."""
    if is_citizen(text):
        return "a citizen number"
    return next((what for what, pattern in _PERSONAL if pattern.fullmatch(text)), None)


def is_citizen(text: str) -> bool:
    """Whether nine digits pass the check of Dutch citizen numbers: weighted 9, 8, … 2, -1, they are a multiple of 11."""
    if _CITIZEN.fullmatch(text) is None or text == "000000000":
        return False
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return sum(weight * int(digit) for weight, digit in zip(weights, text, strict=True)) % 11 == 0


def _has_wildcards(value: Any) -> bool:
    return isinstance(value, str) and re.search(r"(?<!\\)[*?%]", value) is not None
