"""The features of an actor's behaviour, kept up to date at a constant cost a lookup.

Every feature lies in 0..1 by a transform that never changes, so that vectors of different days and actors compare. What a
lookup does not say (unknown) moves nothing.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

_MINUTE: Final = 60_000.0
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
#: Spans of the decayed counts, in milliseconds, with the count at which each feature is one half.
SPANS: Final = (("rate_10m", 10 * _MINUTE, 20.0), ("rate_1h", _HOUR, 40.0), ("rate_1d", _DAY, 120.0))
_LONG: Final = 30 * _DAY
#: Shares are means over about this many of the actor's last lookups.
_MEMORY: Final = 40
_SUBJECTS: Final = 24
_TERMINALS: Final = 4
#: An unexplained lookup that leads to nothing (no explained lookup of the same subject) for so long had no sequel.
SEQUEL_MS: Final = 3 * int(_DAY)
#: How many unexplained lookups of an actor are followed up at a time. When there are more, the newest are not: were the
#: oldest dropped instead, whoever makes many would never have one that ends without a sequel.
_FOLLOWED: Final = 48
_SENSITIVE: Final = frozenset({"export", "print", "follow"})

#: Each feature in words, for the reasons of an alert.
WORDS: Final[dict[str, str]] = {
    "rate_10m": "many lookups within ten minutes",
    "rate_1h": "many lookups within an hour",
    "rate_1d": "many lookups within a day",
    "surge": "far more lookups than this actor's own usual",
    "unexplained": "a large share without an explanation in the work",
    "bad_purpose": "a large share with a missing or false purpose",
    "out_of_area": "a large share outside the actor's area",
    "off_shift": "a large share off shift",
    "sensitive": "a large share of exports, prints and follows",
    "related": "subjects close to the actor's own life",
    "new_subjects": "hardly any subject seen twice",
    "systems": "switching between many systems",
    "odd_hour": "an hour of the day this actor hardly works in",
    "new_terminal": "terminals this actor does not usually use",
    "no_sequel": "a large share of unexplained lookups that led to nothing within three days",
}
FEATURES: Final = tuple(WORDS)


_SHARES: Final[tuple[str, ...]] = (
    "unexplained",
    "bad_purpose",
    "out_of_area",
    "off_shift",
    "sensitive",
    "related",
    "new_subjects",
    "systems",
    "new_terminal",
    "no_sequel",
)


class FeatureState(msgspec.Struct, array_like=True):
    """What is kept of one actor, 300 to 700 bytes. ``shares`` are in the order of :data:`_SHARES`.

    ``awaited`` are the subjects (CRC-32) of unexplained lookups without a sequel so far, and ``since`` their times.
    """

    last: int = 0
    counts: list[float] = msgspec.field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])
    shares: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(_SHARES))
    hours: list[int] = msgspec.field(default_factory=lambda: [0] * 24)
    subjects: list[int] = []
    terminals: list[int] = []
    systems: list[int] = []
    awaited: list[int] = []
    since: list[int] = []


def upgrade(state: FeatureState) -> None:
    """Make state of before the feature ``no_sequel`` one of now: a share that nothing has moved yet."""
    if len(state.shares) == len(_SHARES) - 1:
        state.shares.append(0.0)


def observe(state: FeatureState, lookup: Mapping[str, Any]) -> dict[str, float]:
    """Count ``lookup`` in ``state`` (changed in place) and return the feature vector, names to 0..1."""
    vector = _rates(state, lookup["ts"])
    for position, now in enumerate(_indicators(state, lookup)):
        if now is not None:
            state.shares[position] += (now - state.shares[position]) / _MEMORY
    _follow_up(state, lookup)
    vector.update(zip(_SHARES, state.shares, strict=True))
    vector["odd_hour"] = _odd_hour(state, lookup["hour"])
    return vector


def _rates(state: FeatureState, ts: int) -> dict[str, float]:
    # A lookup that comes late does not turn time back: it counts as if it had come with the newest.
    passed = max(0, ts - state.last) if state.last else 0
    state.last = max(state.last, ts)
    vector = {}
    counts = state.counts
    for position, (name, span, half) in enumerate(SPANS):
        counts[position] = counts[position] * math.exp(-passed / span) + 1.0
        vector[name] = counts[position] / (counts[position] + half)
    counts[3] = counts[3] * math.exp(-passed / _LONG) + 1.0
    usual = counts[3] / 30.0 + 5.0
    vector["surge"] = counts[2] / (counts[2] + 2.0 * usual)
    return vector


def _indicators(state: FeatureState, lookup: Mapping[str, Any]) -> tuple[bool | None, ...]:
    explanation, status = lookup.get("explanation"), lookup.get("purpose.status")
    in_area, on_shift, relation = lookup.get("in_area"), lookup.get("on_shift"), lookup.get("relation")
    return (
        None if explanation is None else "none" in explanation,
        None if status is None else status in ("missing", "false"),
        None if in_area is None else not in_area,
        None if on_shift is None else not on_shift,
        lookup["action"] in _SENSITIVE,
        None if relation is None else relation != "none",
        _is_new(state.subjects, lookup.get("subject.id"), _SUBJECTS),
        _is_new(state.systems, lookup["system"], 1),
        _is_new(state.terminals, lookup.get("client.terminal"), _TERMINALS),
    )


def _follow_up(state: FeatureState, lookup: Mapping[str, Any]) -> None:
    """Decide which of the unexplained lookups so far had a sequel, and which have waited long enough for one.

    The times only rise (a late lookup counts as if it had come with the newest), so the oldest is always in front.
    """
    awaited, since = state.awaited, state.since
    while since and since[0] <= state.last - SEQUEL_MS:
        del awaited[0], since[0]
        state.shares[-1] += (1.0 - state.shares[-1]) / _MEMORY
    explanation, subject = lookup.get("explanation"), lookup.get("subject.id")
    if explanation is None or subject is None:
        return
    mark = zlib.crc32(subject.encode())
    if "none" not in explanation:
        while mark in awaited:
            at = awaited.index(mark)
            del awaited[at], since[at]
            state.shares[-1] -= state.shares[-1] / _MEMORY
    elif len(awaited) < _FOLLOWED:
        awaited.append(mark)
        since.append(state.last)


def _is_new(recent: list[int], name: str | None, size: int) -> bool | None:
    """Whether ``name`` is not among the last ``size`` different ones (kept as CRC-32, which may rarely take two for one)."""
    if name is None:
        return None
    mark = zlib.crc32(name.encode())
    if mark in recent:
        return False
    recent.append(mark)
    if len(recent) > size:
        del recent[0]
    return True


def _odd_hour(state: FeatureState, hour: int) -> float:
    hours = state.hours
    near = hours[hour] + (hours[hour - 1] + hours[(hour + 1) % 24]) / 2
    most = max(hours)
    hours[hour] += 1
    if hours[hour] > 120:
        state.hours = [count // 2 for count in hours]
    return 0.0 if most < 10 else max(0.0, 1.0 - near / most)
