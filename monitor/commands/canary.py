"""canary: whether lookups go the whole way through the monitor, watched from outside."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

import typer

from monitor.commands.common import check_topics, kafka_errors, out
from monitor.settings import Settings


def canary(
    every: Annotated[float | None, typer.Option(help="seconds from one round to the next", min=1.0)] = None,
    once: Annotated[bool, typer.Option("--once", help="one round: exit code 0 in time, 1 not in time")] = False,
) -> None:
    """Send a lookup of nobody through the whole way every minute, and say when it does not arrive in time.

    Its figures are at /metrics, and /readyz says whether the last round came back; give it a metrics port of its own.
    """
    settings = Settings()
    if once:
        check_topics(settings)
        _once(settings)
        return
    from monitor.metrics import CanaryMetrics
    from monitor.stream.canaries import Canaries
    from monitor.stream.outside import run_outside

    metrics = CanaryMetrics(settings.partitions)
    canaries = Canaries(settings, metrics)
    work = partial(canaries.run, every or settings.canary_every)
    raise typer.Exit(run_outside("canary", settings, metrics, canaries.why_not_ready, work))


def _once(settings: Settings) -> None:
    from monitor.stream.canaries import run_once, words

    with kafka_errors(settings.kafka):
        missing, seconds = asyncio.run(run_once(settings))
    if missing:
        out.print(f"not answered within {settings.canary_slo:g} s: {', '.join(words(missing))} (stage/partition)")
        out.print("see `monitor doctor` and /readyz of the workers")
        raise typer.Exit(1)
    out.print(f"{settings.partitions} canaries have gone the whole way in {seconds:.2f} s")
