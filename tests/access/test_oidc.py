"""Logins by OpenID Connect against a real provider, honest and not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwk, jwt

from monitor.access.oidc import BadProvider, Provider
from tests.access.made import House, cheap_passwords
from tests.access.provider import CLIENT, SECRET, IdP, back, identity_provider
from tests.access.test_guard import SESSION, run

ROLES = "grp-desk=desk, cn=audit=auditor"


class Abroad(House):
    """The house whose people come by the provider."""

    def __init__(self, folder: Path) -> None:
        with cheap_passwords():
            super().__init__(folder)

    def with_provider(self, idp: IdP, **more: Any) -> Abroad:
        (self.folder / "secret").write_text(SECRET + "\n")
        (self.folder / "secret").chmod(0o600)
        given: dict[str, Any] = {
            "client_id": CLIENT,
            "secret_file": self.folder / "secret",
            "claims": ("sub", "unit", "groups"),
            "roles": "grp-desk=desk,grp-super=supervisor,grp-audit=auditor",
            "acr": None,
            **more,
        }
        self.access.provider = Provider(idp.issuer, clock=lambda: self.now, **given)
        self.guard = type(self.guard)(self.guard._app, self.access)
        return self


@pytest.fixture(scope="module")
def served() -> Iterator[list[Any]]:
    """One provider for all tests: keys take long to make. The clock is that of the test's house."""
    clock: list[Any] = [None]
    with identity_provider(lambda: clock[0]()) as idp:
        yield [idp, clock, idp.keys[0]]


@pytest.fixture
def abroad(tmp_path: Path, served: list[Any]) -> Iterator[Abroad]:
    made = Abroad(tmp_path)
    served[1][0] = lambda: made.now
    yield made.with_provider(served[0])
    made.access.sessions.close()


@pytest.fixture
def idp(served: list[Any]) -> IdP:
    found: IdP = served[0]
    found.keys = [served[2]]
    found.claims = {"sub": "anna", "groups": ["grp-desk", "else"], "unit": "north"}
    found.sign, found.name, found.asked = found.token, found.issuer, []
    found.codes.clear()
    return found


async def begun(abroad: Abroad, to: str = "/incidents/7") -> tuple[Any, str]:
    browser = abroad.browser()
    answer = await browser.get(f"/oidc/login?next={to}")
    assert answer.status_code == 303
    return browser, answer.headers["location"]


async def came_back(abroad: Abroad, idp: IdP) -> tuple[Any, httpx.Response]:
    browser, url = await begun(abroad)
    return browser, await browser.get(back(idp.allow(url)))


@run
async def test_a_login(abroad: Abroad, idp: IdP) -> None:
    assert "/oidc/login?next=" in (await abroad.browser().get("/login")).text
    browser, answer = await came_back(abroad, idp)
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/7")
    me = await browser.me()
    assert (me["name"], me["roles"], me["unit"]) == ("anna", ["desk"], "north")
    assert [(each.what, each.by, each.done) for each in abroad.audit.events] == [("login", "anna", True)]
    assert idp.asked.count("/jwks") == 1
    assert (await browser.post("/login", {"name": "anna"})).status_code == 200, "there are no local passwords then"
    abroad.users.disable("anna", abroad.now)
    assert await browser.me() is None, "blocked here, whatever is said there"
    assert (await came_back(abroad, idp))[1].status_code == 403


def forged(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[IdP, dict[str, Any]], str]:
    return lambda idp, claims: idp.token(change(claims))


def cut(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in claims.items() if each != name}


def unsigned(idp: IdP, claims: dict[str, Any]) -> str:
    parts = [json.dumps(each).encode() for each in ({"alg": "none", "kid": "k1"}, claims)]
    return ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts) + "."


def by_public_key(idp: IdP, claims: dict[str, Any]) -> str:
    """The public key taken as a shared secret: whoever can read it could sign."""
    secret = jwk.OctKey.import_key(idp.keys[0].as_pem(private=False))
    return jwt.encode({"alg": "HS256", "kid": "k1"}, claims, secret, algorithms=["HS256"])


def swapped(idp: IdP, claims: dict[str, Any]) -> str:
    one, other = idp.token(claims).split("."), idp.token({**claims, "sub": "boss"}).split(".")
    return ".".join((one[0], other[1], one[2]))


WRONG: dict[str, Callable[[IdP, dict[str, Any]], str]] = {
    "another key": lambda idp, claims: idp.token(claims, IdP.new_key("k1"), kid="k1"),
    "a key nobody knows": lambda idp, claims: idp.token(claims, IdP.new_key("k9")),
    "another's words": swapped,
    "alg none": unsigned,
    "alg HS256": by_public_key,
    "no token": lambda idp, claims: "",
    "no token at all": lambda idp, claims: "x.y.z",
    "another nonce": forged(lambda claims: {**claims, "nonce": "of another login"}),
    "no nonce": forged(lambda claims: cut(claims, "nonce")),
    "another audience": forged(lambda claims: {**claims, "aud": "another"}),
    "no audience": forged(lambda claims: cut(claims, "aud")),
    "shared, for another": forged(lambda claims: {**claims, "aud": [CLIENT, "another"], "azp": "another"}),
    "shared, for nobody": forged(lambda claims: {**claims, "aud": [CLIENT, "another"]}),
    "another issuer": forged(lambda claims: {**claims, "iss": "https://evil.example"}),
    "expired": forged(lambda claims: {**claims, "exp": claims["iat"] - 61}),
    "without an end": forged(lambda claims: cut(claims, "exp")),
    "from the future": forged(lambda claims: {**claims, "iat": claims["iat"] + 3600}),
    "without a name": forged(lambda claims: cut(claims, "sub")),
    "a name that is none": forged(lambda claims: {**claims, "sub": "an\nna"}),
}


