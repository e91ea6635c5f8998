"""A new rule to begin with: it loads, lints without errors, and has a test that alerts and one that does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

from monitor.documents import Wrong, nearest
from monitor.rules.kinds import KINDS
from monitor.rules.model import TYPOLOGIES

#: What a new rule may be: one that matches one lookup, or any type of correlation.
TYPES: Final = ("detection", *KINDS)
#: How many ids a rule may need.
IDS: Final = 3
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,69}")
_EXPORT: Final = "{action: export, system: register, actor: {id: o-1}, subject: {id: s-1}"
_PRINT: Final = _EXPORT.replace("export", "print")


class Begin(NamedTuple):
    """How a rule of one type begins: lines of its body, and what its two tests look up.

    ``loud`` and ``quiet`` are events. ``other`` is the action of a second rule, "" for none; with ``whole`` the second rule
    matches lookups that are explained, too. ``then`` is how far the clock moves on.
    """

    body: tuple[str, ...]
    loud: tuple[str, ...]
    quiet: tuple[str, ...]
    other: str = ""
    whole: bool = False
    then: str = ""
    actors: int = 1


def _several(count: int, more: str = "") -> str:
    return f"{_EXPORT}, repeat: {count}, every: 1m{more}}}"


def _number(count: int, results: int) -> str:
    return f"{_EXPORT}, results: {results}, repeat: {count}, every: 1m}}"


_SUBJECTS: Final = tuple(_EXPORT.replace("s-1", f"s-{number}") + f", at: {number}m}}" for number in (1, 2, 3, 4))
_PEERS: Final = tuple(
    _EXPORT.replace("id: o-1", f"id: o-{number}, unit: one") + f", at: {number}m}}" for number in (2, 3, 4, 5, 6, 7)
)
_ORDERED: Final = (f"{_EXPORT}}}", f"{_PRINT}, at: 5m}}")
_SPAN: Final = "timespan: 1h"
BEGIN: Final[dict[str, Begin]] = {
    "detection": Begin((), (f"{_EXPORT}}}",), (f"{_PRINT}}}",)),
    "event_count": Begin((_SPAN, "condition: {gte: 5}"), (_several(5),), (_several(4),)),
    "value_count": Begin(
        (_SPAN, "condition: {field: subject.id, gte: 4}"), _SUBJECTS, (_several(4),)
    ),
    "temporal": Begin((_SPAN,), _ORDERED, (_several(2),), "print"),
    "temporal_ordered": Begin((_SPAN,), _ORDERED, (f"{_PRINT}}}", f"{_EXPORT}, at: 5m}}"), "print"),
    "value_sum": Begin((_SPAN, "condition: {field: results, gte: 100}"), (_number(2, 60),), (_number(1, 60),)),
    "value_avg": Begin((_SPAN, "condition: {field: results, gte: 50}"), (_number(2, 60),), (_number(2, 40),)),
    "value_percentile": Begin(
        (_SPAN, "condition: {field: results, percentile: 90, gte: 50}"), (_number(2, 60),), (_number(2, 40),)
    ),
    "value_median": Begin((_SPAN, "condition: {field: results, gte: 50}"), (_number(2, 60),), (_number(2, 40),)),
    "new_value": Begin(
        ("timespan: 90d", "condition: {field: system, learning: 14d}"),
        (f"{_EXPORT}}}", f"{_EXPORT.replace('register', 'other')}, at: 15d}}"),
        (f"{_EXPORT}, repeat: 2, every: 15d}}",),
    ),
    "rate_change": Begin(
        ("timespan: 1d", "condition: {factor: 3, minimum: 5}"),
        (f"{_EXPORT}, repeat: 7, every: 1d}}", f"{_EXPORT}, at: 7d, repeat: 5, every: 1m}}"),
        (f"{_EXPORT}, repeat: 8, every: 1d}}",),
    ),
    "peer_deviation": Begin(
        ("peer: actor.unit", "timespan: 1d", "condition: {factor: 3, minimum: 5}"),
        (*_PEERS, f"{_EXPORT.replace('o-1', 'o-1, unit: one')}, at: 1d, repeat: 5, every: 1m}}"),
        (*_PEERS, f"{_EXPORT.replace('o-1', 'o-1, unit: one')}, at: 1d, repeat: 4, every: 1m}}"),
        actors=7,
    ),
    "share": Begin(
        ("timespan: 1d", "condition: {gte: 0.5, minimum: 4}"), (_several(4),), (_several(3),), "export", True
    ),
    "absence": Begin(("timespan: 1d",), (f"{_EXPORT}}}",), _ORDERED, "print", then="3d"),
    "sequence_run": Begin((_SPAN, "condition: {field: subject.id, gte: 4}"), _SUBJECTS, (_several(4),)),
    "anomaly": Begin(("timespan: 1d", "condition: {quantile: 0.999}"), (), (_several(2),)),
}  # fmt: skip


def scaffold(name: str, typology: str, kind: str, ids: Sequence[str], today: date) -> str:
    """The text of a new rule file. ``ids`` are :data:`IDS` UUIDs that no other rule has. Raises :class:`Wrong`."""
    if _NAME.fullmatch(name) is None:
        raise Wrong(f"{name} is no name of a rule", "lower case letters, digits, - and _, such as many-exports")
    for word, allowed in ((typology, TYPOLOGIES), (kind, TYPES)):
        if word not in allowed:
            raise Wrong(f"there is no {'typology' if allowed is TYPOLOGIES else 'type'} {word}", nearest(word, allowed))
    begin = BEGIN[kind]
    if kind == "detection":
        head = _head(name, _title(name), "What was seen, and why it matters.", ids[0], today)
        return "\n".join([*head, *_detection("export", True), *_foot("medium", typology), *_tests(begin)])
    parts = [
        (f"{name}-part", "export", True),
        *([(f"{name}-other", begin.other, not begin.whole)] if begin.other else []),
    ]
    documents = [_part(*part, name, ids[number + 1], today, typology) for number, part in enumerate(parts)]
    documents.append(_correlation(name, kind, [part for part, _, _ in parts], ids[0], today, typology))
    return "---\n".join(documents)


def _title(name: str) -> str:
    words = re.sub(r"[-_]+", " ", name).strip()
    return words[:1].upper() + words[1:]


def _head(name: str, title: str, description: str, rule_id: str, today: date) -> list[str]:
    return [
        f"title: {title}",
        f"id: {rule_id}",
        f"name: {name}",
        "status: experimental",
        "description: >-",
        f"  {description}",
        "author: Security desk",
        f"date: {today}",
        "tags:",
        "  - attack.collection",
    ]


def _detection(action: str, unexplained: bool) -> list[str]:
    return [
        "logsource:",
        "  category: lookup",
        "detection:",
        "  selection:",
        f"    action: {action}",
        *(["    explanation: none"] if unexplained else []),
        "  condition: selection",
    ]


def _foot(level: str, typology: str) -> list[str]:
    return [
        f"level: {level}",
        f"typology: {typology}",
        "falsepositives:",
        "  - What else may look like this",
        "playbook: >-",
        "  What the desk should do first.",
    ]


def _part(name: str, action: str, unexplained: bool, whole: str, rule_id: str, today: date, typology: str) -> str:
    head = _head(name, f"{_title(name)} ({action})", f"Part of {whole} below.", rule_id, today)
    foot = ["level: informational", f"typology: {typology}", ""]
    return "\n".join([*head, *_detection(action, unexplained), *foot])


def _correlation(name: str, kind: str, parts: Sequence[str], rule_id: str, today: date, typology: str) -> str:
    begin = BEGIN[kind]
    body = [
        "correlation:",
        f"  type: {kind}",
        "  rules:",
        *(f"    - {part}" for part in parts),
        "  group-by:",
        "    - actor.id",
        *(f"  {line}" for line in begin.body),
    ]
    head = _head(name, _title(name), "What was seen, and why it matters.", rule_id, today)
    return "\n".join([*head, *body, *_foot("medium", typology), *_tests(begin)])


def _tests(begin: Begin) -> list[str]:
    actors = [f"      - {{record: actor, id: o-{number}}}" for number in range(1, begin.actors + 1)]
    lines = ["tests:"]
    for name, events, alerts in (("what it is for", begin.loud, 1), ("what it must leave alone", begin.quiet, 0)):
        if events:
            lines += [
                f"  - name: {name}",
                "    reference:",
                *actors,
                "    events:",
                *(f"      - {each}" for each in events),
            ]
            lines += [f"    then: {begin.then}"] if begin.then else []
            lines += [f"    alerts: {alerts}"]
    if not begin.loud:
        lines.append("  # A score depends on the lookups of all peers: see by a backtest what it finds.")
    return [*lines, ""]
