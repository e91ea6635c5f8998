"""Reading what a browser sends, up to a bound, and giving it on."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from monitor.access.origin import Refused

MAX_BYTES: Final = 1024 * 1024
MAX_FIELDS: Final = 200
#: Seconds in which all of it must have come.
_WITHIN: Final = 30.0
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """All of it. Raises :class:`Refused` when it is larger than 1 MiB, does not come in 30 s, or is cut off."""
    declared = dict(scope["headers"]).get(b"content-length")
    if declared is not None and (not declared.isdigit() or len(declared) > 12 or int(declared) > MAX_BYTES):
        raise Refused(413, "too large")
    body = bytearray()
    try:
        async with asyncio.timeout(_WITHIN):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "cut off")
                body += message.get("body", b"")
                if len(body) > MAX_BYTES:
                    raise Refused(413, "too large")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Refused(408, "too slow") from None


def replay(body: bytes, receive: Receive) -> Receive:
    """What gives the body to whoever is next, and then what comes after it."""
    is_given = False

    async def give() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


async def form_of(scope: Scope, body: bytes) -> dict[str, str]:
    """The fields of a form; none for what is no form. Of a field that comes twice the last counts. Raises :class:`Refused`."""
    kind = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if kind not in _FORMS:
        return {}

    async def none() -> Message:
        return {"type": "http.disconnect"}

    try:
        found: FormData = await Request(dict(scope), replay(body, none)).form(max_files=0, max_fields=MAX_FIELDS)
    except (MultiPartException, HTTPException, ValueError):
        raise Refused(400, "not a form") from None
    return {name: value for name, value in found.multi_items() if not isinstance(value, UploadFile)}
