"""The files of a backup: a manifest, and for each partition of each topic its records in a gzip file. No Kafka here.

A file is a row of records, each its length (4 bytes, big endian) and a MessagePack array of offset, time in milliseconds since the epoch, key,
value and headers. The manifest has the SHA-256 of each file as it lies on the disk, so ``sha256sum`` can check them too.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import msgspec

from monitor.evidence import Damaged

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_LENGTH_BYTES: Final = 4
#: The larger numbers gain 5 % and take thrice as long.
_LEVEL: Final = 1
_READ_BYTES: Final = 1 << 20


class Record(NamedTuple):
    """One record as it was in Kafka. ``time_ms`` is the one that Kafka has of it, whoever set it."""

    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Part(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A partition: from offset ``first`` up to and without ``past``; ``records`` are those that were still there."""

    topic: str
    partition: int
    first: int
    past: int
    records: int
    bytes: int
    sha256: str

    @property
    def file(self) -> str:
        """The name of its file."""
        return file_of(self.topic, self.partition)


class Manifest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``groups`` are the consumer groups: how far each had come, by topic and partition. ``partitions`` is the setting of that name."""

    format: int = FORMAT
    program: str
    made: str
    partitions: int
    parts: list[Part]
    groups: dict[str, dict[str, dict[int, int]]]


def file_of(topic: str, partition: int) -> str:
    """The name of a partition's file."""
    return f"{topic}.{partition}.gz"


def encode(manifest: Manifest) -> bytes:
    """The manifest as it is written."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def decode(raw: bytes) -> Manifest:
    """The manifest. Raises :class:`Damaged`."""
    try:
        found = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(f"{MANIFEST}: {error}") from None
    if found.format != FORMAT:
        raise Damaged(f"{MANIFEST}: has format {found.format}; this program reads format {FORMAT}")
    return found


def framed(record: Record) -> bytes:
    """A record as it is in a file."""
    raw = msgspec.msgpack.encode(tuple(record))
    return len(raw).to_bytes(_LENGTH_BYTES, "big") + raw


def unframed(file: IO[bytes], name: str) -> Iterator[Record]:
    """The records of a file that is not packed. Raises :class:`Damaged`, also where one stands before the one before it."""
    decoder = msgspec.msgpack.Decoder(Record)
    last = -1
    while head := file.read(_LENGTH_BYTES):
        size = int.from_bytes(head, "big")
        raw = file.read(size)
        if len(head) < _LENGTH_BYTES or len(raw) < size:
            raise Damaged(f"{name}: ends within a record, after offset {last}")
        try:
            record = decoder.decode(raw)
        except msgspec.MsgspecError as error:
            raise Damaged(f"{name}: after offset {last}: {error}") from None
        if record.offset <= last:
            raise Damaged(f"{name}: offset {record.offset} comes after {last}")
        last = record.offset
        yield record


def write_part(folder: Path, topic: str, partition: int, span: tuple[int, int], records: Iterable[Record]) -> Part:
    """Write a partition's file, for its owner alone, and force it to the disk. Raises ``OSError``."""
    path = folder / file_of(topic, partition)
    count = 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as raw:
        # Without name and time in it, the same records are the same bytes.
        with gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed:
            for record in records:
                packed.write(framed(record))
                count += 1
        raw.flush()
        os.fsync(raw.fileno())
    return Part(topic, partition, *span, count, path.stat().st_size, hash_of(path))


def read_part(folder: Path, part: Part) -> Iterator[Record]:
    """The records of a partition. Raises :class:`Damaged` and ``OSError``."""
    count, name = 0, part.file
    with gzip.open(folder / name, "rb") as file:
        try:
            for record in unframed(_whole(file), name):
                if not part.first <= record.offset < part.past:
                    raise Damaged(f"{name}: offset {record.offset} is not between {part.first} and {part.past}")
                count += 1
                yield record
        except (EOFError, gzip.BadGzipFile) as error:
            raise Damaged(f"{name}: {error}") from None
    if count != part.records:
        raise Damaged(f"{name}: has {count} records, not {part.records}")


def _whole(file: Any) -> IO[bytes]:
    made: IO[bytes] = file
    return made


def hash_of(path: Path) -> str:
    """The SHA-256 of a file. Raises ``OSError``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(folder: Path) -> tuple[Manifest, str]:
    """The manifest of a backup and its SHA-256, after all files have been found to be what it says.

    Raises :class:`Damaged`, and ``OSError`` where there is no backup.
    """
    raw = (folder / MANIFEST).read_bytes()
    manifest = decode(raw)
    wanted = {part.file for part in manifest.parts}
    there = {path.name for path in folder.iterdir()} - {MANIFEST}
    if there != wanted:
        named = ", ".join(sorted(there ^ wanted)[:5])
        raise Damaged(f"{folder}: files are missing, or are none of the backup's: {named}")
    for part in manifest.parts:
        if hash_of(folder / part.file) != part.sha256:
            raise Damaged(f"{part.file}: is not what was written (SHA-256)")
    return manifest, hashlib.sha256(raw).hexdigest()
