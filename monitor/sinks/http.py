"""HTTP for all sinks: what an answer means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx

#: What is wrong with the message itself: sending it again would not help.
_REFUSED: Final = frozenset({400, 413, 415, 422})


class SinkDown(Exception):
    """It was not delivered, for a reason that is not in the message: it is tried again. The text names nobody."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        #: How long (seconds) the receiver asks not to be asked again.
        self.wait = wait


class Refused(Exception):
    """The receiver does not take this message and never will. The text names nobody."""


async def post(client: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Send JSON. Raises :class:`SinkDown` and :class:`Refused`."""
    try:
        answer = await client.post(url, content=body, headers={"Content-Type": "application/json", **headers})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SinkDown(type(error).__name__) from None
    if answer.is_success:
        return
    if answer.status_code in _REFUSED:
        raise Refused(f"HTTP {answer.status_code}")
    raise SinkDown(f"HTTP {answer.status_code}", _seconds(answer.headers.get("Retry-After", "")))


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
