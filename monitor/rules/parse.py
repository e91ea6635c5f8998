"""pySigma's reading of a detection → our tree (:mod:`monitor.rules.tree`).

pySigma knows the specification's value types, modifiers and condition grammar; what its trees leave out (the names of the
search identifiers, which explanations need) is kept here by walking them before they are resolved.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from sigma import types as sigma
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionIdentifier,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    ConditionValueExpression,
)
from sigma.exceptions import SigmaConditionError, SigmaError, SigmaValueError
from sigma.modifiers import SigmaCaseSensitiveModifier, SigmaWideModifier, modifier_mapping
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RegexEngine
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections

from monitor.documents import Wrong, nearest
from monitor.rules import tree
from monitor.rules.patterns import CannotCompile, compile_regex

# Sigma 2.1 names it besides `wide`, its alias; pySigma knows the alias only.
modifier_mapping.setdefault("utf16le", SigmaWideModifier)
MODIFIERS: Final = tuple(sorted(modifier_mapping))
_REGEX_FLAGS: Final = {"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}
#: Modifiers of texts. A number under one of them is meant as its text, as the specification has it of all values.
_OF_TEXTS: Final = frozenset(
    {"contains", "startswith", "endswith", "cased", "re", "windash", "expand", "fieldref", "cidr"}
    | {"base64", "base64offset", "wide", "utf16le", "utf16be", "utf16"}
)
#: Modifiers of numbers. pySigma keeps any other number above this as a float, which has fewer digits.
_OF_NUMBERS: Final = frozenset({"lt", "lte", "gt", "gte"})
_EXACT: Final = 2**53
_PLACES: Final = frozenset({"contains", "startswith", "endswith"})
#: With `expand`, a percent sign after a backslash is one; pySigma is given this character, which no text has, in its place.
_LONGEST: Final = 2**63
#: How pySigma shows a value without words of its own.
_OBJECT: Final = re.compile(r"<sigma\.types\.Sigma(\w+) object at 0x[0-9a-f]+>")
_PERCENT: Final = "\ufdd0"
_ESCAPED_PERCENT: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\%").sub
_CONDITION_HINT: Final = "names of selections, and, or, not, 1 of name*, all of them"


class _Expressions(RegexEngine):  # type: ignore[misc]
    """Ours, which does not write what is wrong with an expression to the standard error."""

    @property
    def error(self) -> type[Exception]:
        return CannotCompile

    def compile(self, pattern: str, flags: int = 0) -> Any:
        return compile_regex(pattern)


_POLICY: Final = SigmaPolicy(regex_engine=_Expressions())


def parse_detection(body: dict[str, Any], at: str = "detection") -> tree.Node:
    """The tree of a ``detection`` (or ``filter``) section. Raises :class:`Wrong` with the place below ``at``."""
    condition = body.get("condition")
    if condition is None:
        raise Wrong(
            f"{at} with a condition is missing", "name selections and combine them in `condition`", (at, "condition")
        )
    texts = condition if isinstance(condition, list) else [condition]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise Wrong("condition is not a text", _CONDITION_HINT, (at, "condition"))
    selections = {name: _selection(name, value, at) for name, value in body.items() if name != "condition"}
    if not selections:
        raise Wrong(f"{at} has no selection", "name one, with fields and values", (at,))
    detections = SigmaDetections(selections, texts)
    parts = []
    for number, one in enumerate(detections.parsed_condition):
        place = (at, "condition", number) if isinstance(condition, list) else (at, "condition")
        try:
            parts.append(_condition(one.parse(postprocess=False), detections))
        except SigmaError as error:
            raise Wrong(first_line(error), _CONDITION_HINT, place) from None
        except RecursionError:
            raise Wrong("condition is nested too deep", _CONDITION_HINT, place) from None
    return parts[0] if len(parts) == 1 else tree.AnyOf(tuple(parts))


def _selection(name: str, value: Any, at: str) -> SigmaDetection:
    try:
        found = SigmaDetection.from_definition(_definition(value), policy=_POLICY)
    except Exception as error:  # pySigma raises anything for a value of a kind it does not expect
        raise _explain(error, name, value, at) from None
    _keep_case(found)
    return found


def _definition(value: Any) -> Any:
    """A selection as pySigma is to read it."""
    if isinstance(value, list):
        return [_definition(each) if isinstance(each, (dict, list)) else _as_text(each) for each in value]
    if not isinstance(value, dict):
        return _as_text(value)
    made = dict(_item(key, inner) for key, inner in value.items())
    if len(made) < len(value):
        raise SigmaValueError("the same field is asked for twice in the same way")
    return made


def _item(key: str, value: Any) -> tuple[str, Any]:
    """A field with its modifiers and values, in such a form that pySigma gives what the specification says."""
    name, *modifiers = key.split("|")
    if value == []:
        raise SigmaValueError(f"{key} has no value")
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, (list, dict)) for one in values):
        raise SigmaValueError(f"a value of {key} is a list or a mapping")
    if "re" in modifiers and None in values:
        raise SigmaValueError(f"a value of {key} is no text")
    if "re" in modifiers:
        modifiers, value = _anchored(modifiers, value)
    if not _OF_TEXTS.isdisjoint(modifiers) or name == "":
        value = _each(value, _as_text)
    elif _OF_NUMBERS.isdisjoint(modifiers):
        value = _each(value, lambda one: str(one) if type(one) is int and abs(one) > _EXACT else one)
    if "expand" in modifiers:
        value = _each(value, lambda one: _ESCAPED_PERCENT(rf"\1{_PERCENT}", one) if isinstance(one, str) else one)
    return "|".join((name, *modifiers)), value


def _anchored(modifiers: list[str], value: Any) -> tuple[list[str], Any]:
    """An expression is looked for anywhere, so that it has to begin or end the text must be said in it."""
    where = _PLACES & {*modifiers}
    if not where:
        return modifiers, value
    starts, ends = (r"\A" if where == {"startswith"} else ""), (r"\z" if where == {"endswith"} else "")
    left = [modifier for modifier in modifiers if modifier not in _PLACES]
    return left, _each(value, lambda one: f"{starts}(?:{one}){ends}" if isinstance(one, str) else one)


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    return [change(one) for one in value] if isinstance(value, list) else change(value)


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


def _keep_case(found: Any) -> None:
    """With ``cased`` among its modifiers all texts of an item are cased, also those that other modifiers make of them."""
    if isinstance(found, SigmaDetection):
        for item in found.detection_items:
            _keep_case(item)
    elif SigmaCaseSensitiveModifier in found.modifiers:
        found.value = [_cased(value) for value in found.value]


def _cased(value: Any) -> Any:
    if isinstance(value, sigma.SigmaExpansion):
        return sigma.SigmaExpansion([_cased(each) for each in value.values])
    if isinstance(value, sigma.SigmaFieldReference):
        value.cased = True
        return value
    return sigma.SigmaCasedString.from_sigma_string(value) if type(value) is sigma.SigmaString else value


def _explain(error: Exception, name: str, value: Any, at: str) -> Wrong:
    """pySigma's message, placed at the item that raises it."""
    message = first_line(error)
    parts = value if isinstance(value, list) else [value]
    for number, part in enumerate(parts):
        for key, inner in part.items() if isinstance(part, dict) else ():
            try:
                SigmaDetectionItem.from_mapping(*_item(key, inner), policy=_POLICY)
            except Exception as found:
                place = (at, name, number, key) if isinstance(value, list) else (at, name, key)
                unknown = [modifier for modifier in key.split("|")[1:] if modifier not in modifier_mapping]
                hint = nearest(unknown[0], MODIFIERS) if unknown else "see the Sigma specification 2.1, modifiers"
                return Wrong(first_line(found), hint, place)
    return Wrong(message, "see the Sigma specification 2.1, rules", (at, name))


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return _OBJECT.sub(lambda found: found[1].lower(), line)


