"""What people do, on its way: verdicts and commands into Kafka, as ``monitor dispose`` and ``monitor incidents ack`` send them."""

from __future__ import annotations

import asyncio
from typing import Protocol

from monitor.feedback import disposition
from monitor.feedback.disposition import Disposition
from monitor.incidents import command
from monitor.incidents.command import Command
from monitor.settings import Settings


class NotSent(Exception):
    """It did not get there. Says why, without naming anybody."""


class Commands(Protocol):
    """Where verdicts and commands go. They are checked before: see ``decode`` of either."""

    async def command(self, what: Command) -> None:
        """Return when ``what`` is kept for good. Raises :class:`NotSent`."""

    async def dispose(self, what: Disposition) -> None:
        """Return when ``what`` is kept for good. Raises :class:`NotSent`."""


class KafkaCommands:
    """Into the topics of the incidents' process and of the ranker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def command(self, what: Command) -> None:
        from monitor.stream.topics import COMMANDS

        await self._send(COMMANDS, what.incident, command.encode(what))

    async def dispose(self, what: Disposition) -> None:
        from monitor.stream.topics import DISPOSITIONS

        await self._send(DISPOSITIONS, what.alert or what.lookup or "", disposition.encode(what))

    async def _send(self, topic: str, key: str, raw: bytes) -> None:
        from kafka.errors import KafkaError

        from monitor.commands.feedback import write

        try:
            await asyncio.to_thread(write, self._settings, topic, key, raw)
        except (KafkaError, OSError) as error:
            raise NotSent(type(error).__name__) from None
