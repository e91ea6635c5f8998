"""The Faust app as we use it: membership, assignment, commits and supervision; chunks instead of messages."""

from __future__ import annotations

import asyncio
import os
import tempfile
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials

from monitor.connection import Connection
from monitor.settings import Settings
from monitor.stream.transport import MAX_CHUNK, ChunkTransport, Order

#: Whoever leads the group gives nobody a topic of which it could not read the metadata, as may be when the broker has just
#: come back, and asks again only after this time, in milliseconds. Kafka's clients ask every five minutes.
METADATA_MAX_AGE_MS = 5_000


class StageFailed(Exception):
    """A stage could not do a chunk. The worker ends; whoever runs it starts it again, from what is committed."""


class ChunkLost(Exception):
    """A chunk was delivered and did not come to its stage. What comes after it may not be worked on."""


class App(faust.App):  # type: ignore[misc]
    """A Faust app that ends when an agent fails.

    Faust itself would start the agent again, which would go on behind the chunks that were left undone: they would be lost.
    It does so even while the app ends; so with ``has_failed`` no chunk is begun any more.
    """

    has_failed = False
    #: The last generation of the group whose partitions have gone.
    ended_generation: int | None = None

    async def end_generation(self, *_: Any, **__: Any) -> None:
        """Partitions go.

        Faust stops the flow only of a worker that had some. One that had none would be given records of its first partitions
        before their positions are set.
        """
        self.ended_generation = self.consumer_generation_id
        self.consumer.stop_flow()
        self.flow_control.suspend()

    def may_begin(self, generation: int) -> bool:
        """Whether chunks that were read in this generation of the group may still be begun.

        Not when its partitions are gone, though the next has not come yet: a new part would begin in the middle of what was
        read, without what the old one held back.
        """
        return bool(not self.has_failed and generation == self.consumer_generation_id != self.ended_generation)

    def depends_on(self, task: asyncio.Task[Any]) -> None:
        """End when a task fails, as when an agent does. Without it the app would go on by what the task knew last."""

        def look(ended: asyncio.Task[Any]) -> None:
            if not ended.cancelled() and (error := ended.exception()) is not None:
                self.has_failed = True
                failed = StageFailed(f"{_place(error)}, in {ended.get_name()}")
                self._crashing = self.loop.create_task(self.crash(failed))

        task.add_done_callback(look)

    async def _on_agent_error(self, agent: Any, exc: BaseException) -> None:
        await self.crash(exc)


def new_app(settings: Settings) -> App:
    """An app of consumer group ``settings.group`` whose agents get chunks (see :mod:`monitor.stream.transport`)."""
    app = App(
        settings.group,
        broker=[f"aiokafka://{server}" for server in settings.bootstrap.split(",")],
        store="memory://",
        # Faust makes this folder whether it keeps something in it or not; we keep nothing in it.
        datadir=Path(tempfile.gettempdir(), f"lookup-monitor-faust-{os.getuid()}"),
        broker_credentials=_credentials(settings.kafka),
        key_serializer="raw",
        value_serializer="raw",
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_session_timeout=settings.session_timeout,
        # A third would do to stay in the group. It is by its heartbeat that a worker hears that another one is gone.
        broker_heartbeat_interval=settings.session_timeout / 10,
        broker_commit_interval=settings.commit_interval,
        broker_max_poll_records=MAX_CHUNK,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        stream_wait_empty=False,
        # In chunks: what a worker may have fetched and not yet worked on.
        stream_buffer_maxsize=2,
        # Of which we keep no tables; but whoever has a copy of a partition's state is given it first.
        table_standby_replicas=settings.standby_replicas,
        web_enabled=False,
    )
    app.on_partitions_revoked.connect(app.end_generation)
    app.transport = ChunkTransport(app.conf.broker_consumer, app)
    return app


def _credentials(kafka: Connection) -> Any:
    """Who we are to Kafka, in Faust's words; ``None`` without TLS and user."""
    context = kafka.tls() if kafka.has_tls else None
    if kafka.has_user:
        return SASLCredentials(
            username=kafka.user, password=kafka.password(), ssl_context=context, mechanism=kafka.mechanism
        )
    return None if context is None else SSLCredentials(context)


def add_agent(
    app: App,
    topic: str,
    started: Callable[[], Awaitable[Any]],
    handle: Callable[[Any], Awaitable[None]],
) -> None:
    """Give every chunk of ``topic`` to ``handle``, once ``started`` has returned; ``handle`` acknowledges it itself.

    Those of one partition one after the other, in order; while one waits for Kafka another partition's is worked on. A chunk
    that may not be begun any more (:meth:`App.may_begin`) is dropped.
    """

    order = Order()

    async def told(event: Any) -> None:
        try:
            if not order.is_next(event.message.partition, event.message.headers):
                raise ChunkLost
            await handle(event)
        except Exception as error:
            app.has_failed = True
            raise StageFailed(_where(event.message, error)) from None

    async def agent(stream: Any) -> None:
        await started()
        await in_lanes(stream.noack().events(), told, lambda event: app.may_begin(event.message.generation_id))

    app.agent(app.topic(topic, key_serializer="raw", value_serializer="raw"), name=topic)(agent)


def _where(message: Any, error: BaseException) -> str:
    """What failed, and where. Not the error's own words: they may name somebody (promise 7)."""
    chunk = f"{message.topic}/{message.partition}, in the chunk that ends with offset {message.offset}"
    return f"{_place(error)}, for {chunk}"


def _place(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"


async def in_lanes(
    events: AsyncIterator[Any], handle: Callable[[Any], Awaitable[None]], is_current: Callable[[Any], bool]
) -> None:
    """Handle events, those of one partition in order, and several partitions' at once. The first error ends all.

    What was read before a rebalance (``is_current`` says no) is dropped: it comes again, to whoever has the partition now.
    """
    lanes: dict[int, asyncio.Queue[Any]] = {}

    async def follow(lane: asyncio.Queue[Any]) -> None:
        own = asyncio.current_task()
        # What it is told to end in may not tell it: aiokafka's consumers swallow that while they are stopped.
        while own is not None and not own.cancelling():
            event = await lane.get()
            if is_current(event):
                await handle(event)
            lane.task_done()

    try:
        async with asyncio.TaskGroup() as group:
            followers = []
            async for event in events:
                lane = lanes.get(event.message.partition)
                if lane is None:
                    lane = lanes[event.message.partition] = asyncio.Queue(maxsize=1)
                    followers.append(group.create_task(follow(lane)))
                await lane.put(event)
            for lane in lanes.values():
                await lane.join()
            for follower in followers:
                follower.cancel()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
