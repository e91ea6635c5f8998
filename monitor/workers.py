"""Work on pieces of a log in several processes, the results in the order of the pieces.

The processes are forks: what was loaded before is there, and only bytes go to and fro, so nothing is pickled.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing.connection import Connection, wait
from typing import Final

Work = Callable[[bytes], bytes]
#: A process may be so many pieces ahead of the one whose result is next.
_AHEAD: Final = 4
_FINE: Final = b"\0"
_BROKEN: Final = b"\1"


class WorkFailed(Exception):
    """A process raised something, or ended: its traceback, if it left one."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def forked(works: Iterable[Callable[[Connection], None]]) -> Iterator[list[Connection]]:
    """A process for each of ``works``, which gets one end of a pipe; yields the other ends. They end with the block."""
    context = multiprocessing.get_context("fork")
    mine: list[Connection] = []
    processes = []
    try:
        for work in works:
            here, there = context.Pipe()
            process = context.Process(target=_run, args=(work, there, [*mine, here]), daemon=True)
            process.start()
            there.close()
            mine.append(here)
            processes.append(process)
        yield mine
    finally:
        for end in mine:
            end.close()
        for process in processes:
            process.join(1)
            if process.is_alive():
                process.terminate()
                process.join()


def _run(work: Callable[[Connection], None], end: Connection, others: list[Connection]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process says when to stop
    for other in others:
        other.close()  # else nobody would see that the first process is gone
    try:
        work(end)
    except (EOFError, BrokenPipeError):
        pass
    except BaseException:
        end.send_bytes(_BROKEN + traceback.format_exc().encode(errors="replace"))


def give(end: Connection, data: bytes) -> None:
    """Send work to a process. Raises :class:`WorkFailed` when it broke."""
    try:
        end.send_bytes(data)
    except (BrokenPipeError, ConnectionResetError):
        received(end)
        raise WorkFailed("a process ended before its work was done") from None


def received(end: Connection) -> bytes:
    """What a process sent with :func:`send`. Raises :class:`WorkFailed` when it broke."""
    try:
        answer = end.recv_bytes()
    except (EOFError, ConnectionResetError):
        raise WorkFailed("a process ended before its work was done") from None
    if answer[:1] != _FINE:
        raise WorkFailed(answer[1:].decode(errors="replace"))
    return answer[1:]


def send(end: Connection, result: bytes) -> None:
    """Give a result to whoever calls :func:`received`."""
    end.send_bytes(_FINE + result)


def in_order(work: Work, pieces: Iterable[bytes], jobs: int) -> Iterator[bytes]:
    """``work(piece)`` of every piece, in order, by ``jobs`` processes; by this one if ``jobs`` is 1, or there is one piece.

    Raises :class:`WorkFailed` when a process breaks.
    """
    source = iter(pieces)
    begin = list(islice(source, 2))
    if jobs == 1 or len(begin) < 2:
        yield from map(work, chain(begin, source))
        return
    with forked([lambda end: _answer(work, end)] * jobs) as ends:
        yield from _shared_out(chain(begin, source), ends)


def _answer(work: Work, end: Connection) -> None:
    while True:
        send(end, work(end.recv_bytes()))


def _shared_out(pieces: Iterator[bytes], ends: list[Connection]) -> Iterator[bytes]:
    """Give every idle process the next piece; hold results back until those before them are there."""
    idle, busy = deque(ends), dict[Connection, int]()
    results: dict[int, bytes] = {}
    given = wanted = 0
    piece = next(pieces, None)
    while piece is not None or busy or results:
        while piece is not None and idle and given - wanted < _AHEAD * len(ends):
            end = idle.popleft()
            give(end, piece)
            busy[end] = given
            given += 1
            piece = next(pieces, None)
        for ready in wait(list(busy)) if wanted not in results else ():
            assert isinstance(ready, Connection)
            results[busy.pop(ready)] = received(ready)
            idle.append(ready)
        while wanted in results:
            yield results.pop(wanted)
            wanted += 1
