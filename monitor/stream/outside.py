"""Run a process that watches from outside until it is told to stop. It needs neither Faust nor the model."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from monitor.http import Registered, serve
from monitor.settings import Settings

Work = Callable[[asyncio.Event], Awaitable[int]]


def run_outside(
    name: str, settings: Settings, metrics: Registered, why_not_ready: Callable[[], str | None], work: Work
) -> int:
    """Do ``work`` with its pages served, until SIGTERM or SIGINT set the event it gets; return the exit code.

    That is what ``work`` returns, or 2 when the port of the pages is taken.
    """
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # What they cannot reach is said by ourselves, once; at every try they would say it again.
    for logger in ("aiokafka", "kafka"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    try:
        server = serve(settings, metrics, why_not_ready)
    except OSError as error:
        at = f"{settings.metrics_host}:{settings.metrics_port}"
        print(f"error: {at}: {error.strerror}; set LOOKUP_MONITOR_METRICS_PORT to a free port", file=sys.stderr)
        return 2
    print(f"{name}: metrics at http://{settings.metrics_host}:{server.server_port}/metrics", flush=True)
    try:
        return uvloop.run(_until_asked(work))
    finally:
        server.shutdown()


async def _until_asked(work: Work) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await work(stop)
