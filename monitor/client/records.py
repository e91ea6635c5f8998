"""What the spool's files hold, byte by byte. Nothing here reads a file or a clock.

A segment is a header and then records, each in a frame: a mark, the length and a CRC-32 of what follows. A record carries its own
number, so that what comes after a damaged place is still known for what it is. All numbers are big-endian.

    segment:  "LKSPOOL1" | length | CRC | base, seq, mark
    frame:    "LKR\\xa7"  | length | CRC | number, seq, has key, length of key, length of mark, key, mark, value
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

#: A spool of a later form says so here; an earlier program refuses it.
SEGMENT_MAGIC: Final = b"LKSPOOL1"
FRAME_MAGIC: Final = b"LKR\xa7"
#: The longest value that is spooled. Kafka's own limit of a message is 1 MiB; the monitor's is 64 KiB, beyond it goes to the DLQ.
MAX_VALUE_BYTES: Final = 512 * 1024
_MAX_BODY: Final = MAX_VALUE_BYTES + 256 * 1024
_FRAME: Final = struct.Struct(">4sII")
_HEADER: Final = struct.Struct(">8sII")
_BODY: Final = struct.Struct(">QQBHH")
#: The longest record with its frame.
MAX_FRAME_BYTES: Final = _MAX_BODY + _FRAME.size
_BASE: Final = struct.Struct(">QQ")
_CURSOR: Final = struct.Struct(">QQI")


class BadSegment(Exception):
    """A file that is no segment of this version."""


class Record(NamedTuple):
    """One message on its way: ``number`` in the spool, the last number that lookups were given by then (``seq``), Kafka's key and
    value, and where the message was read from (``mark``, whatever whoever spooled it wants to know after a restart)."""

    number: int
    seq: int
    key: bytes | None
    value: bytes
    mark: bytes = b""


class Start(NamedTuple):
    """What the header of a segment says: the number of its first record, and what held before it."""

    base: int
    seq: int
    mark: bytes = b""


class Scan(NamedTuple):
    """What a stretch of a segment holds. ``end`` is where the last whole record ends, ``damaged`` how many bytes between whole records are none."""

    records: list[tuple[int, Record]]
    end: int
    damaged: int


def frame(record: Record) -> bytes:
    """The record as it is appended to a segment."""
    key = record.key or b""
    has_key = record.key is not None
    body = _BODY.pack(record.number, record.seq, has_key, len(key), len(record.mark)) + key + record.mark + record.value
    return _FRAME.pack(FRAME_MAGIC, len(body), zlib.crc32(body)) + body


def header(start: Start) -> bytes:
    """The beginning of a segment."""
    body = _BASE.pack(start.base, start.seq) + start.mark
    return _HEADER.pack(SEGMENT_MAGIC, len(body), zlib.crc32(body)) + body


def read_header(data: bytes) -> tuple[Start, int]:
    """What a segment's header says, and where its first record begins. Raises :class:`BadSegment`."""
    if len(data) < _HEADER.size:
        raise BadSegment("it is shorter than a header")
    magic, length, crc = _HEADER.unpack_from(data)
    if magic != SEGMENT_MAGIC:
        raise BadSegment(f"it does not begin with {SEGMENT_MAGIC.decode()}")
    body = data[_HEADER.size : _HEADER.size + length]
    if len(body) != length or length < _BASE.size or zlib.crc32(body) != crc:
        raise BadSegment("its header is damaged")
    base, seq = _BASE.unpack_from(body)
    return Start(base, seq, body[_BASE.size :]), _HEADER.size + length


def scan(data: bytes, at: int = 0) -> Scan:
    """The whole records in ``data`` from ``at`` on, each with where it ends.

    What is no whole record is passed over if there is one after it; if there is none, it is the torn end of a write.
    """
    found: list[tuple[int, Record]] = []
    end, damaged = at, 0
    while True:
        whole = _whole(data, at)
        if whole is not None:
            damaged += at - end
            found.append(whole)
            at = end = whole[0]
            continue
        at = data.find(FRAME_MAGIC, at + 1)
        if at < 0:
            return Scan(found, end, damaged)


def _whole(data: bytes, at: int) -> tuple[int, Record] | None:
    """The record whose frame begins at ``at``, with where it ends; ``None`` when there is no whole one."""
    if len(data) - at < _FRAME.size:
        return None
    magic, length, crc = _FRAME.unpack_from(data, at)
    start, end = at + _FRAME.size, at + _FRAME.size + length
    if magic != FRAME_MAGIC or not _BODY.size <= length <= _MAX_BODY or end > len(data):
        return None
    body = data[start:end]
    if zlib.crc32(body) != crc:
        return None
    number, seq, has_key, of_key, of_mark = _BODY.unpack_from(body)
    key_end = _BODY.size + of_key
    mark_end = key_end + of_mark
    if mark_end > length:
        return None
    key = body[_BODY.size : key_end] if has_key else None
    return end, Record(number, seq, key, body[mark_end:], body[key_end:mark_end])


def cursor(number: int, seq: int) -> bytes:
    """How far Kafka has acknowledged: the number of the first record that it has not, and the last number lookups were given."""
    packed = struct.pack(">QQ", number, seq)
    return packed + struct.pack(">I", zlib.crc32(packed))


def read_cursor(data: bytes) -> tuple[int, int] | None:
    """What the newest whole of the cursor's copies says, ``None`` when there is none."""
    found = []
    for at in range(0, len(data) - _CURSOR.size + 1, _CURSOR.size):
        number, seq, crc = _CURSOR.unpack_from(data, at)
        if zlib.crc32(data[at : at + _CURSOR.size - 4]) == crc:
            found.append((number, seq))
    return max(found, default=None)


CURSOR_BYTES: Final = _CURSOR.size
