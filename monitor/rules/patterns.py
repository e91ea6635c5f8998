"""Patterns of texts: wildcards, many alternatives at once, regular expressions.

Nothing here takes longer than in proportion to the text's length: wildcards are found from left to right, expressions run
on RE2, and many alternatives of one shape are looked for together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import ahocorasick
import re2

from monitor.rules import tree

Pattern = Callable[[str], bool]
#: From so many needles on an Aho-Corasick automaton is faster than asking for one after the other.
FEW: Final = 6


class CannotCompile(Exception):
    """A detection uses something this engine does not know."""


def fold(text: str) -> str:
    """A text without case. Each character is taken by itself: both forms of a small sigma are one, İ is an i."""
    if text.isascii():
        return text.lower()
    return text.replace("İ", "i").lower().replace("ς", "σ")


def compile_regex(pattern: str) -> Any:
    """The expression of RE2. Raises :class:`CannotCompile` when RE2 does not know it."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True  # only whether it matches is asked; to tell where the groups are takes far longer
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise CannotCompile(f"not an expression that RE2 knows: {reason}") from None


def search_test(pattern: str) -> Pattern:
    """Whether an expression is found anywhere in a text. Raises :class:`CannotCompile`."""
    search = compile_regex(pattern).search
    return lambda text: search(text.encode(errors="replace")) is not None


def pattern_test(parts: Sequence[str | int], cased: bool) -> Pattern:
    """The test of a text for texts, stars and single characters; unless ``cased`` the text is folded already."""
    match joined := _joined(parts, cased):
        case []:
            return lambda text: text == ""
        case [str(plain)]:
            return lambda text: text == plain
        case [tree.STAR]:
            return lambda text: True
        case [tree.STAR, str(plain), tree.STAR]:
            return lambda text: plain in text
        case [str(plain), tree.STAR]:
            return lambda text: text.startswith(plain)
        case [tree.STAR, str(plain)]:
            return lambda text: text.endswith(plain)
    return _stars(joined) if tree.ONE not in joined else _with_ones(joined)


def any_pattern(patterns: Iterable[Sequence[str | int]], cased: bool) -> Pattern:
    """The test of a text for any of many patterns; those of the common shapes are looked for together.

    One with single characters in it that is too large for RE2 is left out.
    """
    plain: set[str] = set()
    inside: set[str] = set()
    starts: set[str] = set()
    ends: set[str] = set()
    others: list[Pattern] = []
    for parts in patterns:
        match joined := _joined(parts, cased):
            case []:
                plain.add("")
            case [str(text)]:
                plain.add(text)
            case [tree.STAR, str(text), tree.STAR]:
                inside.add(text)
            case [str(text), tree.STAR]:
                starts.add(text)
            case [tree.STAR, str(text)]:
                ends.add(text)
            case _:
                with suppress(CannotCompile):
                    others.append(pattern_test(joined, True))
    if inside:
        others.append(any_inside(inside))
    first, last = tuple(sorted(starts)), tuple(sorted(ends))

    def match(text: str) -> bool:
        if text in plain or text.startswith(first) or text.endswith(last):
            return True
        return any(pattern(text) for pattern in others)

    return match


def any_inside(needles: Iterable[str]) -> Pattern:
    """Whether any of the needles, none of which is empty, is in a text: one reading of it, however many there are.

    A. V. Aho, M. J. Corasick, "Efficient string matching: an aid to bibliographic search", CACM 18 (1975).
    """
    known = sorted(set(needles))
    if len(known) < FEW:
        return lambda text: any(needle in text for needle in known)
    automaton = ahocorasick.Automaton()
    for needle in known:
        automaton.add_word(needle, True)
    automaton.make_automaton()
    return lambda text: any(True for _ in automaton.iter(text))


def _joined(parts: Sequence[str | int], cased: bool) -> list[str | int]:
    """Neighbouring texts as one, neighbouring stars as one; texts without case unless ``cased``."""
    made: list[str | int] = []
    for part in parts:
        last = made[-1] if made else None
        if isinstance(part, str):
            part = part if cased else fold(part)
        if isinstance(part, str) and isinstance(last, str):
            made[-1] = last + part
        elif part != "" and not (part == tree.STAR and last == tree.STAR):
            made.append(part)
    return made


def _stars(parts: Sequence[str | int]) -> Pattern:
    """Texts between stars: each is taken at the first place it is found, so the text is read once."""
    texts = [str(part) for part in parts if part != tree.STAR]
    first = texts.pop(0) if parts[0] != tree.STAR else ""
    last = texts.pop() if parts[-1] != tree.STAR else ""

    def match(text: str) -> bool:
        if not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for middle in texts:
            at = text.find(middle, at, end)
            if at < 0:
                return False
            at += len(middle)
        return at <= end

    return match


def _with_ones(parts: Sequence[str | int]) -> Pattern:
    escaped = (".*" if part == tree.STAR else "." if part == tree.ONE else re2.escape(str(part)) for part in parts)
    fullmatch = compile_regex(f"(?s){''.join(escaped)}").fullmatch
    return lambda text: fullmatch(text.encode(errors="replace")) is not None
