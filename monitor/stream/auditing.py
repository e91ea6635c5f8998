"""The audit log in Kafka: writing an event to ``lookup.audit.v1`` so that it is there for good, and chained to what was there before."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from monitor.audit.chain import BadLink, Chain, Seen, Tracks, digest_of, link_of
from monitor.audit.event import AuditEvent, AuditUnavailable
from monitor.settings import Settings
from monitor.signing import Signer
from monitor.stream.closing import leave
from monitor.stream.key_files import signer_in
from monitor.stream.topics import AUDIT

log = structlog.get_logger(__name__)
_TP: Final = TopicPartition(AUDIT, 0)
#: A writer that begins reads so many of the last records; all of them only if these do not tell what was before.
_LOOKS_BACK: Final = 1000
#: It remembers the running hashes of so many of the last records.
_REMEMBERS: Final = 2000


class _Moved(Exception):
    """The log does not go on where it was read up to."""


class _Line:
    """A connection: what is read, and where it is written. It is used until something goes wrong, and then never again."""

    def __init__(self, settings: Settings, signer: Signer | None) -> None:
        options = settings.kafka.options()
        self._consumer = AIOKafkaConsumer(
            **options, enable_auto_commit=False, fetch_max_wait_ms=100, auto_offset_reset="earliest"
        )
        self._producer = AIOKafkaProducer(
            **options,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            request_timeout_ms=max(1000, int(settings.audit_within * 1000)),
        )
        self._chain = Chain(uuid.uuid4().hex, signer)
        self._tracks = Tracks(0)
        self._next = 0

    async def open(self) -> None:
        await self._producer.start()
        await self._consumer.start()
        self._consumer.assign([_TP])
        first = (await self._consumer.beginning_offsets([_TP]))[_TP]
        end = (await self._consumer.end_offsets([_TP]))[_TP]
        for start in dict.fromkeys((max(first, end - _LOOKS_BACK), first)):
            self._tracks, self._next = Tracks(start, _REMEMBERS), start
            self._consumer.seek(_TP, start)
            while self._next < end:
                await self._read(200)
            if self._tracks.seen() is not None:
                return

    async def _read(self, timeout_ms: int) -> int:
        records = (await self._consumer.getmany(_TP, timeout_ms=timeout_ms)).get(_TP, [])
        for record in records:
            if record.offset != self._next:
                raise _Moved
            digest = digest_of(record.key, record.value, tuple(record.headers or ()))
            claim = _claim(record.value)
            if claim is not None:
                self._tracks.judge(claim)
            self._tracks.add(digest)
            self._next += 1
        return len(records)

    async def write(self, event: AuditEvent) -> None:
        while await self._read(0):
            pass
        seen = self._tracks.seen() or self._tracks.begin_anew()
        made = self._chain.make(event, seen)
        await self._producer.send_and_wait(AUDIT, made.value, key=made.key, partition=0, headers=list(made.headers))
        self._chain.wrote(made)

    async def close(self) -> None:
        for client in (self._producer, self._consumer):
            with suppress(KafkaError, OSError):
                await leave(client)


def _claim(value: bytes | None) -> Seen | None:
    """What a record says of those before it, of which a writer that begins late in the log learns the running hash."""
    try:
        link = link_of(value)
        return Seen(link.since, link.seen, bytes.fromhex(link.whole))
    except (BadLink, ValueError):
        return None


class KafkaAudit:
    """Writes events to the audit log (:class:`monitor.audit.event.Audit`). One per process; events are written one after the other.

    When it is not known whether Kafka has an event, it is said to be :class:`AuditUnavailable`, though the event may be in the log then: the log
    can hold what was not done after all, and never lacks what was. The next event begins a new chain.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises :class:`monitor.secret_files.BadSecretFile` when the key cannot be used."""
        self._settings = settings
        self._signer = signer_in(settings.audit_key_file)
        self._line: _Line | None = None
        self._lock = asyncio.Lock()
        self._writing = set[asyncio.Task[None]]()

    async def write(self, event: AuditEvent) -> None:
        """Return when all in-sync replicas have ``event``. Raises :class:`AuditUnavailable` when they have not in ``audit_within`` seconds."""
        # Whoever asked may go away; what became of the record must be known all the same, for the next to follow it.
        task = asyncio.create_task(self._write(event))
        self._writing.add(task)
        task.add_done_callback(self._done)
        await asyncio.shield(task)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()

    async def _write(self, event: AuditEvent) -> None:
        try:
            async with asyncio.timeout(self._settings.audit_within), self._lock:
                await self._now(event)
        except (KafkaError, OSError, TimeoutError, _Moved) as error:
            why = type(error).__name__
            log.error("the audit log did not take an event", why=why)
            raise AuditUnavailable(f"the audit log did not take the event: {why}") from None

    async def _now(self, event: AuditEvent) -> None:
        line = self._line or _Line(self._settings, self._signer)
        try:
            if self._line is None:
                await line.open()
                self._line = line
            await line.write(event)
        except BaseException:
            self._line = None
            closing = asyncio.create_task(line.close())
            self._writing.add(closing)
            closing.add_done_callback(self._done)
            raise

    async def stop(self) -> None:
        """Wait for what is being written, and disconnect."""
        while self._writing:
            await asyncio.wait(self._writing)
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    async def __aenter__(self) -> KafkaAudit:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def audited(settings: Settings, *events: AuditEvent) -> None:
    """Write events from a command. Raises :class:`AuditUnavailable` and :class:`monitor.secret_files.BadSecretFile`."""
    async with KafkaAudit(settings) as audit:
        for event in events:
            await audit.write(event)
