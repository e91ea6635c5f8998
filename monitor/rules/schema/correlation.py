"""The ``correlation`` section: what every type of correlation needs, from the types themselves."""

from __future__ import annotations

from typing import Any, Final

from monitor.rules.correlations import WINDOWS
from monitor.rules.kinds import KINDS, Kind
from monitor.rules.values import COMPARE

SPAN: Final = {
    "type": "string",
    "pattern": "^0*[1-9][0-9]{0,8}[smhdwMy]$",
    "description": "A number and s, m, h, d, w, M (30 days) or y (365 days), such as 90m.",
    "examples": ["10m", "24h", "7d"],
}
_SPAN: Final = {"$ref": "#/$defs/span"}
_FIELD: Final = {"$ref": "#/$defs/field"}
#: Types that may have bounds although they do not need them, and an extended condition instead.
_EXTENDED: Final = ("temporal", "temporal_ordered")
_MOST: Final = {"percentile": 100, "p": 1, "quantile": 1}
#: Types of which one of two options is needed.
_EITHER: Final = {"rate_change": ("factor", "p"), "peer_deviation": ("factor", "deviations")}
_SEVERAL_FIELDS: Final = ("value_count", "new_value", "sequence_run")
_OPTIONS: Final = {
    "learning": "For so long after a group is first seen nothing is new; 14d unless given.",
    "factor": "So many times the usual count.",
    "p": "So high a count would come by chance with a probability below this.",
    "minimum": "The least count that can fire.",
    "baseline": "How many whole periods make the usual count; 8 unless given.",
    "deviations": "So many robust standard deviations above the peers.",
    "percentile": "Of the numbers, the one that so many per cent do not exceed; 50 unless given.",
    "quantile": "The quantile of the peer group's scores; 0.999 unless given.",
    "gap": "How far apart two neighbours may be; 1 unless given.",
}
_COMPARE: Final = {
    "gt": "More than this.",
    "gte": "This or more.",
    "lt": "Less than this.",
    "lte": "This or less.",
    "eq": "Exactly this.",
    "neq": "Not this.",
}
_NAMES: Final = {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}


def _option(name: str, kind: type) -> dict[str, Any]:
    said = {"description": _OPTIONS.get(name, "")}
    if name == "learning":
        return {**_SPAN, **said}
    if kind is int:
        return {"type": "integer", "minimum": 1, **said}
    most = {"maximum": _MOST[name]} if name in _MOST else {}
    return {"type": "number", "exclusiveMinimum": 0, **most, **said}


def _condition(name: str, kind: Kind) -> dict[str, Any]:
    properties: dict[str, Any] = {each: _option(each, of) for each, of in kind.options.items()}
    made: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    if kind.needs_field:
        several = {
            "type": "array",
            "minItems": 1,
            "items": _FIELD,
            **({} if name in _SEVERAL_FIELDS else {"maxItems": 1}),
        }
        properties["field"] = {"anyOf": [_FIELD, several], "description": f"What is looked at: {kind.noun}."}
        made["required"] = ["field"]
    if kind.needs_bound or name in _EXTENDED:
        properties |= {each: {"type": "number", "description": _COMPARE[each]} for each in COMPARE}
    if kind.needs_bound:
        made["anyOf"] = [{"required": [each]} for each in COMPARE]
    if name in _EITHER:
        made["anyOf"] = [{"required": [each]} for each in _EITHER[name]]
    if name in _EXTENDED:
        return {
            "anyOf": [made, {"type": "string", "minLength": 1}],
            "description": "Names of rules, and, or, not, ( ).",
        }
    return {**made, "description": f"When it fires: {kind.noun}."}


def _rules(kind: Kind) -> dict[str, Any]:
    least, most = kind.rules
    named = {**_NAMES, "minItems": least, "maxItems": most}
    return named if least > 1 else {"anyOf": [{"type": "string", "minLength": 1}, named]}


def _of_type(name: str, kind: Kind) -> dict[str, Any]:
    """What a body of this type must be."""
    condition_needed = kind.needs_bound or kind.needs_field or name in _EITHER
    required = [*(["condition"] if condition_needed else []), *(["peer"] if name == "peer_deviation" else [])]
    body: dict[str, Any] = {
        "properties": {
            "rules": _rules(kind),
            "condition": _condition(name, kind),
            "window": {"enum": list(kind.windows)},
            **({} if name == "peer_deviation" else {"peer": False}),
        },
        "required": required if name in _EXTENDED else ["rules", *required],
    }
    if name in _EXTENDED:
        extended = {"properties": {"condition": {"type": "string"}}, "required": ["condition"]}
        body["anyOf"] = [{"required": ["rules"]}, extended]
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": body}


def _first_line(kind: Kind) -> str:
    return " ".join((type(kind).__doc__ or "").split("\n\n")[0].split())


CORRELATION: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What is counted of the matches of other rules, by group, over a span of event time.",
    "required": ["type", "timespan"],
    "properties": {
        "type": {
            "description": "What is counted.",
            "oneOf": [{"const": name, "description": _first_line(kind)} for name, kind in KINDS.items()],
        },
        "rules": {"description": "Names or ids of the rules whose matches are counted."},
        "group-by": {
            "description": "The fields whose values make a group; without actor.id all actors are counted together.",
            "anyOf": [_FIELD, {"type": "array", "items": _FIELD}],
        },
        "timespan": {**_SPAN, "description": "How far a window reaches, such as 24h."},
        "condition": {"description": "When it fires."},
        "aliases": {
            "type": "object",
            "description": "Names for group-by, each with the field it stands for, by rule.",
            "additionalProperties": {"type": "object", "additionalProperties": _FIELD},
        },
        "generate": {"type": "boolean", "description": "Whether the rules it is made of alert by themselves too."},
        "window": {"enum": list(WINDOWS), "description": "sliding unless given; a session ends with a pause of `gap`."},
        "gap": {**_SPAN, "description": "How long a pause ends a session."},
        "peer": {**_FIELD, "description": "The field that peers share, such as actor.unit."},
    },
    "additionalProperties": False,
    "allOf": [
        *(_of_type(name, kind) for name, kind in KINDS.items()),
        {
            "if": {"properties": {"window": {"const": "session"}}, "required": ["window"]},
            "then": {"required": ["gap"]},
            "else": {"properties": {"gap": False}},
        },
    ],
}
