"""Leaving Kafka: nobody waits for a goodbye that does not come."""

from __future__ import annotations

import asyncio
import time

import pytest

from monitor.stream import closing


class Client:
    """A client whose stop waits for ``answered``, and may fail."""

    def __init__(self, fails: bool = False) -> None:
        self.answered, self.ended, self._fails = asyncio.Event(), False, fails

    async def stop(self) -> None:
        await self.answered.wait()
        self.ended = True
        if self._fails:
            raise ConnectionError


def test_a_goodbye_without_answer_is_not_waited_for_and_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "_GOODBYE", 0.05)

    async def run() -> None:
        client = Client()
        began = time.monotonic()
        async with asyncio.timeout(20):
            await closing.leave(client)
        assert time.monotonic() - began < 10
        assert not client.ended
        client.answered.set()
        async with asyncio.timeout(20):
            while not client.ended or closing._leaving:
                await asyncio.sleep(0.01)

    asyncio.run(run())


def test_what_fails_in_time_is_raised() -> None:
    async def run() -> None:
        client = Client(fails=True)
        client.answered.set()
        await closing.leave(client)

    with pytest.raises(ConnectionError):
        asyncio.run(run())
