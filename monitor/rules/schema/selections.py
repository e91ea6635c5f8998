"""Selections: the log source, fields with modifiers and values, and the sections of detections and filters."""

from __future__ import annotations

from typing import Any, Final

from monitor.rules.detections import CATEGORY
from monitor.rules.lint.known import CLOSED, FIELDS
from monitor.rules.parse import MODIFIERS

_SCALAR: Final = {"type": ["string", "number", "boolean", "null"]}
_VALUE: Final = {"anyOf": [_SCALAR, {"type": "array", "minItems": 1, "items": _SCALAR}]}


def _known_field(name: str) -> dict[str, Any]:
    if name not in CLOSED:
        return {}
    return {
        "description": f"One of {', '.join(str(each).lower() for each in CLOSED[name])}.",
        "examples": list(CLOSED[name]),
    }


_LINES: Final = {
    "type": "object",
    "minProperties": 1,
    "properties": {name: _known_field(name) for name in sorted(FIELDS)},
    "patternProperties": {rf"^[^|]*(\|({'|'.join(MODIFIERS)}))*$": _VALUE},
    "additionalProperties": False,
}
FIELD: Final = {"type": "string", "minLength": 1, "examples": sorted(FIELDS)}
LOGSOURCE: Final = {
    "type": "object",
    "required": ["category"],
    "properties": {
        "category": {"const": CATEGORY},
        **{name: {"type": "string"} for name in ("product", "service", "definition")},
    },
    "additionalProperties": False,
    "description": f"Always `category: {CATEGORY}`.",
}
SELECTION: Final = {
    "description": "Fields and their values, all of which must match; of a list, one must. Modifiers follow a field by |.",
    "anyOf": [
        _LINES,
        {"type": "array", "minItems": 1, "items": {"anyOf": [_LINES, _SCALAR]}},
        {"type": ["string", "number"]},
    ],
}
_CONDITION: Final = {
    "description": "The selections joined by and, or, not, `1 of name*`, `all of name*`.",
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
    ],
}
DETECTION: Final = {
    "type": "object",
    "description": "What a lookup must be like: selections by name, and the condition that combines them.",
    "required": ["condition"],
    "minProperties": 2,
    "properties": {"condition": _CONDITION},
    "additionalProperties": {"$ref": "#/$defs/selection"},
}
FILTER: Final = {
    "type": "object",
    "description": "What is no match of the rules it names: selections by name, and the condition that combines them.",
    "required": ["rules", "condition"],
    "minProperties": 3,
    "properties": {
        "condition": _CONDITION,
        "rules": {
            "description": "Names or ids of the rules it is an exception to; `any` for all of them.",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}},
            ],
        },
    },
    "additionalProperties": {"$ref": "#/$defs/selection"},
}
