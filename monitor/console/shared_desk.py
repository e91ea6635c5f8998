"""The one desk of identities that all pages of a process share: opened when it is first needed, and anew after Kafka was away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Final, TypeVar

import structlog
from aiokafka.errors import KafkaError

from monitor.audit.event import AuditUnavailable
from monitor.privacy.desk import NotAllowed, UnmaskingDesk
from monitor.privacy.unmasking import Refused
from monitor.stream.seal import BadKey

log = structlog.get_logger(__name__)
T = TypeVar("T")
Opens = Callable[[], AbstractAsyncContextManager[UnmaskingDesk]]
#: Seconds that one thing may take, with the wait for the others before it, and with reading the whole log for the first.
WITHIN_S: Final = 15.0
#: What says that a step was not done and leaves the desk as it was.
_SAID: Final = (NotAllowed, Refused, AuditUnavailable)


class Away(Exception):
    """Kafka does not answer, or not in time. Nothing is shown; whether a step got there is not known, and the log will tell."""


class SharedDesk:
    """Does one thing after the other at a desk of identities, which is not made for two at once.

    A desk that failed in the middle of reading the log would lack what it had read: it is thrown away, and the next call opens one that
    reads all of it.
    """

    def __init__(self, opens: Opens, within: float = WITHIN_S) -> None:
        """``opens`` makes a desk; ``within`` in seconds."""
        self._opens, self._within = opens, within
        self._lock = asyncio.Lock()
        self._desk: UnmaskingDesk | None = None
        self._stack = AsyncExitStack()
        self._closing = set[asyncio.Task[None]]()

    async def do(self, act: Callable[[UnmaskingDesk], Awaitable[T]]) -> T:
        """What ``act`` does at the desk. Raises :class:`Away`, and what the desk raises when it does not do it."""
        try:
            async with asyncio.timeout(self._within), self._lock:
                return await self._now(act)
        except (KafkaError, OSError, TimeoutError, BadKey) as error:
            log.error("the log of unmaskings does not answer; no identity is shown", why=type(error).__name__)
            raise Away from None

    async def stop(self) -> None:
        """Disconnect. Nothing may be done meanwhile."""
        self._drop()
        while self._closing:
            await asyncio.wait(self._closing)

    async def _now(self, act: Callable[[UnmaskingDesk], Awaitable[T]]) -> T:
        try:
            if self._desk is None:
                self._desk = await self._stack.enter_async_context(self._opens())
            return await act(self._desk)
        except _SAID:
            raise
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        """Let go of the desk; nobody waits until it has disconnected."""
        stack, self._stack, self._desk = self._stack, AsyncExitStack(), None
        task = asyncio.create_task(_close(stack))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _close(stack: AsyncExitStack) -> None:
    with suppress(KafkaError, OSError):
        await stack.aclose()
