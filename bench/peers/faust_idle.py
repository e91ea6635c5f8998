"""Stock Faust: an agent that takes every lookup as raw bytes and does nothing with it. uvloop, memory store.

It neither parses, counts nor raises alerts, so it is the most that one stock Faust worker can do.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import mode.loop

mode.loop.use("uvloop")  # before Faust is imported: it makes the event loop policy

import faust  # noqa: E402

from bench.peers.meter import Job, Meter, parse_job  # noqa: E402

PARTITIONS = 4


def build(job: Job, meter: Meter) -> faust.Worker:
    """A worker with the one agent; it stops by itself after the last lookup."""
    app = faust.App(
        job.run,
        broker=f"aiokafka://{job.bootstrap}",
        store="memory://",
        topic_partitions=PARTITIONS,
        datadir=str(job.workdir),
        web_enabled=False,
    )
    source = app.topic(job.topic, key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw")
    # Its spinner goes to stderr: stdout is for the result.
    worker = faust.Worker(app, loglevel=logging.WARNING, stdout=sys.stderr, redirect_stdouts=False)

    stopping: list[asyncio.Future[None]] = []  # kept, for the loop itself holds tasks only weakly

    @app.agent(source)  # type: ignore[untyped-decorator]
    async def idle(stream: Any) -> None:
        async for _lookup in stream:
            if meter.saw():
                meter.report(None)
                stopping.append(asyncio.ensure_future(worker.stop()))

    return worker


def main() -> None:
    """Run the job on the command line."""
    job = parse_job(__doc__)
    build(job, Meter(job.expect)).execute_from_commandline()


if __name__ == "__main__":
    main()
