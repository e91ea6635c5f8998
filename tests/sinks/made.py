"""A real HTTP server on loopback, a clock that is told the time, and incidents to be told of."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import httpx
import orjson

from monitor.incidents.model import Incident
from monitor.metrics_sinks import SinkMetrics
from monitor.sinks.config import SinkConfig
from monitor.sinks.delivery import Clock, Courier, Offer
from monitor.sinks.kinds import make
from monitor.sinks.plan import Mark
from tests.incidents.made import T0, Desk, alert


class Got(NamedTuple):
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return orjson.loads(self.raw)


class Receiver:
    """What a server got, and what it answers: a status, or a status and headers."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: Callable[[Got], int | tuple[int, dict[str, str]]] = lambda got: 202
        self.url = ""

    @property
    def taken(self) -> list[Got]:
        """What it said yes to."""
        return [each for each in self.got if self.answer_of(each)[0] < 300]

    def answer_of(self, got: Got) -> tuple[int, dict[str, str]]:
        found = self.answer(got)
        return found if isinstance(found, tuple) else (found, {})


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A server on a free port."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            raw = self.rfile.read(length)
            if len(raw) < length:  # whoever sent it was killed on the way: it is no request
                self.close_connection = True
                return
            got = Got(self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
            status, headers = made.answer_of(got)
            made.got.append(got)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


class Told(Clock):
    """A clock that stands still but for those who wait."""

    def __init__(self, at: float = T0 / 1000) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


class Kept:
    """What outlives a courier: its marks, and what its sink refused."""

    def __init__(self) -> None:
        self.marks: dict[str, Mark] = {}
        self.refused: list[tuple[str, str, str]] = []
        self.dies_before_saving = False

    async def save(self, incident: str, mark: Mark) -> None:
        if self.dies_before_saving:
            raise SystemExit
        self.marks[incident] = mark

    async def refuse(self, offer: Offer, key: str, reason: str, detail: str) -> None:
        self.refused.append((key, reason, detail))


def courier(config: SinkConfig, kept: Kept, clock: Clock, metrics: SinkMetrics | None = None) -> Courier:
    """A courier as after a start: it knows what was kept."""
    sink = make(config, httpx.AsyncClient(timeout=5), clock.now)
    metrics = metrics or SinkMetrics([config.name])
    return Courier(config, sink, dict(kept.marks), kept.save, kept.refuse, metrics, clock)


def told(config: SinkConfig, incidents: list[Incident], kept: Kept | None = None, clock: Clock | None = None) -> Kept:
    """Tell a sink of incidents until nothing waits."""
    kept = kept or Kept()

    async def run() -> None:
        one = courier(config, kept, clock or Told())
        for each in incidents:
            one.offer(Offer(each, None))
        await one.deliver_all()

    asyncio.run(run())
    return kept


def story() -> list[Incident]:
    """One incident, as it is after each of its notices: a question, the desk, a page, acknowledged, closed."""
    desk, made = Desk(), []
    for name, level in (("a", "low"), ("b", "medium"), ("c", "high")):
        made.append(desk.raised(alert(name, level, subjects=(name,))))
    made.append(desk.asked("acknowledge", made[0].id))
    desk.judged("true-misuse", alert("c").id, made[0].id)
    return [*made, desk.at(made[0].id)]


@contextmanager
def post_office() -> Iterator[tuple[int, list[str]]]:
    """A real SMTP server (RFC 5321, as much as a client needs): its port, and the mails it got."""
    mails: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            for line in iter(self.rfile.readline, b""):
                word = line[:4].upper()
                if word == b"DATA":
                    self.say("354 go on")
                    mails.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.say("221 bye" if word == b"QUIT" else "250 well")
                if word == b"QUIT":
                    return

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], mails
        finally:
            server.shutdown()
