"""The console as a Starlette application: what is made of a store, an audit log, a way to send, and somebody who knows how the monitor does.

It stands behind a guard that has set ``request.state.person`` and ``request.state.csrf``, and checks the latter.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.audit.event import Audit, AuditUnavailable
from monitor.console import acting, pages, pages_lists, unmasking
from monitor.console.desk import Desk
from monitor.console.guarding import Recorder, Refused
from monitor.console.health import Looks
from monitor.console.reading import Reader
from monitor.console.sending import Commands
from monitor.console.shared_desk import Away, SharedDesk
from monitor.console.showing import HEADERS, STATIC, page
from monitor.metrics_console import ConsoleMetrics
from monitor.privacy.desk import NotAllowed
from monitor.privacy.unmasking import Refused as NotTaken

log = structlog.get_logger(__name__)
#: An address with a longer query is none of ours.
MAX_QUERY: Final = 4096
_PAGE_OF: Final = {
    "/": "queue", "/actor": "actor", "/subject": "subject", "/rules": "rules", "/live": "live",
    "/dispositions": "dispositions", "/review": "review", "/search": "search", "/identities": "identities",
}  # fmt: skip


def console(
    store: Engine,
    audit: Audit,
    commands: Commands,
    health: Looks,
    metrics: ConsoleMetrics | None = None,
    *,
    as_stored: Callable[[str], Sequence[str]] = lambda typed: (typed,),
    identities: SharedDesk | None = None,
    behind: Callable[[], int | None] = lambda: None,
    dead_days: int = 90,
    now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Starlette:
    """The application. ``as_stored``: the ids that what somebody typed may stand under in messages.

    ``identities``: None where there is no key of them; ``behind``: how many messages are not in the store yet; ``now``: milliseconds since the epoch.
    """
    routes = [
        Route("/", pages.queue),
        Route("/incidents/{id}", pages.incident),
        Route("/incidents/{id}/pending", pages.pending),
        Route("/incidents/{id}/act", acting.act, methods=["POST"]),
        Route("/incidents/{id}/identities", unmasking.of_incident, methods=["POST"]),
        Route("/identities", unmasking.requests),
        Route("/identities", unmasking.answer, methods=["POST"]),
        Route("/actor", pages_lists.actor),
        Route("/subject", pages_lists.subject),
        Route("/rules", pages_lists.rules),
        Route("/live", pages_lists.live),
        Route("/dispositions", pages_lists.dispositions),
        Route("/review", pages_lists.review),
        Route("/review", acting.review, methods=["POST"]),
        Route("/search", pages_lists.look),
        Route("/keys", pages_lists.keys),
        Route("/choice", acting.choice, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    made = Starlette(
        routes=routes,
        middleware=[Middleware(_Measured, metrics=metrics or ConsoleMetrics()), Middleware(_Bounded)],
        exception_handlers={
            Refused: _refused,
            NotAllowed: _not_allowed,
            NotTaken: unmasking.not_taken,
            Away: _away,
            AuditUnavailable: _unrecorded,
            SQLAlchemyError: _broken,
            HTTPException: _http,
        },
    )
    made.state.desk = Desk(
        Reader(store), Recorder(audit, now), commands, health, now, as_stored, behind, dead_days, identities
    )
    return made


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return page(request, "message.html", status=error.code, what=error.what)


async def _not_allowed(request: Request, error: Exception) -> Response:
    return page(request, "message.html", status=403, what="forbidden")


async def _away(request: Request, error: Exception) -> Response:
    return page(request, "message.html", status=503, what="away")


async def _unrecorded(request: Request, error: Exception) -> Response:
    log.error("the audit log does not answer; nothing is shown")
    return page(request, "message.html", status=503, what="unrecorded")


async def _broken(request: Request, error: Exception) -> Response:
    cause = getattr(error, "orig", None) or error
    log.error("the store does not answer", why=type(cause).__name__)
    return page(request, "message.html", status=503, what="broken")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = "missing" if error.status_code in (404, 405) else "wrong"
    return page(request, "message.html", status=error.status_code, what=what)


class _Bounded:
    """Refuses addresses that are too long, before anything reads them; files of ours may be kept, everything else may not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(scope.get("query_string", b"")) > MAX_QUERY:
            answer = Response(status_code=414, headers=HEADERS)
            await answer(scope, receive, send)
            return
        if not scope.get("path", "").startswith("/static/"):
            await self._app(scope, receive, send)
            return

        async def kept(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                message["headers"] = [
                    *message["headers"],
                    (b"cache-control", b"private, max-age=31536000, immutable"),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        await self._app(scope, receive, kept)


class _Measured:
    """How long each page took, and how many could not be answered."""

    def __init__(self, app: ASGIApp, metrics: ConsoleMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name, began = page_of(scope["path"]), time.perf_counter()

        has_begun = False

        async def seen(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            if message["type"] == "http.response.start" and message["status"] >= 500:
                self._metrics.failed.labels(name).inc()
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except Exception as error:
            # What it says may name somebody, so it is not said; nor is it passed on, as the server would log it.
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            log.error("a page failed", page=name, why=type(error).__name__, where=where)
            if has_begun:
                raise ConnectionAbortedError("the page failed midway") from None
            await page(Request(scope), "message.html", status=500, what="failed")(scope, receive, seen)
        finally:
            self._metrics.seconds.labels(name).observe(time.perf_counter() - began)


def page_of(path: str) -> str:
    """The page that an address belongs to, of the closed set that metrics have."""
    if path.startswith("/incidents/"):
        end = path.rpartition("/")[2]
        return {"pending": "pending", "act": "act", "identities": "identities"}.get(end, "incident")
    return _PAGE_OF.get(path, "other")
