"""Rules over a stream of lookups, through the detector as in the live service, and by the naive evaluator."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from monitor.detector import JOINED, Detector, KeyState, load_state, save_state
from monitor.rules import Firing, RuleSet, load_texts
from tests.rules.naive import Explained, Fired, Lookup, Naive, Spec

END = 10**15


def never(actor: str, subject: str | None, ts: int, until: int) -> bool:
    """Nothing is explained."""
    return False


@contextmanager
def firings_as_they_are() -> Iterator[None]:
    """The detector hands on firings rather than the alerts made of them, and leaves out the features."""
    with (
        patch("monitor.detector.alerts.from_firing", lambda firing, pack: firing),
        patch("monitor.detector.measure", lambda state, lookup: []),
    ):
        yield


def rules_of(specs: Sequence[Spec]) -> RuleSet:
    """The engine's rules, all of which must be right."""
    loaded = load_texts({f"{number:02}.yml": "\n---\n".join(spec.texts()) for number, spec in enumerate(specs)})
    assert loaded.problems == []
    return loaded.rules


def by_engine(
    specs: Sequence[Spec],
    lookups: Sequence[Lookup],
    explained: Explained = never,
    saved: Collection[int] = (),
    ticks: bool = False,
) -> list[list[Firing]]:
    """What fires at each lookup, and last what fires when nothing more comes. State is saved and read before ``saved``.

    With ``ticks`` all keys are told how far event time has come after every lookup, and not only those it belongs to.
    """
    rules = rules_of(specs)
    machine = Detector(rules, explained)
    states: defaultdict[str, KeyState] = defaultdict(KeyState)
    found: list[list[Firing]] = []
    reached = 0
    with firings_as_they_are():
        for off, one in enumerate(lookups):
            if off in saved:
                states = defaultdict(KeyState, {key: load_state(save_state(state)) for key, state in states.items()})
            reached = max(reached, one["ts"])
            here: list[Any] = []
            for key in [f"actor/{one['actor.id']}", *rules.partition_keys(one)]:
                here += machine.step(key, states[key], dict(one), 0, off, reached).alerts
            for key in sorted(states) if ticks else ():
                here += machine.advance(key, states[key], 0, reached)
            found.append(here)
        found.append([each for key in states for each in at_last(machine, key, states[key])])
    return found


def at_last(machine: Detector, key: str, state: KeyState) -> list[Any]:
    """What fires when nothing more comes."""
    return machine.advance(key, state, JOINED if not key.startswith("actor/") else 0, END)


def by_naive(specs: Sequence[Spec], lookups: Sequence[Lookup], explained: Explained = never) -> list[list[Fired]]:
    """The same by the naive evaluator."""
    naive = Naive(specs, explained)
    found: list[list[Fired]] = []
    reached = 0
    for off, one in enumerate(lookups):
        reached = max(reached, one["ts"])
        here: list[Fired] = []
        for key in [f"actor/{one['actor.id']}", *naive.keys(one)]:
            here += naive.step(key, one, off, reached)
        found.append(here)
    found.append([each for key in list(naive.pending) for each in naive.advance(key, math.inf)])
    return found


def differences(engine: Sequence[Sequence[Firing]], naive: Sequence[Sequence[Fired]], exact: bool = True) -> list[str]:
    """Where the two differ; ``exact``: the evidence must be the same, and not only lie between least and most."""
    found = []
    for position, (ours, theirs) in enumerate(zip(engine, naive, strict=True)):
        one = sorted(ours, key=lambda each: (each.rule.name or "", each.group, each.trigger))
        other = sorted(theirs, key=lambda each: (each.rule, each.group, each.trigger))
        if [(each.rule.name, each.group, each.trigger.partition("/")[2]) for each in one] != [
            (each.rule, each.group, each.trigger) for each in other
        ]:
            found.append(f"at {position}: {[told(each) for each in one]} instead of {other}")
            continue
        for mine, right in zip(one, other, strict=True):
            least, most = right.shown[-100:], set(right.inside)
            evidence = mine.events == least if exact else set(least) <= set(mine.events) <= most
            same = math.isclose(mine.count, right.number, rel_tol=1e-9, abs_tol=1e-12)
            if not same or mine.suppressed != right.suppressed or not evidence:
                found.append(f"at {position}: {told(mine)} instead of {right}")
    return found


def told(firing: Firing) -> tuple[Any, ...]:
    """A firing in short."""
    return firing.rule.name, firing.group, firing.trigger, firing.count, firing.events, firing.suppressed
