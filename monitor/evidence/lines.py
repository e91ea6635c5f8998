"""The files of an export: one record of Kafka a line, its bytes as they were.

Bytes that are UTF-8 are written as text, so that they can be read; others in Base64, under a name that ends so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from monitor.evidence import Damaged

T = TypeVar("T", bound=msgspec.Struct)


class Bytes(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Bytes, or none at all when neither is there."""

    text: str | None = None
    base64: str | None = None

    @classmethod
    def of(cls, raw: bytes | None) -> Bytes:
        """These bytes."""
        if raw is None:
            return cls()
        try:
            return cls(text=raw.decode())
        except UnicodeDecodeError:
            return cls(base64=base64.b64encode(raw).decode())

    def raw(self) -> bytes | None:
        """The bytes. Raises ``ValueError`` when they are no Base64."""
        if self.base64 is not None:
            return base64.b64decode(self.base64, validate=True)
        return None if self.text is None else self.text.encode()


class Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A record: where it was, when Kafka was given it (milliseconds since the epoch), its key, value and headers."""

    partition: int
    offset: int
    timestamp: int
    key: Bytes = msgspec.field(default_factory=Bytes)
    value: Bytes = msgspec.field(default_factory=Bytes)
    headers: list[tuple[str, Bytes]] = []


class Mark(msgspec.Struct, forbid_unknown_fields=True):
    """What a file is known by."""

    sha256: str
    bytes: int
    lines: int


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Line).decode


def write_lines(path: Path, lines: Iterable[Line]) -> Mark:
    """Write a new file and say what it is known by. Raises ``OSError``, also when the file is there already."""
    mark, digest = Mark("", 0, 0), hashlib.sha256()
    with path.open("xb") as file:
        for line in lines:
            raw = _encode(line) + b"\n"
            file.write(raw)
            digest.update(raw)
            mark.bytes += len(raw)
            mark.lines += 1
    mark.sha256 = digest.hexdigest()
    return mark


def write_text(path: Path, text: str) -> Mark:
    """As :func:`write_lines`, for a text."""
    raw = text.encode(errors="replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(raw)
    return Mark(hashlib.sha256(raw).hexdigest(), len(raw), raw.count(b"\n"))


def mark_of(path: Path) -> Mark:
    """What a file is known by. Raises ``OSError``."""
    mark, digest = Mark("", 0, 0), hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            mark.bytes += len(block)
            mark.lines += block.count(b"\n")
    mark.sha256 = digest.hexdigest()
    return mark


def read_lines(path: Path) -> Iterator[Line]:
    """The records of a file. Raises :class:`Damaged` and ``OSError``."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                line = _decode(raw)
                for each in (line.key, line.value, *(value for _, value in line.headers)):
                    each.raw()
            except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
                raise Damaged(f"{path.name}:{number}: {error}") from None
            yield line
