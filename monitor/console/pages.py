"""The queue and the page of an incident: each asks whether it may, puts it on record, and then reads the store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from monitor.access.roles import Right, may
from monitor.console import plots
from monitor.console.desk import Desk, after, desk_of, key_of
from monitor.console.guarding import Refused, only_unit, person_of, sees, sees_all
from monitor.console.identities import section_of
from monitor.console.reading import FILTERS, Whole
from monitor.console.rows import STATUSES, by_weight
from monitor.console.rulehealth import rules_health
from monitor.console.showing import address, page, words_of
from monitor.events import parse_ms
from monitor.feedback.disposition import VERDICTS
from monitor.incidents.model import RESPONSES, Incident, Share
from monitor.rules.model import LEVELS, TYPOLOGIES

#: What an id of an incident looks like (UUID); anything else is none.
ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII).fullmatch
_MAX_VALUE: Final = 300
#: The step in an incident's history by which somebody sees that what they did has been taken in.
STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "acknowledge": ("acknowledge",),
    "comment": ("comment",),
    "escalate": ("escalate",),
    "close": ("closed", "judged anew"),
    "judge": ("judged", "closed", "judged anew"),
}
#: So often a page asks whether that is so, once a second.
TRIES: Final = 30


class AlertShown(NamedTuple):
    """One alert on the incident's page."""

    share: Share
    width: float
    chance: float | None
    ranges: list[plots.Range]


class Item(NamedTuple):
    """One line of the timeline: an alert (``raised``) or a step of the history (``step``)."""

    ts: int
    kind: str
    by: str
    what: str
    level: str
    text: str


class Sent(NamedTuple):
    """What somebody has just done: ``waiting`` until it is in the incident, ``there``, or ``late``."""

    what: str
    state: str
    query: str


async def queue(request: Request) -> Response:
    """Incidents by urgency."""
    desk, person = desk_of(request), person_of(request)
    unit = only_unit(person)
    asked = {name: request.query_params.get(name, "")[:_MAX_VALUE].replace("\0", "") for name in FILTERS}
    asked = {name: value for name, value in asked.items() if value}
    if asked.setdefault("status", "unclosed") not in STATUSES:
        raise Refused("wrong", 400)
    shown = dict(asked)
    if unit is not None:
        asked = {name: asked[name] for name in ("status", "level", "typology") if name in asked}
        # What is muted is told of by an incident about several people: no question to one unit.
        asked["status"] = "closed" if asked["status"] == "closed" else "unclosed"
        asked["queue"] = f"supervisor/{unit}"
        shown = {name: value for name, value in asked.items() if name != "queue"}
    place = key_of(request)
    await desk.recorder.record(request, "view-queue")
    found = await asyncio.to_thread(desk.reader.queue, asked, place)
    counts = {} if unit is not None else await asyncio.to_thread(desk.reader.counts)
    titles = {} if unit is not None else await asyncio.to_thread(_titles, desk)
    return page(
        request,
        "queue.html",
        "queue",
        page=found,
        asked=shown,
        only_unit=unit,
        filters=_filters(request, counts, unit, titles, shown),
        more_href=after("/", found.after, **shown),
    )


def _titles(desk: Desk) -> dict[str, str]:
    return {one.rule: one.text.title for one in rules_health(desk.reader.engine, desk.now(), desk.dead_days)[1]}


def _filters(
    request: Request,
    counts: Mapping[tuple[str, str], int],
    unit: str | None,
    titles: Mapping[str, str],
    shown: Mapping[str, str],
) -> list[tuple[str, list[tuple[str, str, int | None]]]]:
    t = words_of(request)
    values: dict[str, list[str]] = {"status": list(STATUSES), "level": list(reversed(LEVELS))}
    if unit is not None:
        values["status"] = ["unclosed", "closed"]
    else:
        values["response"] = list(reversed(RESPONSES))
        for name in ("unit", "rule"):
            values[name] = sorted(value for facet, value in counts if facet == name)
    values["typology"] = list(TYPOLOGIES)
    found: list[tuple[str, list[tuple[str, str, int | None]]]] = []
    for name in (each for each in FILTERS if each in values):
        options = []
        for value in [*values[name], *([shown[name]] if name in shown and shown[name] not in values[name] else [])]:
            count = None if unit is not None else counts.get((name, value), 0)
            if count == 0 and name in ("typology", "rule", "unit") and shown.get(name) != value:
                continue
            words = titles.get(value, value) if name == "rule" else t.of(name, value)
            options.append((value, words, count))
        found.append((name, sorted(options, key=lambda one: one[1].lower()) if name in ("unit", "rule") else options))
    return found


