"""The guard before the console: nobody reaches a page who is not logged in, and nothing is changed that no page of ours has sent.

To the app behind it, each request has ``request.state.person`` (:class:`Person`, with the roles of now) and ``request.state.csrf``, which
every form sends back as its hidden field ``csrf``, and htmx as the header ``X-CSRF-Token``.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final
from urllib.parse import parse_qsl, quote

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.access.body import form_of, read_body, replay
from monitor.access.headers import secure
from monitor.access.login import Access, Asked, Login
from monitor.access.origin import Refused, local_path
from monitor.access.roles import Person
from monitor.access.sessions import Session
from monitor.secret_files import BadSecretFile

log = structlog.get_logger(__name__)
_SAFE: Final = frozenset({"GET", "HEAD"})
_METHODS: Final = _SAFE | {"POST", "PUT", "PATCH", "DELETE"}
_MAX_FIELDS: Final = 50


class Guard:
    """ASGI middleware around ``app``. See :func:`monitor.access.setup.access_of` for what decides who gets in."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._login = Login(access)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection. Of those that are neither HTTP nor the server's own beginning and end, none is taken."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        has_begun = False

        async def secured(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message.setdefault("headers", [])
                secure(MutableHeaders(scope=message), scope["path"], self._access.way.is_https)
            await send(message)

        try:
            await self._answer(scope, receive, secured)
        except Refused as refused:
            if not has_begun:
                await PlainTextResponse(f"{refused}\n", refused.status)(scope, receive, secured)
        except Exception as error:
            log.error("a request failed", why=type(error).__name__)
            if has_begun:
                raise
            await PlainTextResponse("something is broken here\n", 500)(scope, receive, secured)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        way, path, method = self._access.way, scope["path"], scope["method"]
        way.check(scope, headers)
        if method not in _METHODS:
            raise Refused(405, "no such method")
        body = await read_body(scope, receive)
        if method not in _SAFE and not way.is_ours(headers):
            raise Refused(403, "sent by no page of this console")
        is_read = method in _SAFE
        fields = _query(scope) if is_read else await form_of(scope, body)
        asked = Asked("GET" if is_read else method, headers, way.client(scope, headers), fields)
        receive = replay(body, receive)
        if path in self._login.open:
            await (await self._login.open[path](asked))(scope, receive, send)
            return
        found = self._who(asked)
        if found is None:
            await self._to_login(scope, headers)(scope, receive, send)
            return
        asked.token, asked.session, person = found
        self._check_rate(asked.token)
        if not is_read:
            _check_token(asked.session, headers, fields)
        if path in self._login.own:
            await (await self._login.own[path](asked))(scope, receive, send)
            return
        state = {**scope.get("state", {}), "person": person, "csrf": asked.session.csrf}
        await self._app({**scope, "state": state}, receive, send)

    def _who(self, asked: Asked) -> tuple[str, Session, Person] | None:
        token = cookie_parser(asked.headers.get("cookie", "")).get(self._login.cookie("session"), "")
        session = self._access.sessions.get(token, self._access.clock()) if token else None
        if session is None:
            return None
        try:
            person = self._access.person(session)
        except BadSecretFile as error:
            log.error("the users cannot be read", why=str(error))
            raise Refused(503, "the users cannot be read; tell who runs the monitor") from None
        if person is None:
            self._access.sessions.end_all(session.name)
            return None
        return token, session, person

    def _check_rate(self, token: str) -> None:
        key = hashlib.sha256(token.encode()).hexdigest()
        if self._access.requests.take(key, self._access.clock()) > 0:
            raise Refused(429, "too many requests; wait a little")

    def _to_login(self, scope: Scope, headers: Headers) -> Response:
        """Pages lead to the login and back afterwards; parts of pages say that they want a login."""
        path = scope["path"] + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
        to = f"/login?next={quote(local_path(path), safe='')}"
        if headers.get("hx-request") == "true":
            return PlainTextResponse("log in\n", 401, {"HX-Redirect": "/login"})
        if scope["method"] not in _SAFE:
            return PlainTextResponse("log in\n", 401)
        return RedirectResponse(to, 303)


def _query(scope: Scope) -> dict[str, str]:
    try:
        return dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=_MAX_FIELDS))
    except ValueError:
        raise Refused(400, "too many fields") from None


def _check_token(session: Session, headers: Headers, fields: dict[str, str]) -> None:
    sent = headers.get("x-csrf-token") or fields.get("csrf", "")
    if not hmac.compare_digest(sent.encode(errors="replace"), session.csrf.encode()):
        raise Refused(403, "this page was open for too long, or is none of this console; go back and try again")
