"""What all kinds of rule documents share: id, title, level, typology, and the spans of time they name."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from monitor.documents import KeyPath, Wrong, expect, nearest
from monitor.rules.model import LEVELS, STATUSES, TYPOLOGIES
from monitor.rules.windows import LONG_MS, MAX_SPAN_MS

_SPAN_MS: Final = {
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "M": 2_592_000_000,
    "y": 31_536_000_000,
}
_SPAN: Final = re.compile(r"([0-9]{1,9})([smhdwMy])")


def check_common(rule: Mapping[str, Any], seen: dict[str, str], path: str) -> None:
    """Check what every rule of ours must have, and that no other has its id or name. Raises :class:`Wrong`."""
    for name in ("title", "id"):
        if not isinstance(rule.get(name), str):
            raise Wrong(f"{name} is missing", "every rule needs a title and an id (a UUID)", (name,))
    try:
        uuid.UUID(rule["id"])
    except ValueError:
        hint = f"for instance {uuid.uuid5(uuid.NAMESPACE_OID, rule['title'])}"
        raise Wrong(f"id {rule['id']} is not a UUID", hint, ("id",)) from None
    if not isinstance(rule.get("name", ""), str):
        raise Wrong("name is not a text", "a short name that correlations can use", ("name",))
    for at in ("id", "name"):
        key = rule.get(at)
        if key is not None and key in seen:
            raise Wrong(f"{key} is used in {seen[key]} already", "ids and names must differ", (at,))
    seen.update({key: path for key in (rule["id"], rule.get("name")) if key is not None})
    for name, allowed in (("typology", TYPOLOGIES), ("level", LEVELS), ("status", STATUSES)):
        value = rule.get(name)
        if value is not None and value not in allowed:
            raise Wrong(f"{name} {value} is none", nearest(str(value), allowed), (name,))


def about(rule: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The common part of a rule, ready for :class:`monitor.rules.model.Rule`. Raises :class:`Wrong`."""
    return {
        "id": rule["id"],
        "name": rule.get("name"),
        "title": rule["title"],
        "level": rule.get("level", "medium"),
        "typology": rule.get("typology"),
        "description": " ".join(str(rule.get("description") or "").split()),
        "playbook": " ".join(str(rule.get("playbook") or "").split()),
        "status": rule.get("status"),
        "tags": _texts(rule, "tags"),
        "falsepositives": _texts(rule, "falsepositives"),
        "path": path,
        "suppress_ms": span_of(rule["suppress"], ("suppress",)) if rule.get("suppress") is not None else 0,
        "grace_ms": _grace(rule["grace"]) if rule.get("grace") is not None else 0,
    }


def _grace(text: Any) -> int:
    span = span_of(text, ("grace",))
    if span > LONG_MS:
        raise Wrong(f"grace {text} is too long", "at most 31 days", ("grace",))
    return span


def _texts(rule: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = expect(rule, name, list, [])
    return tuple(str(each) for each in found)


def span_of(text: Any, at: KeyPath) -> int:
    """A span of time such as ``90m`` in milliseconds; a month is 30 days, a year 365. Raises :class:`Wrong`."""
    found = _SPAN.fullmatch(str(text))
    if found is None or int(found[1]) == 0:
        raise Wrong(f"{at[-1]} {text} is none", "a number and s, m, h, d, w, M or y, such as 10m", at)
    span = int(found[1]) * _SPAN_MS[found[2]]
    if span > MAX_SPAN_MS:
        raise Wrong(f"{at[-1]} {text} is too long", "at most 5 years", at)
    return span


def fingerprint(*parts: Any) -> str:
    """A short name of all that decides when a rule fires: 12 hexadecimal digits of a SHA-256."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:12]
