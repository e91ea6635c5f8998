"""The tests that rules carry."""

from __future__ import annotations

from typing import Any, Final

from monitor.events import ACTIONS
from monitor.rules.lint.inline import OFFSET

_OFFSET: Final = {"type": "string", "pattern": f"^{OFFSET}$"}
_COUNT: Final = {"type": "integer", "minimum": 0}
EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A lookup: its fields, nested or with dotted names; what is not said is made up.",
    "properties": {
        "at": {**_OFFSET, "description": "When it was made, counted from the test's start."},
        "repeat": {"type": "integer", "minimum": 1, "description": "How many times it is made."},
        "every": {**_OFFSET, "description": "How far apart the repeated ones are."},
        "action": {"enum": sorted(ACTIONS)},
    },
    "dependentRequired": {"every": ["repeat"]},
}
ALERT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "An alert that is expected; what is not said does not matter.",
    "properties": {
        "at": {**_OFFSET, "description": "When it fires, counted from the test's start."},
        "entity": {"description": "Whom it is about."},
        "count": {"type": "number", "description": "The number that its condition is about."},
        "events": {"description": "The lookups that are its evidence."},
        "reason": {"type": "string", "description": "A part of its reasons."},
    },
    "additionalProperties": False,
}
TEST: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["events", "alerts"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "description": "What it shows; a failure is reported by it."},
        "reference": {
            "type": "array",
            "items": {"type": "object", "required": ["record"]},
            "description": "The reference records that are known: actors, subjects, cases and so on.",
        },
        "events": {
            "type": "array",
            "minItems": 1,
            "items": EVENT,
            "description": "The lookups, in the order they come.",
        },
        "then": {**_OFFSET, "description": "How far the clock moves on after the last lookup."},
        "alerts": {
            "anyOf": [_COUNT, {"type": "array", "items": ALERT}],
            "description": "The alerts expected: how many (0 for none), or what each is like.",
        },
    },
    "additionalProperties": False,
}
