"""``LookupClient``: reports lookups, and knows how that goes."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self

import orjson

from monitor.client.records import MAX_VALUE_BYTES
from monitor.client.sending import Sender, producer_of
from monitor.client.spool import LIMIT_BYTES, Spool, SpoolError, WhenFull
from monitor.connection import Connection
from monitor.event_key import TOPIC, key_of
from monitor.events import BadEvent, Notice, decode

_SYNC_AT_LEAST_MS: Final = 1


class Stats(NamedTuple):
    """How it goes: lookups that were reported, refused and sent since it was made; records that wait, and the bytes of the spool; the last
    number that was given; rounds that had to be sent again, and why nothing is sent now (``None``: all is well); bytes that were damaged and cut off when the
    spool was opened."""

    reported: int
    refused: int
    sent: int
    waiting: int
    bytes: int
    seq: int
    retries: int
    trouble: str | None
    damaged: int
    torn: int


class LookupClient:
    """Reports lookups: each is on disk when :meth:`report` returns, and is sent to Kafka by a thread, in order, until Kafka has it.

    It may be used by any number of threads, and by one process: after a fork, the child makes its own, with another folder. In asyncio,
    ``await asyncio.to_thread(client.report, lookup)``, as forcing to the disk takes milliseconds.
    """

    def __init__(
        self,
        spool: Path,
        kafka: Connection | str,
        *,
        invalid: Literal["raise", "dlq"] = "raise",
        when_full: WhenFull = "raise",
        limit_bytes: int = LIMIT_BYTES,
        fsync_ms: int = 0,
        number: bool = False,
        system: str | None = None,
        source: str | None = None,
        heartbeat_s: float | None = None,
        topic: str = TOPIC,
        connect: Callable[[], Any] | None = None,
    ) -> None:
        """``spool`` is a folder of this process alone, ``kafka`` the bootstrap servers or how to reach them.

        ``invalid``: what is no lookup is refused, or is sent nevertheless and lies in the monitor's DLQ. ``when_full``: beyond
        ``limit_bytes``, :meth:`report` raises :class:`SpoolFull`, or waits. ``fsync_ms``: 0 forces each lookup to the disk; n forces at
        least every n milliseconds, and a loss of power (not a kill) loses at most what was reported since. ``number`` gives each lookup the next ``seq``, and ``source``,
        for a counter of this machine's own. ``heartbeat_s``: every so many seconds it is said for ``system`` that it lives and what the last number is. ``connect`` makes the producer, if it is to be another.

        Raises :class:`SpoolLocked`, :class:`SpoolError`, ``OSError`` and ``ValueError``.
        """
        if heartbeat_s is not None and system is None:
            raise ValueError("heartbeats are of a system: name it")
        if source is not None and not number:
            raise ValueError("a source names a counter: it goes with number=True")
        self._is_strict, self._number, self._system, self._source = invalid == "raise", number, system, source
        self._connection = Connection(kafka) if isinstance(kafka, str) else kafka
        self._pid = os.getpid()
        self._spool = Spool(Path(spool), limit_bytes, when_full, fsync_ms)
        name = f"lookup-client-{socket.gethostname()}-{self._pid}"
        self._sender = Sender(self._spool, connect or (lambda: producer_of(self._connection, name)), topic)
        self._count = threading.Lock()
        self._reported = self._refused = 0
        self._beat_at = -1
        self._ends = threading.Event()
        self._sender.start()
        self._threads: list[threading.Thread] = []
        if fsync_ms:
            self._every(max(_SYNC_AT_LEAST_MS, fsync_ms) / 1000, self._spool.sync)
        if heartbeat_s is not None:
            self._every(heartbeat_s, self.beat)

    def _every(self, seconds: float, act: Callable[[], object]) -> None:
        def work() -> None:
            while not self._ends.wait(seconds):
                try:
                    act()
                except SpoolError:
                    # Said to whoever reports; here there is nobody to say it to.
                    self._sender.retries += 1

        self._threads.append(threading.Thread(target=work, name="lookup-client-timer", daemon=True))
        self._threads[-1].start()

    def report(self, lookup: Mapping[str, Any] | bytes, mark: bytes | None = None) -> int:
        """Report a lookup (DESIGN 4; or its JSON); return its number in the spool, when it is on disk.

        Raises :class:`BadEvent` with the reason for what is no lookup, :class:`SpoolFull` and :class:`SpoolError`: it was not taken then.
        ``mark`` is kept with it, see :attr:`mark`.
        """
        self._check_process()
        try:
            raw, document = self._checked(lookup)
        except BadEvent:
            with self._count:
                self._refused += 1
            raise
        key = self._key_of(document)
        value: bytes | Callable[[int], bytes] = raw
        if self._number and isinstance(document, dict) and document.get("kind") != "heartbeat":
            value = self._numbered(document)
        done = self._spool.append(key, value, mark)
        with self._count:
            self._reported += 1
        return done

    def _checked(self, lookup: Mapping[str, Any] | bytes) -> tuple[bytes, Any]:
        raw = lookup if isinstance(lookup, bytes) else _encoded(lookup)
        if len(raw) > MAX_VALUE_BYTES:
            raise BadEvent(
                "too-large", f"the message has {len(raw)} bytes; more than {MAX_VALUE_BYTES} are not sent at all"
            )
        try:
            document = orjson.loads(raw)
        except orjson.JSONDecodeError:
            document = None
        if self._is_strict:
            if isinstance(document, dict) and self._number and document.get("seq") is not None:
                raise BadEvent("wrong-field", "seq is there already, and this client numbers lookups itself")
            try:
                decode(raw, received_ms=int(time.time() * 1000))
            except Notice:
                pass
        return raw, document

    @staticmethod
    def _key_of(document: Any) -> bytes | None:
        try:
            found = key_of(document)
            return None if found is None else found.encode()
        except UnicodeEncodeError:
            return None

    def _numbered(self, document: dict[str, Any]) -> Callable[[int], bytes]:
        counter = {} if self._source is None else {"source": self._source}
        return lambda number: orjson.dumps({**document, "seq": number, **counter})

    def beat(self) -> bool:
        """Say that the system lives, and what the last number is. ``False``: the last time has not been sent yet, so it is not said again."""
        self._check_process()
        if self._system is None:
            raise ValueError("heartbeats are of a system: name it")
        with self._spool.changed:
            if self._beat_at >= self._spool.acked:
                return False
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            said: dict[str, Any] = {"kind": "heartbeat", "id": str(uuid.uuid4()), "system": self._system, "time": now}
            if self._number:
                said["seq"] = self._spool.seq
                if self._source is not None:
                    said["source"] = self._source
            self._beat_at = self._spool.end
            self._beat_at = self._spool.append(self._system.encode(), orjson.dumps(said))
        return True

    @property
    def mark(self) -> bytes:
        """The mark of the newest record that was ever spooled here: where to go on reading after a restart."""
        return self._spool.mark

    def stats(self) -> Stats:
        """How it goes."""
        with self._count:
            reported, refused = self._reported, self._refused
        spool, sender = self._spool, self._sender
        with spool.changed:
            waiting, size, seq = spool.waiting, spool.size, spool.seq
        return Stats(
            reported,
            refused,
            sender.sent,
            waiting,
            size,
            seq,
            sender.retries,
            sender.trouble,
            spool.damaged,
            spool.torn,
        )

    def flush(self, within: float = 30.0) -> bool:
        """Wait until Kafka has all that was reported, but no longer than ``within`` seconds; whether it has."""
        deadline = time.monotonic() + within
        with self._spool.changed:
            upto = self._spool.end
            while self._spool.acked < upto:
                left = deadline - time.monotonic()
                if left <= 0 or self._spool.is_closed:
                    return False
                self._spool.changed.wait(left)
        return True

    def close(self, within: float = 10.0) -> bool:
        """End; whether Kafka has all. What it has not stays in the spool, and is sent by whoever opens it next."""
        if self._pid != os.getpid() or self._spool.is_closed:
            return False
        is_done = self.flush(within)
        self._ends.set()
        for thread in self._threads:
            thread.join(1.0)
        self._sender.stop(min(2.0, within + 0.2))
        self._spool.close()
        return is_done

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise SpoolError("this client was made by the process before the fork; make one with a folder of its own")

    def register(self, registry: Any) -> None:
        """Show :meth:`stats` in a registry of prometheus-client, as ``lookup_client_…``."""
        from monitor.client.collector import ClientCollector

        registry.register(ClientCollector(self))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _encoded(lookup: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(dict(lookup))
    except (orjson.JSONEncodeError, TypeError) as error:
        raise BadEvent("not-json", f"it cannot be written as JSON: {error}") from None
