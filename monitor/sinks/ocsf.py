"""An incident as a Detection Finding of the Open Cybersecurity Schema Framework 1.8 (class 2004, https://schema.ocsf.io/1.8.0)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from monitor.sinks.message import Message, text_of

VERSION: Final = "1.8.0"
_CLASS: Final = 2004
_SEVERITY: Final = {
    "informational": (1, "Informational"),
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
}
_CRITICAL: Final = (5, "Critical")
#: Create, Update, Close; and New, In Progress, Suppressed (what was no misuse), Resolved.
_STATUS: Final = {"open": (1, "New"), "acknowledged": (2, "In Progress")}
_RESOLVED: Final = {
    "true-misuse": (4, "Resolved"),
    "unsure": (4, "Resolved"),
    "explained": (3, "Suppressed"),
    "benign": (3, "Suppressed"),
}


def finding_of(message: Message) -> dict[str, Any]:
    """The finding. Times are milliseconds since the epoch; ``metadata.uid`` names it, ``finding_info.uid`` its incident."""
    activity, activity_name = (
        (3, "Close") if message.kind == "closed" else (2, "Update") if message.number > 1 else (1, "Create")
    )
    severity_id, severity = _SEVERITY.get(message.level, _CRITICAL)
    status_id, status = _status(message)
    at = int(datetime.fromisoformat(message.time).timestamp() * 1000)
    return {
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": _CLASS,
        "class_name": "Detection Finding",
        "type_uid": _CLASS * 100 + activity,
        "type_name": f"Detection Finding: {activity_name}",
        "time": at,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "status_detail": message.reason,
        "message": message.title,
        "risk_score": round(message.risk),
        "count": message.alert_count,
        "start_time": message.first,
        "end_time": message.last,
        "metadata": {
            "version": VERSION,
            "uid": message.key,
            "product": {"name": "lookup-monitor", "vendor_name": "lookup-monitor"},
        },
        "finding_info": {
            "uid": message.incident,
            "title": message.title,
            "desc": text_of(message),
            "created_time": message.opened,
            "modified_time": at,
            "first_seen_time": message.first,
            "last_seen_time": message.last,
            "types": message.typologies,
            "related_events_count": message.alert_count,
            "related_analytics": [
                {"uid": uid, "name": title, "type_id": 1, "type": "Rule"} for uid, title in message.rules
            ],
        },
        "evidences": [
            {"user": {"uid": each.name, **({"groups": [{"name": each.unit}]} if each.unit else {})}}
            for each in message.actors
        ],
        "resources": [{"uid": each} for each in message.subjects],
    }


def _status(message: Message) -> tuple[int, str]:
    if message.kind == "closed":
        return _RESOLVED.get(message.disposition or "", (4, "Resolved"))
    return _STATUS["acknowledged" if message.kind == "acknowledged" else "open"]
