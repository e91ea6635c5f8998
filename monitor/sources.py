"""The registers that lookups come from: how many came of each, and which numbers are missing; in the one order of all lookups.

Whoever takes lookups in says of each chunk of a source partition what came in it (:class:`Seen`); one place joins what all
partitions say (:class:`Sources`), as the lookups of a register are spread over all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from monitor.alerts import Alert
from monitor.events import EARLIEST_MS
from monitor.gaps import Numbering, Numberings, name_of
from monitor.order import IDLE, Merger
from monitor.silence import WEEK_HOURS, Register

STATE_VERSION: Final = 1
#: How many registers are watched one by one; those that come later are watched together.
MAX_REGISTERS: Final = 64
OTHER: Final = "other"
_MINUTE: Final = 60_000


class BadState(Exception):
    """Saved state that this version cannot read."""


class Number(msgspec.Struct, array_like=True):
    """A lookup or heartbeat that has a number, or a heartbeat without one: its offset, the newest event time of its source
    partition by then, its own time (ms), its register and the name of the counter."""

    offset: int
    reached: int
    ts: int
    system: str
    counter: str
    number: int | None
    is_beat: bool


class Chunk(msgspec.Struct, array_like=True):
    """What a chunk of source partition ``src`` held, until ``offset``; ``reached`` is the newest event time so far, ``passed``
    how far time has come: further, when the partition ``is_idle``.

    ``counts`` are lookups by register and minute (event time), ``shifts`` how many hours registers are ahead of UTC.
    """

    src: int
    offset: int
    reached: int
    passed: int
    is_idle: bool = False
    counts: dict[str, dict[int, int]] = {}
    shifts: dict[str, int] = {}
    numbers: list[Number] = []


class Seen:
    """What a chunk holds, as it is read."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[int, int]] = {}
        self._shifts: dict[str, int] = {}
        self._numbers: list[Number] = []

    def lookup(self, lookup: Mapping[str, Any], reached: int, offset: int) -> None:
        """A lookup was taken in."""
        system, minute = lookup["system"], reached // _MINUTE
        counts = self._counts.get(system)
        if counts is None:
            counts = self._counts[system] = {}
            self._shifts[system] = _shift(lookup)
        counts[minute] = counts.get(minute, 0) + 1
        if lookup.get("seq") is not None:
            name = name_of(lookup)
            self._numbers.append(Number(offset, reached, lookup["ts"], system, name, lookup["seq"], False))

    def beat(self, fields: Mapping[str, Any], reached: int, offset: int) -> None:
        """A heartbeat was taken in."""
        number = fields.get("seq")
        name = fields["system"] if number is None else name_of(fields)
        self._numbers.append(Number(offset, reached, fields["ts"], fields["system"], name, number, True))

    def chunk(self, src: int, offset: int, reached: int) -> bytes:
        """The chunk, and begin the next."""
        made = Chunk(src, offset, reached, reached, False, self._counts, self._shifts, self._numbers)
        self._counts, self._shifts, self._numbers = {}, {}, []
        return msgspec.msgpack.encode(made)


def idle(src: int, reached: int, passed: int) -> bytes:
    """Source partition ``src`` has nothing more for now; its time goes on."""
    return msgspec.msgpack.encode(Chunk(src, -1, reached, passed, True))


