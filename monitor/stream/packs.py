"""Rule packs in Kafka: every version that was ever deployed, and the point in the log from which each one counts.

A pack is its texts, under a key that is the hash of them, in ``lookup.rules.v1``. To deploy one is to write it there, and then
one control record into every partition of ``lookup.events.v1``: what stands behind it in that partition is judged by the new
version, what stands before it by the old one, by whichever worker and in whichever replay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.connection import Connection
from monitor.rerun import UnknownPack
from monitor.rules import RuleSet
from monitor.signing import PublicKeys
from monitor.stream.closing import leave
from monitor.stream.topics import RULES
from monitor.stream.versions import CURRENT, Files, accepted

log = structlog.get_logger(__name__)
#: How long a version that a control record names may take to come, in seconds: it was written before the record.
_COMES_WITHIN: Final = 30.0


class PackFeed:
    """The packs of ``lookup.rules.v1``, kept in step with it. ``load`` makes rules of a pack's texts, once a version."""

    def __init__(
        self,
        kafka: Connection,
        load: Callable[[Files], RuleSet],
        follow: Callable[[asyncio.Task[None]], None] = lambda task: None,
        keys: PublicKeys | None = None,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        """``follow`` is told the task that keeps it in step; when that fails, what is known is no longer what is there. With ``keys``,
        packs that none of them has signed are not there, whatever names them. ``refused`` is called for each that is refused."""
        self._load = load
        self._texts: dict[str, dict[str, str]] = {}
        self._made: dict[str, RuleSet] = {}
        self._bad = set[str]()
        self.current: str | None = None
        self._came = asyncio.Condition()
        self._told = follow
        self._keys = keys
        self._refused = refused
        # A topic that was made anew is read from its beginning.
        self._consumer = AIOKafkaConsumer(
            **kafka.options(), enable_auto_commit=False, fetch_max_wait_ms=200, auto_offset_reset="earliest"
        )
        self._tail: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what is there now, then go on in the background."""
        await self._consumer.start()
        tp = TopicPartition(RULES, 0)
        self._consumer.assign([tp])
        await self._consumer.seek_to_beginning(tp)
        end = (await self._consumer.end_offsets([tp]))[tp]
        while await self._consumer.position(tp) < end:
            await self._take()
        self._tail = asyncio.create_task(self._follow(), name=RULES)
        self._told(self._tail)

    async def stop(self) -> None:
        """Stop following."""
        if self._tail is not None:
            self._tail.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._tail
        await leave(self._consumer)

    def has(self, version: str) -> bool:
        """Whether a version was ever deployed."""
        return version in self._texts

    def rules(self, version: str) -> RuleSet:
        """The rules of a version. Raises :class:`UnknownPack`."""
        made = self._made.get(version)
        if made is None:
            texts = self._texts.get(version)
            if texts is None:
                raise UnknownPack(version)
            made = self._made[version] = self._load(texts)
        return made

    async def ensure(self, version: str) -> RuleSet:
        """The rules of a version that may still be on its way. Raises :class:`UnknownPack` when it does not come, or was refused."""
        async with self._came:
            with suppress(TimeoutError):
                async with asyncio.timeout(_COMES_WITHIN):
                    await self._came.wait_for(lambda: version in self._texts or version in self._bad)
        return self.rules(version)

    async def _follow(self) -> None:
        while True:
            await self._take()

    async def _take(self) -> None:
        for records in (await self._consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                self._put(record)
            async with self._came:
                self._came.notify_all()

    def _put(self, record: Any) -> None:
        key, value = record.key, record.value
        try:
            if key == CURRENT:
                version = (value or b"").decode("ascii")
                if self._keys is not None and version not in self._texts:
                    raise ValueError("it names a version that no accepted key has signed")
                self.current = version
            elif key is not None and value is not None:
                texts, signed_by = accepted(key, value, record.headers or (), self._keys)
                self._texts[key.decode("ascii")] = texts
                self._bad.discard(key.decode("ascii"))
                log.info("rule pack", version=key.decode("ascii"), signed_by=signed_by)
        except ValueError as error:
            self._refused()
            if key is not None and key != CURRENT:
                self._bad.add(key.decode("ascii", "replace"))
            log.warning("rule pack refused", topic=RULES, partition=0, offset=record.offset, why=str(error))
