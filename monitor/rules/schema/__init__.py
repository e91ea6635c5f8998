"""The JSON Schema (2020-12) of rule files, for editors: what may stand where, and what it means."""

from __future__ import annotations

from typing import Any, Final

from monitor.rules.schema.correlation import CORRELATION, SPAN
from monitor.rules.schema.explained import EXPLANATION
from monitor.rules.schema.inline import TEST
from monitor.rules.schema.parts import common, document
from monitor.rules.schema.selections import DETECTION, FIELD, FILTER, LOGSOURCE, SELECTION

#: The kinds of documents there are schemas of.
DOCUMENTS: Final = ("detection", "correlation", "filter", "explanation")
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_WAITS: Final[dict[str, Any]] = {
    "suppress": {
        "$ref": "#/$defs/span",
        "description": "For so long after an alert about a group, further ones are only counted, as in 7d.",
    },
    "grace": {
        "$ref": "#/$defs/span",
        "description": "How long paperwork may follow the lookup: the alert waits, and is dropped if an explanation came.",
    },
}
_LOGSOURCE: Final = {"$ref": "#/$defs/logsource"}
_EXPIRES: Final = {
    "type": "string",
    "anyOf": [{"format": "date", "pattern": r"^\d{4}-\d\d-\d\d$"}, {"pattern": r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d"}],
    "description": "The last day on which the exception holds, such as 2027-06-30, or a moment such as 2027-06-30T12:00:00Z.",
}


def _definitions() -> dict[str, Any]:
    return {
        "span": SPAN,
        "field": FIELD,
        "logsource": LOGSOURCE,
        "selection": SELECTION,
        "test": TEST,
        "detection": document(
            "A rule that matches one lookup", {"logsource": _LOGSOURCE, "detection": DETECTION, **_WAITS}
        ),
        "correlation": document("A rule over the matches of other rules", {"correlation": CORRELATION, **_WAITS}),
        "filter": document(
            "An exception to rules", {"logsource": _LOGSOURCE, "filter": FILTER, "expires": _EXPIRES}, ("expires",)
        ),
        "explanation": {
            "type": "object",
            "title": "What explains a lookup",
            "required": ["explanation"],
            "properties": {**common(), "explanation": EXPLANATION},
        },
    }


def json_schema(kind: str | None = None) -> dict[str, Any]:
    """The schema of one of :data:`DOCUMENTS`, or of any of them."""
    head = {"$schema": _DIALECT, "title": f"lookup-monitor {kind or 'rule'}"}
    if kind is not None:
        return {**head, "$ref": f"#/$defs/{kind}", "$defs": _definitions()}
    body: dict[str, Any] = {"$ref": "#/$defs/detection"}
    for name in ("filter", "correlation", "explanation"):
        body = {"if": {"required": [name]}, "then": {"$ref": f"#/$defs/{name}"}, "else": body}
    return {**head, "type": "object", **body, "$defs": _definitions()}