def _shift(lookup: Mapping[str, Any]) -> int:
    """How many hours the register's clock is ahead of UTC: -12 to 14. The epoch was a Thursday."""
    here = lookup["weekday"] * 24 + lookup["hour"]
    return int((here - lookup["ts"] // 3_600_000 - 72 + 12) % WEEK_HOURS - 12)


class State(msgspec.Struct, array_like=True):
    """What is kept: the next offset to read; of each source partition how far it has come, the offset of the last chunk whose
    lookups were counted and of the last number; and the rest. ``ahead`` are lookups of minutes that are not over everywhere.
    """

    version: int = STATE_VERSION
    position: int = 0
    at: dict[int, int] = {}
    counted: dict[int, int] = {}
    passed: dict[int, int] = {}
    ahead: dict[str, dict[int, int]] = {}
    registers: dict[str, Register] = {}
    numberings: dict[str, Numbering] = {}


def load_state(saved: bytes | None) -> State:
    """The state of :meth:`Sources.save`, or a new one. Raises :class:`BadState`."""
    if saved is None:
        return State()
    try:
        state = msgspec.msgpack.decode(saved, type=State)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadState(f"the state of the sources cannot be read: {error}") from None
    if state.version != STATE_VERSION:
        raise BadState(f"the state of the sources has version {state.version}; this program reads {STATE_VERSION}")
    return state


class Sources:
    """Joins what is said of all source partitions."""

    def __init__(self, partitions: int, gap_after_ms: int, state: State, registers: Sequence[str] = ()) -> None:
        """``registers`` are the names to watch one by one; when empty, those that come first."""
        self._partitions = partitions
        self._state = state
        self._names = registers
        self.numberings = Numberings(gap_after_ms, state.numberings)
        self.registers = state.registers
        self.refused = 0
        #: Numbers, and the offset that the chunk of each was read at.
        self._merger: Merger[tuple[int, Number]] = Merger((src,) for src in range(partitions))
        self._held: dict[int, int] = {}
        #: The last offset taken in of each source partition. A chunk that comes again must not take its partition back.
        self._taken = dict(state.at)

    @property
    def position(self) -> int:
        """The next offset to read after a restart with the state that :meth:`save` gives now."""
        return min(self._held, default=self._state.position)

    def save(self) -> bytes:
        """The state. What is held is not in it, and is read again."""
        kept = msgspec.structs.replace(self._state, position=self.position, numberings=self.numberings.known)
        return msgspec.msgpack.encode(kept)

    def take(self, offset: int, value: bytes) -> None:
        """Take in a chunk, which was read at ``offset``. Raises ``msgspec.MsgspecError`` when it is none."""
        chunk = msgspec.msgpack.decode(value, type=Chunk)
        src = chunk.src
        self._state.position = max(self._state.position, offset + 1)
        self._state.passed[src] = max(chunk.passed, self._state.passed.get(src, 0))
        if chunk.is_idle:
            self._merger.advance((src,), IDLE)
        elif chunk.offset > self._taken.get(src, -1):
            self._take_numbers(offset, chunk)
        if chunk.offset > self._state.counted.get(src, -1):
            self._state.counted[src] = chunk.offset
            self._add(chunk)

    def _take_numbers(self, offset: int, chunk: Chunk) -> None:
        before = self._taken.get(chunk.src, -1)
        for number in chunk.numbers:
            if number.offset > before:
                self._held[offset] = self._held.get(offset, 0) + 1
                place = (number.reached, chunk.src, number.offset)
                self._merger.push((chunk.src,), place, (offset, number))
        self._taken[chunk.src] = chunk.offset
        self._merger.advance((chunk.src,), chunk.reached)

    def _add(self, chunk: Chunk) -> None:
        for system, minutes in chunk.counts.items():
            name = self.label(system)
            register = self.registers.setdefault(name, Register())
            register.shift = chunk.shifts.get(system, register.shift)
            ahead = self._state.ahead.setdefault(name, {})
            for minute, number in minutes.items():
                ahead[minute] = ahead.get(minute, 0) + number

    def release(self) -> list[Alert]:
        """Count what has come into order; the alerts that this leads to."""
        for (reached, src, off), (at, number) in self._merger.ready():
            self._state.at[src] = off
            self._count(number, reached)
            self._held[at] -= 1
            if not self._held[at]:
                del self._held[at]
        now = self.now
        for name, register in self.registers.items():
            self._move(name, register, now // _MINUTE)
            register.judge(now)
        return self.numberings.due(now)

    def _move(self, name: str, register: Register, minute: int) -> None:
        """Count the minutes that are over in all partitions, one after the other."""
        ahead = self._state.ahead.get(name, {})
        for each in sorted(each for each in ahead if each <= minute):
            register.advance(each)
            register.count(each, ahead.pop(each))
        if minute:
            register.advance(minute)

    @property
    def now(self) -> int:
        """The event time up to which all source partitions that ever had a lookup are known, 0 as long as one may have had."""
        passed = self._state.passed
        if len(passed) < self._partitions:
            return 0
        return min((each for each in passed.values() if each >= EARLIEST_MS), default=0)

    def _count(self, number: Number, reached: int) -> None:
        if number.is_beat:
            self.registers.setdefault(self.label(number.system), Register()).beat(number.ts)
        if number.number is not None and not self.numberings.step(
            number.counter, number.number, number.ts, reached, number.is_beat
        ):
            self.refused += 1

    def label(self, system: str) -> str:
        """The name under which a register is watched."""
        if system in self.registers or system in self._names:
            return system
        return OTHER if self._names or len(self.registers) >= MAX_REGISTERS else system
