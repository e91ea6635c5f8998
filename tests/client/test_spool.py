"""The spool against a model of it, with real files: whatever happens and wherever a write is torn, nothing is lost or reordered."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from monitor.client.records import Record, frame
from monitor.client.spool import Spool, SpoolError, SpoolFull, SpoolLocked, state_of

KEYS = st.none() | st.binary(max_size=4)
VALUES = st.binary(max_size=3000)


class SpoolMachine(RuleBasedStateMachine):
    """``kept`` is all that was ever appended; Kafka has the first ``acked`` of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.kept: list[tuple[bytes | None, bytes, bytes]] = []
        self.acked = self.read = self.seq = 0
        self.open()

    def open(self) -> None:
        # Files of 64 KiB, the least there are: so they change often.
        self.spool = Spool(self.folder / "s", limit=400_000, fsync_ms=1000, segment=1)
        self.read = self.acked

    @rule(key=KEYS, value=VALUES, times=st.integers(1, 12), mark=st.binary(max_size=5))
    def append(self, key: bytes | None, value: bytes, times: int, mark: bytes) -> None:
        for _ in range(times):
            try:
                number = self.spool.append(key, value, mark)
            except SpoolFull:
                assert self.spool.size > 300_000
                return
            assert number == len(self.kept)
            self.kept.append((key, value, mark))

    @rule()
    def append_numbered(self) -> None:
        try:
            self.spool.append(b"k", lambda number: str(number).encode(), b"n")
        except SpoolFull:
            return
        self.seq += 1
        self.kept.append((b"k", str(self.seq).encode(), b"n"))

    @rule(count=st.integers(1, 30))
    def take(self, count: int) -> None:
        found = self.spool.peek(count, 20_000)
        expected = self.kept[self.read : self.read + len(found)]
        assert [(each.key, each.value, each.mark) for each in found] == expected
        assert bool(found) == (self.read < len(self.kept))
        self.read += len(found)

    @rule(back=st.integers(0, 5))
    def acknowledge(self, back: int) -> None:
        self.acked = max(self.acked, self.read - back)
        self.spool.acknowledge(self.acked)

    @rule()
    def close(self) -> None:
        self.spool.close()
        if self.acked == len(self.kept):
            assert state_of(self.folder / "s")[0].bytes < 200, "what Kafka has is not left on the disk"
        self.open()

    @rule(
        torn=st.binary(max_size=40) | st.builds(lambda n: frame(Record(n, n, b"k", b"v" * 50))[:-1], st.integers(0, 99))
    )
    def crash(self, torn: bytes) -> None:
        """The process is gone in the middle of a write: another takes over files as they are."""
        copy = Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copytree(self.folder / "s", copy / "s")
        self.spool.close()
        shutil.rmtree(self.folder / "s")
        (copy / "s").rename(self.folder / "s")
        newest = max((self.folder / "s").glob("*.seg"))
        with newest.open("ab") as file:
            file.write(torn)
        self.open()
        assert self.spool.torn == len(torn)

    @invariant()
    def counts_agree(self) -> None:
        assert self.spool.waiting == len(self.kept) - self.acked
        assert self.spool.seq == self.seq
        assert self.spool.mark == (self.kept[-1][2] if self.kept else b"")
        state, _ = state_of(self.folder / "s")
        assert (state.waiting, state.bytes, state.seq) == (self.spool.waiting, self.spool.size, self.seq)

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)


TestSpool = SpoolMachine.TestCase
TestSpool.settings = settings(max_examples=10, stateful_step_count=30, deadline=None)


def filled(folder: Path, count: int = 300) -> None:
    spool = Spool(folder, fsync_ms=1000, limit=256 * 1024)
    for number in range(count):
        spool.append(b"k", f"{number:0500}".encode())
    spool.close()


def everything(spool: Spool) -> list[int]:
    found: list[int] = []
    while records := spool.peek(50, 10**6):
        found += [int(each.value) for each in records]
    return found


def test_what_lies_after_a_damaged_place_is_sent(tmp_path: Path) -> None:
    filled(tmp_path)
    first, *_ = sorted(tmp_path.glob("*.seg"))
    data = bytearray(first.read_bytes())
    data[20_000] ^= 1
    first.write_bytes(data)
    spool = Spool(tmp_path)
    found = everything(spool)
    assert spool.damaged > 500
    assert len(found) == 299
    assert found == sorted(found)
    assert found[-1] == 299
    spool.close()


def test_a_file_that_is_no_segment_is_named_and_nothing_touched(tmp_path: Path) -> None:
    filled(tmp_path)
    first, *rest = sorted(tmp_path.glob("*.seg"))
    first.write_bytes(b"x" * 100)
    with pytest.raises(SpoolError, match=first.name):
        Spool(tmp_path)
    assert sorted(tmp_path.glob("*.seg")) == [first, *rest]
    first.unlink()
    spool = Spool(tmp_path)  # and the folder was given free
    assert everything(spool)[-1] == 299
    spool.close()


def test_a_second_one_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    import os

    spool = Spool(tmp_path)
    with pytest.raises(SpoolLocked, match=f"process {os.getpid()} .*folder of its own"):
        Spool(tmp_path)
    assert state_of(tmp_path)[1] == os.getpid()
    spool.close()
    assert state_of(tmp_path)[1] is None
    Spool(tmp_path).close()


def test_who_waits_for_room_goes_on_when_there_is_some(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit=200_000, when_full="block", fsync_ms=1000)
    done = threading.Event()

    def report() -> None:
        for _ in range(300):
            spool.append(b"k", bytes(1000))
        done.set()

    threading.Thread(target=report, daemon=True).start()
    taken = 0
    while not done.wait(0.01):
        assert spool.size <= 200_000
        if records := spool.peek(20, 10**6):
            spool.acknowledge(records[-1].number + 1)
            taken += len(records)
    assert taken >= 100
    spool.close()


def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    spool = Spool(tmp_path, fsync_ms=1000)
    spool.append(b"k", b"1")
    real = os.write

    def full(file: int, data: bytes) -> int:
        real(file, data[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(SpoolFull, match="No space"):
            spool.append(b"k", b"2")
    spool.append(b"k", b"3")
    assert everything(spool) == [1, 3]
    spool.close()


def test_one_force_to_the_disk_does_for_all_that_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    forced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: forced.append(file) or real(file))
    spool = Spool(tmp_path)
    before = len(forced)
    threads = [threading.Thread(target=lambda: [spool.append(b"k", b"1") for _ in range(5)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(forced) - before <= 40
    assert len(everything(spool)) == 40
    count = len(forced)
    spool.append(b"k", b"1")
    assert len(forced) == count + 1
    spool.close()
