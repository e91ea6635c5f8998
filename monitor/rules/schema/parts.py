"""What all kinds of documents may have."""

from __future__ import annotations

from typing import Any, Final

from monitor.rules.lint.about import OWN, RELATIONS
from monitor.rules.model import LEVELS, STATUSES, TYPOLOGIES

UUID: Final = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_ID: Final = {"type": "string", "pattern": UUID}
_TAG: Final = {"type": "string", "pattern": r"^[a-z0-9_-]+\.[a-z0-9._-]+$"}
_DAY: Final = {"type": "string", "format": "date", "pattern": r"^\d{4}-\d\d-\d\d$"}
_TEXTS: Final = {"type": "array", "items": {"type": "string"}}


def text(description: str, **more: Any) -> dict[str, Any]:
    """A text that is not empty."""
    return {"type": "string", "minLength": 1, "description": description, **more}


def common() -> dict[str, Any]:
    """The keys of every document, by name."""
    related = {
        "type": "object",
        "required": ["id", "type"],
        "properties": {"id": _ID, "type": {"enum": list(RELATIONS)}},
        "additionalProperties": False,
    }
    return {
        "title": text("What an alert is headed by: a capital, no period, at most 110 characters.", maxLength=256),
        "id": {**_ID, "description": "A UUID that never changes; the ids of alerts are made from it."},
        "name": text("A short name that correlations and filters can use, such as export-unexplained."),
        "related": {"type": "array", "items": related, "description": "Other rules, and how they are related."},
        "taxonomy": text("Whose names of fields these are."),
        "status": {
            "enum": list(STATUSES),
            "description": "How far the rule can be relied on; a new one is experimental.",
        },
        "description": text("What was seen and why it matters; it is printed in the alert."),
        "license": text("The license of the rule."),
        "references": {**_TEXTS, "description": "Where more about it can be read."},
        "author": text("Who can be asked about it."),
        "date": {**_DAY, "description": "The day it was written."},
        "modified": {**_DAY, "description": "The day it was last changed."},
        "tags": {"type": "array", "items": _TAG, "description": "Namespaces and names, such as attack.collection."},
        "scope": {**_TEXTS, "description": "Where it is meant to run."},
        "falsepositives": {**_TEXTS, "description": "What else may look like this, to rule out first."},
        "level": {"enum": list(LEVELS), "description": "How bad a match is; medium unless given."},
        "fields": {**_TEXTS, "description": "Fields worth looking at."},
        "typology": {"enum": list(TYPOLOGIES), "description": "The pattern of misuse it looks for."},
        "playbook": text("What the security desk should do."),
        "tests": {
            "type": "array",
            "items": {"$ref": "#/$defs/test"},
            "description": "Lookups and the alerts expected of them: some that alert and some that do not.",
        },
    }


def document(title: str, sections: dict[str, Any], optional: tuple[str, ...] = ("suppress", "grace")) -> dict[str, Any]:
    """The schema of a document with sections of its own; keys that begin with x- are the force's."""
    properties = {**common(), **sections}
    return {
        "type": "object",
        "title": title,
        "required": ["title", "id", *(name for name in sections if name not in optional)],
        "properties": properties,
        "patternProperties": {f"^{OWN}": True},
        "additionalProperties": False,
    }
