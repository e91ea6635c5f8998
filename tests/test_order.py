"""One order, whatever the interleaving."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from monitor.order import IDLE, Merger, Place

STREAMS = st.lists(st.lists(st.integers(0, 50), max_size=20), min_size=1, max_size=4)


def places(times: list[int], src: int) -> list[Place]:
    """The places of a partition's lookups: the newest time so far, the partition, the offset."""
    found, newest = [], 0
    for off, time in enumerate(times):
        newest = max(newest, time)
        found.append((newest, src, off))
    return found


@given(STREAMS, st.randoms(use_true_random=False))
def test_every_interleaving_gives_the_one_order(streams: list[list[int]], chance: random.Random) -> None:
    left = [places(times, src) for src, times in enumerate(streams)]
    expected = sorted(place for stream in left for place in stream)
    merger: Merger[Place] = Merger((src,) for src in range(len(streams)))
    released: list[Place] = []
    while any(left):
        src = chance.choice([src for src, stream in enumerate(left) if stream])
        place = left[src].pop(0)
        merger.push((src,), place, place)
        if chance.random() < 0.3:
            merger.advance((src,), place[0])
        now = [item for _, item in merger.ready()]
        # Nothing may be released that something still to come belongs before.
        assert all(item < later for item in now for stream in left for later in stream)
        released += now
    for src in range(len(streams)):
        merger.advance((src,), IDLE)
    released += [item for _, item in merger.ready()]
    assert released == expected
    assert len(merger) == 0


def test_a_channel_that_has_not_spoken_holds_everything_back() -> None:
    merger: Merger[str] = Merger([(0,), (1,)])
    merger.push((0,), (5, 0, 0), "a")
    assert list(merger.ready()) == []
    merger.advance((1,), 4)
    assert list(merger.ready()) == []
    merger.advance((1,), IDLE)
    assert list(merger.ready()) == [((5, 0, 0), "a")]