@pytest.mark.parametrize("wrong", WRONG)
@run
async def test_a_wrong_token_lets_nobody_in(abroad: Abroad, idp: IdP, wrong: str) -> None:
    idp.sign = lambda claims: WRONG[wrong](idp, claims)
    browser, answer = await came_back(abroad, idp)
    assert answer.status_code == 403
    assert SESSION not in browser.http.cookies
    assert await browser.me() is None


@pytest.mark.parametrize("groups", [[], ["else"], ["grp-desk", "grp-audit"], None, 7, [["grp-desk"]]])
@run
async def test_without_a_role_or_with_two_that_go_apart_nobody_gets_in(abroad: Abroad, idp: IdP, groups: Any) -> None:
    idp.claims["groups"] = groups
    browser, answer = await came_back(abroad, idp)
    assert answer.status_code == 403
    assert await browser.me() is None
    assert [(each.what, each.done) for each in abroad.audit.events] == [("login", False)]


@run
async def test_what_was_not_begun_here_or_has_ended_is_refused(abroad: Abroad, idp: IdP) -> None:
    browser, url = await begun(abroad)
    answer = idp.allow(url)
    assert (await abroad.browser().get(back(answer))).status_code == 403, "another's browser"
    assert (await browser.get(back({**answer, "state": "x"}))).status_code == 403
    assert (await browser.get(back(answer))).status_code == 403, "it counted once"
    browser, url = await begun(abroad)
    assert (await browser.get(back({**idp.allow(url), "iss": "https://evil.example"}))).status_code == 403
    browser, url = await begun(abroad)
    assert (await browser.get(back({"error": "access_denied", "state": idp.allow(url)["state"]}))).status_code == 403
    browser, url = await begun(abroad)
    abroad.now += 601
    assert (await browser.get(back(idp.allow(url)))).status_code == 403
    browser, _ = await begun(abroad)
    _, others = await begun(abroad)
    assert (await browser.get(back(idp.allow(others)))).status_code == 403, "another's code and state"


@run
async def test_the_code_is_worth_nothing_without_what_only_we_know(abroad: Abroad, idp: IdP) -> None:
    stolen = idp.allow((await begun(abroad))[1])
    other, others = await begun(abroad)
    mine = idp.allow(others)
    assert (await other.get(back({**mine, "code": stolen["code"]}))).status_code == 403, "PKCE"
    (abroad.folder / "secret").write_text("another secret")
    assert (await came_back(abroad, idp))[1].status_code == 403
    (abroad.folder / "secret").write_text(SECRET)
    assert (await came_back(abroad, idp))[1].status_code == 303
    (abroad.folder / "secret").chmod(0o644)
    assert (await abroad.browser().get("/oidc/login")).status_code == 503, "others can read it"


@run
async def test_keys_that_the_provider_changes_are_learned_and_old_ones_end(abroad: Abroad, idp: IdP) -> None:
    assert (await came_back(abroad, idp))[1].status_code == 303
    old = idp.keys
    idp.keys = [IdP.new_key("k2")]
    assert (await came_back(abroad, idp))[1].status_code == 303
    idp.sign = lambda claims: idp.token(claims, old[0])
    assert (await came_back(abroad, idp))[1].status_code == 403
    asked = idp.asked.count("/jwks")
    for _ in range(15):
        await came_back(abroad, idp)
    assert idp.asked.count("/jwks") - asked <= 5, "wrong tokens do not make us ask without end"


@run
async def test_a_key_that_was_taken_back_ends_with_the_hour(abroad: Abroad, idp: IdP) -> None:
    assert (await came_back(abroad, idp))[1].status_code == 303
    old = idp.keys
    idp.keys = [IdP.new_key("k2")]
    idp.sign = lambda claims: idp.token(claims, old[0])
    abroad.now += 3601
    assert (await came_back(abroad, idp))[1].status_code == 403


@run
async def test_a_provider_that_is_another_or_away(abroad: Abroad, idp: IdP) -> None:
    idp.name = "https://evil.example"
    assert (await abroad.browser().get("/oidc/login")).status_code == 503
    abroad.access.provider = None
    away = abroad.with_provider(IdP("http://127.0.0.1:9", lambda: 0))
    assert (await away.browser().get("/oidc/login")).status_code == 503


@run
async def test_how_they_logged_in_there_can_be_asked_for(abroad: Abroad, idp: IdP) -> None:
    abroad.with_provider(idp, acr="mfa")
    assert (await came_back(abroad, idp))[1].status_code == 403
    idp.claims["acr"] = "mfa"
    assert (await came_back(abroad, idp))[1].status_code == 303


@run
async def test_without_the_audit_log_nobody_gets_in(abroad: Abroad, idp: IdP) -> None:
    abroad.audit.is_away = True
    browser, answer = await came_back(abroad, idp)
    assert answer.status_code == 503
    assert await browser.me() is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"issuer": "http://idp.example"}, "OIDC_ISSUER"),
        ({"issuer": "idp.example"}, "OIDC_ISSUER"),
        ({"client_id": None}, "OIDC_CLIENT_ID"),
        ({"roles": ""}, "OIDC_ROLES"),
        ({"roles": "grp=boss"}, "OIDC_ROLES"),
        ({"roles": "desk"}, "OIDC_ROLES"),
    ],
)
def test_a_wrong_setting_is_said(change: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {
        "issuer": "https://idp.example",
        "client_id": CLIENT,
        "secret_file": None,
        "claims": ("sub", "unit", "groups"),
        "roles": ROLES,
        "acr": None,
        "clock": lambda: 0.0,
    }
    Provider(**given)
    with pytest.raises(BadProvider, match=said):
        Provider(**{**given, **change})