def _condition(node: Any, detections: SigmaDetections) -> tree.Node:
    match node:
        case ConditionIdentifier():
            if node.identifier not in detections.detections:
                hint = nearest(node.identifier, detections.detections)
                raise SigmaConditionError(f"there is no selection {node.identifier}: {hint}")
            return _named(node.identifier, detections)
        case ConditionSelector():
            names = [found.identifier for found in node.resolve_referenced_detections(detections)]
            if not names:
                raise SigmaConditionError(f"no selection is called {node.pattern}")
            return _join(node.cond_class, [_named(name, detections) for name in names])
        case ConditionNOT():
            return tree.Not(_condition(node.args[0], detections))
        case ConditionAND() | ConditionOR():
            return _join(type(node), [_condition(part, detections) for part in node.args])
    raise SigmaConditionError("the condition cannot be read")


def _join(kind: type, parts: list[tree.Node]) -> tree.Node:
    if len(parts) == 1:
        return parts[0]
    return tree.All(tuple(parts)) if issubclass(kind, ConditionAND) else tree.AnyOf(tuple(parts))


def _named(name: str, detections: SigmaDetections) -> tree.Node:
    found = detections.detections[name].postprocess(detections)
    if found is None:
        raise SigmaConditionError(f"the selection {name} is empty")
    return tree.Named(name, _resolved(found))


