"""A replay (:mod:`monitor.replay`) in one process or in many.

With several: some read pieces of the log, others count the actors of one part each; what joins actors they write to files, by
the part of its key and in the order of places; when the log is at its end these are merged and counted, again side by side.
Data goes one way only, so nobody can wait for somebody who waits for them.
"""

from __future__ import annotations

import heapq
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from monitor.alerts import Alert, encode
from monitor.pieces import pieces_of
from monitor.recall import WEEK_MS
from monitor.reference import Reference
from monitor.replay import Copy, Counting, Part, Piece, Placed, Places, part_of, read
from monitor.rules import RuleSet
from monitor.workers import forked, give, in_order, received, send

#: So many lookups are read at a time, about: a piece must be worth sending, and there should be some for every process.
_PIECE: Final = 256 << 10
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode
_alert: Final = msgspec.json.Decoder(Alert).decode


class Log(NamedTuple):
    """What is replayed: a file of lookups, and what is known; ``source_of`` gives the source partition of an actor.

    ``run_on_ms``: how long time goes on after the newest lookup, so that what waits then is decided.
    """

    file: Path
    reference: Reference
    sources: int
    source_of: Callable[[str], int]
    run_on_ms: int = 0


class Replayed(msgspec.Struct):
    """What a replay led to. ``alerts`` are in the order of their times; ``troubles`` say why the log ended early.

    ``undecided`` are the event times at which the alerts and absences are due that still waited at the end.
    """

    alerts: list[Alert] = []
    fates: Counter[str] = msgspec.field(default_factory=Counter)
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    actors: set[str] = set()
    #: Oldest and newest event time.
    oldest: int | None = None
    newest: int = 0
    troubles: list[str] = []
    undecided: list[int] = []

    @property
    def lookups(self) -> int:
        """How many lines the log had, those refused among them."""
        return self.fates.total() + self.refused.total()

    @property
    def weeks(self) -> float:
        """How long the log is, by its lookups' times."""
        return 0.0 if self.oldest is None else (self.newest - self.oldest) / WEEK_MS

    def see(self, actor: str, ts: int) -> None:
        """Add a lookup to what is known of the log."""
        self.actors.add(actor)
        self.oldest = ts if self.oldest is None else min(self.oldest, ts)
        self.newest = max(self.newest, ts)

    def note(self, piece: Piece) -> None:
        """Add what reading says of a piece."""
        self.refused.update(piece.refused)
        self.actors |= piece.actors
        if piece.oldest is not None:
            self.oldest = piece.oldest if self.oldest is None else min(self.oldest, piece.oldest)
            self.newest = max(self.newest, *piece.reached.values())

    def add(self, found: Sequence[Alert], fates: dict[str, int], undecided: list[int]) -> None:
        """Add what counting a part led to."""
        self.alerts += found
        self.fates.update(fates)
        self.undecided += undecided


class _Sent(msgspec.Struct, array_like=True):
    """A piece on its way from who reads to who counts: the parts are passed on without being looked at."""

    parts: list[bytes]
    about: Piece


_sent: Final = msgspec.msgpack.Decoder(_Sent).decode


def replay(log: Log, rules: RuleSet, jobs: int = 1, show: Callable[[str], None] = lambda words: None) -> Replayed:
    """Run the rules, without the model, over a log, in ``jobs`` processes; the alerts do not depend on how many.

    Raises :class:`monitor.workers.WorkFailed` when a process breaks.
    """
    done = Replayed()
    now = int(time.time() * 1000)

    def piece_of(lines: bytes) -> Piece:
        return read(messages_in(lines), log.reference, rules.explanations, log.source_of, jobs, now)

    pieces = pieces_of(log.file, done.troubles, _PIECE)
    if jobs == 1:
        _alone(map(piece_of, pieces), log, rules, done, show)
    else:
        _together(pieces, piece_of, log, rules, jobs, done, show)
    done.alerts = in_order_of_time(done.alerts)
    return done


def messages_in(piece: bytes) -> Iterator[bytes]:
    """The lines of a piece of a log, without the empty ones."""
    return filter(None, map(bytes.strip, piece.split(b"\n")))


def in_order_of_time(found: Iterable[Alert]) -> list[Alert]:
    """Alerts in an order that is always the same."""
    return sorted(found, key=lambda alert: (alert.ts, alert.rule.id, alert.id))


