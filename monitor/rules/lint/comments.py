"""Comments that switch checks off: ``# lint: disable=LM123`` for a line, or for a document when it stands at its top."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_COMMENT: Final = re.compile(r"(?:^|\s)#\s*lint:\s*disable=([\w, -]*)")
_SEPARATOR: Final = re.compile(r"---(?:\s|$)")


class Disabled(NamedTuple):
    """A check switched off from one line to another (from 1, both included), and where that is written."""

    check: str
    first: int
    last: int
    line: int
    column: int


def disabled_in(text: str) -> list[Disabled]:
    """What the comments of a file switch off; the names are not looked at."""
    return [found for first, lines in _documents(text) for found in _of_document(first, lines)]


def _documents(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines of each document with the number of its first. What stands before the first ``---`` may be only comments:
    these belong to the document after it."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _SEPARATOR.match(line)]
    if starts and all(_is_head(line) for line in lines[: starts[0]]):
        del starts[0]
    for first, past in zip([0, *starts], [*starts, len(lines)], strict=True):
        yield first + 1, lines[first:past]


def _is_head(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith(("#", "%")) or _SEPARATOR.match(line) is not None


def _of_document(first: int, lines: list[str]) -> Iterator[Disabled]:
    at_top = True
    for number, line in enumerate(lines, first):
        at_top = at_top and _is_head(line)
        comment = _COMMENT.search(line)
        if comment is None:
            continue
        start, last = (first, first + len(lines) - 1) if at_top else (number, number)
        for name in re.finditer(r"[\w-]+", comment[1]):
            yield Disabled(name[0], start, last, number, comment.start(1) + name.start() + 1)