def _resolved(node: Any) -> tree.Node:
    match node:
        case ConditionAND() | ConditionOR():
            return _join(type(node), [_resolved(part) for part in node.args])
        case ConditionNOT():
            return _different(_resolved(node.args[0]))
        case ConditionFieldEqualsValueExpression():
            return _value(node.field, node.value)
        case ConditionValueExpression():
            return _value(None, node.value)
    raise SigmaConditionError(f"a condition of type {type(node).__name__} is not supported")


def _different(inner: tree.Node) -> tree.Node:
    """``neq``: the field is there (for a ``fieldref`` the other one too) and none of the values is its own.

    A field that is not there differs from nothing, and nothing differs from it.
    """
    tests = tree.walk(inner)
    others = {found.test.field for found in tests if isinstance(found.test, tree.SameAs)}
    fields = {found.field for found in tests if found.field is not None} | others
    there = tuple(tree.Is(field, tree.Exists(True)) for field in sorted(fields))
    return tree.All((*there, tree.Not(inner)))


def _value(field: str | None, value: Any) -> tree.Node:
    if isinstance(value, sigma.SigmaExpansion):
        return _join(ConditionOR, [_value(field, each) for each in value.values])
    return tree.Is(field, _test(field, value))


def _test(field: str | None, value: Any) -> tree.Test:
    match value:
        case sigma.SigmaString():
            return _text(field, value)
        case sigma.SigmaTimestampPart():
            return tree.Compare("eq", float(value.number), value.timestamp_part.name.lower())
        case sigma.SigmaNumber():
            # pySigma makes whole numbers of floats like 1e308, which are too long to keep.
            return tree.Exactly(value.number if abs(value.number) < _LONGEST else float(value.number))
        case sigma.SigmaBool():
            return tree.Exactly(value.boolean)
        case sigma.SigmaRegularExpression():
            return _regex(value)
        case sigma.SigmaCIDRExpression():
            return tree.Network(str(value.network))
        case sigma.SigmaCompareExpression():
            number = value.number
            part = number.timestamp_part.name.lower() if isinstance(number, sigma.SigmaTimestampPart) else None
            return tree.Compare(value.op.name.lower(), float(number.number), part)
        case sigma.SigmaFieldReference():
            cased = bool(getattr(value, "cased", False))
            return tree.SameAs(value.field, bool(value.starts_with), bool(value.ends_with), cased)
        case sigma.SigmaNull():
            return tree.Null()
        case sigma.SigmaExists():
            return tree.Exists(value.exists)
    raise SigmaConditionError(f"a value of type {type(value).__name__} is not supported")


def _text(field: str | None, value: sigma.SigmaString) -> tree.Text:
    parts: list[str | int | tree.Listed] = []
    for part in value.s:
        if isinstance(part, str):
            parts.append(part.replace(_PERCENT, "%"))
        elif isinstance(part, sigma.Placeholder):
            parts.append(tree.Listed(part.name))
        else:
            parts.append(tree.STAR if part is sigma.SpecialChars.WILDCARD_MULTI else tree.ONE)
    if field is None:
        # A keyword is looked for anywhere in a text.
        parts = [
            *(() if parts[:1] == [tree.STAR] else (tree.STAR,)),
            *parts,
            *(() if parts[-1:] == [tree.STAR] else (tree.STAR,)),
        ]
    return tree.Text(tuple(parts), isinstance(value, sigma.SigmaCasedString))


def _regex(value: sigma.SigmaRegularExpression) -> tree.Regex:
    if any(isinstance(part, sigma.Placeholder) for part in value.regexp.s):
        raise SigmaConditionError("a placeholder in a regular expression is not supported; list the values instead")
    flags = "".join(sorted(_REGEX_FLAGS[flag.name] for flag in value.flags))
    return tree.Regex(str(value.regexp.original), flags)
