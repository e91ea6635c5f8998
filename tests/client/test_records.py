"""What is in the spool's files: any bytes go in and come out, and damage is told from a torn end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.client.records import BadSegment, Record, Start, cursor, frame, header, read_cursor, read_header, scan

NUMBERS = st.integers(0, 2**63)
RECORDS = st.builds(
    Record, NUMBERS, NUMBERS, st.none() | st.binary(max_size=20), st.binary(max_size=60), st.binary(max_size=20)
)


@given(st.lists(RECORDS, max_size=8), st.integers(0, 200))
def test_a_torn_end_leaves_all_that_was_whole(records: list[Record], cut: int) -> None:
    frames = [frame(each) for each in records]
    data = b"".join(frames)[: max(0, sum(map(len, frames)) - cut)]
    found = scan(data)
    whole, size = 0, 0
    while whole < len(frames) and size + len(frames[whole]) <= len(data):
        size += len(frames[whole])
        whole += 1
    assert [each for _, each in found.records] == records[:whole]
    assert found.end == size
    assert found.damaged == 0


@given(st.lists(RECORDS, min_size=2, max_size=6), st.data())
def test_one_bad_byte_costs_one_record(records: list[Record], data: st.DataObject) -> None:
    frames = [frame(each) for each in records]
    which = data.draw(st.integers(0, len(frames) - 2))
    at = data.draw(st.integers(0, len(frames[which]) - 1))
    spoiled = bytearray(frames[which])
    spoiled[at] ^= data.draw(st.integers(1, 255))
    found = scan(b"".join([*frames[:which], bytes(spoiled), *frames[which + 1 :]]))
    assert [each for _, each in found.records] == records[:which] + records[which + 1 :]
    assert found.damaged == len(frames[which])


@given(NUMBERS, NUMBERS, st.binary(max_size=40), st.binary(max_size=10))
def test_a_header_comes_out_as_it_went_in(base: int, seq: int, mark: bytes, rest: bytes) -> None:
    data = header(Start(base, seq, mark))
    assert read_header(data + rest) == (Start(base, seq, mark), len(data))


@pytest.mark.parametrize(
    "data", [b"", b"LKSPOOL2" + bytes(24), header(Start(1, 1))[:-1], header(Start(1, 1))[:-1] + b"x"]
)
def test_what_is_no_segment_is_refused(data: bytes) -> None:
    with pytest.raises(BadSegment):
        read_header(data)


def test_a_torn_cursor_leaves_the_one_before() -> None:
    assert read_cursor(cursor(5, 3) + cursor(9, 4)) == (9, 4)
    assert read_cursor(cursor(5, 3) + cursor(9, 4)[:-1] + b"\0") == (5, 3)
    assert read_cursor(cursor(5, 3) + cursor(9, 4)[:-3]) == (5, 3)
    assert read_cursor(b"") is None


def test_files_of_the_first_version_are_still_read() -> None:
    """Written by version 1; what lies in spools out there must be read by every later one."""
    frozen = bytes.fromhex(
        "4c4b53504f4f4c310000001165470364000000000000000700000000000000056d"
        "4c4b52a70000001ef598f9670000000000000007000000000000000601000300016f2d316d7b7d7d7d7d"
    )
    start, begins = read_header(frozen)
    assert start == Start(7, 5, b"m")
    assert scan(frozen, begins).records[0][1] == Record(7, 6, b"o-1", b"{}}}}", b"m")
