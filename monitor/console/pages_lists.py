"""The pages about an actor, a subject, the rules, the monitor itself; verdicts, the sample, search and the keys."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from monitor.access.roles import Right, may
from monitor.console.desk import Desk, after, desk_of, key_of
from monitor.console.guarding import Refused, person_of, sees_all
from monitor.console.reading import NEWEST
from monitor.console.rulehealth import DAYS, STATES, rules_health
from monitor.console.searching import MAX_QUERY, search
from monitor.console.showing import page
from monitor.feedback.disposition import VERDICTS
from monitor.privacy.pseudonym import kind_of

SHORTCUTS: Final = (
    ("j", "next"), ("k", "previous"), ("Enter", "open"), ("n", "page"), ("/", "search"), ("a", "act"), ("c", "comment"), ("i", "identity"),
    ("p", "print"), ("g q", "queue"), ("g d", "dispositions"), ("g v", "review"), ("g r", "rules"), ("g l", "live"), ("g i", "identities"), ("?", "this"),
)  # fmt: skip


async def actor(request: Request) -> Response:
    """What is known about an actor."""
    return await _about(request, "actor")


async def subject(request: Request) -> Response:
    """Who looked at a subject."""
    return await _about(request, "subject")


async def _about(request: Request, kind: str) -> Response:
    desk, name = desk_of(request), request.query_params.get("id", "")
    if not 0 < len(name) <= 512:
        raise Refused("missing", 404)
    what: Any = f"view-{kind}"
    names: dict[str, Any] = {f"{kind}s": _recorded(desk, kind, name)}
    if not may(person_of(request), Right.SEARCH):
        await desk.recorder.record(request, what, done=False, **names)
        raise Refused("forbidden", 403)
    place = key_of(request)
    sealed = await asyncio.to_thread(desk.reader.sealed_of, kind, [name])
    await desk.recorder.record(request, what, **names, sealed=sealed)
    about = await asyncio.to_thread(desk.reader.about, kind, name, place)
    unit = await asyncio.to_thread(_unit, desk, about.incidents, name) if kind == "actor" else None
    return page(
        request,
        "about.html",
        kind=kind,
        name=name,
        unit=unit,
        about=about,
        newest=NEWEST,
        others=sorted(about.others.items(), key=lambda each: (-each[1][0], -each[1][2], each[0]))[:100],
        more_href=after(f"/{kind}", about.alerts.after, id=name),
    )


def _recorded(desk: Desk, kind: str, name: str) -> list[str]:
    """What an address names, as it goes on record: an id that somebody put there becomes the pseudonyms of it."""
    return [name] if kind_of(name) else [each for each in desk.as_stored(name) if kind_of(each) in (None, kind)]


def _unit(desk: Desk, incidents: Sequence[Any], name: str) -> str | None:
    found = desk.reader.incident(incidents[0].id) if incidents else None
    return None if found is None else found.units.get(name)


async def rules(request: Request) -> Response:
    """The rules and their health."""
    desk = desk_of(request)
    if not may(person_of(request), Right.SEE_RULES):
        raise Refused("forbidden", 403)
    version, found = await asyncio.to_thread(rules_health, desk.reader.engine, desk.now(), desk.dead_days)
    states = [(state, sum(one.state == state for one in found)) for state in STATES]
    return page(
        request,
        "rules.html",
        "rules",
        version=version,
        rules=found,
        states=[each for each in states if each[1]],
        days=DAYS,
        dead_days=desk.dead_days,
        can_see=sees_all(person_of(request)),
    )


async def live(request: Request) -> Response:
    """How the monitor itself does."""
    desk = desk_of(request)
    if not may(person_of(request), Right.SEE_HEALTH):
        raise Refused("forbidden", 403)
    health = await desk.health.look()
    return page(
        request,
        "live.html",
        "live",
        health=health,
        worst=max((lag.seconds for lag in health.lags), default=None),
        silent=sum(one.silent for one in health.registers),
        behind=desk.behind(),
    )


async def dispositions(request: Request) -> Response:
    """Every verdict, the newest first."""
    desk = desk_of(request)
    await desk.recorder.need(request, sees_all(person_of(request)), "view-queue")
    place = key_of(request)
    await desk.recorder.record(request, "view-queue")
    found = await asyncio.to_thread(desk.reader.dispositions, place)
    return page(request, "dispositions.html", "dispositions", page=found, more_href=after("/dispositions", found.after))


async def review(request: Request) -> Response:
    """The lookups of the sample that wait for a verdict."""
    desk, person = desk_of(request), person_of(request)
    await desk.recorder.need(request, sees_all(person), "view-queue")
    place = key_of(request)
    found = await asyncio.to_thread(desk.reader.reviews, place)
    lookups = [orjson.loads(row.raw) for row in found.rows]
    names: dict[str, Any] = {
        f"{kind}s": [str(each[f"{kind}.id"]) for each in lookups if each.get(f"{kind}.id")]
        for kind in ("actor", "subject")
    }
    sealed = {name: raw for each in lookups for name, raw in each.get("sealed", {}).items()}
    await desk.recorder.record(request, "view-queue", **names, sealed=sealed)
    return page(
        request,
        "review.html",
        "review",
        page=found._replace(rows=list(zip(found.rows, lookups, strict=True))),
        more_href=after("/review", found.after),
        can_judge=may(person, Right.JUDGE),
        verdicts=VERDICTS,
        done=request.query_params.get("sent") == "1",
    )


async def look(request: Request) -> Response:
    """Search. What is put on record is what was asked for and stands in the store, or all that it might stand under if none does."""
    desk, typed = desk_of(request), request.query_params.get("q", "").strip().replace("\0", "")
    if len(typed) > MAX_QUERY:
        raise Refused("wrong", 400)
    await desk.recorder.need(request, may(person_of(request), Right.SEARCH), "search")
    names = list(dict.fromkeys(desk.as_stored(typed))) if typed else []
    found = None
    if typed:
        found = await asyncio.to_thread(search, desk.reader.engine, names, typed)
        known = {*found.names["actor"], *found.names["subject"]}
        asked = [name for name in names if name in known] or names
        actors = [name for name in asked if kind_of(name) == "actor"]
        subjects = [name for name in asked if kind_of(name) != "actor"]
        sealed = await asyncio.to_thread(_sealed, desk, actors, subjects)
        await desk.recorder.record(request, "search", actors=actors, subjects=subjects, sealed=sealed)
    whole = all(map(kind_of, desk.as_stored(typed)))
    return page(request, "search.html", found=found, query=typed, whole=whole)


def _sealed(desk: Desk, actors: Sequence[str], subjects: Sequence[str]) -> dict[str, str]:
    return {**desk.reader.sealed_of("actor", actors), **desk.reader.sealed_of("subject", subjects)}


async def keys(request: Request) -> Response:
    """The shortcuts, and switching them off (WCAG 2.1.4)."""
    return page(request, "keys.html", shortcuts=SHORTCUTS)
