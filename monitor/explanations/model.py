"""One explanation, and the facts it may stand on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

#: What may be the case about a subject at a time, as bits. Each is (record, actor, subject) in a document's words.
FACTS: Final[dict[tuple[str, str, str], int]] = {
    ("case", "member", "listed"): 1,
    ("case", "unit", "listed"): 2,
    ("case", "requester", "listed"): 4,
    ("dispatch", "member", "listed"): 8,
    ("dispatch", "unit", "listed"): 16,
    ("dispatch", "requester", "listed"): 32,
    ("watch", "member", "listed"): 64,
    ("dispatch", "member", "area"): 128,
    ("dispatch", "unit", "area"): 256,
    ("shift", "member", "area"): 512,
    ("shift", "member", "any"): 1024,
    ("case", "member", "any"): 2048,
    ("case", "member", "claimed"): 4096,
    ("case", "unit", "claimed"): 8192,
    ("case", "requester", "claimed"): 16384,
    ("case", "others", "claimed"): 32768,
    ("case", "others", "listed"): 65536,
    ("dispatch", "others", "listed"): 131072,
}
#: What an explanation may be: borne out by a record, or only a claim that fits whose work it is.
RECORD: Final = "record"
PLAUSIBLE: Final = "plausible"
#: What ``when`` asks a field for that must not be there (``null`` in a document).
MISSING: Final = ""


class Explanation(msgspec.Struct, frozen=True):
    """One way in which a lookup may be explained. ``within_ms`` counts only in :func:`explain_later`.

    One whose ``kind`` is :data:`PLAUSIBLE` explains nothing: it says that what was claimed is what such people do all day,
    and leaves no record. Its ``strength`` does not count.
    """

    name: str
    title: str
    description: str
    records: tuple[str, ...]
    actors: tuple[str, ...]
    subject: str
    distance: int = 0
    when: tuple[tuple[str, frozenset[str]], ...] = ()
    strength: float = 1.0
    within_ms: int = 0
    kind: str = RECORD

    @property
    def facts(self) -> int:
        """The bits of :data:`FACTS` of which any one makes it hold."""
        return sum(FACTS.get((record, actor, self.subject), 0) for record in self.records for actor in self.actors)

    def applies(self, lookup: Mapping[str, Any]) -> bool:
        """Whether the lookup's own fields are as ``when`` asks."""
        return all(_is_among(lookup.get(field), wanted) for field, wanted in self.when)


def _is_among(value: Any, wanted: frozenset[str]) -> bool:
    if value is None:
        return MISSING in wanted
    if "*" in wanted:
        return True
    values = value if type(value) is list else (value,)
    return any(str(one).lower() in wanted for one in values)
