"""A log as pieces of whole lines: a file or standard input, plain or gzip."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

#: About how many bytes a piece has.
PIECE: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"


def pieces_of(path: Path, troubles: list[str], size: int = PIECE) -> Iterator[bytes]:
    """The log in pieces of about ``size`` bytes, each of whole lines. ``-`` is standard input; gzip is told by its first bytes.

    When the log cannot be read (any further) it ends there, and why is added to ``troubles``.
    """
    rest: list[bytes] = []
    for block in _blocks(path, troubles, size):
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join((*rest, memoryview(block)[:end]))
            rest = []
        if end < len(block):
            rest.append(block[end:])
    if rest:
        yield b"".join(rest)


def _blocks(path: Path, troubles: list[str], size: int) -> Iterator[bytes]:
    try:
        with nullcontext(sys.stdin.buffer) if str(path) == "-" else path.open("rb") as raw:
            file = gzip.GzipFile(fileobj=raw) if _is_gzip(raw) else raw
            while block := file.read(size):
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        troubles.append(f"{path}: not a whole gzip file: {error}")
    except OSError as error:
        troubles.append(f"{path}: {error.strerror or error}")


def _is_gzip(file: Any) -> bool:
    return bool(file.peek(2)[:2] == _GZIP)
