"""A shelf is a mapping, whatever is at hand and whatever is not."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from monitor.shelf import Shelf

STEPS = st.lists(
    st.tuples(st.sampled_from(["get", "put", "swap", "touch", "remove", "flush"]), st.sampled_from("abcde"), st.integers(0, 9)),
    max_size=60,
)  # fmt: skip


class Counted(dict[str, bytes]):
    """A store that counts its batches and refuses to be written one by one."""

    batches = 0

    def update(self, changes: Any) -> None:  # type: ignore[override]
        self.batches += 1
        super().update(changes)

    def __setitem__(self, key: str, value: bytes) -> None:
        raise AssertionError("written alone")


def read(raw: bytes) -> list[int]:
    return msgspec.msgpack.decode(raw, type=list[int])


@given(STEPS, st.integers(1, 6))
def test_as_a_plain_dictionary(steps: list[tuple[str, str, int]], size: int) -> None:
    store, plain = Counted(), {}
    shelf = Shelf(store, size)
    for what, key, value in steps:
        if what == "put":
            shelf.put(key, [value])
            plain[key] = [value]
        elif what == "swap":
            assert shelf.swap(key, [value], read) == plain.get(key)
            plain[key] = [value]
        elif what == "touch":
            found = shelf.get(key, read)
            if found is not None:
                found.append(value)
                shelf.touch(key)
                plain[key] = list(found)
        elif what == "remove":
            assert shelf.swap(key, None, read) == plain.pop(key, None)
        elif what == "flush":
            shelf.flush()
        assert shelf.get(key, read) == plain.get(key)
    shelf.flush()
    assert {key: read(raw) for key, raw in store.items()} == plain


def test_it_writes_in_batches_and_reads_nothing_twice_that_is_at_hand() -> None:
    store = Counted()
    shelf = Shelf(store, 100)
    for number in range(1000):
        shelf.put(f"k{number}", [number])
    assert 800 <= len(store) <= 1000
    assert store.batches <= 10
    first = shelf.get("k1", read)
    assert shelf.get("k1", read) is first
