"""What people do in the console: commands and verdicts, sent under their name; and the choice of language and keys."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from monitor.access.roles import Right, may
from monitor.audit.event import What
from monitor.console.desk import desk_of
from monitor.console.guarding import Refused, person_of
from monitor.console.pages import incident_of
from monitor.console.sending import NotSent
from monitor.console.showing import HEADERS, KEYS_COOKIE, LANG_COOKIE, address
from monitor.console.words import LANGS
from monitor.feedback import disposition
from monitor.feedback.disposition import VERDICTS, Disposition
from monitor.feedback.message import BadMessage
from monitor.incidents import command
from monitor.incidents.command import Command
from monitor.incidents.model import Incident
from monitor.when import rfc3339

#: A form has so many bytes and fields at most.
MAX_FORM: Final = 32 * 1024
MAX_FIELDS: Final = 20
_YEAR_S: Final = 365 * 24 * 3600
_AUDITED: Final[dict[str, What]] = {
    "acknowledge": "acknowledge",
    "comment": "comment",
    "escalate": "escalate",
    "close": "dispose",
}


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form. Raises :class:`Refused` for one that is too large or none."""
    return dict(await pairs_of(request, MAX_FIELDS))


async def pairs_of(request: Request, most: int) -> list[tuple[str, str]]:
    """The fields of a form in their order, ``most`` of them, some perhaps several times. Raises as :func:`form_of`."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_FORM:
            raise Refused("wrong", 413)
    try:
        return parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=most)
    except ValueError:
        raise Refused("wrong", 400) from None


async def act(request: Request) -> Response:
    """Acknowledge, comment, escalate, or give a verdict: put on record first, then sent, then waited for on the incident's page."""
    form = await form_of(request)
    what = form.get("what", "")
    if what not in _AUDITED:
        raise Refused("wrong", 400)
    right = Right.JUDGE if what == "close" else Right.ACT
    found = await incident_of(request, right, _AUDITED[what])
    if what in ("acknowledge", "escalate") and not found.is_open:
        raise Refused("closed", 409)
    reason = form.get("reason", "").strip()
    made = _disposition(request, found, form, reason) if what == "close" else _command(request, found, what, reason)
    await _send(request, made, _AUDITED[what], found, reason)
    if what == "close" and form.get("alert"):
        what = "judge"
    to = address(f"/incidents/{found.id}", sent=what, steps=len(found.history))
    return RedirectResponse(to, 303, HEADERS)


async def review(request: Request) -> Response:
    """A verdict about a lookup of the sample."""
    form, desk = await form_of(request), desk_of(request)
    await desk.recorder.need(request, may(person_of(request), Right.JUDGE), "dispose")
    lookup = form.get("lookup", "")
    if await asyncio.to_thread(desk.reader.review, lookup) is None:
        raise Refused("missing", 404)
    made = _checked(request, form, alert=None, lookup=lookup, incident=None, note="")
    await _send(request, made, "dispose", None, f"{made.verdict} on a lookup of the sample")
    return RedirectResponse("/review?sent=1", 303, HEADERS)


def _command(request: Request, found: Incident, what: Any, reason: str) -> Command:
    made = Command(command=what, incident=found.id, by=person_of(request).name, time=_now(request), reason=reason)
    try:
        return command.decode(command.encode(made))
    except BadMessage:
        raise Refused("wrong", 400) from None


def _disposition(request: Request, found: Incident, form: dict[str, str], note: str) -> Disposition:
    alert = form.get("alert", "")
    if alert and alert not in {each.alert for each in found.alerts}:
        raise Refused("wrong", 400)
    if not found.alerts:
        raise Refused("wrong", 400)
    # As `monitor incidents close`: one verdict is learned of it, about the alert that weighs most.
    heaviest = max(found.alerts, key=lambda each: (each.part_of is None, each.points, -each.ts, each.alert))
    whole = None if alert else found.id
    return _checked(request, form, alert=alert or heaviest.alert, lookup=None, incident=whole, note=note)


def _checked(request: Request, form: dict[str, str], **of: Any) -> Disposition:
    verdict: Any = form.get("verdict", "")
    if verdict not in VERDICTS:
        raise Refused("wrong", 400)
    made = Disposition(verdict=verdict, by=person_of(request).name, time=_now(request), **of)
    try:
        return disposition.decode(disposition.encode(made))
    except BadMessage:
        raise Refused("wrong", 400) from None


async def _send(request: Request, made: Command | Disposition, what: What, found: Incident | None, reason: str) -> None:
    desk = desk_of(request)
    said = f"{made.verdict}: {reason}" if isinstance(made, Disposition) and found is not None else reason
    await desk.recorder.record(request, what, incident=found, reason=said)
    try:
        if isinstance(made, Command):
            await desk.commands.command(made)
        else:
            await desk.commands.dispose(made)
    except NotSent as error:
        # What is on record as done was not: that is put on record too.
        await desk.recorder.record(request, what, done=False, incident=found, reason=f"not sent: {error}")
        raise Refused("unsent", 503) from None


def _now(request: Request) -> str:
    return rfc3339(desk_of(request).now())


async def choice(request: Request) -> Response:
    """Keep a choice of language or of keys, and go back to the page it was made on."""
    form = await form_of(request)
    answer = RedirectResponse(within(form.get("back", "")), 303, HEADERS)
    if form.get("lang") in LANGS:
        _keep(request, answer, LANG_COOKIE, form["lang"])
    if form.get("keys") in ("on", "off"):
        _keep(request, answer, KEYS_COOKIE, form["keys"])
    return answer


def _keep(request: Request, answer: Response, name: str, value: str) -> None:
    is_secure = request.url.scheme == "https"
    answer.set_cookie(name, value, max_age=_YEAR_S, httponly=True, samesite="lax", secure=is_secure, path="/")


def within(back: str) -> str:
    """A place of ours to return to; the beginning for anything that a browser might take for somewhere else."""
    is_ours = back.startswith("/") and not back.startswith("//") and back.isprintable() and back.isascii()
    return back if is_ours and "\\" not in back and len(back) <= 2000 else "/"
