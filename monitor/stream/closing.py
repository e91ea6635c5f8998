"""Leaving Kafka without waiting for its goodbye."""

from __future__ import annotations

import asyncio
from typing import Any, Final

#: Seconds that the end of a connection may take before nobody waits for it any more.
_GOODBYE: Final = 1.0
_leaving: set[asyncio.Task[None]] = set()


def _left(task: asyncio.Task[None]) -> None:
    _leaving.discard(task)
    if not task.cancelled():
        task.exception()  # asked for, so that nobody says that nobody did


async def leave(client: Any) -> None:
    """Stop a client of aiokafka of which nothing is wanted any more; what it still has to do goes on beside.

    Over TLS a broker may leave the client's goodbye unanswered. The event loop waits 30 s for the answer then, and whoever reads many
    partitions one after the other would wait that long for each.
    """
    task = asyncio.create_task(client.stop())
    _leaving.add(task)
    task.add_done_callback(_left)
    done, _ = await asyncio.wait({task}, timeout=_GOODBYE)
    for each in done:
        each.result()
