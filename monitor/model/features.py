"""The features of an actor's behaviour, kept up to date at a constant cost a lookup.

Every feature lies in 0..1 by a transform that never changes, so that vectors of different days and actors compare. What a
lookup does not say (unknown) moves nothing.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

_MINUTE: Final = 60_000.0
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_TEN_MINUTES: Final = 10 * _MINUTE
_MONTH: Final = 30 * _DAY
#: The counts within ten minutes, an hour and a day at which their features are one half.
_HALF_10M, _HALF_1H, _HALF_1D = 20.0, 40.0, 120.0
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
#: Where among the shares the feature of the hour stands.
_HOUR_AT: Final = FEATURES.index("odd_hour") - FEATURES.index(_SHARES[0])


class FeatureState(msgspec.Struct, array_like=True, gc=False):
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
    return dict(zip(FEATURES, measure(state, lookup), strict=True))


def measure(state: FeatureState, lookup: Mapping[str, Any]) -> list[float]:
    """Count ``lookup`` in ``state`` (changed in place) and return the feature vector in the order of :data:`FEATURES`."""
    vector = _rates(state, lookup["ts"])
    subject, shares = lookup.get("subject.id"), state.shares
    mark = None if subject is None else zlib.crc32(subject.encode())
    for position, now in enumerate(_indicators(state, lookup, mark)):
        if now is not None:
            share = shares[position]
            shares[position] = share + (now - share) / _MEMORY
    _follow_up(state, lookup.get("explanation"), mark)
    vector += shares[:_HOUR_AT]
    vector.append(_odd_hour(state, lookup["hour"]))
    vector += shares[_HOUR_AT:]
    return vector


def _rates(state: FeatureState, ts: int) -> list[float]:
    # A lookup that comes late does not turn time back: it counts as if it had come with the newest.
    passed = 0
    if ts > state.last:
        passed = ts - state.last if state.last else 0
        state.last = ts
    exp = math.exp
    brief, short, day, month = state.counts
    brief = brief * exp(-passed / _TEN_MINUTES) + 1.0
    short = short * exp(-passed / _HOUR) + 1.0
    day = day * exp(-passed / _DAY) + 1.0
    month = month * exp(-passed / _MONTH) + 1.0
    state.counts = [brief, short, day, month]
    usual = month / 30.0 + 5.0
    return [brief / (brief + _HALF_10M), short / (short + _HALF_1H), day / (day + _HALF_1D), day / (day + 2.0 * usual)]


def _indicators(state: FeatureState, lookup: Mapping[str, Any], subject: int | None) -> tuple[bool | None, ...]:
    get = lookup.get
    explanation, status, terminal = get("explanation"), get("purpose.status"), get("client.terminal")
    in_area, on_shift, relation = get("in_area"), get("on_shift"), get("relation")
    return (
        None if explanation is None else "none" in explanation,
        None if status is None else status in ("missing", "false"),
        None if in_area is None else not in_area,
        None if on_shift is None else not on_shift,
        lookup["action"] in _SENSITIVE,
        None if relation is None else relation != "none",
        None if subject is None else _is_new(state.subjects, subject, _SUBJECTS),
        _is_new(state.systems, zlib.crc32(lookup["system"].encode()), 1),
        None if terminal is None else _is_new(state.terminals, zlib.crc32(terminal.encode()), _TERMINALS),
    )


def _follow_up(state: FeatureState, explanation: Sequence[str] | None, subject: int | None) -> None:
    """Decide which of the unexplained lookups so far had a sequel, and which have waited long enough for one.

    The times only rise (a late lookup counts as if it had come with the newest), so the oldest is always in front.
    """
    awaited, since = state.awaited, state.since
    while since and since[0] <= state.last - SEQUEL_MS:
        del awaited[0], since[0]
        state.shares[-1] += (1.0 - state.shares[-1]) / _MEMORY
    if explanation is None or subject is None:
        return
    if "none" not in explanation:
        while subject in awaited:
            at = awaited.index(subject)
            del awaited[at], since[at]
            state.shares[-1] -= state.shares[-1] / _MEMORY
    elif len(awaited) < _FOLLOWED:
        awaited.append(subject)
        since.append(state.last)


def _is_new(recent: list[int], mark: int, size: int) -> bool:
    """Whether a name is not among the last ``size`` different ones (kept as CRC-32, which may rarely take two for one)."""
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
