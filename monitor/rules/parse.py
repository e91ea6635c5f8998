"""pySigma's reading of a detection → our tree (:mod:`monitor.rules.tree`).

pySigma knows the specification's value types, modifiers and condition grammar; what its trees leave out (the names of the
search identifiers, which explanations need) is kept here by walking them before they are resolved.
"""

from __future__ import annotations

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
from sigma.exceptions import SigmaConditionError, SigmaError
from sigma.modifiers import SigmaWideModifier, modifier_mapping
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections

from monitor.documents import Wrong, nearest
from monitor.rules import tree

# Sigma 2.1 names it besides `wide`, its alias; pySigma knows the alias only.
modifier_mapping.setdefault("utf16le", SigmaWideModifier)
MODIFIERS: Final = tuple(sorted(modifier_mapping))
_REGEX_FLAGS: Final = {"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}
#: Modifiers of texts. A number under one of them is meant as its text, as the specification has it of all values.
_OF_TEXTS: Final = frozenset(
    {
        "contains",
        "startswith",
        "endswith",
        "cased",
        "re",
        "base64",
        "base64offset",
        "wide",
        "utf16le",
        "utf16be",
        "utf16",
    }
    | {"windash", "expand", "fieldref", "cidr"}
)
_CONDITION_HINT: Final = "names of selections, and, or, not, 1 of name*, all of them"


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
        return SigmaDetection.from_definition(_with_texts(value))
    except Exception as error:  # pySigma raises anything for a value of a kind it does not expect
        raise _explain(error, name, value, at) from None


def _with_texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_texts(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _as_texts(inner) if not _OF_TEXTS.isdisjoint(key.split("|")[1:]) else inner for key, inner in value.items()
    }


def _as_texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_texts(each) for each in value]
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _explain(error: Exception, name: str, value: Any, at: str) -> Wrong:
    """pySigma's message, placed at the item that raises it."""
    message = first_line(error)
    parts = value if isinstance(value, list) else [value]
    for number, part in enumerate(parts):
        for key, inner in part.items() if isinstance(part, dict) else ():
            try:
                SigmaDetectionItem.from_mapping(key, _with_texts({key: inner})[key])
            except Exception as found:
                place = (at, name, number, key) if isinstance(value, list) else (at, name, key)
                unknown = [modifier for modifier in key.split("|")[1:] if modifier not in modifier_mapping]
                hint = nearest(unknown[0], MODIFIERS) if unknown else "see the Sigma specification 2.1, modifiers"
                return Wrong(first_line(found), hint, place)
    return Wrong(message, "see the Sigma specification 2.1, rules", (at, name))


def first_line(error: Exception) -> str:
    """An error's message without pySigma's source appendix."""
    return next(iter(str(error).split(" in ")[0].splitlines()), type(error).__name__)


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
    """``neq``: the field is there and none of the values is its own. A field that is not there differs from nothing."""
    fields = sorted({found.field for found in tree.walk(inner) if found.field is not None})
    there = tuple(tree.Is(field, tree.Exists(True)) for field in fields)
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
            return tree.Exactly(value.number)
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
            return tree.SameAs(value.field, bool(value.starts_with), bool(value.ends_with))
        case sigma.SigmaNull():
            return tree.Null()
        case sigma.SigmaExists():
            return tree.Exists(value.exists)
    raise SigmaConditionError(f"a value of type {type(value).__name__} is not supported")


def _text(field: str | None, value: sigma.SigmaString) -> tree.Text:
    parts: list[str | int | tree.Listed] = []
    for part in value.s:
        if isinstance(part, str):
            parts.append(part)
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
