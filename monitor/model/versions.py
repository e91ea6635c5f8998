"""Earlier versions of a peer group's model: one for every day of event time, to compare with and to return to.

A version is what the model had learned at the beginning of a day (UTC, by the one order of all lookups, :mod:`monitor.order`), so that the
live service, a backtest and a replay have the same ones. Of the last week every day is kept, before that every Monday for eight weeks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from monitor.model import learned
from monitor.model.scorer import PeerModel

VERSIONS_VERSION: Final = 1
DAY_MS: Final = 24 * 3600 * 1000
#: Of so many days back every day can be asked for, and of so many weeks back every Monday.
DAYS: Final = 7
WEEKS: Final = 8
#: The first day of all: 1970-01-01, a Thursday.
_MONDAY: Final = 4


class BadVersions(ValueError):
    """Saved versions that this program cannot read."""


class Version(msgspec.Struct, frozen=True, array_like=True):
    """What a model had learned when the day ``last`` began. No lookup came from the beginning of the day ``first`` until then, so it is the
    version of all days between. Days are counted from 1970-01-01. ``line`` is as in :class:`Versions`; no ``learned``: nothing."""

    first: int
    last: int
    line: int
    learned: bytes


class Versions(msgspec.Struct, array_like=True):
    """The versions of one model. ``day`` is the day of the last lookup; ``line`` counts how often the model was rolled back, so that versions
    of one line are each made of the one before."""

    version: int = VERSIONS_VERSION
    day: int = -1
    line: int = 0
    kept: list[Version] = []

    def turn(self, ot: int, model: PeerModel) -> bool:
        """Called before the model learns a lookup whose place in the order begins with ``ot`` (milliseconds since the epoch). Keeps a
        version when a new day begins; whether it did."""
        day = ot // DAY_MS
        if day <= self.day:
            return False
        if self.day >= 0:
            self.kept.append(Version(self.day + 1, day, self.line, learned.encode(model.learned())))
        elif not model.seen:
            self.kept.append(Version(0, day, self.line, b""))
        # Else it has learned before there were versions: at the beginning of which day what, is not known.
        self.day = day
        asked = days_kept(day)
        self.kept = [each for each in self.kept if any(each.first <= one <= each.last for one in asked)]
        return True

    def as_of(self, day: int) -> Version | None:
        """The version at the beginning of ``day``; ``None`` when it is not kept."""
        return next((each for each in self.kept if each.first <= day <= each.last), None)

    def roll_back(self, day: int, model: PeerModel) -> bool:
        """Make ``model`` what it was at the beginning of ``day``; whether that is known. It is what it was when no lookup has come since. When
        it is not known (not kept any more, or of before there were versions), the model stays as it is.

        Whom the model has alerted about is not forgotten, so that nobody is alerted about twice. Raises ``ValueError`` when a model of
        another version made it; then the model stays too.
        """
        version = self.as_of(day)
        if version is not None:
            model.restore(learned.decode(version.learned) if version.learned else None)
        self.line += 1
        return version is not None or day > self.day

    def model(self, day: int, quantile: float) -> PeerModel | None:
        """A model of its own, as at the beginning of ``day``; ``None`` when it is not kept. Raises ``ValueError`` as :meth:`roll_back`."""
        version = self.as_of(day)
        if version is None:
            return None
        made = PeerModel(quantile)
        made.restore(learned.decode(version.learned) if version.learned else None)
        return made


class Group:
    """A peer group's model and its versions, which go together."""

    def __init__(self, model: PeerModel, versions: Versions) -> None:
        self.model = model
        self.versions = versions

    def turn(self, ot: int) -> bool:
        """As :meth:`Versions.turn`."""
        return self.versions.turn(ot, self.model)

    def roll_back(self, day: int) -> bool:
        """As :meth:`Versions.roll_back`."""
        return self.versions.roll_back(day, self.model)


def days_kept(today: int) -> list[int]:
    """The days that can be returned to, the last first."""
    mondays = today - (today - _MONDAY) % 7
    return [*range(today, today - DAYS - 1, -1), *range(mondays, mondays - 7 * WEEKS, -7)]


def encode(versions: Versions) -> bytes:
    """As bytes for the changelog."""
    return msgspec.msgpack.encode(versions)


def decode(raw: bytes) -> Versions:
    """The versions of :func:`encode`. Raises :class:`BadVersions`."""
    try:
        found = msgspec.msgpack.decode(raw, type=Versions)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadVersions(f"not the versions of a model: {error}") from None
    if found.version != VERSIONS_VERSION:
        raise BadVersions(f"the versions have version {found.version}; this program reads version {VERSIONS_VERSION}")
    return found


def day_of(text: str) -> int:
    """The day of ``2026-11-24``. Raises ``ValueError`` for anything else."""
    try:
        at = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{text!r} is not a day such as 2026-11-24") from None
    if text != at.strftime("%Y-%m-%d") or at.year < 1970:
        raise ValueError(f"{text!r} is not a day such as 2026-11-24")
    return int(at.timestamp()) * 1000 // DAY_MS


def named(day: int) -> str:
    """The text of :func:`day_of`."""
    return datetime.fromtimestamp(day * DAY_MS / 1000, UTC).strftime("%Y-%m-%d")
