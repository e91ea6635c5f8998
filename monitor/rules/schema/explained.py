"""The form of what explains a lookup."""

from __future__ import annotations

from typing import Any, Final

from monitor.explanations.parse import ACTORS, KINDS, MAX_DISTANCE, RECORDS, SUBJECTS


def _words(allowed: tuple[str, ...], description: str) -> dict[str, Any]:
    one = {"enum": list(allowed)}
    return {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}], "description": description}


_VALUE: Final = {"type": ["string", "number", "boolean", "null"]}
EXPLANATION: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What explains a lookup, and when.",
    "required": ["record"],
    "properties": {
        "record": _words(RECORDS, "What bears the lookup out."),
        "actor": _words(ACTORS, "Whose record it is; member unless given."),
        "subject": {"enum": list(SUBJECTS), "description": "What the record says of the subject; listed unless given."},
        "distance": {"type": "integer", "minimum": 0, "maximum": MAX_DISTANCE, "description": "Over how many links."},
        "when": {
            "type": "object",
            "additionalProperties": {"anyOf": [_VALUE, {"type": "array", "minItems": 1, "items": _VALUE}]},
            "description": 'What the lookup itself must say; "*" is any value, null none.',
        },
        "strength": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "description": "From 0.5 on it explains."},
        "within": {
            "type": "string",
            "pattern": r"^\d{1,6}[smhdw]$",
            "description": "How much later the record may begin.",
        },
        "kind": {"enum": list(KINDS), "description": "record, unless given, or plausible: it explains nothing."},
    },
    "if": {"required": ["kind"], "properties": {"kind": {"const": "plausible"}}},
    "then": {
        "required": ["when"],
        "properties": {"when": {"minProperties": 1}, **dict.fromkeys(("strength", "within", "distance"), False)},
    },
    "else": {"properties": {"subject": {"not": {"const": "claimed"}}}},
    "additionalProperties": False,
}
