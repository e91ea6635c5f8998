"""console: the security desk's web pages, and the store behind them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import typer

from monitor.commands.common import check_topics, fail, kafka_errors, out
from monitor.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from starlette.types import ASGIApp

    from monitor.audit.event import Audit
    from monitor.console.filler import Filler
    from monitor.console.shared_desk import SharedDesk

console_app = typer.Typer(
    help="The security desk's web pages, and the store behind them; without a command: both.",
    invoke_without_command=True,
)
#: Seconds that pages which are being answered may take when it is time to stop.
_STOP_WITHIN: Final = 5


@console_app.callback()
def console(context: typer.Context) -> None:
    """Serve the desk's web pages, and keep their store filled from Kafka. Give it a metrics port of its own."""
    if context.invoked_subcommand is None:
        raise typer.Exit(run(Settings()))


@console_app.command()
def fill() -> None:
    """Keep the store filled from Kafka, without the pages: for when several processes serve them."""
    from monitor.metrics_console import ConsoleMetrics
    from monitor.stream.outside import run_outside

    settings, metrics = Settings(), ConsoleMetrics()
    check_topics(settings)
    filler = _filler(settings, metrics)
    raise typer.Exit(run_outside("console", settings, metrics, filler.why_not_ready, filler.run))


@console_app.command()
def rebuild() -> None:
    """Drop what is in the store, and fill it with what is in Kafka now. A console that runs goes on with the new one."""
    from sqlalchemy.exc import SQLAlchemyError

    from monitor.metrics_console import ConsoleMetrics

    settings = Settings()
    check_topics(settings)
    filler = _filler(settings, ConsoleMetrics(), fresh=True)
    with kafka_errors(settings.kafka):
        try:
            count = asyncio.run(filler.fill_up())
        except SQLAlchemyError as error:
            raise fail(f"the store: {type(getattr(error, 'orig', None) or error).__name__}") from None
    out.print(f"the store was filled anew: {count:,} messages")


def run(settings: Settings) -> int:
    """Serve the pages and fill the store until SIGTERM or SIGINT; return the exit code."""
    from monitor.access.guard import Guard
    from monitor.access.setup import BadAccess, access_of, server_options
    from monitor.console.app import console as made
    from monitor.console.health import Endpoints
    from monitor.console.sending import KafkaCommands
    from monitor.metrics_console import ConsoleMetrics
    from monitor.secret_files import BadSecretFile
    from monitor.stream.auditing import KafkaAudit
    from monitor.stream.outside import run_outside

    metrics = ConsoleMetrics()
    try:
        audit = KafkaAudit(settings)
        access, options = access_of(settings, audit), server_options(settings)
    except (BadAccess, BadSecretFile) as error:
        raise fail(str(error)) from None
    check_topics(settings)
    engine = open_engine(settings)
    as_stored, identities = _names(settings, audit)
    filler = _filler(settings, metrics, engine=engine)
    app = made(
        engine,
        audit,
        KafkaCommands(settings),
        Endpoints(settings.console_metrics.split(",")),
        metrics,
        as_stored=as_stored,
        identities=identities,
        behind=lambda: filler.behind,
        dead_days=settings.console_dead_days,
    )
    try:
        listening = socket.create_server((settings.console_host, settings.console_port))
    except OSError as error:
        at = f"{settings.console_host}:{settings.console_port}"
        raise fail(f"{at}: {error.strerror}; set LOOKUP_MONITOR_CONSOLE_PORT to a free port") from None
    host, port = listening.getsockname()[:2]
    typer.echo(f"console: {settings.console_url or f'http://{host}:{port}/'}")

    async def work(stop: asyncio.Event) -> int:
        try:
            return await serve(Guard(app, access), listening, filler, stop, options)
        finally:
            if identities is not None:
                await identities.stop()
            await audit.stop()

    return run_outside("console", settings, metrics, filler.why_not_ready, work)


def _names(settings: Settings, audit: Audit) -> tuple[Callable[[str], list[str]], SharedDesk | None]:
    """What names that people type are called in alerts, and the desk of identities where there is a key of them.

    Exits when pseudonyms are on and have no key: a search by id would find nobody and say so, and could not be put on record.
    """
    from monitor.console.searching import stored_as
    from monitor.console.shared_desk import SharedDesk
    from monitor.stream.masking import has_identity_key, identity_keys, pseudonyms_of
    from monitor.stream.seal import BadKey
    from monitor.stream.unmaskings import unmasking_desk

    try:
        as_stored = stored_as(pseudonyms_of(settings))
        if not has_identity_key(settings):
            return as_stored, None
        identity_keys(settings)
    except BadKey as error:
        raise fail(str(error)) from None
    return as_stored, SharedDesk(lambda: unmasking_desk(settings, audit))


async def serve(
    app: ASGIApp,
    listening: socket.socket,
    filler: Filler,
    stop: asyncio.Event,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Serve ``app`` and fill the store until ``stop``; when one of the two ends by itself, so does the other. Returns the exit code.

    ``options`` are uvicorn's (:func:`monitor.access.setup.server_options`).
    """
    import uvicorn

    class Server(uvicorn.Server):
        def capture_signals(self) -> Any:
            """When to stop is said by ``stop``."""
            from contextlib import nullcontext

            return nullcontext()

    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=_STOP_WITHIN,
        **{"access_log": False, **options},  # addresses name whom they are about
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    filling = asyncio.create_task(filler.run(stop))
    await asyncio.wait({serving, filling}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    server.should_exit = True
    await asyncio.wait({serving, filling})
    return 2 if serving.exception() is not None else filling.result()


def store_url(settings: Settings) -> str:
    """The URL of the store, its password put in; for nobody to see. Exits with what is wrong with the file of the password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    from monitor.commands.ingest import data_home

    url = settings.console_store or f"sqlite:///{data_home() / 'console.db'}"
    path = settings.console_store_password_file
    if path is None:
        return url
    try:
        password = path.read_text().rstrip("\r\n")
        return make_url(url).set(password=password).render_as_string(hide_password=False)
    except (OSError, UnicodeDecodeError) as error:
        raise fail(f"LOOKUP_MONITOR_CONSOLE_STORE_PASSWORD_FILE {path}: {type(error).__name__}") from None
    except ArgumentError:
        return url  # which is then said to be none


def open_engine(settings: Settings, fresh: bool = False) -> Engine:
    """The store. Exits with what is wrong with it."""
    from monitor.console.schema import BadStore, open_store

    try:
        return open_store(store_url(settings), fresh)
    except BadStore as error:
        raise fail(str(error)) from None


def _filler(settings: Settings, metrics: Any, fresh: bool = False, engine: Engine | None = None) -> Filler:
    from monitor.console.filler import Filler

    return Filler(settings, engine or open_engine(settings, fresh), metrics)
