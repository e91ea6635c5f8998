"""Checks of the conditions of detections and filters, and of the selections they combine."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from monitor.documents import KeyPath
from monitor.rules.lint.known import is_single
from monitor.rules.lint.logic import Bound, always, asks_for_something, feasible, never
from monitor.rules.lint.pack import Item, Pack, Written
from monitor.rules.lint.registry import DETECTION, SELECTING, Note, check
from monitor.rules.model import Detection
from monitor.rules.values import number_of

_OF: Final = re.compile(r"\b(1|any|all)\s+of\s+([\w*]+)", re.IGNORECASE)
_COMPARE: Final = ("lt", "lte", "gt", "gte")


def _patterns(rule: Written) -> Iterator[tuple[str, str, KeyPath]]:
    """Every ``1 of …`` and ``all of …``: the quantity, the pattern and the path."""
    for text, at in rule.conditions:
        for found in _OF.finditer(text):
            yield found[1].lower(), found[2], at


def _covered(rule: Written, pattern: str) -> list[str]:
    """The selections that a pattern stands for."""
    if pattern == "them":
        return [name for name in rule.selections if not name.startswith("_")]
    wanted = re.compile(re.escape(pattern).replace(r"\*", ".*"))
    return [name for name in rule.selections if wanted.fullmatch(name)]


@check("LM240", "warning", "a selection that the condition does not name", SELECTING)
def unused_selection(rule: Written, pack: Pack) -> Iterator[Note]:
    """What it says has no effect."""
    if rule.node is None:
        return
    is_of_them = any(pattern == "them" for _, pattern, _ in _patterns(rule))
    for name in rule.selections:
        if name not in rule.named and not (is_of_them and name.startswith("_")):
            yield Note(f"the condition does not name {name}", "name it, or take it out", (rule.section, name))


@check("LM241", "warning", "a selection whose underscore is overlooked or needless", SELECTING)
def underscore(rule: Written, pack: Pack) -> Iterator[Note]:
    """`of them` leaves out selections whose names begin with an underscore; elsewhere the underscore says nothing."""
    if rule.node is None:
        return
    patterns = [pattern for _, pattern, _ in _patterns(rule)]
    for name in rule.selections:
        if not name.startswith("_"):
            continue
        if "them" in patterns and name not in rule.named:
            yield Note(f"`of them` leaves out {name}", "name it in the condition too", (rule.section, name))
        elif "them" not in patterns:
            yield Note(f"the underscore of {name} says nothing without `of them`", "", (rule.section, name))


@check("LM242", "warning", "`all of them`", SELECTING)
def all_of_them(rule: Written, pack: Pack) -> Iterator[Note]:
    """A selection that somebody adds later, for an exception say, changes what the rule means."""
    for quantity, pattern, at in _patterns(rule):
        if quantity == "all" and pattern == "them":
            yield Note("`all of them` changes with every new selection", "name them, joined by and", at)


@check("LM243", "info", "`1 of` or `all of` a single selection", SELECTING)
def of_one(rule: Written, pack: Pack) -> Iterator[Note]:
    """It says the same as the selection's name."""
    for quantity, pattern, at in _patterns(rule):
        names = _covered(rule, pattern)
        if len(names) == 1:
            yield Note(f"`{quantity} of {pattern}` is only {names[0]}", f"write {names[0]}", at)


@check("LM244", "info", "a list of conditions", SELECTING)
def several_conditions(rule: Written, pack: Pack) -> Iterator[Note]:
    """The specification has one condition; not every tool reads several."""
    if len(rule.conditions) > 1:
        yield Note("there are several conditions", "join them by or", rule.conditions[1][1])


@check("LM245", "warning", "a condition that asks for nothing but absence", SELECTING)
def only_negation(rule: Written, pack: Pack) -> Iterator[Note]:
    """It matches nearly every lookup, and no index can help to find those few it does not match."""
    if rule.node is not None and not asks_for_something(rule.node) and not always(rule.node):
        yield Note("nearly every lookup matches", "say what the lookup must have", (rule.section, "condition"))


@check("LM246", "error", "bounds for one field that exclude each other", SELECTING)
def bounds_exclude(rule: Written, pack: Pack) -> Iterator[Note]:
    """The selection never matches."""
    yield from _excluding(rule)


def _excluding(rule: Written) -> Iterator[Note]:
    found: defaultdict[tuple[Any, ...], list[tuple[Bound, Item]]] = defaultdict(list)
    for item in rule.items:
        ops = [name for name in item.modifiers if name in _COMPARE]
        if len(ops) == 1 and len(item.values) == 1 and is_single(item.field):
            number = number_of(item.values[0][0])
            rest = tuple(sorted({*item.modifiers} - {ops[0]}))
            if number is not None:
                found[item.at[:-1], item.field, rest].append(((ops[0], number), item))
    for bounds in found.values():
        if not feasible(bound for bound, _ in bounds):
            item = bounds[-1][1]
            yield Note(f"no {item.field} is within these bounds", "", item.at)


@check("LM247", "error", "a condition that never holds", SELECTING)
def never_holds(rule: Written, pack: Pack) -> Iterator[Note]:
    """The rule can never match."""
    if rule.node is None or any(True for _ in _excluding(rule)):
        return
    empty = [name for name, part in rule.named.items() if never(part)]
    for name in empty:
        yield Note(f"{name} can never match: what it asks for excludes each other", "", (rule.section, name))
    if not empty and never(rule.node):
        yield Note("the condition can never hold", "its parts exclude each other", (rule.section, "condition"))


@check("LM248", "warning", "a condition that always holds", SELECTING)
def always_holds(rule: Written, pack: Pack) -> Iterator[Note]:
    """The rule matches every lookup; a filter, all that its rules find."""
    if rule.node is None:
        return
    full = [name for name, part in rule.named.items() if always(part)]
    for name in full:
        yield Note(f"every lookup matches {name}", "leave it out, or ask for more", (rule.section, name))
    if not full and always(rule.node):
        yield Note("every lookup matches", "ask for more", (rule.section, "condition"))


@check("LM249", "warning", "two selections that say the same", SELECTING)
def selection_twice(rule: Written, pack: Pack) -> Iterator[Note]:
    """One of them was probably meant to say something else."""
    seen: dict[str, str] = {}
    for name, part in rule.selections.items():
        first = seen.setdefault(repr(part), name)
        if first != name:
            yield Note(f"{name} says the same as {first}", "leave one out", (rule.section, name))


@check("LM250", "info", "a rule that is asked about every lookup", DETECTION)
def asked_always(rule: Written, pack: Pack) -> Iterator[Note]:
    """The index finds rules by values that a lookup must have; without one the rule costs time on all of them."""
    made = rule.rule
    if isinstance(made, Detection) and made.witness is None and asks_for_something(made.tree):
        hint = "add a field whose value is a text or number that must be there"
        yield Note("nothing in it tells the index which lookups to try it on", hint, (rule.section, "condition"))
