"""More lookups than can be done, and a broker that is away: short; `python -m tests.torture.strain` does it at length."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.torture.strain import away, burst

#: On a machine that others use too, workers take a minute to start; what hangs is told by the deadlines within.
pytestmark = pytest.mark.timeout(600)


@pytest.mark.skipif(
    "LOOKUP_MONITOR_LONG_TESTS" not in os.environ, reason="a minute and a half; set LOOKUP_MONITOR_LONG_TESTS"
)
def test_ten_times_what_the_workers_can_do_is_done_afterwards_in_bounded_memory(tmp_path: Path) -> None:
    said: list[str] = []
    found = burst(tmp_path, times=10, seconds=3, probe=2_000, say=said.append)
    assert found.differences == [], "\n".join([*found.differences[:20], *said])
    assert found.burst_rate > 4 * found.rate, "the burst was one"
    assert found.behind_most > found.rate * 3, "there was more than could be done"
    assert found.alerts > 20


def test_a_broker_that_is_away_is_told_and_work_goes_on_by_itself_when_it_is_back(tmp_path: Path) -> None:
    said: list[str] = []
    found = away(tmp_path, seconds=40, say=said.append)
    assert found.differences == [], "\n".join([*found.differences[:20], *said])
    assert found.told.startswith("Kafka does not answer")
    assert found.told_after < 20
    assert found.ready_after < 60
    assert found.alerts > 20
