"""A console that shows who is in, behind the guard; a browser without a browser's mercy; and the audit log as a list."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pyotp
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from monitor.access import passwords
from monitor.access.guard import Guard
from monitor.access.login import Access
from monitor.access.origin import Way
from monitor.access.roles import Role
from monitor.access.sessions import Sessions
from monitor.access.users import Secrets, Users
from monitor.audit.event import AuditEvent, AuditUnavailable

URL = "https://console.example"
PASSWORD = "correct horse battery"
NOW = 1_800_000_000.0


@contextmanager
def cheap_passwords() -> Iterator[None]:
    """argon2id with parameters that take no time; one test has the real ones."""
    passwords.nobodys_hash.cache_clear()
    with patch.object(passwords, "_hasher", PasswordHasher.from_parameters(CHEAPEST)):
        yield
    passwords.nobodys_hash.cache_clear()


class Log:
    """An audit log that can be away."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.is_away = False

    async def write(self, event: AuditEvent) -> None:
        if self.is_away:
            raise AuditUnavailable("away")
        self.events.append(event)


async def who(request: Request) -> Response:
    person = request.state.person
    body = (await request.body()).decode()
    told = {"name": person.name, "roles": sorted(person.roles), "unit": person.unit, "csrf": request.state.csrf}
    return JSONResponse({**told, "body": body}, headers={"Server": "x", "Cache-Control": "public"})


async def broken(request: Request) -> Response:
    raise RuntimeError("it broke")


async def static(request: Request) -> Response:
    return Response("x", headers={"Cache-Control": "private, max-age=3600"})


class House:
    """The guarded console with one user of the desk, ``anna``, and its clock."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.now = NOW
        self.users = Users(folder / "users.json")
        self.secrets = self.add("anna", Role.DESK)
        self.audit = Log()
        self.folder = folder
        self.access = Access(
            **{
                "way": Way(URL, "10.0.0.0/8"),
                "sessions": Sessions(folder / "sessions.sqlite", idle=900, longest=36_000),
                "audit": self.audit,
                "users": self.users,
                "clock": lambda: self.now,
                **more,
            }
        )
        routes = [
            Route("/broken", broken),
            Route("/static/x.js", static),
            Route("/{path:path}", who, methods=["GET", "POST", "DELETE"]),
        ]
        self.guard = Guard(Starlette(routes=routes), self.access)

    def add(self, name: str, *roles: Role, unit: str | None = None) -> Secrets:
        return self.users.add(name, frozenset(roles), unit, PASSWORD, NOW)

    def code(self, secrets: Secrets | None = None, later: float = 0) -> str:
        return pyotp.parse_uri((secrets or self.secrets).totp_uri).at(int(self.now + later))

    def browser(self, address: str = "192.0.2.7", url: str = URL) -> Browser:
        return Browser(self, address, url)


class Browser:
    """Keeps cookies, follows nothing by itself, and sends what a browser does with what a page of the console makes it send."""

    def __init__(self, house: House, address: str, url: str) -> None:
        self.house = house
        transport = httpx.ASGITransport(house.guard, raise_app_exceptions=False, client=(address, 1234))
        self.http = httpx.AsyncClient(transport=transport, base_url=url)
        self.url = url

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def post(self, path: str, fields: dict[str, str] | None = None, **headers: str | None) -> httpx.Response:
        sent = {"Origin": self.url, "Sec-Fetch-Site": "same-origin", **headers}
        given = {name: value for name, value in sent.items() if value is not None}
        return await self.http.post(path, data=fields or {}, headers=given)

    async def field(self, path: str = "/login") -> str:
        return field_of(await self.get(path))

    async def log_in(
        self, name: str = "anna", password: str = PASSWORD, code: str | None = None, **more: str
    ) -> httpx.Response:
        fields = {"csrf": await self.field(), "name": name, "password": password, "code": code or self.house.code()}
        return await self.post("/login", {**fields, **more})

    async def me(self) -> dict[str, Any] | None:
        answer = await self.get("/me")
        return answer.json() if answer.status_code == 200 else None


def field_of(answer: httpx.Response, name: str = "csrf") -> str:
    """What a form of a page holds."""
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found, answer.text
    return html.unescape(found[1])
