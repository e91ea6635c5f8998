"""Logging in and out, and changing a password: the pages of somebody who is not in yet, or is about to leave."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response

from monitor.access.limits import BackOff, Buckets
from monitor.access.oidc import NotAllowed, NotKnown, Pending, Provider
from monitor.access.origin import Way, local_path
from monitor.access.pages import STYLE, page, words_for
from monitor.access.passwords import BadPassword
from monitor.access.roles import Person, Role
from monitor.access.sessions import Session, Sessions
from monitor.access.users import Users
from monitor.audit.event import Audit, AuditEvent, AuditUnavailable, What
from monitor.secret_files import BadSecretFile
from monitor.when import rfc3339

log = structlog.get_logger(__name__)
#: So many passwords are checked at once (each takes 64 MiB), and so many more may wait.
_AT_ONCE: Final = 2
_WAITING: Final = 16
_PENDING_FOR: Final = 600.0
_MOST_PENDING: Final = 1000
_DEVICE_FOR: Final = 180 * 24 * 3600


@dataclass
class Access:
    """Everything that decides who gets in. ``users`` are the local ones, or with a ``provider`` only who of its people is blocked."""

    way: Way
    sessions: Sessions
    audit: Audit
    users: Users | None = None
    provider: Provider | None = None
    requests: Buckets = field(default_factory=lambda: Buckets(60, 5))
    clock: Callable[[], float] = time.time

    def person(self, session: Session) -> Person | None:
        """Whose session that is, with the roles of now; ``None`` for who may not be in any more. Raises :class:`BadSecretFile`."""
        if session.roles is None:
            return (
                None
                if self.users is None or self.provider is not None
                else self.users.person(session.name, session.made)
            )
        if self.provider is None or (self.users is not None and self.users.is_blocked(session.name)):
            return None
        known = set(Role)
        return Person(session.name, frozenset(Role(each) for each in session.roles if each in known), session.unit)


@dataclass
class Asked:
    """A request to one of these pages. ``fields`` are those of the form, or of the address for a GET."""

    method: str
    headers: Headers
    client: str
    fields: dict[str, str]
    token: str | None = None
    session: Session | None = None

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies the browser has sent."""
        return cookie_parser(self.headers.get("cookie", ""))


