"""sinks: tell people of incidents."""

from __future__ import annotations

import typer

from monitor.commands.common import check_topics, fail, out
from monitor.settings import Settings


def run() -> None:
    """Deliver incidents to the sinks of LOOKUP_MONITOR_SINKS. One is enough; give it a metrics port of its own."""
    from monitor.metrics_sinks import SinkMetrics
    from monitor.sinks.config import BadSinks, load
    from monitor.stream.delivering import Delivering
    from monitor.stream.outside import run_outside
    from monitor.stream.seal import BadKey

    settings = Settings()
    try:
        sinks = load(settings.sinks)
        metrics = SinkMetrics(each.name for each in sinks)
        delivering = Delivering(settings, sinks, metrics)
    except (BadSinks, BadKey) as error:
        raise fail(str(error)) from None
    check_topics(settings)
    raise typer.Exit(run_outside("sinks", settings, metrics, delivering.why_not_ready, delivering.run))


def list_sinks() -> None:
    """List the sinks, and check that each can be made: its secret is there, its address is one. Nothing is sent."""
    import httpx
    from rich.table import Table

    from monitor.sinks.config import BadSinks, load
    from monitor.sinks.kinds import make

    table = Table("sink", "kind", "to", "told of", "a minute")
    try:
        for each in load(Settings().sinks):
            make(each, httpx.AsyncClient(), lambda: 0.0)
            where = str(each.url or each.path or "as its secret says")
            table.add_row(each.name, each.kind, where, ", ".join(each.notices), f"{each.rate:g}")
    except BadSinks as error:
        raise fail(str(error)) from None
    out.print(table)
