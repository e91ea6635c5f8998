"""The spool: a folder in which messages wait until Kafka has acknowledged them.

Files: ``<base>.seg`` (records, see :mod:`monitor.client.records`), ``cursor`` (how far Kafka has acknowledged, two copies in turns) and
``lock``. One process has the folder at a time. What :meth:`Spool.append` has returned for is there after a kill of the process; after a
loss of power, what was forced to the disk is: each record, or all that is older than the interval that was chosen.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, NamedTuple

from monitor.client import records
from monitor.client.records import BadSegment, Record, Start

#: Makes a message of the number of its lookup.
Numbered = Callable[[int], bytes]
WhenFull = Literal["raise", "block"]
SEGMENT_BYTES: Final = 8 * 1024 * 1024
LIMIT_BYTES: Final = 1024**3
#: A segment that Kafka has all of is removed when it is larger than this, though nothing was appended after it.
_WORTH_ROLLING: Final = 256 * 1024
_LEAST_SEGMENT: Final = 64 * 1024
#: More than the longest record, so that there is a whole one in it.
_READ_BYTES: Final = 2 * records.MAX_FRAME_BYTES
_SUFFIX: Final = ".seg"


class SpoolError(Exception):
    """The spool cannot be used. The text is for people."""


class SpoolFull(SpoolError):
    """The limit is reached, or the disk is full: the message was not taken."""


class SpoolLocked(SpoolError):
    """Another process has the spool."""


class State(NamedTuple):
    """What is in a spool: how many records wait, bytes on disk, the last number lookups were given, and since when the oldest file is
    there (seconds since the epoch, ``None`` without a record)."""

    waiting: int
    bytes: int
    seq: int
    since: float | None


class _Segment:
    """One file: the number of its first record, how much of it is whole records, and where these begin."""

    def __init__(self, path: Path, start: Start, begins: int, size: int) -> None:
        self.path, self.start, self.begins, self.size = path, start, begins, size


class Spool:
    """The files. Every method may be called by any thread."""

    def __init__(
        self,
        folder: Path,
        limit: int = LIMIT_BYTES,
        when_full: WhenFull = "raise",
        fsync_ms: int = 0,
        segment: int = SEGMENT_BYTES,
    ) -> None:
        """Raises :class:`SpoolLocked`, :class:`SpoolError` and ``OSError``. ``fsync_ms`` 0 forces each record to the disk."""
        self.folder, self._limit = folder, limit
        # So that some of it is free again before Kafka has all.
        self._segment_bytes = min(segment, max(_LEAST_SEGMENT, limit // 4))
        self._when_full, self._fsync_ms = when_full, fsync_ms
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_file = _locked(folder)
        self._lock = threading.RLock()
        self._sync_lock = threading.Lock()
        #: Something was appended or acknowledged, or the spool was closed.
        self.changed = threading.Condition(self._lock)
        self._is_closed = False
        #: Bytes that were no record among those that are, and bytes of a torn end that were cut off, when it was opened.
        self.damaged = self.torn = 0
        self._old: list[_Segment] = []
        try:
            self._recover()
        except BaseException:
            os.close(self._lock_file)
            raise
        self._synced = self.end

    def _recover(self) -> None:
        try:
            saved = records.read_cursor((self.folder / "cursor").read_bytes())
        except FileNotFoundError:
            saved = None
        found = [self._look_at(path) for path in sorted(self.folder.glob(f"*{_SUFFIX}"))]
        self.acked, seq = saved or (found[0][0].start.base if found else 0, 0)
        self._cursor_file = os.open(self.folder / "cursor", os.O_RDWR | os.O_CREAT, 0o600)
        self._cursor_turn = 0
        if not found:
            self.end, self.seq, self.mark = self.acked, seq, b""
            self._file, self._active = self._new_segment()
        else:
            last, newest = found[-1]
            self._old = [each for each, _ in found[:-1]]
            self._active = last
            self._file = os.open(last.path, os.O_RDWR | os.O_APPEND)
            os.ftruncate(self._file, last.size)
            self.end = max(self.acked, newest.number + 1 if newest else last.start.base)
            self.seq = max(seq, newest.seq if newest else last.start.seq)
            self.mark = newest.mark if newest else last.start.mark
        #: Where the next record to be read lies: a segment, and the place in it.
        self._at = (self._segments()[0], self._segments()[0].begins)
        self._ahead: deque[Record] = deque()
        self._forget()

    def _look_at(self, path: Path) -> tuple[_Segment, Record | None]:
        data = path.read_bytes()
        try:
            start, begins = records.read_header(data)
        except BadSegment as error:
            raise SpoolError(f"{path}: {error}; put it aside, nothing in it can be sent") from None
        found = records.scan(data, begins)
        self.damaged += found.damaged
        self.torn += len(data) - found.end
        return _Segment(path, start, begins, found.end), found.records[-1][1] if found.records else None

    def _segments(self) -> list[_Segment]:
        return [*self._old, self._active]

    def _new_segment(self) -> tuple[int, _Segment]:
        start = Start(self.end, self.seq, self.mark)
        path = self.folder / f"{self.end:020d}{_SUFFIX}"
        head = records.header(start)
        draft = path.with_suffix(".new")
        file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            _write(file, head)
            os.fsync(file)
            draft.rename(path)
            _sync_folder(self.folder)
        except BaseException:
            os.close(file)
            raise
        return file, _Segment(path, start, len(head), len(head))

    @property
    def size(self) -> int:
        """What is on disk, in bytes."""
        return sum(each.size for each in self._segments())

    @property
    def waiting(self) -> int:
        """How many records Kafka has not acknowledged."""
        return self.end - self.acked

    def append(self, key: bytes | None, value: bytes | Numbered, mark: bytes | None = None) -> int:
        """Append one message; return its number when it is as safe as was chosen. Raises :class:`SpoolFull` and :class:`SpoolError`.

        A ``value`` that is called gets the number of its lookup, one more than the last was given. ``mark`` says where it came from, if
        that is to be kept.
        """
        with self._lock:
            number = self._append(key, value, mark)
        if not self._fsync_ms:
            self.sync(number + 1)
        return number

    def _append(self, key: bytes | None, value: bytes | Numbered, mark: bytes | None) -> int:
        self._make_room(len(value(self.seq + 1) if callable(value) else value) + len(key or b"") + 64)
        # Only now, as others may have been given numbers while there was no room.
        seq = self.seq + 1 if callable(value) else self.seq
        made = value(seq) if callable(value) else value
        record = Record(self.end, seq, key, made, self.mark if mark is None else mark)
        data = records.frame(record)
        if self._active.size > self._active.begins and self._active.size + len(data) > self._segment_bytes:
            self._roll()
        try:
            _write(self._file, data)
        except OSError as error:
            os.ftruncate(self._file, self._active.size)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise SpoolFull(f"{self.folder}: {error.strerror}") from None
            raise SpoolError(f"{self.folder}: {error.strerror}") from None
        self._active.size += len(data)
        self.end, self.seq, self.mark = record.number + 1, record.seq, record.mark
        self.changed.notify_all()
        return record.number

    def _make_room(self, more: int) -> None:
        while not self._is_closed and self.size + more > self._limit:
            if self.acked == self.end and self._active.size > self._active.begins:
                self._roll()
                self._forget()
                continue
            if self._when_full == "raise":
                raise SpoolFull(
                    f"{self.folder}: {self.waiting:,} messages wait for Kafka; the limit is {self._limit:,} bytes"
                )
            self.changed.wait(1.0)
        if self._is_closed:
            raise SpoolError(f"{self.folder}: the spool is closed")

    def _roll(self) -> None:
        os.fsync(self._file)
        file, made = self._new_segment()
        os.close(self._file)
        self._old.append(self._active)
        self._file, self._active = file, made

    def sync(self, upto: int | None = None) -> None:
        """Force to the disk what was appended (before the number ``upto``). One call does it for all that wait for one."""
        with self._sync_lock:
            if self._synced >= (self.end if upto is None else upto) or self._is_closed:
                return
            with self._lock:
                # A copy, as the segment may be changed for another meanwhile; what was in it before is forced then anyway.
                end, file = self.end, os.dup(self._file)
            try:
                os.fsync(file)
            except OSError as error:
                raise SpoolError(f"{self.folder}: {error.strerror}; what was reported may not be on the disk") from None
            finally:
                os.close(file)
            self._synced = end

    def peek(self, count: int, size: int) -> list[Record]:
        """The next records that :meth:`peek` has not given: at most ``count``, and ``size`` bytes of them, but one at least if there is one."""
        with self._lock:
            found: list[Record] = []
            total = 0
            while len(found) < count and (self._ahead or self._read()):
                each = self._ahead[0]
                total += len(each.value) + len(each.key or b"") + 128
                if found and total > size:
                    break
                found.append(self._ahead.popleft())
            return found

    def _read(self) -> bool:
        while True:
            segment, place = self._at
            if place < segment.size:
                data = _pread(segment.path, place, min(_READ_BYTES, segment.size - place))
                found = records.scan(data)
                if found.records:
                    self._at = (segment, place + found.end)
                    self._ahead += [each for _, each in found.records if each.number >= self.acked]
                    if self._ahead:
                        return True
                    continue
                # Nothing but damage in it. A record may begin near its end.
                rest = 0 if place + len(data) >= segment.size else records.MAX_FRAME_BYTES
                self._at = (segment, place + len(data) - rest)
                continue
            if segment is self._active:
                return False
            following = self._segments()[self._segments().index(segment) + 1]
            self._at = (following, following.begins)

    def acknowledge(self, number: int) -> None:
        """Kafka has every record before ``number``; segments that hold nothing else are removed."""
        with self._lock:
            if number <= self.acked or self._is_closed:
                return
            self.acked = number
            os.pwrite(self._cursor_file, records.cursor(number, self.seq), self._cursor_turn * records.CURSOR_BYTES)
            self._cursor_turn ^= 1
            if self.acked == self.end and self._active.size > _WORTH_ROLLING:
                self._roll()
            self._forget()
            self.changed.notify_all()

    def _forget(self) -> None:
        segments = self._segments()
        while len(segments) > 1 and segments[1].start.base <= self.acked:
            gone = segments.pop(0)
            if self._at[0] is gone:
                self._at = (segments[0], segments[0].begins)
            gone.path.unlink()
            self._old.remove(gone)

    def close(self) -> None:
        """Force what is there to the disk and give the folder free. What Kafka has all of is removed."""
        with self._lock:
            if self._is_closed:
                return
            if self.acked == self.end and self._active.size > self._active.begins:
                self._roll()
                self._forget()
            os.fsync(self._file)
            os.fsync(self._cursor_file)
            self._is_closed = True
            self.changed.notify_all()
            for file in (self._file, self._cursor_file, self._lock_file):
                os.close(file)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._is_closed


def state_of(folder: Path) -> tuple[State, int | None]:
    """What is in a spool now, and the id of the process that has it, if one does. It changes nothing. Raises :class:`SpoolError`."""
    if not folder.is_dir():
        raise SpoolError(f"{folder} is no folder")
    try:
        saved = records.read_cursor((folder / "cursor").read_bytes())
    except FileNotFoundError:
        saved = None
    acked, seq = saved or (0, 0)
    waiting, size, since = 0, 0, None
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            data, changed = path.read_bytes(), path.stat().st_mtime
            start, begins = records.read_header(data)
        except FileNotFoundError:
            continue  # Kafka has it meanwhile
        except BadSegment as error:
            raise SpoolError(f"{path}: {error}") from None
        found = records.scan(data, begins).records
        ours = sum(each.number >= acked for _, each in found)
        waiting, size = waiting + ours, size + len(data)
        seq = max([seq, start.seq, *(each.seq for _, each in found)])
        if ours and since is None:
            since = changed
    return State(waiting, size, seq, since), _owner(folder)


def _locked(folder: Path) -> int:
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(file, 32).decode(errors="replace").strip()
        os.close(file)
        raise SpoolLocked(
            f"{folder}: process {owner or '?'} has this spool; each process needs a folder of its own"
        ) from None
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return file


def _owner(folder: Path) -> int | None:
    try:
        file = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(file, 32).decode(errors="replace").strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(file)
    return None


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _pread(path: Path, place: int, size: int) -> bytes:
    with path.open("rb") as file:
        return os.pread(file.fileno(), size, place)


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
