"""Where lookups are written, and by what they are keyed."""

from __future__ import annotations

from typing import Final

TOPIC: Final = "lookup.events.v1"


def key_of(document: object) -> str | None:
    """What a message of :data:`TOPIC` is keyed by, so that what belongs together keeps its order: a lookup by its actor, a heartbeat by
    its system. ``None``: it is neither."""
    if not isinstance(document, dict):
        return None
    if document.get("kind") == "heartbeat":
        found = document.get("system")
    else:
        actor = document.get("actor")
        found = actor.get("id") if isinstance(actor, dict) else None
    return found if isinstance(found, str) else None
