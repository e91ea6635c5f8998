"""What a run ended with, and how two ends differ. Pure: nothing here knows of Kafka."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from monitor import alerts
from monitor.detector import KeyState

Place = tuple[str, int, int]


@dataclass
class End:
    """Alerts by id, the state of every key, the model of every peer group, and the places of what was refused.

    ``unlike`` are the ids of alerts that are in the topic more than once with different content.
    """

    alerts: dict[str, bytes] = field(default_factory=dict)
    states: dict[str, KeyState] = field(default_factory=dict)
    models: dict[str, bytes] = field(default_factory=dict)
    refused: dict[Place, bytes | None] = field(default_factory=dict)
    unlike: list[str] = field(default_factory=list)


def differences(expected: End, found: End) -> list[str]:
    """Every way in which ``found`` is not ``expected``, a line each; empty when they are the same."""
    return [
        *(f"alert repeated with other content: {each}" for each in found.unlike),
        *_alerts(expected.alerts, found.alerts),
        *(line for key, a, b in _unequal(expected.states, found.states) for line in _state(key, a, b)),
        *(f"model {_how(a, b)}: {name}" for name, a, b in _unequal(expected.models, found.models)),
        *(f"DLQ entry {_how(a, b)}: {place}" for place, a, b in _unequal(expected.refused, found.refused)),
    ]


_ABSENT: Any = object()


def _unequal(expected: Mapping[Any, Any], found: Mapping[Any, Any]) -> Iterator[tuple[Any, Any, Any]]:
    for key in sorted(expected.keys() | found.keys()):
        a, b = expected.get(key, _ABSENT), found.get(key, _ABSENT)
        if a is _ABSENT or b is _ABSENT or a != b:
            yield key, a, b


def _how(expected: Any, found: Any) -> str:
    if found is _ABSENT:
        return "missing"
    return "extra" if expected is _ABSENT else "differs"


def _alerts(expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> Iterator[str]:
    for ident, a, b in _unequal(expected, found):
        yield f"alert {_how(a, b)}: {ident} {_about(b if a is _ABSENT else a)}"
        if _how(a, b) == "differs":
            yield f"  expected {a.decode()}"
            yield f"  found    {b.decode()}"


def _about(raw: bytes) -> str:
    try:
        alert = alerts.decode(raw)
    except msgspec.MsgspecError:
        return "(not readable)"
    return f"{alert.kind} '{alert.rule.title}' {alert.entity.kind}/{alert.entity.id} at {alert.time} pack {alert.pack}"


def _state(key: str, expected: Any, found: Any) -> Iterator[str]:
    how = _how(expected, found)
    yield f"state {how}: {key}"
    if how != "differs":
        return
    for name in KeyState.__struct_fields__:
        a, b = getattr(expected, name), getattr(found, name)
        if a == b:
            continue
        if isinstance(a, dict):
            yield from (f"  {name}[{one}] {_how(x, y)}: {_short(x)} / {_short(y)}" for one, x, y in _unequal(a, b))
        else:
            yield f"  {name} differs: {_short(a)} / {_short(b)}"


def _short(value: Any) -> str:
    text = "-" if value is _ABSENT else repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
