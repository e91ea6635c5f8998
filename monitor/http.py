"""The worker's own pages: ``/metrics``, ``/healthz`` (the process lives) and ``/readyz`` (it does its work)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from monitor.settings import Settings


class HasRegistry(Protocol):
    """Metrics that can be shown."""

    registry: CollectorRegistry


def serve(
    settings: Settings,
    metrics: HasRegistry,
    why_not_ready: Callable[[], str | None],
    about: Callable[[], str] = lambda: "",
) -> ThreadingHTTPServer:
    """Serve the pages from a thread. Raises ``OSError`` when the port is taken."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, generate_latest(metrics.registry), CONTENT_TYPE_LATEST)
            elif self.path == "/healthz":
                self._answer(200, b"ok\n")
            elif self.path == "/readyz":
                why = why_not_ready()
                self._answer(200 if why is None else 503, f"{why or 'ready'}\n{about()}".encode())
            else:
                self._answer(404, b"there are /metrics, /healthz and /readyz\n")

        def _answer(self, code: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A scrape every few seconds is not worth a log line."""

    server = ThreadingHTTPServer((settings.metrics_host, settings.metrics_port), Pages)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server
