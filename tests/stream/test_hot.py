"""States that are kept between chunks: they are bounded, and nothing that is written differs from what it would be without."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import detector
from monitor.stream import detect
from monitor.stream.hot import Hot
from monitor.stream.tables import Table
from monitor.stream.topics import DETECT_STATE
from tests.stream.test_forget import log_of, stage

STEPS = st.lists(st.tuples(st.integers(0, 3), st.integers(-40, 60)), max_size=12)


@given(st.integers(0, 40), st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 12)), max_size=60))
def test_a_value_that_is_found_is_the_last_and_all_have_room(most: int, puts: list[tuple[str, int]]) -> None:
    hot: Hot[int] = Hot(most)
    last: dict[str, int] = {}
    for number, (key, size) in enumerate(puts):
        assert hot.take(key) in (None, last.get(key))
        assert hot.take(key) is None
        hot.put(key, number, size)
        last[key] = number
        assert hot.size <= most


def test_those_that_were_put_longest_ago_go_first() -> None:
    hot: Hot[str] = Hot(8)
    for key in "abcdefgh":
        hot.put(key, key, 1)
    assert [key for key in "abcdefgh" if hot.take(key)] == list("abcdefgh")
    for key in "abcdefghi":
        hot.put(key, key, 1)
    assert [key for key in "abcdefghi" if hot.take(key)] == list("efghi")


def run(log: list[Any], most: int, size: int, patch: pytest.MonkeyPatch) -> tuple[list[Any], dict[str, bytes], int]:
    """What a stage with room for ``most`` bytes writes for a log in chunks of ``size``, its table, and how many states it read."""
    table, read = Table(DETECT_STATE, 0), []
    patch.setattr(detect, "HOT_BYTES", most)
    patch.setattr(detect, "load_state", lambda data: read.append(data) or detector.load_state(data))
    one, written = stage(table), []
    for at in range(0, len(log), size):
        chunk = log[at : at + size]
        made = one.process(chunk, detect.Chunk(None), committed=chunk[-1].offset)
        written += [*made.out, *made.state]
    return written, dict(table.values), len(read)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 90), st.sampled_from([200, 700, 1_000_000]))
def test_what_is_kept_changes_nothing_that_is_written(steps: list[tuple[int, int]], size: int, most: int) -> None:
    log = log_of(steps)
    with pytest.MonkeyPatch.context() as patch:
        cold = run(log, 0, size, patch)
        warm = run(log, most, size, patch)
    assert warm[:2] == cold[:2]
    assert warm[2] <= cold[2]


def test_a_state_is_read_once_while_its_key_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of([(1, 1)] * 10)
    chunks = len(log) // 10
    assert run(log, 0, chunks, monkeypatch)[2] == 10
    assert run(log, 1_000_000, chunks, monkeypatch)[2] == 1


def test_a_key_that_was_removed_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup of before comes again: nothing is known of its offset any more, kept or not."""
    log = log_of([(1, 1), (2, 60), (2, 1)])
    size = len(log) // 3
    assert "actor/o-1" not in run(log, 0, size, monkeypatch)[1]
    log.append(log[0])
    cold = run(log, 0, size, monkeypatch)
    assert "actor/o-1" in cold[1]
    assert run(log, 1_000_000, size, monkeypatch)[:2] == cold[:2]


def test_one_that_is_busy_pushes_no_other_out() -> None:
    hot: Hot[str] = Hot(8)
    hot.put("quiet", "quiet", 1)
    for _ in range(100):
        hot.put("busy", "busy", 1)
        assert hot.take("busy") == "busy"
    assert hot.take("quiet") == "quiet"
