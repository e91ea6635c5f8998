"""Run one worker until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import structlog
import uvloop

from monitor.alerts import METER_RULE, MODEL_RULE
from monitor.http import serve
from monitor.metrics import Metrics
from monitor.rules import RuleSet
from monitor.settings import Settings
from monitor.stream.tables import Tables
from monitor.stream.worker import Worker

log = structlog.get_logger(__name__)

#: The longest that a worker may take to stop, in seconds. Shorter than the time after which those who run it would kill it
#: (Kubernetes: 30).
STOP_WITHIN = 20.0


def run_worker(settings: Settings, rules: RuleSet, tables: Tables, problems: int = 0) -> int:
    """Run a worker; return its exit code: 0 when it was asked to stop, 2 when it broke."""
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # Faust and aiokafka log messages and keys at INFO and below; those may name people (promise 7).
    for name in ("faust", "aiokafka", "mode", "kafka"):
        logging.getLogger(name).setLevel(logging.WARNING)
    metrics = Metrics(_series(rules), settings.partitions)
    metrics.rule_problems.set(problems)
    return uvloop.run(_run(settings, rules, metrics, tables))


def _series(rules: RuleSet) -> list[tuple[str, str]]:
    found = [(rule.id, rule.level) for rule in rules.detections] + [
        (rule.id, rule.level) for rule in rules.correlations
    ]
    return [*found, *((rule.id, rule.level) for rule in (MODEL_RULE, METER_RULE))]


def watch(hangs: Callable[[], float], limit: float, act: Callable[[], None]) -> threading.Thread:
    """Call ``act`` once when ``hangs`` says more than ``limit`` seconds. In a thread: what hangs may be the event loop.

    It must say so twice in a row: a process that was frozen as a whole has not hung.
    """

    def look() -> None:
        times = 0
        while times < 2:
            time.sleep(min(1.0, limit / 4))
            times = times + 1 if hangs() > limit else 0
        log.critical("no progress; starting anew", seconds=round(hangs()))
        act()

    thread = threading.Thread(target=look, name="watch", daemon=True)
    thread.start()
    return thread


def restart() -> None:
    """Become a new process, as it was started. As after a crash, it goes on from what is committed."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def end_within(seconds: float, code: int) -> threading.Timer:
    """End the process with exit code ``code`` after so many seconds, if it is still there; the timer may be cancelled.

    What is committed by then counts, as after a crash. A thread that waits for Kafka would otherwise keep it for ever.
    """

    def end() -> None:
        log.error("did not stop in time; ending", seconds=round(seconds))
        sys.stdout.flush()
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer


async def _run(settings: Settings, rules: RuleSet, metrics: Metrics, tables: Tables) -> int:
    worker = Worker(settings, rules, metrics, tables)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = serve(settings, metrics, worker.readiness, lambda: f"rules: {worker.version}\n")
    print(f"worker: metrics at http://{settings.metrics_host}:{server.server_port}/metrics", flush=True)
    watch(worker.progress.hangs, settings.restart_after, restart)
    app = worker.app
    app.finalize()
    try:
        await app.start()
        crashed = asyncio.create_task(app.wait_until_stopped())
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait({crashed, asked}, return_when=asyncio.FIRST_COMPLETED)
        broke = not stop.is_set()
        asked.cancel()
        end_within(STOP_WITHIN, 2 if broke else 0)
        await app.stop()
        crashed.cancel()
        await worker.stop()
    finally:
        server.shutdown()
    if broke:
        log.error(
            "the worker stopped by itself", why=type(app.crash_reason).__name__ if app.crash_reason else "unknown"
        )
    return 2 if broke else 0
