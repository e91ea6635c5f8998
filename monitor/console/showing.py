"""Pages out of templates: everything that comes from messages or people is escaped, every text of ours comes from the catalogue."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from monitor.access.roles import Right, may
from monitor.console.guarding import person_of
from monitor.console.plots import bars
from monitor.console.words import LANG_NAMES, WORDS, Words, chosen
from monitor.when import rfc3339

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
#: Cookies: the language, and whether single keys do something. Neither says who somebody is.
LANG_COOKIE: Final = "console-lang"
KEYS_COOKIE: Final = "console-keys"
#: Every answer: not kept by a browser or proxy, and no address of ours told to others.
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_MAX_MS: Final = 253_402_300_799_000


def minute(ms: int) -> str:
    """A time in milliseconds as people read it, UTC, to the minute."""
    return datetime.fromtimestamp(max(0, min(ms, _MAX_MS)) / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def iso(ms: int) -> str:
    """The same for programs (RFC 3339)."""
    return rfc3339(max(0, min(ms, _MAX_MS)))


def number(value: float) -> str:
    """A number with as many digits as help."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value)}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


@cache
def _version(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def static(name: str) -> str:
    """The address of a file of ours: another one when its bytes are others, so that it may be kept."""
    return f"/static/{name}?v={_version(name)}"


environment: Final = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, auto_reload=False
)
environment.filters.update(minute=minute, iso=iso, number=number)
environment.globals.update(static=static, bars=bars)


def words_of(request: Request) -> Words:
    """The texts in the language of who asks."""
    return WORDS[chosen(request.cookies.get(LANG_COOKIE), request.headers.get("accept-language"))]


def nav_of(request: Request) -> list[tuple[str, str]]:
    """The pages that somebody may open at all."""
    person = person_of(request)
    own = frozenset({person.unit}) if person.unit else None
    found = []
    if may(person, Right.SEE_INCIDENTS) or may(person, Right.SEE_INCIDENTS, own):
        found.append(("queue", "/"))
    if may(person, Right.SEE_INCIDENTS):
        found += [("dispositions", "/dispositions"), ("review", "/review")]
    if may(person, Right.SEE_RULES):
        found.append(("rules", "/rules"))
    if may(person, Right.APPROVE_IDENTITY):
        found.append(("identities", "/identities"))
    return [*found, ("live", "/live")]


def page(request: Request, template: str, here: str = "", status: int = 200, **more: Any) -> HTMLResponse:
    """A page, from its template and what it shows; ``here`` is its place in the navigation."""
    words, person = words_of(request), person_of(request)
    body = environment.get_template(template).render(
        t=words,
        lang=words.lang,
        languages=list(LANG_NAMES.items()),
        person=person,
        csrf=request.state.csrf,
        nav=nav_of(request),
        here=here,
        back=back_of(request),
        can_search=may(person, Right.SEARCH),
        keys_on=request.cookies.get(KEYS_COOKIE) != "off",
        **more,
    )
    return HTMLResponse(body, status, HEADERS | {"Content-Language": words.lang})


def back_of(request: Request) -> str:
    """Where to return to from a choice: this page, if it is one that can be asked for again."""
    if request.method != "GET":
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def address(path: str, **query: object) -> str:
    """An address with its query encoded; what is nothing is left out."""
    given = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path
