"""The Faust app as we use it: membership, assignment, commits and supervision; chunks instead of messages."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import faust

from monitor.settings import Settings
from monitor.stream.transport import MAX_CHUNK, ChunkTransport


def new_app(settings: Settings) -> faust.App:
    """An app of consumer group ``settings.group`` whose agents get chunks (see :mod:`monitor.stream.transport`)."""
    app = faust.App(
        settings.group,
        broker=[f"aiokafka://{server}" for server in settings.bootstrap.split(",")],
        store="memory://",
        # Faust makes this folder whether it keeps something in it or not; we keep nothing in it.
        datadir=Path(tempfile.gettempdir(), f"lookup-monitor-faust-{os.getuid()}"),
        key_serializer="raw",
        value_serializer="raw",
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=settings.session_timeout / 3,
        broker_commit_interval=settings.commit_interval,
        broker_max_poll_records=MAX_CHUNK,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        # In chunks: what a worker may have fetched and not yet worked on.
        stream_buffer_maxsize=2,
        web_enabled=False,
    )
    app.transport = ChunkTransport(app.conf.broker_consumer, app)
    return app


def add_agent(
    app: faust.App, topic: str, started: Callable[[], Awaitable[Any]], handle: Callable[[Any], Awaitable[None]]
) -> None:
    """Give every chunk of ``topic`` to ``handle``, once ``started`` has returned; ``handle`` acknowledges it itself.

    Those of one partition one after the other, in order; while one waits for Kafka another partition's is worked on.
    """

    async def agent(stream: Any) -> None:
        await started()
        lanes: dict[int, asyncio.Queue[Any]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                async for event in stream.noack().events():
                    lane = lanes.get(event.message.partition)
                    if lane is None:
                        lane = lanes[event.message.partition] = asyncio.Queue(maxsize=1)
                        group.create_task(_follow(app, lane, handle))
                    await lane.put(event)
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    app.agent(app.topic(topic, key_serializer="raw", value_serializer="raw"), name=topic)(agent)


async def _follow(app: faust.App, lane: asyncio.Queue[Any], handle: Callable[[Any], Awaitable[None]]) -> None:
    """Handle what comes on a partition's lane, without end."""
    while True:
        event = await lane.get()
        # What was read before a rebalance comes again, to whoever has the partition now.
        if event.message.generation_id == app.consumer_generation_id:
            await handle(event)