def _alone(pieces: Iterator[Piece], log: Log, rules: RuleSet, done: Replayed, show: Callable[[str], None]) -> None:
    part = Part(rules, log.reference, log.sources, lambda copy: part.counting.joined(copy))
    places = Places(log.sources)
    for piece in pieces:
        done.note(piece)
        done.alerts += part.count(piece.parts[0], *places.move(piece))
        show(f"{sum(places.counts):,} lookups")
    found = [*part.end(), *part.counting.end(*places.end(log.run_on_ms))]
    done.add(found, part.counting.fates, part.counting.undecided())


def _together(
    pieces: Iterator[bytes],
    piece_of: Callable[[bytes], Piece],
    log: Log,
    rules: RuleSet,
    jobs: int,
    done: Replayed,
    show: Callable[[str], None],
) -> None:
    def read_piece(lines: bytes) -> bytes:
        piece = piece_of(lines)
        parts = [_encode(part) for part in piece.parts]
        piece.parts = []
        return _encode(_Sent(parts, piece))

    places, parts = Places(log.sources), range(jobs)
    with tempfile.TemporaryDirectory(prefix="lookup-monitor-") as name:
        folder = Path(name)
        with forked([_counter(rules, log, folder, part, jobs) for part in parts]) as counters:
            for each in in_order(read_piece, pieces, jobs):
                sent = _sent(each)
                done.note(sent.about)
                moved = places.move(sent.about)
                for counter, lookups in zip(counters, sent.parts, strict=True):
                    give(counter, _encode((lookups, *moved)))
                show(f"{sum(places.counts):,} lookups")
            ends = places.end(log.run_on_ms)
            _gather(counters, ends, done)
        with forked([_joiner(rules, log, folder, part) for part in parts]) as joiners:
            _gather(joiners, ends, done)


def _gather(processes: Sequence[Connection], ends: tuple[list[int], int], done: Replayed) -> None:
    """Tell processes where time ends (:meth:`Places.end`), and take what they found."""
    for process in processes:
        give(process, _encode((None, *ends)))
    for process in processes:
        found, fates, undecided = _decode(received(process))
        done.add([_alert(alert) for alert in found], fates, undecided)


def _answer(end: Connection, found: Sequence[Alert], counting: Counting) -> None:
    send(end, _encode(([encode(alert) for alert in found], dict(counting.fates), counting.undecided())))


def _counter(rules: RuleSet, log: Log, folder: Path, number: int, parts: int) -> Callable[[Connection], None]:
    """A process that counts the actors of part ``number``."""

    def work(end: Connection) -> None:
        with ExitStack() as stack:
            files = [stack.enter_context((folder / f"{number}-{other}").open("wb")) for other in range(parts)]

            def spool(copy: Copy) -> list[Alert]:
                files[part_of(copy[1], parts)].write(orjson.dumps(copy) + b"\n")
                return []

            part = Part(rules, log.reference, log.sources, spool)
            found: list[Alert] = []
            lookups, *moved = _decode(end.recv_bytes())
            while lookups is not None:
                found += part.count(_placed(lookups), *moved)
                lookups, *moved = _decode(end.recv_bytes())
            found += [*part.end(), *part.counting.end(*moved)]
        _answer(end, found, part.counting)

    return work


def _placed(lookups: bytes) -> list[Placed]:
    made: list[Placed] = _decode(lookups)
    return made


def _joiner(rules: RuleSet, log: Log, folder: Path, number: int) -> Callable[[Connection], None]:
    """A process that counts the keys of part ``number`` that join actors."""

    def work(end: Connection) -> None:
        counting = Counting(rules, log.reference)
        found: list[Alert] = []
        _, reached, all_reached = _decode(end.recv_bytes())
        for place, key, lookup in heapq.merge(*map(_spooled, folder.glob(f"*-{number}")), key=_place):
            found += counting.joined(((place[0], place[1], place[2]), key, lookup))
        found += counting.end(reached, all_reached)
        _answer(end, found, counting)

    return work


def _spooled(file: Path) -> Iterator[Any]:
    with file.open("rb") as lines:
        yield from map(orjson.loads, lines)


def _place(copy: Any) -> list[int]:
    place: list[int] = copy[0]
    return place
