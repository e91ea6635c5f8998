"""watch: whether the registers' lookups come, and all of them."""

from __future__ import annotations

import typer

from monitor.commands.common import check_topics
from monitor.settings import Settings


def watch() -> None:
    """Say when a register goes silent, and which of its lookups never came. One is enough; give it a metrics port of its own."""
    from monitor.metrics import WatchMetrics
    from monitor.stream.outside import run_outside
    from monitor.stream.watching import Watch

    settings = Settings()
    check_topics(settings)
    metrics = WatchMetrics()
    watching = Watch(settings, metrics)
    raise typer.Exit(run_outside("watch", settings, metrics, watching.why_not_ready, watching.run))
