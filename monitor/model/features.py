"""The features of an actor's behaviour, kept up to date at a constant cost a lookup.

Every feature lies in 0..1 by a transform that never changes (:mod:`monitor.model.catalogue`), so that vectors of different
days and actors compare. What a lookup does not say (unknown) moves nothing.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any, Final

from monitor.model.catalogue import EXPLAINED, FEATURES, MEMORY, WITHHELD, WORDS
from monitor.model.state import ACTIONS, FeatureState, upgrade

__all__ = ["FEATURES", "WORDS", "FeatureState", "hold", "measure", "observe", "upgrade"]

_MINUTE: Final = 60_000.0
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_TEN_MINUTES: Final = 10 * _MINUTE
_MONTH: Final = 30 * _DAY
_SUBJECTS: Final = 24
_TERMINALS: Final = 4
_SYSTEMS: Final = 12
#: An unexplained lookup that leads to nothing (no explained lookup of the same subject) for so long had no sequel.
SEQUEL_MS: Final = 3 * int(_DAY)
#: How many unexplained lookups of an actor are followed up at a time. When there are more, the newest are not: were the
#: oldest dropped instead, whoever makes many would never have one that ends without a sequel.
_FOLLOWED: Final = 48
_SENSITIVE: Final = frozenset({"export", "print", "follow"})
#: The bytes of a Bloom filter of subjects, and how long one is filled, in milliseconds.
_BLOOM: Final = 256
_TURN_MS: Final = 15 * int(_DAY)
#: Sums over a month are made up for what is missing of it for actors of up to so long, at least so long, in milliseconds.
_OLD: Final = 150 * _DAY
_LEAST_AGE: Final = 5 * _DAY
#: Gaps between lookups count up to so many seconds: a night is not a gap.
_LONGEST_GAP: Final = 8 * 3600.0
#: A lookup of the same subject so long after the last is another occasion.
_OCCASION_MS: Final = int(_HOUR)
_POLLED: Final = 16
_CLAIMED: Final = 8
#: The change of regime: baseline before there is any (1 in 50), lookups until it is one, and the most the CUSUM grows to.
_PRIOR: Final = 50.0
_LEARNED: Final = 100.0
_MOST_CHANGE: Final = 40.0
#: While the CUSUM is above this, the baseline learns nothing: who changes slowly must not teach it.
_STEADY: Final = 1.0
#: For how long the group's model learns nothing of an actor after an alert for the desk, in milliseconds.
HELD_MS: Final = 7 * int(_DAY)

# Where the shares are in FeatureState.shares, and the sums in FeatureState.sums.
_NO_SEQUEL: Final = 9
_NEW_IN_MONTH, _NEW_SYSTEM, _ODD_ACTION = 10, 11, 12


def observe(state: FeatureState, lookup: Mapping[str, Any]) -> dict[str, float]:
    """Count ``lookup`` in ``state`` (changed in place) and return the feature vector, names to 0..1."""
    return dict(zip(FEATURES, measure(state, lookup), strict=False))


def hold(state: FeatureState, ts: int) -> None:
    """The desk was alerted about the actor at ``ts``: until a week later their lookups are withheld from the group's model."""
    state.held = max(state.held, ts + HELD_MS)


