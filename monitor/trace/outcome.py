"""The outcome: something went wrong that somebody may have leaked (a raid that failed), and which subjects it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta

from monitor.events import MAX_ID_CHARS, parse_ms
from monitor.feedback.message import REASONS as UNREADABLE
from monitor.feedback.message import BadMessage, read
from monitor.trace.model import Leak, end_of

MAX_SUBJECTS: Final = 100
MAX_NOTE_CHARS: Final = 4096
Kind = Literal["failed-raid", "press-leak", "threatened-witness", "stopped-surveillance"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
#: Every reason an outcome can be refused for; they are metric labels, so the set is closed.
REASONS: Final = (*UNREADABLE, "other-outcome")
_Name = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]
_Subject = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]


class BadOutcome(BadMessage):
    """A message that is no outcome. ``reason`` is one of :data:`REASONS`; ``detail`` is for people and names nobody."""


class Leaked(msgspec.Struct, frozen=True):
    """``id`` is a subject as lookups name it; ``by`` when it had leaked at the latest: RFC 3339 with an offset, or a date (its end, UTC)."""

    id: _Subject
    by: _Name


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One message of ``lookup.outcomes.v1``. ``id`` is unique: what comes again under it changes nothing.

    ``time`` is when it happened (RFC 3339 with an offset), ``source`` who says so, ``case`` the operation it belongs to.
    """

    id: _Name
    time: _Name
    kind: Kind
    subjects: Annotated[list[Leaked], Meta(min_length=1, max_length=MAX_SUBJECTS)]
    source: _Name
    case: _Name | None = None
    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARS)] = ""

    @property
    def ts(self) -> int:
        """``time`` in milliseconds since the epoch."""
        return parse_ms(self.time)

    def leaks(self) -> list[Leak]:
        """What had leaked, by when."""
        return [Leak(each.id, end_of(each.by)) for each in self.subjects]


_encoder: Final = msgspec.json.Encoder(order="deterministic")


def encode(outcome: Outcome) -> bytes:
    """The outcome as JSON; the same one gives the same bytes."""
    return _encoder.encode(outcome)


def decode(raw: bytes | None) -> Outcome:
    """The outcome in a message. Raises :class:`BadOutcome`."""
    found = read(raw, Outcome, BadOutcome)
    for number, each in enumerate(found.subjects):
        try:
            has_offset = len(each.by) == len("2026-01-31") or datetime.fromisoformat(each.by).tzinfo is not None
            end_of(each.by).astimezone(UTC)
        except (ValueError, OverflowError):
            raise BadOutcome("wrong-field", f"`by` of subject {number} is no date and no RFC 3339 time") from None
        if not has_offset:
            raise BadOutcome("time-without-offset", f"`by` of subject {number} has no offset; end it with Z or +01:00")
    return found


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``lookup.outcomes.v1``."""
    (schema,), components = msgspec.json.schema_components([Outcome], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lookup.outcomes.v1",
        **schema,
        "$defs": components,
    }


class Ask(NamedTuple):
    """What is to be traced: the leaks, by subject, and which subjects are new in it."""

    leaks: list[Leak]
    new: frozenset[str]


class Outcomes:
    """All outcomes so far, in the order in which they came, and what each asks for."""

    def __init__(self, within_days: float) -> None:
        """``within_days``: how far apart in time what is traced together may have happened, if it is of no one case."""
        self._within_ms = round(within_days * 86_400_000)
        self._known: dict[str, Outcome] = {}

    def take(self, outcome: Outcome) -> list[Ask]:
        """Take in one; what is to be traced now. None for one that adds nothing. Raises :class:`BadOutcome`.

        The rule: an outcome is traced with all earlier ones of its case, and with all that came before it and happened within so many days of it. Two
        lists, or one if they are the same. A list that has no leak more than it had before this outcome is not traced again.
        """
        same = self._known.get(outcome.id)
        if same is not None:
            if same != outcome:
                raise BadOutcome("other-outcome", "there is another outcome of this id already")
            return []
        before = list(self._known.values())
        self._known[outcome.id] = outcome
        ts = outcome.ts
        groups = [[each for each in before if abs(each.ts - ts) <= self._within_ms]]
        if outcome.case is not None:
            groups.insert(0, [each for each in before if each.case == outcome.case])
        asks: list[Ask] = []
        for group in groups:
            so_far, made = joined(group), joined([*group, outcome])
            new = frozenset(leak.subject for leak in made if leak not in so_far)
            if new and all(made != each.leaks for each in asks):
                asks.append(Ask(made, new))
        return asks


def joined(outcomes: Iterable[Outcome]) -> list[Leak]:
    """All that leaked, by name; what leaked more than once by its earliest date, as a lookup must lie before that."""
    found: dict[str, datetime] = {}
    for outcome in outcomes:
        for leak in outcome.leaks():
            found[leak.subject] = min(leak.by, found.get(leak.subject, leak.by))
    return [Leak(name, found[name]) for name in sorted(found)]


def span_of(leaks: Sequence[Leak], within: timedelta) -> tuple[datetime, datetime]:
    """From when to when lookups can matter to some leaks."""
    return min(leak.by for leak in leaks) - within, max(leak.by for leak in leaks)
