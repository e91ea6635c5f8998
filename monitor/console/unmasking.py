"""Identities: asked for and shown on an incident's page, approved or refused on a page of its own. Each step is on record before."""

from __future__ import annotations

import asyncio
import uuid
from typing import Final, NoReturn

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from monitor.access.roles import Right, may
from monitor.audit.event import What
from monitor.console.acting import form_of, pairs_of
from monitor.console.desk import desk_of
from monitor.console.guarding import Refused, person_of
from monitor.console.identities import MANY, asked_of
from monitor.console.pages import incident_of, show_incident
from monitor.console.shared_desk import SharedDesk
from monitor.console.showing import HEADERS, page
from monitor.incidents.model import Incident
from monitor.privacy import unmasking
from monitor.privacy.desk import Stamp, UnmaskingDesk
from monitor.privacy.pseudonym import kind_of
from monitor.privacy.unmasking import MAX_NAMES, MAX_REASON_CHARS
from monitor.when import rfc3339

#: The fields of a form that asks, beside the names.
_OTHER_FIELDS: Final = 8
_ANSWERS: Final[dict[str, What]] = {"approve": "identity-approve", "refuse": "identity-refuse"}


async def of_incident(request: Request) -> Response:
    """Ask for identities of an incident, or show those that were approved: on this answer alone, which nobody may keep."""
    pairs = await pairs_of(request, MAX_NAMES + _OTHER_FIELDS)
    form = dict(pairs)
    what = form.get("what", "")
    if what not in ("ask", "show"):
        raise Refused("wrong", 400)
    found = await incident_of(request, Right.ASK_IDENTITY, "identity-ask" if what == "ask" else "identity-see")
    if what == "show":
        return await _show(request, found, form.get("request", ""))
    names = list(dict.fromkeys(value for name, value in pairs if name == "name"))
    person, reason, stamp = person_of(request), _reason(form), _stamp(request)
    await _shared(request).do(lambda desk: desk.ask(person, found, names, reason, stamp))
    return RedirectResponse(f"/incidents/{found.id}?asked=1#h-unmask", 303, HEADERS)


async def _show(request: Request, found: Incident, which: str) -> Response:
    person, stamp, desk = person_of(request), _stamp(request), desk_of(request)

    async def see(at: UnmaskingDesk) -> dict[str, str]:
        return await at.show(person, which, found, stamp)

    opened = await _shared(request).do(see)
    await desk.recorder.record(request, "view-incident", incident=found)
    whole = await asyncio.to_thread(desk.reader.whole, found.id)
    if whole is None:
        raise Refused("missing", 404)
    return await show_incident(request, whole, shown=which, opened=opened)


async def requests(request: Request) -> Response:
    """What was asked for and waits for an answer, and what has one: for who may approve."""
    desk = desk_of(request)
    await desk.recorder.need(request, may(person_of(request), Right.APPROVE_IDENTITY), "view-queue")
    if desk.identities is None:
        return page(request, "identities.html", "identities", state="no-key", waiting=[], answered=[], more=0, done="")
    found = asked_of(request, await desk.identities.do(lambda each: each.requests()))
    waiting = [each for each in reversed(found) if each.state == "open"]
    answered = [each for each in found if each.state != "open"][:MANY]
    shown = [*waiting[:MANY], *answered]
    names = dict.fromkeys(name for each in shown for name in each.request.names)
    await desk.recorder.record(
        request,
        "view-queue",
        actors=[name for name in names if kind_of(name) == "actor"],
        subjects=[name for name in names if kind_of(name) != "actor"],
    )
    done = request.query_params.get("done", "")
    return page(
        request,
        "identities.html",
        "identities",
        state="there",
        waiting=waiting[:MANY],
        answered=answered,
        more=max(0, len(waiting) - MANY),
        done=done if done in _ANSWERS else "",
    )


async def answer(request: Request) -> Response:
    """Approve or refuse a request, or take an approval back."""
    form, desk, person = await form_of(request), desk_of(request), person_of(request)
    what = form.get("what", "")
    if what not in _ANSWERS:
        raise Refused("wrong", 400)
    await desk.recorder.need(request, may(person, Right.APPROVE_IDENTITY), _ANSWERS[what])
    which, reason, stamp = form.get("request", ""), _reason(form), _stamp(request)
    await _shared(request).do(lambda at: at.answer(person, which, what == "approve", reason, stamp))
    return RedirectResponse(f"/identities?done={what}", 303, HEADERS)


async def not_taken(request: Request, error: Exception) -> Response:
    """The page that says why the desk of identities did not take a step."""
    assert isinstance(error, unmasking.Refused)
    return page(request, "message.html", status=409, what="untaken", why=error.why)


def _shared(request: Request) -> SharedDesk:
    return desk_of(request).identities or _no_key()


def _no_key() -> NoReturn:
    raise Refused("keyless", 409)


def _reason(form: dict[str, str]) -> str:
    reason = form.get("reason", "").strip()
    if len(reason) > MAX_REASON_CHARS:
        raise Refused("wrong", 400)
    return reason


def _stamp(request: Request) -> Stamp:
    client = None if request.client is None else request.client.host
    return Stamp(str(uuid.uuid4()), rfc3339(desk_of(request).now()), client)
