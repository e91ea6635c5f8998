"""Rules written in tests."""

from __future__ import annotations

import uuid
from typing import Any

import orjson

from monitor.rules import LoadReport, RuleSet, load_texts


def rule_id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def detection(selection: Any, condition: str = "s", name: str = "base", **more: Any) -> str:
    """A detection rule; JSON is YAML too."""
    found = selection if isinstance(selection, dict) and "s" in selection else {"s": selection}
    rule = {
        "title": name,
        "id": rule_id(name),
        "name": name,
        "logsource": {"category": "lookup"},
        "detection": {**found, "condition": condition},
        **more,
    }
    return orjson.dumps(rule).decode()


def correlation(name: str = "many", generate: bool = False, **body: Any) -> str:
    """A correlation over ``base``, by actor within an hour unless ``body`` says otherwise (``group_by`` for group-by).

    ``suppress`` and ``grace`` stand beside the correlation.
    """
    beside = {at: body.pop(at) for at in ("suppress", "grace") if at in body}
    made = {
        "type": "event_count",
        "rules": ["base"],
        "group-by": body.pop("group_by", ["actor.id"]),
        "timespan": "1h",
        "condition": {"gte": 3},
        "generate": generate,
        **body,
    }
    return orjson.dumps({"title": name, "id": rule_id(name), "name": name, "correlation": made, **beside}).decode()


def report(*texts: str) -> LoadReport:
    return load_texts({f"{number}.yml": text for number, text in enumerate(texts)})


def rules(*texts: str) -> RuleSet:
    """The rules of texts that must have no problem."""
    loaded = report(*texts)
    assert loaded.problems == []
    return loaded.rules
