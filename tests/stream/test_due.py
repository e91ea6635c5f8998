"""What waits is found when its time comes, whether it was told or is still to be read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.due import Due

KEYS = st.sampled_from(["a", "b", "c", "d"])
WAITS = st.dictionaries(KEYS, st.lists(st.tuples(st.integers(0, 2), st.integers(1, 30)), min_size=1, max_size=3))


@given(WAITS, st.lists(st.tuples(st.integers(0, 2), st.integers(0, 35)), max_size=12))
def test_keys_that_were_not_read_are_found_as_those_that_were(
    waits: dict[str, list[tuple[int, int]]], times: list[tuple[int, int]]
) -> None:
    told = Due()
    for key, dues in waits.items():
        for src, due in dues:
            told.add(src, due, key)
    unread = Due(((min(due for _, due in dues), key) for key, dues in waits.items()), waits.__getitem__)
    for src, now in times:
        assert sorted(unread.until(src, now)) == sorted(told.until(src, now))


def test_a_key_is_read_when_something_in_it_may_be_due_and_not_before() -> None:
    asked: list[str] = []

    def read(key: str) -> list[tuple[int, int]]:
        asked.append(key)
        return [(1, 10)]

    due = Due([(10, "a"), (20, "b")], read)
    assert due.until(0, 10) == []
    assert asked == []
    assert due.until(0, 11) == []
    assert due.until(1, 11) == ["a"]
    assert due.until(1, 15) == []
    assert asked == ["a"]
