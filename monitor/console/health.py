"""How the monitor itself does, for the live page: what the metrics endpoints of its processes say.

The endpoints are asked directly: what is shown is of now, and needs no Prometheus. A rate needs two answers: the first page after the
start has none yet.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import httpx
from prometheus_client.parser import text_string_to_metric_families

#: Seconds that an endpoint may take; what it has not said by then it has not said.
ANSWERS_WITHIN: Final = 2.0
#: A rate is of at least so many seconds: an answer that comes sooner is not asked for again.
_AT_LEAST: Final = 2.0
_NAME: Final = "lookup_monitor_"


class Endpoint(NamedTuple):
    """A process: where, and what is wrong with it (None: it answers)."""

    where: str
    trouble: str | None


class Lag(NamedTuple):
    """How far behind a stage is: messages not yet read, and seconds."""

    stage: str
    messages: int
    seconds: float


class Register(NamedTuple):
    """A register: lookups in its last hour, and what is usual (None: not known)."""

    name: str
    silent: bool
    seen: int
    expected: float | None


class Health(NamedTuple):
    """What the live page shows. ``rate``: lookups a second (None: not known yet)."""

    endpoints: list[Endpoint]
    rate: float | None
    lags: list[Lag]
    registers: list[Register]


class Looks(Protocol):
    """Whoever knows how the monitor does."""

    async def look(self) -> Health:
        """How it does now. Never raises: what does not answer is said."""


class Endpoints:
    """The metrics endpoints at some URLs."""

    def __init__(self, urls: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._urls = [each.strip() for each in urls if each.strip()]
        self._clock = clock
        self._lock = asyncio.Lock()
        self._before: tuple[float, dict[str, float]] | None = None
        self._last: tuple[float, Health] | None = None

    async def look(self) -> Health:
        """Ask them all at once, each for :data:`ANSWERS_WITHIN` at most; many pages at a time ask once."""
        async with self._lock:
            if self._last is None or self._clock() - self._last[0] >= _AT_LEAST:
                health = await self._ask()
                self._last = self._clock(), health
            return self._last[1]

    async def _ask(self) -> Health:
        urls = [each for found in await asyncio.gather(*map(self._addresses, self._urls)) for each in found]
        async with httpx.AsyncClient(timeout=ANSWERS_WITHIN, trust_env=False) as client:
            answers = await asyncio.gather(*(self._read(client, url) for url in urls))
        endpoints: list[Endpoint] = []
        counted: dict[str, float] = {}
        lags: dict[str, Lag] = {}
        registers: dict[str, dict[str, float]] = {}
        for url, answer in zip(urls, answers, strict=True):
            endpoints.append(Endpoint(_where(url), answer if isinstance(answer, str) else None))
            if isinstance(answer, str):
                continue
            for name, labels, value in answer:
                if name == _NAME + "events_total" and labels.get("fate") != "refused":
                    counted[url] = counted.get(url, 0.0) + value
                elif name in (_NAME + "lag", _NAME + "lag_seconds"):
                    lags[labels["stage"]] = _more(lags.get(labels["stage"]), name, labels["stage"], value)
                elif name.startswith(_NAME + "source_") and "register" in labels:
                    registers.setdefault(labels["register"], {})[name.removeprefix(_NAME + "source_")] = value
        rate = self._rate(counted)
        return Health(endpoints, rate, sorted(lags.values()), [_register(*each) for each in sorted(registers.items())])

    async def _addresses(self, url: str) -> list[str]:
        """The URL at each address that its name has: workers share one where there are several."""
        try:
            parts = urlsplit(url)
            if parts.scheme != "http" or not parts.hostname:
                return [url]
            asked = asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
            found = await asyncio.wait_for(asked, ANSWERS_WITHIN)
        except (OSError, TimeoutError, ValueError):
            return [url]
        hosts = sorted({str(each[4][0]) for each in found})
        # A name of this machine has an address of each kind, at which the same process answers, or nobody.
        hosts = [each for each in hosts if ":" not in each] or hosts
        if len(hosts) < 2:
            return [url]
        made = (f"[{host}]" if ":" in host else host for host in hosts)
        return [parts._replace(netloc=f"{host}:{parts.port or 80}").geturl() for host in made]

    def _rate(self, counted: dict[str, float]) -> float | None:
        now, before = self._clock(), self._before
        self._before = now, counted
        if before is None or now <= before[0] or not counted:
            return None
        # A process that began anew counts from nothing.
        gains = [
            value - before[1][url] if value >= before[1][url] else value
            for url, value in counted.items()
            if url in before[1]
        ]
        return sum(gains) / (now - before[0]) if gains else None

    async def _read(self, client: httpx.AsyncClient, url: str) -> str | list[tuple[str, dict[str, str], float]]:
        try:
            answer = await client.get(url)
            answer.raise_for_status()
            return [
                (sample.name, dict(sample.labels), sample.value)
                for family in text_string_to_metric_families(answer.text)
                for sample in family.samples
                if sample.name.startswith(_NAME)
            ]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return type(error).__name__


def _where(url: str) -> str:
    """Host and port of a URL, without a user or password in it; the URL itself if it is none."""
    try:
        parts = urlsplit(url)
        return parts.netloc.rpartition("@")[2] or url
    except ValueError:
        return url


def _more(lag: Lag | None, name: str, stage: str, value: float) -> Lag:
    lag = lag or Lag(stage, 0, 0.0)
    if name.endswith("_seconds"):
        return lag._replace(seconds=max(lag.seconds, value))
    return lag._replace(messages=lag.messages + int(value))


def _register(name: str, values: dict[str, float]) -> Register:
    expected = values.get("expected", math.nan)
    return Register(
        name, bool(values.get("silent")), int(values.get("seen", 0)), None if math.isnan(expected) else expected
    )
