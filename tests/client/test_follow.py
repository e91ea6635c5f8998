"""A log that grows, is rotated, emptied and filled again; a follower that is stopped at any line and begins anew from its mark."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from monitor.client.follow import Follower


def read(follower: Follower, is_last: bool = False) -> list[bytes]:
    return [each.raw.strip() for each in follower.lines(is_last)]


@pytest.mark.parametrize("seed", range(12))
def test_each_line_comes_once_through_rotations_and_restarts(tmp_path: Path, seed: int) -> None:
    rng, log, mark = random.Random(seed), tmp_path / "app.log", b""
    written, found, half, rotated = 0, [], b"", 0
    log.touch()
    follower = Follower(log)
    for _ in range(200):
        act = rng.random()
        if act < 0.5:
            line = b"line %d %s\n" % (written, b"x" * rng.randrange(40))
            cut = rng.randrange(len(line)) if rng.random() < 0.3 else len(line)
            with log.open("ab") as file:
                file.write(half + line[:cut])
            written, half = written + 1, line[cut:]
        elif act < 0.85:
            for each in follower.lines():
                found.append(each.raw)
                mark = each.mark
                if rng.random() < 0.2:
                    follower.close()
                    follower = Follower(log, mark)
                    assert not follower.missed
                    break
        elif not half and act < 0.95 and mark and log.stat().st_size:
            # Whoever was away for two rotations has missed a file, so it has read this one first.
            for each in follower.lines():
                found.append(each.raw)
                mark = each.mark
            rotated += 1
            with log.open("ab") as file:
                file.write(b"line %d last\n" % written)
            written += 1
            log.rename(tmp_path / f"app.log.{rotated}")
            log.touch()
            if rng.random() < 0.5:
                follower.close()
                follower = Follower(log, mark)
                assert not follower.missed
            for each in follower.lines():
                found.append(each.raw)
                mark = each.mark
    with log.open("ab") as file:
        file.write(half)
    found += [each.raw for each in follower.lines()]
    assert [int(raw.split()[1]) for raw in found] == list(range(written))


def test_a_file_that_was_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"one\ntwo\n")
    follower = Follower(log)
    assert read(follower) == [b"one", b"two"]
    log.write_bytes(b"three\n")
    assert read(follower) == [b"three"]
    log.write_bytes(b"another that is longer\n")
    assert read(follower) == [b"another that is longer"]


def test_a_file_of_the_same_inode_that_begins_otherwise_is_another(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"one\ntwo\n")
    (*_, last) = Follower(log).lines()
    log.write_bytes(b"other\nlines\nthan before\n")
    follower = Follower(log, last.mark)
    assert follower.missed
    assert read(follower) == [b"other", b"lines", b"than before"]


def test_a_line_without_an_end_waits_until_it_has_one_or_nothing_more_comes(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    follower = Follower(log)
    assert read(follower) == []
    log.write_bytes(b"one\ntw")
    assert read(follower) == [b"one"]
    assert read(follower, is_last=True) == [b"tw"]


def test_only_the_first_line_of_each_file_is_told_as_that(tmp_path: Path) -> None:
    log = tmp_path / "app.csv"
    log.write_bytes(b"a,b\n1,2\n")
    follower = Follower(log)
    assert [each.is_first for each in follower.lines()] == [True, False]
    log.rename(tmp_path / "app.csv.1")
    log.write_bytes(b"b,a\n3,4\n")
    (first, second) = follower.lines()
    assert (first.is_first, second.is_first) == (True, False)
    again = Follower(log, second.mark)
    assert again.is_within
    assert again.first_line() == b"b,a\n"