def measure(state: FeatureState, lookup: Mapping[str, Any]) -> list[float]:
    """Count ``lookup`` in ``state`` (changed in place) and return the vector: :data:`FEATURES`, then :data:`TAIL`."""
    get = lookup.get
    system, action, hour = lookup["system"], lookup["action"], lookup["hour"]
    subject, explanation, status = get("subject.id"), get("explanation"), get("purpose.status")
    unexplained = None if explanation is None else "none" in explanation
    mark = None if subject is None else zlib.crc32(subject.encode())
    named = zlib.crc32(system.encode())
    shares, sums = state.shares, state.sums

    ts: int = lookup["ts"]
    is_switch = None if mark is None else _is_new(state.subjects, mark, _SUBJECTS)
    vector = _rates(state, ts, 1.0 if is_switch else 0.0, 1.0 if unexplained else 0.0)
    terminal, in_area, on_shift, relation = get("client.terminal"), get("in_area"), get("on_shift"), get("relation")
    seen = (
        unexplained,
        None if status is None else status == "missing" or status == "false",
        None if in_area is None else not in_area,
        None if on_shift is None else not on_shift,
        action in _SENSITIVE,
        None if relation is None else relation != "none",
        is_switch,
        _is_new(state.systems, named, 1),
        None if terminal is None else _is_new(state.terminals, zlib.crc32(terminal.encode()), _TERMINALS),
    )
    for position, now in enumerate(seen):
        if now is not None:
            share = shares[position]
            shares[position] = share + (now - share) / MEMORY
    if unexplained is not None and mark is not None:
        _follow_up(state, unexplained, mark)
    else:
        _let_pass(state)
    if mark is not None:
        share = shares[_NEW_IN_MONTH]
        shares[_NEW_IN_MONTH] = share + (_is_new_in_month(state, mark) - share) / MEMORY
    share = shares[_NEW_SYSTEM]
    shares[_NEW_SYSTEM] = share + (_is_new(state.known, named, _SYSTEMS) - share) / MEMORY
    share = shares[_ODD_ACTION]
    shares[_ODD_ACTION] = share + (_odd_action(state.actions, ACTIONS[action]) - share) / MEMORY
    vector += shares
    vector.append(_odd_hour(state, hour))
    vector.append(_odd_week_hour(state.week, get("weekday"), hour))
    mean, square = sums[3], sums[4]
    deviation = math.sqrt(max(square - mean * mean, 0.0))
    vector.append(deviation / (deviation + mean) if deviation + mean > 0.0 else 0.0)
    vector.append(_polling(state, mark) if unexplained and mark is not None else 0.0)
    case = get("purpose.case")
    vector.append(_case_reuse(state, zlib.crc32(case.encode())) if case is not None and status != "explained" else 0.0)
    vector.append(sums[10] / (sums[10] + 30.0))
    if unexplained is not None:
        _accumulate(sums, unexplained)
    sums[8] += 1.0
    vector.append(sums[5] / (sums[5] + 4.0))
    nothing = sums[9] / max(sums[8], 100.0)
    vector.append(nothing / (nothing + 0.05))
    kind = zlib.crc32(action.encode(), named + hour // 4) & 255
    flags = (EXPLAINED if unexplained is False else 0) + (WITHHELD if state.last < state.held else 0)
    vector += [sums[8], sums[9], float(kind), float(flags)]
    return vector


def _rates(state: FeatureState, ts: int, switched: float, unexplained: float) -> list[float]:
    # A lookup that comes late does not turn time back: it counts as if it had come with the newest.
    passed = 0
    if not state.last:
        state.began = ts
    if ts > state.last:
        passed = ts - state.last if state.last else 0
        state.last = ts
    exp, sums = math.exp, state.sums
    brief, short, day, month = state.counts
    a_day, a_month = exp(-passed / _DAY), exp(-passed / _MONTH)
    brief = brief * exp(-passed / _TEN_MINUTES) + 1.0
    short = short * exp(-passed / _HOUR) + 1.0
    day = day * a_day + 1.0
    month = month * a_month + 1.0
    state.counts = [brief, short, day, month]
    switches = sums[0] = sums[0] * a_day + switched
    today = sums[1] = sums[1] * a_day + unexplained
    lately = sums[2] = sums[2] * a_month + unexplained
    gap = passed / 1000.0
    if 0.0 < gap <= _LONGEST_GAP:
        sums[3] += (gap - sums[3]) / MEMORY
        sums[4] += (gap * gap - sums[4]) / MEMORY
    sums[10] = max(passed / _DAY, sums[10] * (1.0 - 1.0 / MEMORY))
    # In the first months the sums are only those of so many days: as if it had gone on like that.
    age = state.last - state.began
    whole = 1.0 - exp(-max(age, _LEAST_AGE) / _MONTH) if age < _OLD else 1.0
    month /= whole
    lately /= whole
    usual = month / 30.0 + 5.0
    return [
        brief / (brief + 20.0),
        short / (short + 40.0),
        day / (day + 120.0),
        month / (month + 1200.0),
        day / (day + 2.0 * usual),
        switches / (switches + 60.0),
        today / (today + 5.0),
        lately / (lately + 30.0),
    ]


def _let_pass(state: FeatureState) -> None:
    """Count as without a sequel what has waited long enough for one.

    The times only rise (a late lookup counts as if it had come with the newest), so the oldest is always in front.
    """
    awaited, since = state.awaited, state.since
    while since and since[0] <= state.last - SEQUEL_MS:
        del awaited[0], since[0]
        state.shares[_NO_SEQUEL] += (1.0 - state.shares[_NO_SEQUEL]) / MEMORY
        state.sums[9] += 1.0


def _follow_up(state: FeatureState, unexplained: bool, subject: int) -> None:
    """Decide which of the unexplained lookups so far had a sequel, and which have waited long enough for one."""
    _let_pass(state)
    awaited, since = state.awaited, state.since
    if not unexplained:
        while subject in awaited:
            at = awaited.index(subject)
            del awaited[at], since[at]
            state.shares[_NO_SEQUEL] -= state.shares[_NO_SEQUEL] / MEMORY
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


def _is_new_in_month(state: FeatureState, mark: int) -> bool:
    """Whether a subject was not looked up in this half month or the last. One in some is taken for an old one by mistake."""
    if not state.seen or state.last - state.turned >= _TURN_MS:
        # After a month without lookups, both are of too long ago.
        is_recent = state.last - state.turned < 2 * _TURN_MS
        state.before = state.seen if is_recent else bytearray()
        state.seen = bytearray(_BLOOM)
        state.turned = state.last
    at, bit = (mark >> 3) % _BLOOM, 1 << (mark & 7)
    if state.seen[at] & bit:
        return False
    state.seen[at] |= bit
    return not (state.before and state.before[at] & bit)


def _odd_action(actions: list[int], action: int) -> float:
    most, times = max(actions), actions[action]
    actions[action] = times + 1
    if times >= 120:
        actions[:] = [count // 2 for count in actions]
    return 0.0 if most < 10 else 1.0 - times / most


def _odd_hour(state: FeatureState, hour: int) -> float:
    hours = state.hours
    near = hours[hour] + (hours[hour - 1] + hours[(hour + 1) % 24]) / 2
    most = max(hours)
    hours[hour] += 1
    if hours[hour] > 120:
        state.hours = [count // 2 for count in hours]
    return 0.0 if most < 10 else max(0.0, 1.0 - near / most)


def _odd_week_hour(week: list[int], weekday: int | None, hour: int) -> float:
    if weekday is None:
        return 0.0
    cell = weekday * 6 + hour // 4
    most, times = max(week), week[cell]
    week[cell] = times + 1
    if times >= 120:
        week[:] = [count // 2 for count in week]
    return 0.0 if most < 10 else 1.0 - times / most


def _polling(state: FeatureState, mark: int) -> float:
    """How often the actor has come back to the subject; every lookup here is without an explanation."""
    polled, at, times = state.polled, state.polled_at, state.polled_times
    if mark not in polled:
        if len(polled) == _POLLED:
            del polled[0], at[0], times[0]
        polled.append(mark)
        at.append(state.last)
        times.append(0)
        return 0.0
    position = polled.index(mark)
    if state.last - at[position] >= _OCCASION_MS:
        times[position] += 1
        at[position] = state.last
    return times[position] / (times[position] + 3.0)


def _case_reuse(state: FeatureState, mark: int) -> float:
    claimed, times = state.claimed, state.claimed_times
    if mark not in claimed:
        if len(claimed) == _CLAIMED:
            del claimed[0], times[0]
        claimed.append(mark)
        times.append(0)
    position = claimed.index(mark)
    times[position] += 1
    return times[position] / (times[position] + 10.0)


def _accumulate(sums: list[float], unexplained: bool) -> None:
    """Page's CUSUM of the unexplained against the actor's own share so far, which learns only while nothing changes."""
    lookups, total = sums[6], sums[7]
    # Decided before the lookup is looked at: otherwise those that lower the share would be learned more often.
    is_steady = sums[5] < _STEADY
    if lookups >= _LEARNED:
        usual = min(0.3, (total + 1.0) / (lookups + _PRIOR))
        changed = 3.0 * usual + 0.05
        step = math.log(changed / usual) if unexplained else math.log((1.0 - changed) / (1.0 - usual))
        sums[5] = min(_MOST_CHANGE, max(0.0, sums[5] + step))
    if is_steady:
        sums[6] = lookups + 1.0
        sums[7] = total + unexplained
