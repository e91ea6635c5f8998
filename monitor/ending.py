"""The end of a log: how far event time has come there, and what is decided by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from monitor.alerts import Alert
from monitor.detector import JOINED, Detector, KeyState


def ends_of(reached: Sequence[int], counts: Sequence[int], run_on_ms: int = 0) -> tuple[list[int], int]:
    """The event times that the sources have reached, and the one that all which have said anything have reached.

    ``counts`` says how many lookups each source had. With ``run_on_ms``: as if time had gone on for so long after the newest
    lookup of all.
    """
    spoken = [newest for newest, count in zip(reached, counts, strict=True) if count]
    if run_on_ms and spoken:
        end = max(spoken) + run_on_ms
        return [end] * len(reached), end
    return list(reached), min(spoken, default=0)


def decide(
    detector: Detector, states: Mapping[str, KeyState], reached: Sequence[int], all_reached: int
) -> Iterator[Alert]:
    """Decide what has waited for a time that its source has reached although no lookup of its key came any more.

    ``reached`` and ``all_reached`` are those of :func:`ends_of`.
    """
    for key, state in states.items():
        for src in sorted({waiting.src for waiting in state.waiting}):
            yield from detector.advance(key, state, src, all_reached if src == JOINED else reached[src])


def undecided(states: Mapping[str, KeyState]) -> list[int]:
    """When what still waits would be decided: the event time of each alert and absence."""
    return [waiting.due for state in states.values() for waiting in state.waiting]
