"""What is known of a leak, and what is said of an actor."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

#: So many subjects can be traced at once; the chance of each number of hits is exact up to here.
MAX_LEAKS: Final = 10_000


class BadLeaks(Exception):
    """A list of leaked subjects that cannot be used. The text says where and why, and names nobody."""


class Leak(msgspec.Struct, frozen=True):
    """``subject`` had leaked by ``by`` (it turned up in a chat that was seized then, a raid failed then)."""

    subject: str
    by: datetime


class Look(msgspec.Struct, frozen=True):
    """One lookup of a leaked subject before its date. ``kind`` is what bears it out: ``record``, ``plausible``, ``none`` or None."""

    actor: str
    subject: str
    time: datetime
    kind: str | None
    explained_by: str | None
    system: str
    id: str


class Base(msgspec.Struct, frozen=True):
    """What chance makes of it: how many (actor, subject) pairs there are of lookups that count, by the subject's area.

    ``pairs`` are those of all actors, ``mine`` of one actor each, in the time that is looked at. ``actors`` is how many actors there
    are: so many are suspected before anything is known.
    """

    actors: int
    pairs: dict[str | None, int]
    mine: dict[str, dict[str | None, int]]


class Suspect(msgspec.Struct, frozen=True):
    """An actor who looked at leaked subjects before their dates.

    ``hits`` are the subjects at which no record explains it, ``explained`` those at which one does (they do not count). ``evidence`` is
    the natural logarithm of how much likelier what is seen is if this actor leaked than if they did not. ``chance`` is the probability
    that somebody with as much work would have as many hits, ``corrected`` the same for the best of all actors (Holm).
    """

    actor: str
    hits: list[str]
    explained: list[str]
    evidence: float
    expected: float
    chance: float
    corrected: float


class Couple(msgspec.Struct, frozen=True):
    """Two actors who together cover more than either: what each has alone, and the evidence as in :class:`Suspect`."""

    actors: tuple[str, str]
    hits: list[str]
    alone: tuple[int, int]
    evidence: float


def read_leaks(lines: Iterable[str]) -> list[Leak]:
    """The leaks of a CSV file with the columns ``subject`` and ``date`` (or ``by``), in the order of the file.

    A date alone means its end (UTC). A subject that is there twice counts by its earliest date. Raises :class:`BadLeaks`.
    """
    rows = csv.DictReader(lines)
    names = {name.strip().lower(): name for name in rows.fieldnames or []}
    subject, by = names.get("subject"), names.get("date", names.get("by"))
    if subject is None or by is None:
        raise BadLeaks("line 1: the columns must be called `subject` and `date`")
    found: dict[str, datetime] = {}
    for row in rows:
        name = (row[subject] or "").strip()
        if not name:
            raise BadLeaks(f"line {rows.line_num}: no subject")
        try:
            at = end_of((row[by] or "").strip())
        except ValueError:
            raise BadLeaks(f"line {rows.line_num}: the date must be 2026-01-31 or 2026-01-31T13:00:00+01:00") from None
        found[name] = min(at, found.get(name, at))
    if not found:
        raise BadLeaks("no subject in it")
    if len(found) > MAX_LEAKS:
        raise BadLeaks(f"{len(found)} subjects; at most {MAX_LEAKS} can be traced at once")
    return [Leak(name, at) for name, at in found.items()]


def end_of(text: str) -> datetime:
    """A time (without an offset UTC), or the end of a date. Raises ``ValueError``."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at + timedelta(days=1) if len(text) == len("2026-01-31") else at
