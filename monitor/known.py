"""The reference records in the form they are kept in: times as numbers, small enough to have millions of them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from monitor.records import FOREVER, Actor, Case, Dispatch, Link, Record, Shift, Values, Watch, milliseconds
from monitor.sealed_watch import sealed_name


class Staff(msgspec.Struct, frozen=True, gc=False):
    """An actor's record, with its times as numbers. ``fields`` are those a lookup gets as they are."""

    id: str
    unit: str | None
    areas: list[str] | None
    fields: dict[str, Any]
    person: str | None
    address: str | None
    plates: tuple[str, ...]
    household: tuple[str, ...] | None
    relatives: tuple[str, ...] | None
    leave: tuple[tuple[int, int], ...] | None
    left: int


class Claim(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one case, dispatch or watch says about a subject: whose it is, and when (``from_ms <= t < to_ms``).

    ``unit`` of a dispatch is ``None`` when it names actors: then it is theirs and not the whole unit's.
    """

    id: str
    from_ms: int
    to_ms: int
    unit: str | None
    actors: tuple[str, ...]


class About(msgspec.Struct, array_like=True, gc=False):
    """Everything known about one subject. ``known`` is whether there is a record of it, rather than only of others naming it.

    ``links`` are (id of the link, the subject at its other end); a case counts as naming its own file too.
    """

    known: bool = False
    kind: str | None = None
    area: str | None = None
    owner: str | None = None
    address: str | None = None
    tags: list[str] | None = None
    street: str | None = None
    number: int | None = None
    links: tuple[tuple[str, str], ...] = ()
    cases: tuple[Claim, ...] = ()
    dispatches: tuple[Claim, ...] = ()
    watches: tuple[Claim, ...] = ()


class CaseFile(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A case by its own id."""

    unit: str | None
    actors: tuple[str, ...]
    subjects: tuple[str, ...] | None
    from_ms: int
    to_ms: int

    def holds(self, ts: int) -> bool:
        """Whether the case is open at ``ts``."""
        return self.from_ms <= ts < self.to_ms


class DispatchFile(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A dispatch by its own id."""

    unit: str | None
    actors: tuple[str, ...]
    subjects: tuple[str, ...]
    area: str | None
    from_ms: int
    to_ms: int


class WatchFile(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A watch by its own id."""

    subjects: tuple[str, ...]
    may_know: tuple[str, ...]
    from_ms: int
    to_ms: int


class ShiftFile(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A shift by its own id."""

    actor: str | None
    from_ms: int
    to_ms: int


class LinkFile(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A link by its own id."""

    from_subject: str | None
    to_subject: str | None

    def ways(self) -> list[tuple[str, str]]:
        """The link as seen from either end: (here, there)."""
        one, other = self.from_subject, self.to_subject
        if one is None or other is None:
            return []
        return [(one, other)] if one == other else [(one, other), (other, one)]


#: The cases an actor works on: (id, from, to) of each, sorted.
Team = list[tuple[str, int, int]]


def kept(record: Record) -> Any:
    """The record as it is kept. Raises :class:`~monitor.records.BadRecord` for a time that is none."""
    make = _KEPT.get(type(record))
    return record if make is None else make(record)


def _staff(record: Actor) -> Staff:
    leave = None
    if record.leave is not None:
        leave = tuple((milliseconds(one.from_, -FOREVER), milliseconds(one.to, FOREVER)) for one in record.leave)
    fields = {
        "actor.unit": record.unit,
        "actor.role": record.role,
        "actor.areas": record.areas,
        "actor.peer_group": record.peer_group,
    }
    return Staff(
        record.id,
        record.unit,
        record.areas,
        {name: value for name, value in fields.items() if value is not None},
        record.person,
        record.address,
        _once(record.plates),
        None if record.household is None else _once(record.household),
        None if record.relatives is None else _once(record.relatives),
        leave,
        milliseconds(record.left, FOREVER),
    )


def _case(record: Case) -> CaseFile:
    subjects = None if record.subjects is None else _once(record.subjects)
    begin, end = milliseconds(record.opened, -FOREVER), milliseconds(record.closed, FOREVER)
    return CaseFile(record.unit, _once(record.actors), subjects, begin, end)


def _dispatch(record: Dispatch) -> DispatchFile:
    subjects = _once(record.subjects)
    return DispatchFile(record.unit, _once(record.actors), subjects, record.area, *_span(record))


def _watch(record: Watch) -> WatchFile:
    sealed = [sealed_name(record.team or "", each) for each in record.sealed or ()]
    return WatchFile((*_once(record.subjects), *_once(sealed)), _once(record.may_know), *_span(record))


def _shift(record: Shift) -> ShiftFile:
    return ShiftFile(record.actor, *_span(record))


def _link(record: Link) -> LinkFile:
    return LinkFile(record.from_subject, record.to_subject)


def _list(record: Values) -> tuple[str, ...]:
    return tuple(record.values)


def _span(record: Dispatch | Watch | Shift) -> tuple[int, int]:
    return milliseconds(record.from_, -FOREVER), milliseconds(record.to, FOREVER)


def _once(names: list[str] | None) -> tuple[str, ...]:
    """The names, each once; none when they are unknown."""
    return tuple(dict.fromkeys(names)) if names else ()


_KEPT: Final[dict[type, Any]] = {
    Actor: _staff,
    Case: _case,
    Dispatch: _dispatch,
    Watch: _watch,
    Shift: _shift,
    Link: _link,
    Values: _list,
}