async def incident_of(request: Request, right: Right, what: Any) -> Incident:
    """The incident that the address names. Raises :class:`Refused` when there is none, or the right is not there."""
    desk = desk_of(request)
    name = request.path_params["id"]
    incident = await asyncio.to_thread(desk.reader.incident, name) if ID(name) else None
    if incident is None:
        if not may(person_of(request), Right.SEE_INCIDENTS):
            raise Refused("forbidden", 403)
        raise Refused("missing", 404)
    await desk.recorder.need(request, sees(person_of(request), right, incident), what, incident)
    return incident


async def incident(request: Request) -> Response:
    """One incident, whole."""
    found = await incident_of(request, Right.SEE_INCIDENTS, "view-incident")
    desk = desk_of(request)
    await desk.recorder.record(request, "view-incident", incident=found)
    whole = await asyncio.to_thread(desk.reader.whole, found.id)
    if whole is None:
        raise Refused("missing", 404)
    return await show_incident(request, whole, sent_of(request, whole.incident, 0))


async def show_incident(
    request: Request, whole: Whole, sent: Sent | None = None, shown: str = "", opened: Mapping[str, str] | None = None
) -> Response:
    """The page of an incident; with the identities that were ``opened`` for the request ``shown``, if somebody asked to see them."""
    desk, person, found = desk_of(request), person_of(request), whole.incident
    is_all = sees_all(person)
    shares = by_weight(found)
    rules = {each.rule.id: whole.rules[each.rule.id] for each in shares if each.rule.id in whole.rules}
    return page(
        request,
        "incident.html",
        "queue",
        incident=found,
        incident_id=found.id,
        partial=False,
        row=_Heading(found, shares),
        shares=[_alert(whole, share) for share in shares],
        timeline=timeline(found),
        playbooks=[rule for rule in rules.values() if rule.playbook],
        related=whole.related if is_all else [],
        verdicts_given=await asyncio.to_thread(desk.reader.verdicts_of, found),
        can_act=sees(person, Right.ACT, found),
        can_judge=sees(person, Right.JUDGE, found),
        verdicts=VERDICTS,
        sent=sent,
        problem="",
        identities=await section_of(request, found, shown, opened),
        asked=request.query_params.get("asked") == "1",
    )


class _Heading:
    """What the macros of lists ask of a row, of an incident itself."""

    def __init__(self, found: Incident, shares: Sequence[Share]) -> None:
        self.title = shares[0].rule.title if shares else found.group.kind
        self.status, self.disposition = found.status, found.disposition or ""
        self.muted_by, self.queue, self.held = found.muted_by or "", found.queue, found.held


def _alert(whole: Whole, share: Share) -> AlertShown:
    full = whole.alerts.get(share.alert)
    most = max((each.now for each in whole.incident.alerts), default=0.0)
    ranges = [] if full is None else [plots.range_of(each) for each in full.factors]
    return AlertShown(share, plots.share(share.now, most), whole.chances.get(share.alert), ranges)


def timeline(found: Incident) -> list[Item]:
    """Alerts at the time of their lookups and what was done at the time of receipt, in one order."""
    items = [Item(share.ts, "raised", "", "", share.rule.level, share.rule.title) for share in found.alerts]
    items += [Item(parse_ms(each.time), "step", each.by, each.what, "", each.reason) for each in found.history]
    return sorted(items, key=lambda each: each.ts)


def sent_of(request: Request, found: Incident, tries: int) -> Sent | None:
    """Whether what the address says was sent is in the incident."""
    what, since = request.query_params.get("sent", ""), request.query_params.get("steps", "")
    if what not in STEPS or not since.isascii() or not since.isdigit() or len(since) > 6:
        return None
    by = person_of(request).name
    is_there = any(each.by == by and each.what in STEPS[what] for each in found.history[int(since) :])
    state = "there" if is_there else "waiting" if tries < TRIES else "late"
    query = address("", sent=what, steps=since, tries=tries + 1)[1:]
    return Sent(what, state, query)


async def pending(request: Request) -> Response:
    """The answer to whether something has been taken in, for the page that asks once a second, :data:`TRIES` times at most."""
    found = await incident_of(request, Right.SEE_INCIDENTS, "view-incident")
    tries = request.query_params.get("tries", "0")
    if not tries.isascii() or not tries.isdigit() or len(tries) > 3:
        raise Refused("wrong", 400)
    sent = sent_of(request, found, int(tries))
    if sent is None:
        raise Refused("wrong", 400)
    return page(request, "pending.html", sent=sent, incident_id=found.id, partial=True)