class Login:
    """The pages. What none of them answers is the console's."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._by_account = BackOff()
        self._by_address = Buckets(burst=20, rate=0.2)
        self._checks = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._pending: OrderedDict[str, tuple[Pending, float]] = OrderedDict()
        #: The pages that anybody may ask for, and those of who is in.
        self.open: dict[str, Callable[[Asked], Awaitable[Response]]] = {"/access/style.css": _style}
        self.own: dict[str, Callable[[Asked], Awaitable[Response]]] = {"/logout": self._log_out}
        self.open["/login"] = self._log_in
        if access.provider is not None:
            self.open["/oidc/login"] = self._begin_oidc
            self.open["/oidc/callback"] = self._end_oidc
        else:
            self.own["/password"] = self._password

    def cookie(self, name: str) -> str:
        """What a cookie is called: over https with the prefix that no other host, and no page without TLS, can set it."""
        return f"__Host-monitor-{name}" if self._access.way.is_https else f"monitor-{name}"

    async def _log_in(self, asked: Asked) -> Response:
        words = words_for(asked.headers)
        if asked.method != "POST" or self._access.provider is not None:
            return self._login_page(asked, words)
        sent = asked.cookies.get(self.cookie("login"), "")
        if not sent or not _same(sent, asked.fields.get("csrf", "")):
            return self._login_page(asked, words, 403, words["expired"])
        name = asked.fields.get("name", "")[:64]
        device = asked.cookies.get(self.cookie("device"), "")
        key = name
        if device and self._access.sessions.is_device(device, name):
            # Who has logged in from this browser before is not kept out by others who try his name elsewhere.
            key = f"{name}\0{hashlib.sha256(device.encode(errors='replace')).hexdigest()}"
        if (seconds := self._wait(key, asked.client)) > 0:
            return self._too_many(asked, words, seconds)
        try:
            is_right = await self._proved(key, name, asked.fields.get("password", ""), asked.fields.get("code", ""))
            person = self._users().person(name) if is_right else None
            by = name if is_right or self._users().get(name) is not None else "unknown"
        except BadSecretFile as error:
            log.error("the users cannot be read", why=str(error))
            return self._login_page(asked, words, 503, words["no_users"])
        except _Busy:
            return self._too_many(asked, words, 5)
        if not await self._write("login", by, asked, person is not None, person):
            return self._login_page(asked, words, 503, words["no_audit"])
        if person is None:
            return self._login_page(asked, words, 403, words["wrong"])
        self._by_account.succeeded(key)
        return self._let_in(asked, person, local_path(asked.fields.get("next")))

    def _users(self) -> Users:
        assert self._access.users is not None
        return self._access.users

    def _wait(self, key: str, client: str) -> float:
        now = self._access.clock()
        return max(self._by_account.wait(key, now), self._by_address.take(_network(client), now))

    async def _proved(self, key: str, name: str, password: str, code: str) -> bool:
        """Check name, password and code beside the event loop. It counts as failed until it is known not to have."""
        if self._waiting >= _WAITING + _AT_ONCE:
            raise _Busy
        self._by_account.failed(key, self._access.clock())
        self._waiting += 1
        try:
            async with self._checks:
                return await asyncio.to_thread(self._users().prove, name, password, code, self._access.clock())
        finally:
            self._waiting -= 1

    def _login_page(self, asked: Asked, words: dict[str, str], status: int = 200, wrong: str = "") -> Response:
        sent = asked.cookies.get(self.cookie("login"), "")
        token = sent if len(sent) == 43 and asked.method == "GET" else secrets.token_urlsafe(32)
        oidc = self._access.provider is not None
        fields = {"csrf": token, "next": local_path(asked.fields.get("next")), "oidc": oidc, "wrong": wrong}
        made = page("login", words, "log_in", status, **fields)
        self._set(made, "login", token, max_age=3600)
        return made

    def _too_many(self, asked: Asked, words: dict[str, str], seconds: float) -> Response:
        whole = int(seconds) + 1
        made = self._login_page(asked, words, 429, words["wait"].format(seconds=whole))
        made.headers["retry-after"] = str(whole)
        return made

    def _let_in(self, asked: Asked, person: Person, to: str, roles: bool = False) -> Response:
        """A new session with a new name, whatever the browser had before."""
        sessions, now = self._access.sessions, self._access.clock()
        if (before := asked.cookies.get(self.cookie("session"))) is not None:
            sessions.end(before)
        token = sessions.begin(person.name, now, person.roles if roles else None, person.unit if roles else None)
        made = RedirectResponse(to, 303)
        self._set(made, "session", token)
        device = asked.cookies.get(self.cookie("device"), "")
        if not device or not sessions.is_device(device, person.name):
            self._set(made, "device", sessions.new_device(person.name, now), max_age=_DEVICE_FOR)
        self._forget(made, "login")
        return made

    def _set(self, made: Response, name: str, value: str, max_age: int | None = None) -> None:
        made.set_cookie(
            self.cookie(name),
            value,
            max_age=max_age,
            path="/",
            secure=self._access.way.is_https,
            httponly=True,
            samesite="lax",
        )

    def _forget(self, made: Response, name: str) -> None:
        self._set(made, name, "", max_age=0)

    async def _write(
        self, what: What, by: str, asked: Asked, done: bool, person: Person | None, reason: str = ""
    ) -> bool:
        """Write an audit event; whether it is there."""
        event = AuditEvent(
            id=str(uuid.uuid4()),
            time=rfc3339(int(self._access.clock() * 1000)),
            by=by,
            what=what,
            done=done,
            roles=() if person is None else tuple(sorted(person.roles)),
            reason=reason,
            client=asked.client or None,
        )
        try:
            await self._access.audit.write(event)
        except AuditUnavailable:
            log.error("the audit log did not take an event", what=what)
            return False
        return True

    async def _log_out(self, asked: Asked) -> Response:
        words, session = words_for(asked.headers), asked.session
        assert session is not None
        if asked.method != "POST":
            return page("logout", words, "log_out", csrf=session.csrf, who=session.name)
        self._access.sessions.end(asked.token or "")
        await self._write(
            "logout", session.name, asked, True, None
        )  # who wants to go, goes, whether that is there or not
        made = RedirectResponse("/login", 303)
        self._forget(made, "session")
        return made

    async def _password(self, asked: Asked) -> Response:
        words, session = words_for(asked.headers), asked.session
        assert session is not None
        if asked.method != "POST":
            return self._password_page(words, session)
        fields, name = asked.fields, session.name
        if fields.get("new", "") != fields.get("again", ""):
            return self._password_page(words, session, 400, words["not_again"])
        if (seconds := self._wait(f"{name}\0password", asked.client)) > 0:
            return self._password_page(words, session, 429, words["wait"].format(seconds=int(seconds) + 1))
        try:
            key = f"{name}\0password"
            is_right = await self._proved(key, name, fields.get("password", ""), fields.get("code", ""))
            person = self._users().person(name) if is_right else None
            if not await self._write("user-change", name, asked, person is not None, person, "own password"):
                return self._password_page(words, session, 503, words["no_audit"])
            if person is None:
                return self._password_page(words, session, 403, words["wrong"])
            self._by_account.succeeded(key)
            await asyncio.to_thread(self._users().set_password, name, fields["new"], self._access.clock())
        except BadPassword:
            return self._password_page(words, session, 400, words["not_taken"])
        except BadSecretFile:
            return self._password_page(words, session, 503, words["no_users"])
        except _Busy:
            return self._password_page(words, session, 429, words["wait"].format(seconds=5))
        self._access.sessions.end_all(name)
        return self._let_in(asked, person, "/")

    def _password_page(self, words: dict[str, str], session: Session, status: int = 200, wrong: str = "") -> Response:
        return page("password", words, "change_password", status, csrf=session.csrf, wrong=wrong)

    async def _begin_oidc(self, asked: Asked) -> Response:
        words, provider = words_for(asked.headers), self._access.provider
        assert provider is not None
        now = self._access.clock()
        if (seconds := self._by_address.take(_network(asked.client), now)) > 0:
            return self._too_many(asked, words, seconds)
        redirect = self._access.way.origin(asked.headers) + "/oidc/callback"
        try:
            url, pending = await provider.begin(redirect, local_path(asked.fields.get("next")))
        except NotKnown as error:
            log.error("the identity provider cannot be asked", why=str(error))
            return page("message", words, "failed", 503, wrong=words["provider_failed"])
        token = secrets.token_urlsafe(32)
        self._pending[_key(token)] = (pending, now)
        if len(self._pending) > _MOST_PENDING:
            self._pending.popitem(last=False)
        made = RedirectResponse(url, 303)
        self._set(made, "oidc", token, max_age=int(_PENDING_FOR))
        return made

    async def _end_oidc(self, asked: Asked) -> Response:
        words, provider = words_for(asked.headers), self._access.provider
        assert provider is not None
        # It counts once, whatever comes of it.
        pending, at = self._pending.pop(_key(asked.cookies.get(self.cookie("oidc"), "")), (None, 0.0))
        if pending is None or self._access.clock() - at > _PENDING_FOR:
            return page("message", words, "failed", 403, wrong=words["expired"])
        try:
            person = await provider.finish(pending, asked.fields)
            users = self._access.users
            if users is not None and users.is_blocked(person.name):
                raise NotAllowed(person.name, "blocked")
        except NotKnown as error:
            log.error("a login by the identity provider failed", why=str(error))
            return page("message", words, "failed", 403, wrong=words["provider_failed"])
        except NotAllowed as error:
            is_written = await self._write("login", error.name, asked, False, None, str(error))
            status, word = (403, "not_allowed") if is_written else (503, "no_audit")
            return page("message", words, "failed", status, wrong=words[word])
        except BadSecretFile:
            return page("message", words, "failed", 503, wrong=words["no_users"])
        if not await self._write("login", person.name, asked, True, person):
            return page("message", words, "failed", 503, wrong=words["no_audit"])
        made = self._let_in(asked, person, pending.next, roles=True)
        self._forget(made, "oidc")
        return made


class _Busy(Exception):
    """Too many passwords are being checked."""


async def _style(asked: Asked) -> Response:
    return Response(STYLE, media_type="text/css")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _key(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _network(client: str) -> str:
    """What counts as one address: of IPv6 all that one subscriber has."""
    try:
        found = ip_address(client)
    except ValueError:
        return client
    return str(ip_network(f"{found}/64", strict=False)) if isinstance(found, IPv6Address) else str(found)
