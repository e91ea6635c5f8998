"""A stand-in for the guard, an audit log in memory, and a desk that takes what is sent as Kafka and the incidents' process do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from sqlalchemy import Engine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.access.roles import Person, Role
from monitor.console.filling import Filling, Place
from monitor.console.filling import Message as Record
from monitor.console.health import Endpoint, Health, Lag, Register
from monitor.console.sending import NotSent
from monitor.feedback import disposition
from monitor.feedback.disposition import Disposition
from monitor.incidents.command import Command
from monitor.incidents.journal import Asked, Judged
from monitor.stream import topics
from tests.audited import Logged as Logged
from tests.console.made import shown
from tests.incidents.made import Desk as Story

CSRF = "a-token-of-this-session"
CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
DESK = Person("j.jansen", frozenset({Role.DESK}))
SUPERVISOR = Person("s.smit", frozenset({Role.SUPERVISOR}), "harbour")
AUDITOR = Person("a.bakker", frozenset({Role.AUDITOR}))
AUTHOR = Person("r.visser", frozenset({Role.RULE_AUTHOR}))
OFFICER = Person("p.dekker", frozenset({Role.PRIVACY_OFFICER}))


class Taken:
    """What was sent; with a story it is taken in at once, and the store is filled with what comes of it."""

    def __init__(self, story: Story | None = None, store: Store | None = None) -> None:
        self.sent: list[Command | Disposition] = []
        self.is_up = True
        self._story, self._store = story, store

    async def command(self, what: Command) -> None:
        self._take(what)
        if self._story is not None:
            self._story.take(Asked(self._story.source("commands"), what))
            self._fill([])

    async def dispose(self, what: Disposition) -> None:
        self._take(what)
        if self._story is not None:
            self._story.take(Judged(self._story.source("dispositions"), what))
            self._fill([(topics.DISPOSITIONS, disposition.encode(what))])

    def _take(self, what: Command | Disposition) -> None:
        if not self.is_up:
            raise NotSent("KafkaTimeoutError")
        self.sent.append(what)

    def _fill(self, more: list[tuple[str, bytes]]) -> None:
        assert self._story is not None
        assert self._store is not None
        changed = [(topics.INCIDENTS, raw) for _, raw in self._story.book.changed()]
        self._store.put([*more, *changed], self._story.now)


class Store:
    """A store, and where each topic is."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.at: dict[Place, int] = {}
        self._filling = Filling(engine, shown)

    def put(self, messages: list[tuple[str, bytes]], received: int = 0, key: bytes | None = None) -> None:
        ends = {topic: self.at.get((topic, 0), 0) for topic in topics_in(messages)}
        records = []
        for topic, raw in messages:
            records.append(Record(topic, 0, ends[topic], key, raw, received))
            ends[topic] += 1
        self.at = self._filling.fill(records, self.at)


def topics_in(messages: list[tuple[str, bytes]]) -> set[str]:
    return {topic for topic, _ in messages}


class Well:
    """How the monitor does: as it is told."""

    def __init__(self) -> None:
        self.health = Health(
            [Endpoint("worker-1:9464", None), Endpoint("worker-2:9464", None), Endpoint("watch:9464", "ConnectError")],
            1834.6,
            [Lag("detect", 420, 0.6), Lag("intake", 0, 0.0), Lag("score", 1310, 2.4)],
            [
                Register("bvi", False, 48120, 46300.0),
                Register("rdw", True, 0, 8200.0),
                Register("kadaster", False, 310, None),
            ],
        )

    async def look(self) -> Health:
        return self.health


class Guard:
    """What stands before the console: says who asks, wants the token with everything that is no GET, and sets the policy.

    The person is ``who``, or the one that the cookie ``test-person`` names.
    """

    def __init__(self, app: ASGIApp, who: Person = DESK, people: Mapping[str, Person] | None = None) -> None:
        self.app, self.who = app, who
        self.people = dict(people or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        cookies = dict(each.strip().partition("=")[::2] for each in headers.get("cookie", "").split(";"))
        who = self.people.get(cookies.get("test-person", ""), self.who)
        scope.setdefault("state", {}).update(person=who, csrf=CSRF)
        if scope["method"] not in ("GET", "HEAD"):
            body, receive = await _read(receive)
            given = parse_qs(body.decode(errors="replace")).get("csrf", [headers.get("x-csrf-token", "")])
            if given != [CSRF]:
                await send({"type": "http.response.start", "status": 403, "headers": []})
                await send({"type": "http.response.body", "body": b"no token"})
                return

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"content-security-policy", CSP.encode())]
            await send(message)

        await self.app(scope, receive, with_policy)


async def _read(receive: Receive) -> tuple[bytes, Any]:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break

    async def again() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again


ROOT = Path(__file__).resolve().parents[2]
