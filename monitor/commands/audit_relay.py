"""audit relay: what the monitor's own users looked at goes through the monitor."""

from __future__ import annotations

import typer

from monitor.commands.common import check_topics, fail
from monitor.settings import Settings


def relay() -> None:
    """Pass on what the monitor's own users searched, viewed or unmasked, as lookups. One is enough; give it a metrics port of its own."""
    from monitor.metrics_relay import RelayMetrics
    from monitor.stream.masking import identities_of
    from monitor.stream.outside import run_outside
    from monitor.stream.relaying import Relay
    from monitor.stream.seal import BadKey

    settings = Settings()
    check_topics(settings)
    metrics = RelayMetrics()
    try:
        identities = None if settings.pseudonyms == "off" else identities_of(settings)
    except BadKey as error:
        raise fail(str(error)) from None
    work = Relay(settings, metrics, identities)
    raise typer.Exit(run_outside("relay", settings, metrics, work.why_not_ready, work.run))
