"""Attacks on the guard. Each is one that has worked on somebody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.access.body import MAX_BYTES
from monitor.access.headers import ALWAYS, CSP, HSTS
from monitor.access.origin import Way, local_path
from monitor.access.roles import Role
from monitor.access.sessions import MOST, Sessions
from tests.access.made import PASSWORD, URL, House, field_of

SESSION = "__Host-monitor-session"


def run(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @wraps(test)
    def runs(*args: Any, **more: Any) -> None:
        asyncio.run(test(*args, **more))

    return runs


@run
async def test_who_is_not_in_reaches_nothing(house: House) -> None:
    browser = house.browser()
    page = await browser.get("/incidents/7?x=1")
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=%2Fincidents%2F7%3Fx%3D1")
    assert (await browser.post("/incidents/7")).status_code == 401
    part = await browser.get("/part", **{"HX-Request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/login")
    for path in ("/logout", "/password", "/static/x.js", "/LOGIN", "//login", "/access/../me", "/login/"):
        assert (await browser.get(path)).status_code == 303, path


@run
async def test_a_login_and_what_the_console_is_told(house: House) -> None:
    browser = house.browser()
    answer = await browser.log_in(next="/incidents/7")
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/7")
    me = await browser.me()
    assert me is not None
    assert (me["name"], me["roles"]) == ("anna", ["desk"])
    assert (await browser.post("/me", {"csrf": me["csrf"], "a": "b"})).json()["body"] == f"csrf={me['csrf']}&a=b"
    assert (await browser.post("/me", **{"X-CSRF-Token": me["csrf"]})).status_code == 200
    (event,) = house.audit.events
    assert (event.what, event.by, event.done, event.roles, event.client) == (
        "login",
        "anna",
        True,
        ("desk",),
        "192.0.2.7",
    )


@pytest.mark.usefixtures("lax_umask")
@run
async def test_the_cookie_of_a_session_is_out_of_reach(house: House) -> None:
    browser = house.browser()
    cookies = {each.partition("=")[0]: each for each in (await browser.log_in()).headers.get_list("set-cookie")}
    parts = {part.strip().lower() for part in cookies[SESSION].split(";")[1:]}
    assert parts == {"path=/", "secure", "httponly", "samesite=lax"}
    for cookie in cookies.values():
        assert cookie.startswith("__Host-")
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
        assert "domain" not in cookie.lower()
    token = browser.http.cookies[SESSION]
    assert len(token) >= 43, "256 bits"
    kept = b"".join(each.read_bytes() for each in house.folder.glob("sessions.sqlite*"))
    assert token.encode() not in kept, "only its hash is kept"
    assert not [each for each in house.folder.glob("*") if each.stat().st_mode & 0o077], "SQLite's own files too"


@pytest.mark.parametrize(
    "sent",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": None},
        {"Origin": None, "Sec-Fetch-Site": "cross-site"},
        {"Origin": None, "Sec-Fetch-Site": "same-site"},
        {"Origin": None, "Sec-Fetch-Site": "none"},
        {"Origin": None, "Sec-Fetch-Site": None},
        {"Origin": "null", "Sec-Fetch-Site": None},
        {"Origin": "http://console.example", "Sec-Fetch-Site": None},
        {"Origin": "https://console.example.evil", "Sec-Fetch-Site": None},
        {"Origin": "https://console.example:444", "Sec-Fetch-Site": None},
    ],
)
@run
async def test_another_site_changes_nothing_even_with_the_token(house: House, sent: dict[str, str | None]) -> None:
    browser = house.browser()
    await browser.log_in()
    me = await browser.me()
    assert me is not None
    assert (await browser.post("/me", {"csrf": me["csrf"]}, **sent)).status_code == 403


@pytest.mark.parametrize("token", ["", "x", "é", "\x00", "A" * 43])
@run
async def test_our_own_site_changes_nothing_without_the_token(house: House, token: str) -> None:
    browser, other = house.browser(), house.browser()
    await browser.log_in()
    house.now += 30
    await other.log_in()
    stranger = await other.me()
    assert stranger is not None
    for each in (token, stranger["csrf"]):
        assert (await browser.post("/me", {"csrf": each})).status_code == 403
        assert (await browser.http.request("DELETE", "/me", headers={"Origin": URL})).status_code == 403
    assert (await browser.post("/logout", {"csrf": token})).status_code == 403
    assert await browser.me() is not None


@run
async def test_nobody_is_logged_in_as_somebody_else_by_another_site(house: House) -> None:
    """Login CSRF: a form that another site fills in, with or without a cookie of its own."""
    browser = house.browser()
    fields = {"name": "anna", "password": PASSWORD, "code": house.code()}
    assert (await browser.post("/login", fields)).status_code == 403
    field = await browser.field()
    assert (await browser.post("/login", {**fields, "csrf": "x" * 43})).status_code == 403
    assert (await browser.post("/login", {**fields, "csrf": field}, Origin="https://evil.example")).status_code == 403
    assert (await browser.post("/login", {**fields, "csrf": await browser.field()})).status_code == 303


@run
async def test_a_session_that_was_planted_is_worth_nothing(house: House) -> None:
    browser = house.browser()
    browser.http.cookies.set(SESSION, "planted" * 7, domain="console.example")
    assert await browser.me() is None
    await browser.log_in()
    token = [each.value for each in browser.http.cookies.jar if each.name == SESSION]
    assert "planted" * 7 not in token or len(token) > 1
    thief = house.browser()
    thief.http.cookies.set(SESSION, "planted" * 7)
    assert await thief.me() is None
    # And at a further login the one before is over.
    before = house.browser()
    await before.log_in(code=house.code(later=30))
    old = before.http.cookies[SESSION]
    house.now += 60
    await before.log_in()
    assert before.http.cookies[SESSION] != old
    thief.http.cookies.set(SESSION, old)
    assert await thief.me() is None


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "' OR 1=1 --", "é" * 40, "A" * 10_000])
@run
async def test_a_forged_session_is_none(house: House, token: str) -> None:
    browser = house.browser()
    await browser.log_in()
    thief = house.browser()
    answer = await thief.http.get("/me", headers=[(b"Cookie", f"{SESSION}={token}".encode())])
    assert answer.status_code == 303


@run
async def test_a_session_ends_by_itself(house: House) -> None:
    browser = house.browser()
    await browser.log_in()
    for _ in range(3):
        house.now += 800
        assert await browser.me() is not None, "it is used"
    house.now += 901
    assert await browser.me() is None
    await browser.log_in()
    for _ in range(60):
        house.now += 600
        await browser.me()
    assert await browser.me() is None, "ten hours are the longest"


@run
async def test_logging_out_ends_it_on_this_side(house: House) -> None:
    browser, thief = house.browser(), house.browser()
    await browser.log_in()
    thief.http.cookies.set(SESSION, browser.http.cookies[SESSION])
    assert await thief.me() is not None
    house.audit.is_away = True
    answer = await browser.post("/logout", {"csrf": await browser.field("/logout")})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert await thief.me() is None
    assert await browser.me() is None


@run
async def test_who_is_disabled_is_out_at_once_and_roles_are_those_of_now(house: House) -> None:
    browser = house.browser()
    await browser.log_in()
    house.users.set_roles("anna", frozenset({Role.SUPERVISOR}), "north", house.now)
    me = await browser.me()
    assert me is not None
    assert (me["roles"], me["unit"]) == (["supervisor"], "north")
    house.users.disable("anna", house.now)
    assert await browser.me() is None
    house.now += 60
    assert (await browser.log_in()).status_code == 403
    house.users.reset("anna", PASSWORD, house.now)
    assert await browser.me() is None, "what was open is not open again"
    house.now += 30
    house.now += 60
    house.secrets = house.users.reset("anna", PASSWORD, house.now)
    assert (await browser.log_in()).status_code == 303
    house.users.disable("anna", house.now + 1)
    house.users.enable("anna", house.now + 2)
    assert await browser.me() is None, "not either when nobody has clicked meanwhile"


@run
async def test_a_session_goes_on_after_a_restart_and_the_oldest_makes_room(house: House) -> None:
    browsers = [house.browser() for _ in range(MOST + 1)]
    for browser in browsers:
        house.now += 30
        await browser.log_in()
    assert [await each.me() is not None for each in browsers] == [False] + [True] * MOST
    house.access.sessions.close()
    house.access.sessions = Sessions(house.folder / "sessions.sqlite", 900, 36_000)
    assert await browsers[-1].me() is not None


@run
async def test_a_code_counts_once(house: House) -> None:
    code = house.code()
    assert (await house.browser().log_in(code=code)).status_code == 303
    assert (await house.browser().log_in(code=code)).status_code == 403
    assert (await house.browser().log_in(code=house.code(later=-30))).status_code == 403, "nor one before it"
    assert (await house.browser().log_in(code=house.code(later=30))).status_code == 303
    spare = house.secrets.recovery[0]
    assert (await house.browser().log_in(code=spare)).status_code == 303
    assert (await house.browser().log_in(code=spare)).status_code == 403
    assert spare.encode() not in (house.folder / "users.json").read_bytes()


@run
async def test_two_at_once_with_one_code_are_one(house: House) -> None:
    browsers = [house.browser() for _ in range(4)]
    answers = await asyncio.gather(*(each.log_in(code=house.code()) for each in browsers))
    assert sorted(each.status_code for each in answers) == [303, 403, 403, 403]


@run
async def test_guessing_is_slow_and_keeps_nobody_out(house: House) -> None:
    honest = house.browser("192.0.2.1")
    await honest.log_in()
    tries = 0
    for number in range(200):
        # Every try from another address, so that only the account tells.
        answer = await house.browser(f"198.51.100.{number}").log_in(password="guess number one", code="000000")
        tries += answer.status_code == 403
        house.now += 10
    assert tries < 20, "of 200 guesses in half an hour, so few are looked at"
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) <= 301
    # Who has logged in from his browser before gets in all the while.
    assert (await honest.log_in()).status_code == 303
    # And who has not waits for five minutes at most, and not for ever.
    house.now += 301
    assert (await house.browser("192.0.2.99").log_in()).status_code == 303


@run
async def test_guessing_from_one_address_over_many_names_is_slow(house: House) -> None:
    browser = house.browser("2001:db8::1")
    answers = []
    for number in range(40):
        browser = house.browser(f"2001:db8::{number:x}")
        answers.append((await browser.log_in(name=f"name-{number}")).status_code)
    assert answers.count(403) == 20
    assert set(answers[20:]) == {429}
    assert {event.by for event in house.audit.events} == {"unknown"}, "what was typed there may be a password"


@run
async def test_whatever_is_wrong_the_answer_is_the_same(house: House) -> None:
    house.add("bert", Role.AUDITOR)
    house.users.disable("bert", house.now)
    tries = [
        {"name": "nobody"},
        {"name": ""},
        {"password": "wrong password"},
        {"code": "000000"},
        {"code": "nothing"},
        {"name": "bert"},
        {"name": "anna\x00"},
    ]
    texts = set()
    for number, wrong in enumerate(tries):
        answer = await house.browser(f"192.0.2.{number}").log_in(**wrong)
        assert answer.status_code == 403
        texts.add(answer.text.replace(field_of(answer), ""))
    assert len(texts) == 1


@run
async def test_without_the_audit_log_nobody_gets_in(house: House) -> None:
    house.audit.is_away = True
    browser = house.browser()
    assert (await browser.log_in()).status_code == 503
    assert await browser.me() is None


@run
async def test_the_headers_are_on_every_answer(house: House) -> None:
    browser = house.browser()
    answers = [await browser.get(path) for path in ("/login", "/me", "/access/style.css")]
    answers += [
        await browser.post("/me"),
        await browser.post("/me", Origin="https://evil.example"),
        await browser.log_in(),
    ]
    answers += [await browser.get(path) for path in ("/me", "/broken", "/nothing/here", "/static/x.js", "/password")]
    answers += [await browser.http.request("TRACE", "/me"), await browser.get("/me", Host="evil.example")]
    answers.append(await browser.http.post("/me", content=b"x" * (MAX_BYTES + 1), headers={"Origin": URL}))
    assert {each.status_code for each in answers} == {200, 303, 401, 403, 405, 413, 421, 500}
    for answer in answers:
        for name, value in {**ALWAYS, "strict-transport-security": HSTS}.items():
            assert answer.headers.get_list(name) == [value], (answer.url, name)
        is_static = answer.url.path == "/static/x.js"
        assert answer.headers["cache-control"] == ("private, max-age=3600" if is_static else "no-store")
        assert "server" not in answer.headers
        assert "it broke" not in answer.text
    for word in ("unsafe", "*", "http:"):
        assert word not in CSP


@run
async def test_the_pages_keep_to_their_own_policy(house: House) -> None:
    browser = house.browser()
    await browser.log_in()
    for path in ("/login", "/logout", "/password"):
        for lang in ("en", "nl"):
            text = (await browser.get(path, **{"Accept-Language": f"{lang};q=0.9, fr"})).text
            assert f'<html lang="{lang}">' in text
            for word in ("<script", "<style", " style=", " onclick", "javascript:", "http://", "https://"):
                assert word not in text
            labels, inputs = text.count("<label"), text.count("<input id=")
            assert labels == inputs, "every field has its label"


@run
async def test_a_body_has_a_bound(house: House) -> None:
    browser = house.browser()
    await browser.log_in()
    me = await browser.me()
    assert me is not None
    ours = {"Origin": URL, "X-CSRF-Token": me["csrf"]}

    async def without_a_length() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65_536

    for content in (b"x" * (MAX_BYTES + 1), without_a_length()):
        assert (await browser.http.post("/me", content=content, headers=ours)).status_code == 413
    fields = {**ours, "Content-Type": "application/x-www-form-urlencoded"}
    assert (await browser.http.post("/me", content=b"&".join([b"a=b"] * 1000), headers=fields)).status_code == 400
    assert (await browser.http.post("/me", files={"f": b"x" * 100}, headers=ours)).status_code == 400
    assert (await browser.http.post("/me", content=b"x" * MAX_BYTES, headers=ours)).status_code == 200
    assert (await browser.get("/login?" + "&".join(["a=b"] * 100))).status_code == 400


@run
async def test_a_session_may_not_ask_without_end(house: House) -> None:
    browser = house.browser()
    await browser.log_in()
    answers = [(await browser.get("/me")).status_code for _ in range(80)]
    assert answers.count(200) == 60
    assert answers[-1] == 429
    house.now += 5
    assert (await browser.get("/me")).status_code == 200


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/%5cevil\\x", "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=y", "/a\nb", "/\t/evil.example", "evil", " /a", "/a b", "/é", "", "/" + "a" * 3000,
    ],
)  # fmt: skip
@run
async def test_after_a_login_nobody_is_sent_elsewhere(house: House, to: str) -> None:
    answer = await house.browser().log_in(next=to)
    assert answer.headers.get_list("location") == ["/"]
    assert not any(each.startswith("x=") for each in answer.headers.get_list("set-cookie"))


@given(st.text(max_size=30))
def test_where_to_go_is_always_here(to: str) -> None:
    found = local_path(to)
    assert httpx.URL(URL).join(found).host == "console.example"
    assert found.isascii()
    assert found.isprintable()


@run
async def test_only_our_own_name_by_https_is_answered(house: House) -> None:
    for url, status in (
        ("https://evil.example", 421),
        ("https://console.example:444", 421),
        ("http://console.example", 400),
        ("https://console.example:443", 200),
    ):
        assert (await house.browser(url=url).get("/login")).status_code == status, url


@run
async def test_a_proxy_is_believed_and_nobody_else(house: House) -> None:
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9, 192.0.2.200, 10.1.1.1"}
    assert (await house.browser("10.0.0.1", "http://console.example").get("/login", **told)).status_code == 200
    assert (await house.browser("192.0.2.1", "http://console.example").get("/login", **told)).status_code == 400
    for peer, client in (("10.0.0.1", "192.0.2.200"), ("192.0.2.1", "192.0.2.1")):
        browser = house.browser(peer)
        browser.http.headers.update(told)
        house.now += 30
        await browser.log_in()
        assert house.audit.events[-1].client == client


@run
async def test_by_http_this_machine_alone_is_answered(tmp_path: Path, house: House) -> None:
    house.access.way = Way(None)
    browser = house.browser("127.0.0.1", "http://127.0.0.1:8000")
    answer = await browser.log_in()
    assert answer.status_code == 303
    (cookie,) = [each for each in answer.headers.get_list("set-cookie") if each.startswith("monitor-session=")]
    assert "httponly" in cookie.lower()
    assert "secure" not in cookie.lower(), "a browser would not send it back"
    assert "strict-transport-security" not in answer.headers
    assert await browser.me() is not None
    assert (await house.browser("127.0.0.1", "http://rebound.example").get("/login")).status_code == 421
    assert (await house.browser("192.0.2.1", "http://127.0.0.1:8000").get("/login")).status_code == 403


@run
async def test_a_password_is_changed_by_who_knows_it(house: House) -> None:
    browser, other = house.browser(), house.browser()
    await browser.log_in()
    house.now += 30
    await other.log_in()
    house.now += 30
    new = "another horse, another battery"

    async def change(**fields: str) -> httpx.Response:
        given = {"csrf": await browser.field("/password"), "password": PASSWORD, "new": new, "again": new}
        return await browser.post("/password", {**given, "code": house.code(), **fields})

    assert (await change(again="something else")).status_code == 400
    assert (await change(password="not the password")).status_code == 403
    assert (await change(code="000000")).status_code == 403
    old = browser.http.cookies[SESSION]
    assert (await change()).status_code == 303
    assert browser.http.cookies[SESSION] != old
    assert await browser.me() is not None
    assert await other.me() is None, "all other logins have ended"
    house.now += 30
    assert (await house.browser().log_in()).status_code == 403
    assert (await house.browser().log_in(password=new)).status_code == 303
    house.now += 30
    assert (await change(password=new, new="short", again="short")).status_code == 400
    changes = [(each.what, each.done) for each in house.audit.events if each.what == "user-change"]
    assert changes.count(("user-change", True)) == 2


@run
async def test_a_websocket_is_not_taken(house: House) -> None:
    sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    await house.guard({"type": "websocket", "path": "/me", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
