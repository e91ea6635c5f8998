"""How much a key may keep: the groups of a busy actor, and a flood of lookups, are cut where they tell least."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from typing import Final

from monitor.rules.model import DAY_MS, Correlation, Lookup, Rule
from monitor.rules.state import Entry, Log, State, Waiting
from monitor.rules.windows import lose

#: Windows a key may have before those longest without a lookup are dropped.
MAX_WINDOWS: Final = 400
#: Bytes, about, that the lookups in all windows of a key may take before the longest logs are cut by half.
MAX_WEIGHT: Final = 400_000
#: With fewer lookups than this nothing needs to be weighed.
_FEW: Final = 900
#: All windows are weighed at one lookup in so many, whichever it is, so that a replay weighs at the same.
_SELDOM: Final = 32
_ENTRY: Final = 40


def keep_within(
    windows: MutableMapping[str, State], waiting: Sequence[Waiting], rules: Mapping[str, Rule], lookup: Lookup
) -> None:
    """Keep the state of one key bounded, after a lookup. Windows that something ``waiting`` is about stay.

    ``rules`` are the rules by fingerprint.
    """
    if len(windows) > MAX_WINDOWS:
        _drop_windows(windows, {each.name for each in waiting}, rules)
    if zlib.crc32(lookup["id"].encode(errors="replace")) % _SELDOM == 0:
        _drop_spent(windows, {each.name for each in waiting}, rules)
        _cut_logs(windows, rules)


def _drop_windows(windows: MutableMapping[str, State], held: Collection[str], rules: Mapping[str, Rule]) -> None:
    """Drop what no rule asks for any more, and if that is not a quarter, what has been without a lookup for longest."""
    newest = max(state.latest() for state in windows.values())

    def worth(name: str) -> tuple[bool, int, str]:
        latest = windows[name].latest()
        return latest + _reach(rules.get(name.partition("\x1f")[0])) >= newest, latest, name

    ordered = sorted((name for name in windows if name not in held), key=worth)
    for name in ordered[: len(windows) // 4]:
        del windows[name]


def _drop_spent(windows: MutableMapping[str, State], held: Collection[str], rules: Mapping[str, Rule]) -> None:
    """Drop the logs that no rule asks for any more: most are of a subject that an actor has looked at once, long ago.

    A log that begins anew is the same: whatever still comes is at most a day older than the newest. What is counted in slots is
    not, since it knows since when it has been kept.
    """
    newest = max((state.latest() for state in windows.values()), default=0)
    reaches: dict[str, int] = {}
    spent = []
    for name, state in windows.items():
        if isinstance(state, Log) and not state.hushed and name not in held and not _decides_later(name, rules):
            of = name.partition("\x1f")[0]
            if of not in reaches:
                reaches[of] = _reach(rules.get(of))
            if state.latest() + reaches[of] + DAY_MS < newest:
                spent.append(name)
    for name in spent:
        del windows[name]


def _reach(rule: Rule | None) -> int:
    """For how long after its last lookup a group may matter."""
    if isinstance(rule, Correlation):
        return max(rule.span_ms, rule.suppress_ms) + rule.late_ms + rule.grace_ms
    return 0 if rule is None else rule.suppress_ms + DAY_MS


def _cut_logs(windows: Mapping[str, State], rules: Mapping[str, Rule]) -> None:
    logs = [state for name, state in windows.items() if isinstance(state, Log) and not _decides_later(name, rules)]
    if sum(len(log.entries) for log in logs) < _FEW:
        return
    weights = [sum(map(_weight, log.entries)) for log in logs]
    while sum(weights) > MAX_WEIGHT:
        at = max(range(len(logs)), key=lambda number: weights[number])
        lose(logs[at], (len(logs[at].entries) + 1) // 2)
        weights[at] = sum(map(_weight, logs[at].entries))


def _decides_later(name: str, rules: Mapping[str, Rule]) -> bool:
    """Whether each lookup in a log waits to be decided, so that none may go; there are few of them."""
    rule = rules.get(name.partition("\x1f")[0])
    return isinstance(rule, Correlation) and rule.type == "absence"


def _weight(entry: Entry) -> int:
    size = _ENTRY + len(entry.id) + len(entry.actor) + len(entry.subject or "")
    value = entry.value
    return size + (len(value) if isinstance(value, str) else 0)
