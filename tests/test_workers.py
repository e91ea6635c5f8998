"""Several processes over a log: the order of one, nothing lost, and a process that breaks is said."""

from __future__ import annotations

import gzip
import io
import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.pieces import pieces_of
from monitor.workers import WorkFailed, in_order


def slowly_first(piece: bytes) -> bytes:
    """The work of process and piece: the first pieces take longest, so that they are ready last."""
    time.sleep(0.05 if int(piece) < 3 else 0.001)
    return b"%s by %d" % (piece, os.getpid())


def test_results_come_in_order_whoever_is_ready_first() -> None:
    results = [each.split(b" by ") for each in in_order(slowly_first, (b"%d" % n for n in range(40)), 3)]
    assert [int(number) for number, _ in results] == list(range(40))
    by = {process for _, process in results}
    assert len(by) == 3
    assert b"%d" % os.getpid() not in by


@pytest.mark.parametrize(("pieces", "jobs"), [(0, 4), (1, 4), (5, 1)])
def test_one_process_or_one_piece_is_done_here(pieces: int, jobs: int) -> None:
    results = list(in_order(slowly_first, (b"%d" % n for n in range(pieces)), jobs))
    assert [each.split(b" by ")[1] for each in results] == [b"%d" % os.getpid()] * pieces


def test_no_process_runs_far_ahead() -> None:
    given_out = []

    def pieces() -> object:
        for number in range(1000):
            given_out.append(number)
            yield b"%d" % number

    def work(piece: bytes) -> bytes:
        time.sleep(0.5 if piece == b"0" else 0)
        return piece

    results = in_order(work, pieces(), 2)  # type: ignore[arg-type]
    next(results)
    assert len(given_out) < 20
    assert len(list(results)) == 999


def breaks(piece: bytes) -> bytes:
    if piece == b"7":
        raise ValueError("seven")
    return piece


def ends(piece: bytes) -> bytes:
    if piece == b"7":
        os._exit(3)
    return piece


def test_a_process_that_breaks_is_said() -> None:
    with pytest.raises(WorkFailed, match="ValueError: seven"):
        list(in_order(breaks, (b"%d" % n for n in range(40)), 2))
    with pytest.raises(WorkFailed, match="ended before"):
        list(in_order(ends, (b"%d" % n for n in range(40)), 2))


LOG = st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line and line[:2] != b"\x1f\x8b"), max_size=12)


@given(LOG, st.booleans(), st.booleans(), st.integers(1, 30))
def test_pieces_are_whole_lines_and_all_of_them(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ended: bool, packed: bool, size: int
) -> None:
    log = b"\n".join(lines) + (b"\n" if ended else b"")
    path = tmp_path_factory.getbasetemp() / "log"
    path.write_bytes(gzip.compress(log) if packed else log)
    troubles: list[str] = []
    pieces = list(pieces_of(path, troubles, size))
    assert b"".join(pieces) == log
    assert all(piece.endswith(b"\n") for piece in pieces[:-1])
    assert troubles == []


def test_several_gzip_files_one_after_the_other_are_one_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(gzip.compress(b"1\n") + gzip.compress(b"2\n"))
    assert b"".join(pieces_of(tmp_path / "log", [])) == b"1\n2\n"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(gzip.compress(b"1\n2")))))
    assert b"".join(pieces_of(Path("-"), [])) == b"1\n2"


def test_what_cannot_be_read_is_said_after_what_can(tmp_path: Path) -> None:
    troubles: list[str] = []
    assert list(pieces_of(tmp_path / "none", troubles)) == []
    assert troubles == [f"{tmp_path}/none: No such file or directory"]
    troubles.clear()
    assert list(pieces_of(tmp_path, troubles)) == []
    assert "directory" in troubles[0]
    whole = gzip.compress(b"".join(b"%d\n" % n for n in range(100_000)))
    wrong_sum = whole[:-8] + bytes(4) + whole[-4:]
    for damaged in (whole[: len(whole) // 2], whole[:-2000] + bytes(1000) + whole[-1000:], wrong_sum):
        troubles.clear()
        (tmp_path / "log").write_bytes(damaged)
        assert b"".join(pieces_of(tmp_path / "log", troubles, 1000)).startswith(b"0\n1\n2\n")
        assert troubles[0].startswith(f"{tmp_path}/log: not a whole gzip file")
