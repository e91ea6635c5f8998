"""Whether a record holds something about somebody: by their id or by one of their pseudonyms."""

from __future__ import annotations

from typing import Any

import orjson


def is_about(key: bytes | None, value: bytes | None, names: frozenset[str]) -> bool:
    """Whether a record names one of ``names``: as a whole text somewhere in its JSON, or as its key or the last part of it.

    A name inside of a longer text (a note that somebody wrote) is not found; what is no JSON is asked for its key alone.
    """
    if key is not None and _ends_in(key.decode("utf-8", "replace"), names):
        return True
    if not value or not any(_may_be_in(value, name) for name in names):
        return False  # told without reading it
    try:
        return mentions(orjson.loads(value), names)
    except orjson.JSONDecodeError:
        return False


def _may_be_in(value: bytes, name: str) -> bool:
    """Whether JSON may have a text in it; one that JSON would write otherwise may always be."""
    return not name.isascii() or not name.isprintable() or '"' in name or "\\" in name or name.encode() in value


def mentions(document: Any, names: frozenset[str]) -> bool:
    """Whether one of ``names`` is a text or a field's name in a document."""
    if isinstance(document, str):
        return document in names or _ends_in(document, names)
    if isinstance(document, dict):
        return any(key in names or mentions(value, names) for key, value in document.items())
    return isinstance(document, list) and any(mentions(each, names) for each in document)


def _ends_in(text: str, names: frozenset[str]) -> bool:
    """Whether a text is a name, or ``kind/name`` as keys are."""
    return text in names or text.partition("/")[2] in names
