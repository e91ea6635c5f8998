"""What the live page knows: asked of real endpoints, with those that are down said."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from monitor.console.health import Endpoints, Health


class Workers:
    """Two processes, what they say, and a clock."""

    def __init__(self) -> None:
        self.said = {"/a": "", "/b": ""}
        self.asked = 0
        self.now = 0.0
        self.url = ""

    def look(self, endpoints: Endpoints) -> Health:
        return asyncio.run(endpoints.look())


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked += 1
            self.send_response(200 if self.path in made.said else 500)
            self.end_headers()
            self.wfile.write(made.said.get(self.path, "").encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()


def counted(count: int, lag: int = 0, seconds: float = 0.0) -> str:
    return (
        f'lookup_monitor_events_total{{fate="counted"}} {count}\nlookup_monitor_events_total{{fate="refused"}} 7000\n'
        f'lookup_monitor_lag{{stage="score",partition="0"}} {lag}\nlookup_monitor_lag{{stage="score",partition="1"}} 1\n'
        f'lookup_monitor_lag_seconds{{stage="score",partition="0"}} {seconds}\n'
    )


def test_rate_and_lag_are_of_all_workers_and_a_worker_that_began_anew_counts_from_nothing(workers: Workers) -> None:
    endpoints = Endpoints([workers.url + "/a", workers.url + "/b"], lambda: workers.now)
    workers.said = {"/a": counted(100, 5, 2.5), "/b": counted(1000, 7, 0.5)}
    first = workers.look(endpoints)
    assert first.rate is None
    assert [tuple(each) for each in first.lags] == [("score", 14, 2.5)]
    workers.now, workers.said = 10.0, {"/a": counted(600), "/b": counted(30)}
    assert workers.look(endpoints).rate == pytest.approx((500 + 30) / 10)


def test_many_pages_at_a_time_ask_once(workers: Workers) -> None:
    endpoints = Endpoints([workers.url + "/a"], lambda: workers.now)

    async def many() -> None:
        await asyncio.gather(*(endpoints.look() for _ in range(20)))

    asyncio.run(many())
    assert workers.asked == 1


def test_what_is_down_or_says_nonsense_is_said(workers: Workers) -> None:
    workers.said["/a"] = "{not metrics"
    urls = [workers.url + "/a", workers.url + "/none", "http://127.0.0.1:1/metrics", "http://[nonsense", "", "nonsense"]
    health = workers.look(Endpoints(urls, lambda: workers.now))
    assert len(health.endpoints) == 5
    assert all(each.trouble for each in health.endpoints)
    assert health.rate is None


def test_silent_registers_are_those_of_the_watch(workers: Workers) -> None:
    workers.said["/a"] = (
        'lookup_monitor_source_silent{register="rdw"} 1\nlookup_monitor_source_seen{register="rdw"} 3\n'
        'lookup_monitor_source_expected{register="rdw"} 900\nlookup_monitor_source_silent{register="bvi"} 0\n'
        'lookup_monitor_source_expected{register="bvi"} NaN\n'
    )
    found = workers.look(Endpoints([workers.url + "/a"], lambda: workers.now)).registers
    assert [tuple(each) for each in found] == [("bvi", False, 0, None), ("rdw", True, 3, 900.0)]
