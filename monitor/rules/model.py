"""What a loaded rule is, and what it says when it fires."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

#: The patterns of misuse that rules and simulated scenarios are named by.
TYPOLOGIES: Final = (
    "curiosity",
    "friend-favour",
    "self-and-kin",
    "followed-check",
    "investigation-check",
    "outside-work-area",
    "bulk-harvest",
    "low-and-slow",
    "grooming-slope",
    "sleeper",
    "support-staff",
    "shared-interest",
    "account-misuse",
    "honeytoken",
    "leak-trace",
)
#: Sigma's levels, least first.
LEVELS: Final = ("informational", "low", "medium", "high", "critical")

Lookup = Mapping[str, Any]
Predicate = Callable[[Lookup], bool]
#: Pairs of (field, value) of which at least one must be in a lookup that matches; ``None``: there is no such set.
Witness = frozenset[tuple[str, str]] | None


@dataclass(frozen=True, slots=True)
class Detection:
    """A Sigma rule with a detection: it matches one lookup or not."""

    id: str
    name: str | None
    title: str
    level: str
    typology: str | None
    description: str
    playbook: str
    predicate: Predicate = field(repr=False, compare=False)
    witness: Witness = field(repr=False, compare=False)
    alerts: bool = True


@dataclass(frozen=True, slots=True)
class Correlation:
    """A Sigma correlation rule: it counts the matches of detections, by group, over a span of event time."""

    id: str
    name: str | None
    title: str
    level: str
    typology: str | None
    description: str
    playbook: str
    type: str
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    span_ms: int
    conditions: tuple[tuple[str, float], ...]
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fired. ``trigger`` is system and id of the lookup that made it fire; ``events`` at most 100, newest last."""

    rule: Detection | Correlation
    group: tuple[tuple[str, str], ...]
    trigger: str
    ts: int
    time: str
    actors: list[str]
    subjects: list[str]
    events: list[str]
    count: float
    reasons: list[str]


class Entry(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A counted lookup: event time in milliseconds since the epoch, and what an alert will need of it."""

    ts: int
    id: str
    actor: str
    subject: str | None
    value: str | None


class Window(msgspec.Struct, array_like=True):
    """What a correlation keeps of one group: the entries by time, and the end of the window it last fired for."""

    entries: list[Entry] = []
    fired: int | None = None
