"""Reads a log as it grows, through rotation and truncation, from where it had come to.

Where it has come to is a mark: the file (its inode, and a hash of how it begins, as inodes are used again) and the offset after a line. The
mark of a line lies in the spool's record of it, so that either both are there or neither.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

#: So much of a file's beginning says which one it is.
_BEGINNING: Final = 1024
_MARK: Final = struct.Struct(">QQH16s")
#: The longest line; what is longer is taken in pieces, and refused by intake.
MAX_LINE: Final = 256 * 1024


class Line(NamedTuple):
    """A line, where it ends, and whether it is the first of its file."""

    raw: bytes
    mark: bytes
    is_first: bool


class Place(NamedTuple):
    """What a mark says: the inode, the offset, and how the file begins (so many bytes, and their hash)."""

    inode: int
    offset: int
    length: int
    beginning: bytes


def mark_of(place: Place) -> bytes:
    """The mark of a place."""
    return _MARK.pack(*place)


def place_of(mark: bytes) -> Place | None:
    """The place of a mark; ``None`` when it is none."""
    return Place(*_MARK.unpack(mark)) if len(mark) == _MARK.size else None


class Follower:
    """One log file, by its path. ``missed`` says that the file it had been reading is nowhere any more: lines of it may be missing."""

    def __init__(self, path: Path, mark: bytes = b"") -> None:
        """Raises ``OSError`` when the file cannot be read; one that is not there yet is waited for."""
        self.path, self.missed = path, False
        self._file: BinaryIO | None = None
        self._offset = 0
        self._known = (0, b"")
        self._inode = 0
        place = place_of(mark)
        if place is not None:
            found = self._find(place)
            self.missed = found is None
            if found is not None:
                self._open(found, place.offset)

    def _find(self, place: Place) -> Path | None:
        """The file of a place, which may have been given another name in its folder."""
        for path in [self.path, *sorted(self.path.parent.glob(f"{self.path.name}*"))]:
            try:
                if path.stat().st_ino == place.inode and path.stat().st_size >= place.offset:
                    with path.open("rb") as file:
                        if _hash(file.read(place.length)) == place.beginning:
                            return path
            except OSError:
                continue
        return None

    def _open(self, path: Path, offset: int = 0) -> None:
        self.close()
        self._file = path.open("rb")
        self._inode = os.fstat(self._file.fileno()).st_ino
        self._offset, self._known = offset, (0, b"")

    def first_line(self) -> bytes:
        """The first line of the file that is being read: the header of a CSV file."""
        assert self._file is not None
        self._file.seek(0)
        return self._file.readline(MAX_LINE)

    @property
    def is_within(self) -> bool:
        """Whether it goes on within a file, rather than at the beginning of one."""
        return self._file is not None and self._offset > 0

    def lines(self, is_last: bool = False) -> Iterator[Line]:
        """The lines that have come. With ``is_last`` also one without an end: nothing more is written."""
        while True:
            if self._file is None:
                try:
                    self._open(self.path)
                except FileNotFoundError:
                    return
            is_over = self._is_over()
            # What is in the file now is all of it if another has taken its place.
            yield from self._whole_lines(is_over or is_last)
            if not is_over:
                return
            self.close()

    def _is_over(self) -> bool:
        """Whether the file has been rotated away, or was emptied to be filled again."""
        assert self._file is not None
        here = os.fstat(self._file.fileno())
        if here.st_size < self._offset or not self._begins_as_before():
            self._offset, self._known = 0, (0, b"")
        try:
            return self.path.stat().st_ino != here.st_ino
        except FileNotFoundError:
            return False

    def _begins_as_before(self) -> bool:
        assert self._file is not None
        length, beginning = self._known
        self._file.seek(0)
        return _hash(self._file.read(length)) == beginning if length else True

    def _whole_lines(self, is_last: bool) -> Iterator[Line]:
        assert self._file is not None
        while True:
            self._file.seek(self._offset)
            line = self._file.readline(MAX_LINE)
            if not line or not (line.endswith(b"\n") or len(line) == MAX_LINE or is_last):
                return
            is_first = self._offset == 0
            self._offset += len(line)
            yield Line(line, self._mark(), is_first)

    def _mark(self) -> bytes:
        assert self._file is not None
        length, beginning = self._known
        if length < min(_BEGINNING, self._offset):
            self._file.seek(0)
            data = self._file.read(min(_BEGINNING, self._offset))
            length, beginning = self._known = len(data), _hash(data)
        return mark_of(Place(self._inode, self._offset, length, beginning))

    def close(self) -> None:
        """Read no further."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:16]
