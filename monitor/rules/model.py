"""What a loaded rule is, and what it says when it fires."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from monitor.rules.tree import Node

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
_HOUR: Final = 3600 * 1000
DAY_MS: Final = 24 * _HOUR
#: Sigma's statuses.
STATUSES: Final = ("stable", "test", "experimental", "deprecated", "unsupported")

Lookup = Mapping[str, Any]
Predicate = Callable[[Lookup], bool]
#: (field, kind, text): ``=`` a value equals the text, ``~`` a value contains it, ``?`` the field is there. The field is ""
#: for a keyword: any value contains the text.
Clause = tuple[str, str, str]
#: Clauses of which at least one holds for every lookup that matches; ``None``: there is no such set.
Witness = frozenset[Clause] | None
Group = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What every rule has. ``fingerprint`` names all that decides when it fires: a rule with another one is another rule."""

    id: str
    name: str | None
    title: str
    level: str
    typology: str | None
    description: str = ""
    playbook: str = ""
    status: str | None = None
    tags: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    path: str = field(default="", compare=False)
    fingerprint: str = ""
    #: For so long after an alert about a group (and before, for lookups that come late), in milliseconds, further ones are only
    #: counted; 0: as the rule's window says.
    suppress_ms: int = 0
    #: How long paperwork may follow the lookup, in milliseconds: the alert waits for so long. Then the lookups that are
    #: explained by then are forgotten, and it is raised if the condition holds without them.
    grace_ms: int = 0
    #: Whether it alerts by itself, or is only a part of another rule.
    alerts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection(Rule):
    """A Sigma rule with a detection: it matches one lookup or not."""

    tree: Node = field(repr=False, compare=False)
    predicate: Predicate = field(repr=False, compare=False)
    witness: Witness = field(repr=False, compare=False)
    #: All of its witnesses, each of which must be met, or nothing if they are not known.
    witnesses: tuple[frozenset[Clause], ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation(Rule):
    """A Sigma correlation rule: it watches the matches of other rules, by group, over a span of event time.

    ``rules`` are ids, in the order given. ``aliases`` maps a name in ``group_by`` to the field it stands for, by rule id.
    ``bounds`` are (operator, number) pairs that must all hold. ``options`` are the numbers of one type (``factor``,
    ``minimum``, …; times in milliseconds). ``expression`` is an extended condition, over positions in ``rules``.
    """

    type: str
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    span_ms: int
    bounds: tuple[tuple[str, float], ...] = ()
    fields: tuple[str, ...] = ()
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    window: str = "sliding"
    gap_ms: int = 0
    options: Mapping[str, float] = field(default_factory=dict)
    peer: str | None = None
    expression: Any = field(default=None, compare=False)
    #: How long after its lookup a match of one of the parts may be told, in milliseconds, as some of them wait.
    delay_ms: int = 0
    # What follows from the rest, worked out once: it is asked at every lookup.
    #: How late a match of one of the parts may be and still count: what is made of waiting parts is told later.
    late_ms: int = field(init=False, repr=False, compare=False)
    #: A number below this is below the bounds.
    least: float = field(init=False, repr=False, compare=False)
    #: So many of something, or more, are all the same to the bounds; at least 20, for the evidence.
    enough: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        highest = max((bound for _, bound in self.bounds), default=0)
        least = max((bound for name, bound in self.bounds if name in ("gt", "gte", "eq")), default=-math.inf)
        for name, value in (
            ("late_ms", lateness_of(self.span_ms) + self.delay_ms),
            ("least", least),
            ("enough", max(20, int(highest) + 1)),
        ):
            object.__setattr__(self, name, value)


def lateness_of(span_ms: int) -> int:
    """How late a lookup may be and still count in windows of this span: the span, but at least 1 hour and at most 24."""
    return min(DAY_MS, max(_HOUR, span_ms))


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fired. ``trigger`` is system and id of the lookup that made it fire; ``events`` at most 100, newest last."""

    rule: Detection | Correlation
    group: Group
    trigger: str
    ts: int
    time: str
    actors: list[str]
    subjects: list[str]
    events: list[str]
    count: float
    reasons: list[str]
    suppressed: int = 0
