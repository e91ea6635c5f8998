"""audit relay: what the monitor's own users looked at goes through the monitor."""

from __future__ import annotations

import typer

from monitor.commands.common import check_topics
from monitor.settings import Settings


def relay() -> None:
    """Pass on what the monitor's own users searched, viewed or unmasked, as lookups. One is enough; give it a metrics port of its own."""
    from monitor.metrics_relay import RelayMetrics
    from monitor.stream.outside import run_outside
    from monitor.stream.relaying import Relay

    settings = Settings()
    check_topics(settings)
    metrics = RelayMetrics()
    work = Relay(settings, metrics)
    raise typer.Exit(run_outside("relay", settings, metrics, work.why_not_ready, work.run))
