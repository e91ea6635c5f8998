"""The collector of cycles in a worker."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from monitor.memory import collect_seldom


@pytest.fixture
def before() -> Iterator[tuple[int, int, int]]:
    kept = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield gc.get_threshold()
    gc.set_threshold(*kept)


def test_a_chunk_of_records_starts_few_collections(before: tuple[int, int, int]) -> None:
    def collections() -> int:
        began = sum(each["collections"] for each in gc.get_stats())
        kept = [[number] for number in range(40_000)]
        assert len(kept) == 40_000
        return sum(each["collections"] for each in gc.get_stats()) - began

    assert collections() > 10
    collect_seldom()
    assert collections() <= 1
