"""Rule packs in Kafka: every version that was ever deployed, and the point in the log from which each one counts.

A pack is its texts, under a key that is the hash of them, in ``lookup.rules.v1``. To deploy one is to write it there, and then
one control record into every partition of ``lookup.events.v1``: what stands behind it in that partition is judged by the new
version, what stands before it by the old one, by whichever worker and in whichever replay.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.rules import RuleSet
from monitor.rules.load import version_of
from monitor.stream.batches import Out
from monitor.stream.topics import EVENTS, RULES

log = structlog.get_logger(__name__)
#: The header of a control record; its value is the version.
CONTROL: Final = "lookup-monitor-rules"
#: The key under which the version that is deployed stands.
CURRENT: Final = b"current"
#: How long a version that a control record names may take to come, in seconds: it was written before the record.
_COMES_WITHIN: Final = 30.0
Files = Mapping[str, str]


class UnknownPack(Exception):
    """A control record names a version that is not in the topic."""


def encode(files: Files) -> bytes:
    """A pack's texts as a message."""
    return zlib.compress(msgspec.json.encode(dict(files)), 6)


def decode(raw: bytes) -> dict[str, str]:
    """The texts of :func:`encode`. Raises ``ValueError`` for anything else."""
    try:
        return msgspec.json.decode(zlib.decompress(raw), type=dict[str, str])
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ValueError(f"not a rule pack: {error}") from None


def pack_records(files: Files, now_ms: int) -> tuple[str, list[Out]]:
    """The version, and what has to be in Kafka before anything names it."""
    version = version_of(files)
    return version, [Out(RULES, 0, version.encode(), encode(files), now_ms)]


def switch_records(version: str, partitions: int, now_ms: int) -> list[Out]:
    """What makes a version count: from these records on, and for partitions that have never had one."""
    headers = ((CONTROL, version.encode()),)
    return [
        Out(RULES, 0, CURRENT, version.encode(), now_ms),
        *(Out(EVENTS, partition, None, version.encode(), now_ms, headers) for partition in range(partitions)),
    ]


def version_in(record: Any) -> str | None:
    """The version that a control record names; ``None`` for a lookup."""
    for name, value in record.headers or ():
        if name == CONTROL and value is not None:
            return str(value.decode("ascii", "replace"))
    return None


class PackFeed:
    """The packs of ``lookup.rules.v1``, kept in step with it. ``load`` makes rules of a pack's texts, once a version."""

    def __init__(self, bootstrap: str, load: Callable[[Files], RuleSet]) -> None:
        self._load = load
        self._texts: dict[str, dict[str, str]] = {}
        self._made: dict[str, RuleSet] = {}
        self.current: str | None = None
        self._came = asyncio.Condition()
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=200)
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
        self._tail = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Stop following."""
        if self._tail is not None:
            self._tail.cancel()
            with suppress(asyncio.CancelledError):
                await self._tail
        await self._consumer.stop()

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
        """The rules of a version that may still be on its way. Raises :class:`UnknownPack` when it does not come."""
        async with self._came:
            with suppress(TimeoutError):
                async with asyncio.timeout(_COMES_WITHIN):
                    await self._came.wait_for(lambda: version in self._texts)
        return self.rules(version)

    async def _follow(self) -> None:
        while True:
            await self._take()

    async def _take(self) -> None:
        for records in (await self._consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                self._put(record.key, record.value, record.offset)
            async with self._came:
                self._came.notify_all()

    def _put(self, key: bytes | None, value: bytes | None, offset: int) -> None:
        try:
            if key == CURRENT:
                self.current = (value or b"").decode("ascii")
            elif key is not None and value is not None:
                texts = decode(value)
                if version_of(texts) != key.decode("ascii"):
                    raise ValueError("the key is not the version of the texts")
                self._texts[key.decode("ascii")] = texts
        except ValueError as error:
            log.warning("rule pack refused", topic=RULES, partition=0, offset=offset, why=str(error))
