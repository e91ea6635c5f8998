"""What is known about actors, subjects and cases, as of a time, by what it is asked for.

Records may come in any order; a later record of the same key replaces the earlier one, and an empty value removes it. Times
are milliseconds since the epoch. A field that is missing is ``None``: unknown, which is not the same as empty.

What there are millions of is kept as bytes in a mapping that is given (see :mod:`monitor.shelf`): everything about one
subject is one blob, so that a lookup takes one read. Staff, units and times of work are few, and stay in memory.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from monitor.known import (
    About,
    CaseFile,
    Claim,
    DispatchFile,
    LinkFile,
    ShiftFile,
    Staff,
    Team,
    WatchFile,
    kept,
)
from monitor.records import FOREVER, BadRecord, Record, Subject, Unit, decode, json_schema, key_of, kind_of
from monitor.sealed_watch import MARK, Sealer, team_of
from monitor.shelf import SIZE, Shelf
from monitor.spans import Spans

__all__ = ["FOREVER", "BadRecord", "Record", "Reference", "decode", "json_schema", "key_of"]

_about: Final = msgspec.msgpack.Decoder(About).decode
_team: Final = msgspec.msgpack.Decoder(Team).decode
#: The records that are kept under their own key, to know what to erase when they go.
_FILES: Final[dict[str, Callable[[bytes], Any]]] = {
    "case": msgspec.msgpack.Decoder(CaseFile).decode,
    "dispatch": msgspec.msgpack.Decoder(DispatchFile).decode,
    "watch": msgspec.msgpack.Decoder(WatchFile).decode,
    "shift": msgspec.msgpack.Decoder(ShiftFile).decode,
    "link": msgspec.msgpack.Decoder(LinkFile).decode,
}
#: What is known of a subject nothing is known of. It is one for all, and never changed.
NOTHING: Final = About()


class Reference:
    """The reference data by what it is asked for. Not safe for use from several threads.

    ``store`` keeps what there is much of; without one it is a dictionary. It belongs to this object alone and begins empty.
    ``at_hand`` is how many of its entries are kept in memory as they are. ``sealer`` knows the subjects of sealed watches again; without
    it they match nothing.
    """

    def __init__(
        self,
        records: Iterable[Record] = (),
        store: MutableMapping[str, bytes] | None = None,
        at_hand: int = SIZE,
        sealer: Sealer | None = None,
    ) -> None:
        self._sealer = sealer or Sealer()
        #: The names that are in sealed watches, and in how many; without any, nothing need be hashed.
        self._sealed: Counter[str] = Counter()
        #: How far its topic was taken in: the offset after the last record; 0 when it came from somewhere else.
        self.position = 0
        self.actors: dict[str, Staff] = {}
        self.units: dict[str, Unit] = {}
        #: Lists of values by id. A list that changes is a new tuple, so that whoever made something of it can tell.
        self.lists: dict[str, tuple[str, ...]] = {}
        self.actors_by_person: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self.shifts: defaultdict[str, Spans] = defaultdict(Spans)
        #: Dispatches without subjects, by (actor or unit, area).
        self.tasks_of_actor: defaultdict[tuple[str, str], Spans] = defaultdict(Spans)
        self.tasks_of_unit: defaultdict[tuple[str, str], Spans] = defaultdict(Spans)
        #: Where the homes of actors are, as far as it was asked: (street, number, area) of an address.
        self._homes: dict[str, tuple[str | None, int | None, str | None]] = {}
        self._in_memory: dict[str, dict[str, Any]] = {"actor": self.actors, "unit": self.units, "list": self.lists}
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._shelf = Shelf({} if store is None else store, at_hand)
        for record in records:
            self.put(record)

    def __len__(self) -> int:
        return sum(self._counts.values())

    @property
    def has_cases(self) -> bool:
        """Whether any case is known; if none is, that a case is not there says nothing."""
        return self._counts["case"] > 0

    def about(self, subject_id: str) -> About:
        """Everything about a subject, to be read and not changed."""
        found = self._shelf.get(f"subject/{subject_id}", _about)
        if self._sealed and self._sealer:
            found = self._with_sealed(subject_id, found)
        return NOTHING if found is None else found

    def _with_sealed(self, subject_id: str, found: About | None) -> About | None:
        """The same with the sealed watches of the subject."""
        claims = [claim for _, claim in self._sealed_watches(subject_id)]
        if not claims:
            return found
        known = NOTHING if found is None else found
        return msgspec.structs.replace(known, watches=tuple(sorted((*known.watches, *claims), key=_ID)))

    def _sealed_watches(self, subject_id: str) -> Iterator[tuple[str, Claim]]:
        for name in self._sealer.names(subject_id):
            if name not in self._sealed:
                continue
            about = self._shelf.get(f"subject/{name}", _about)
            for claim in () if about is None else about.watches:
                yield team_of(name), claim

    def teams_watching(self, subjects: Iterable[str], actors: Iterable[str], ts: int) -> list[str]:
        """The teams that have a subject in a sealed watch at event time ``ts`` (ms) of which one of the actors is not to know."""
        if not (self._sealed and self._sealer):
            return []
        found, who = set(), set(actors)
        for subject in subjects:
            for team, claim in self._sealed_watches(subject):
                if claim.from_ms <= ts < claim.to_ms and not who <= set(claim.actors):
                    found.add(team)
        return sorted(found)

    def case(self, case_id: str) -> CaseFile | None:
        """A case by its id."""
        return self._shelf.get(f"case/{case_id}", _FILES["case"])

    def home(self, address: str) -> tuple[str | None, int | None, str | None]:
        """Street, number and area of the address of an actor; these few are kept, as each of an actor's lookups asks."""
        found = self._homes.get(address)
        if found is None:
            about = self.about(address)
            found = self._homes[address] = about.street, about.number, about.area
        return found

    def cases_of(self, actor_id: str) -> Team:
        """The cases of an actor, open or not."""
        return self._shelf.get(f"actor/{actor_id}", _team) or []

    def areas_of_unit(self, unit: str | None) -> set[str]:
        """The areas of a unit and of the units above it (at most 16 levels, so a loop in the data ends)."""
        areas: set[str] = set()
        for _ in range(16):
            known = self.units.get(unit) if unit is not None else None
            if known is None:
                break
            if known.area is not None:
                areas.add(known.area)
            unit = known.parent
        return areas

    def is_inside(self, area: str | None, areas: Sequence[str] | None, unit: str | None) -> bool | None:
        """Whether ``area`` is among ``areas`` or those of the unit; ``None`` when either side is unknown."""
        if area is None:
            return None
        if areas and area in areas:
            return True
        of_unit = self.areas_of_unit(unit)
        return area in of_unit if areas or of_unit else None

    def flush(self) -> None:
        """Write to the store what is only in memory."""
        self._shelf.flush()

    def put(self, record: Record) -> None:
        """Add a record, or replace the one with the same key.

        Raises :class:`BadRecord` for a time that is none; what was known before then stays.
        """
        if type(record) is Subject:  # nine in ten are, so they go straight
            self._counts["subject"] += self._swap_subject(record.id, record) is None
            return
        kind, name, made = kind_of(record), record.id, kept(record)
        gone = self._swap(kind, name, made)
        if gone is None:
            self._counts[kind] += 1
        elif kind in _ERASE:
            _ERASE[kind](self, name, gone)
        if kind in _NOTE:
            _NOTE[kind](self, name, made)

    def remove(self, key: str) -> None:
        """Forget the record of this key (a tombstone in the topic); a key that is not there is fine."""
        kind, _, name = key.partition("/")
        gone = self._swap(kind, name, None) if kind in _KINDS else None
        if gone is not None:
            self._counts[kind] -= 1
            if kind in _ERASE:
                _ERASE[kind](self, name, gone)

    def _swap(self, kind: str, name: str, made: Any) -> Any:
        """Put a record in the place of the one of the same key, or ``None`` to remove it; return what was there."""
        in_memory = self._in_memory.get(kind)
        if in_memory is not None:
            gone = in_memory.pop(name, None)
            if made is not None:
                in_memory[name] = made
            return gone
        if kind == "subject":
            return self._swap_subject(name, made)
        return self._shelf.swap(f"{kind}/{name}", made, _FILES[kind])

    def _swap_subject(self, name: str, record: Subject | None) -> bool | None:
        if record is None and not self.about(name).known:
            return None
        self._homes.pop(name, None)
        about = self._open(name)
        was_known, about.known = about.known, record is not None
        if record is None:
            about.kind = about.area = about.owner = about.address = about.tags = about.street = about.number = None
            self._close(name, about)
        else:
            about.kind, about.area, about.owner = record.kind, record.area, record.owner
            about.address, about.tags = record.address, record.tags
            about.street, about.number = record.street, record.number
        return was_known or None

    # What a record says is noted where it will be asked for; when it goes, each note is erased.

    def _note_actor(self, name: str, staff: Staff) -> None:
        if staff.person is not None:
            self.actors_by_person[staff.person][name] = None

    def _erase_actor(self, name: str, staff: Staff) -> None:
        if staff.address is not None:
            self._homes.pop(staff.address, None)
        if staff.person is not None:
            others = self.actors_by_person[staff.person]
            del others[name]
            if not others:
                del self.actors_by_person[staff.person]

    def _note_case(self, name: str, case: CaseFile) -> None:
        self._add("cases", _named(name, case), Claim(name, case.from_ms, case.to_ms, case.unit, case.actors))
        for actor in case.actors:
            team = self._shelf.get(f"actor/{actor}", _team) or []
            team.insert(bisect_left(team, (name,)), (name, case.from_ms, case.to_ms))
            self._shelf.put(f"actor/{actor}", team)

    def _erase_case(self, name: str, case: CaseFile) -> None:
        self._drop("cases", _named(name, case), name)
        for actor in case.actors:
            team = [entry for entry in self.cases_of(actor) if entry[0] != name]
            self._shelf.put(f"actor/{actor}", team or None)

    def _note_dispatch(self, name: str, task: DispatchFile) -> None:
        unit = None if task.actors else task.unit
        self._add("dispatches", task.subjects, Claim(name, task.from_ms, task.to_ms, unit, task.actors))
        for index, key in self._tasks(task):
            index[key].add(task.from_ms, task.to_ms)

    def _erase_dispatch(self, name: str, task: DispatchFile) -> None:
        self._drop("dispatches", task.subjects, name)
        for index, key in self._tasks(task):
            _remove(index, key, task.from_ms, task.to_ms)

    def _tasks(self, task: DispatchFile) -> list[tuple[dict[tuple[str, str], Spans], tuple[str, str]]]:
        """Where a dispatch is noted that is about an area rather than subjects."""
        if task.subjects or task.area is None:
            return []
        if task.actors:
            return [(self.tasks_of_actor, (actor, task.area)) for actor in task.actors]
        return [(self.tasks_of_unit, (task.unit, task.area))] if task.unit is not None else []

    def _note_watch(self, name: str, watch: WatchFile) -> None:
        self._sealed.update(each for each in watch.subjects if each.startswith(MARK))
        self._add("watches", watch.subjects, Claim(name, watch.from_ms, watch.to_ms, None, watch.may_know))

    def _erase_watch(self, name: str, watch: WatchFile) -> None:
        for each in watch.subjects:
            if each.startswith(MARK):
                self._sealed[each] -= 1
                if not self._sealed[each]:
                    del self._sealed[each]
        self._drop("watches", watch.subjects, name)

    def _note_shift(self, _: str, shift: ShiftFile) -> None:
        if shift.actor is not None:
            self.shifts[shift.actor].add(shift.from_ms, shift.to_ms)

    def _erase_shift(self, _: str, shift: ShiftFile) -> None:
        if shift.actor is not None:
            _remove(self.shifts, shift.actor, shift.from_ms, shift.to_ms)

    def _note_link(self, name: str, link: LinkFile) -> None:
        for here, there in link.ways():
            about = self._open(here)
            at = bisect_left(about.links, (name,))
            about.links = (*about.links[:at], (name, there), *about.links[at:])

    def _erase_link(self, name: str, link: LinkFile) -> None:
        for here, _ in link.ways():
            about = self._open(here)
            about.links = tuple(link for link in about.links if link[0] != name)
            self._close(here, about)

    def _open(self, subject_id: str) -> About:
        """What is known of a subject, to be changed; :meth:`_close` puts it back."""
        key = f"subject/{subject_id}"
        about = self._shelf.get(key, _about)
        if about is None:
            about = About()
            self._shelf.put(key, about)
        else:
            self._shelf.touch(key)
        return about

    def _close(self, subject_id: str, about: About) -> None:
        """After something was taken out: an entry that says nothing must not stay."""
        if about == NOTHING:
            self._shelf.put(f"subject/{subject_id}", None)

    def _add(self, field: str, subjects: Iterable[str], claim: Claim) -> None:
        for subject in subjects:
            about = self._open(subject)
            claims: tuple[Claim, ...] = getattr(about, field)
            at = bisect_left(claims, claim.id, key=_ID)
            setattr(about, field, (*claims[:at], claim, *claims[at:]))

    def _drop(self, field: str, subjects: Iterable[str], claim_id: str) -> None:
        for subject in subjects:
            about = self._open(subject)
            setattr(about, field, tuple(claim for claim in getattr(about, field) if claim.id != claim_id))
            self._close(subject, about)


def _named(name: str, case: CaseFile) -> tuple[str, ...]:
    """What a case names: its subjects, and its own file, which can be looked up too."""
    subjects = case.subjects or ()
    return subjects if name in subjects else (*subjects, name)


def _remove(index: dict[Any, Spans], key: Any, from_ms: int, to_ms: int) -> None:
    """Take a stretch out, leaving no empty entry: an index must look as if the record had never been."""
    spans = index[key]
    spans.remove(from_ms, to_ms)
    if not spans:
        del index[key]


_ID: Final = attrgetter("id")
_KINDS: Final = ("actor", "unit", "list", "subject", "case", "dispatch", "watch", "shift", "link")
_Hand = dict[str, Callable[[Reference, str, Any], None]]
_NOTE: Final[_Hand] = {
    kind: getattr(Reference, f"_note_{kind}") for kind in _KINDS if hasattr(Reference, f"_note_{kind}")
}
_ERASE: Final[_Hand] = {kind: getattr(Reference, f"_erase_{kind}") for kind in _NOTE}
