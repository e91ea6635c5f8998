"""The checks by id: what one is, how it is written, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec

from monitor.documents import KeyPath

if TYPE_CHECKING:
    from monitor.rules.lint.pack import Pack

#: Worst first. An error is a rule that does not run or can never fire; a warning one that is likely not what was meant
#: or does harm; an info what could be better.
SEVERITIES: Final = ("error", "warning", "info")

#: The kinds of documents, and the whole file.
DETECTION: Final = frozenset({"detection"})
CORRELATION: Final = frozenset({"correlation"})
FILTER: Final = frozenset({"filter"})
FILE: Final = frozenset({"file"})
RULES: Final = DETECTION | CORRELATION
#: Documents that have selections.
SELECTING: Final = DETECTION | FILTER
SIGMA: Final = RULES | FILTER
EVERY: Final = SIGMA | {"explanation"}


class Note(NamedTuple):
    """What a check says: ``at`` is the path of keys to it, unless ``place`` names line and column (from 1)."""

    message: str
    hint: str = ""
    at: KeyPath = ()
    place: tuple[int, int] | None = None


class Finding(msgspec.Struct, frozen=True, order=True):
    """What was found where. Lines and columns count from 1."""

    path: str
    line: int
    column: int
    id: str
    name: str
    severity: str
    message: str
    hint: str = ""


class Check(NamedTuple):
    """One check. ``why`` says why it matters; ``of`` are the kinds of documents that ``run`` is asked about."""

    id: str
    name: str
    severity: str
    summary: str
    why: str
    of: frozenset[str]
    run: Callable[[Any, Pack], Iterable[Note]]


_FOUND: Final[dict[str, Check]] = {}
_Function = TypeVar("_Function", bound=Callable[..., Iterable[Note]])


def check(
    check_id: str, severity: str, summary: str, of: frozenset[str] = SIGMA, name: str = "", why: str = ""
) -> Callable[[_Function], _Function]:
    """Register a check: a function of a document as written (or of a file) and the pack it is in, that yields notes.

    Its name is the function's with dashes, and why it matters the function's docstring, unless they are given.
    """
    if severity not in SEVERITIES or check_id in _FOUND:
        raise ValueError(f"{check_id}: no such severity, or the id is taken")

    def register(function: _Function) -> _Function:
        called = name or function.__name__.replace("_", "-")
        reason = " ".join((why or function.__doc__ or "").split())
        _FOUND[check_id] = Check(check_id, called, severity, summary, reason, of, function)
        return function

    return register


def registered() -> dict[str, Check]:
    """All checks that have been registered so far, by id, in the order of their ids."""
    return {check_id: _FOUND[check_id] for check_id in sorted(_FOUND)}
