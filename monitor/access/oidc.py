"""OpenID Connect: an identity provider says who somebody is. Authorization code with PKCE; the ID token is checked in full.

Specification: OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3; RFC 7636 (PKCE); RFC 8725 (what to check of a token).
"""

from __future__ import annotations

import hmac
import re
import secrets
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import authlib.deprecate  # noqa: F401 - it shows its warnings from then on; what comes next must be after that
import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from monitor.access.limits import Buckets
from monitor.access.roles import Person, Role, conflicts
from monitor.secret_files import BadSecretFile, read_line

with warnings.catch_warnings():
    # The client for httpx is to give way to one for httpx2; whoever runs the monitor can do nothing about it.
    warnings.simplefilter("ignore")
    from authlib.common.errors import AuthlibBaseError
    from authlib.integrations.httpx_client import AsyncOAuth2Client

#: What a token may be signed with: nothing that a shared secret could make, and not nothing.
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "Ed25519", "EdDSA")
#: Clocks may differ by so many seconds.
_LEEWAY: Final = 60
_WITHIN: Final = 10.0
#: What the provider says of itself is asked again after so many seconds.
_KNOWN_FOR: Final = 3600.0
_NAME: Final = re.compile(r"[!-~]{1,128}", re.ASCII).fullmatch
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class BadProvider(ValueError):
    """A setting of the identity provider that cannot be; says which."""


class NotKnown(Exception):
    """The provider did not vouch for anybody: a wrong answer, a wrong token, or none. Never holds a token."""


class NotAllowed(Exception):
    """Somebody the provider knows, who has no role here or too many; ``name`` is theirs."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


class Pending(NamedTuple):
    """A login that was begun: what its end must fit. ``next`` is where to go afterwards."""

    state: str
    nonce: str
    verifier: str
    redirect: str
    next: str


class _Known(NamedTuple):
    authorize: str
    token: str
    jwks: str
    at: float


class Provider:
    """One identity provider. Raises :class:`BadProvider` when its settings do not go together."""

    def __init__(
        self,
        issuer: str,
        client_id: str | None,
        secret_file: Path | None,
        claims: tuple[str, str, str],
        roles: str,
        acr: str | None,
        clock: Callable[[], float],
    ) -> None:
        """``claims`` are the names of those that hold name, unit and roles."""
        if not client_id:
            raise BadProvider("OIDC_ISSUER needs OIDC_CLIENT_ID")
        _check_url(issuer)
        self._issuer, self._client_id, self._secret_file = issuer, client_id, secret_file
        self._name_claim, self._unit_claim, self._roles_claim = claims
        self._roles, self._acr, self._clock = _mapping(roles), acr, clock
        self._known: _Known | None = None
        self._keys: KeySet | None = None
        self._asks = Buckets(burst=5, rate=1 / 30)

    async def begin(self, redirect: str, after: str) -> tuple[str, Pending]:
        """Where to send the browser, and what to remember. Raises :class:`NotKnown` when the provider does not answer."""
        known = await self._about()
        pending = Pending(
            secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), redirect, after
        )
        async with self._client(redirect) as client:
            url, _ = client.create_authorization_url(
                known.authorize, state=pending.state, nonce=pending.nonce, code_verifier=pending.verifier
            )
        return str(url), pending

    async def finish(self, pending: Pending, answer: Mapping[str, str]) -> Person:
        """Who came back. Raises :class:`NotKnown` and :class:`NotAllowed`."""
        if not hmac.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
            raise NotKnown("another state")
        if "iss" in answer and answer["iss"] != self._issuer:
            raise NotKnown("another issuer")  # RFC 9207
        if not answer.get("code"):
            raise NotKnown("no code")
        known = await self._about()
        try:
            async with self._client(pending.redirect) as client:
                token = await client.fetch_token(known.token, code=answer["code"], code_verifier=pending.verifier)
        except (AuthlibBaseError, httpx.HTTPError, ValueError) as error:
            raise NotKnown(f"no token: {type(error).__name__}") from None
        return self._person(await self._claims(str(token.get("id_token", "")), pending.nonce))

    async def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """What a token says, when all of it is right. Keys that are not known are asked for once: providers change them."""
        for is_again in (False, True):
            keys = await self._key_set(anew=is_again)
            try:
                found = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
                break
            except (JoseError, ValueError) as error:
                if is_again or not self._may_ask():
                    raise NotKnown(f"a wrong token: {type(error).__name__}") from None
        rules = jwt.JWTClaimsRegistry(
            now=int(self._clock()),
            leeway=_LEEWAY,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        claims: dict[str, Any] = dict(found.claims)
        try:
            rules.validate(claims)
        except JoseError as error:
            raise NotKnown(f"a wrong token: {type(error).__name__}") from None
        audience = claims["aud"]
        is_shared = isinstance(audience, list) and len(audience) > 1
        if (is_shared or "azp" in claims) and claims.get("azp") != self._client_id:
            raise NotKnown("a token for another")
        if self._acr is not None and claims.get("acr") != self._acr:
            raise NotKnown("they did not log in as they must")
        return claims

    def _person(self, claims: dict[str, Any]) -> Person:
        name = claims.get(self._name_claim)
        if not isinstance(name, str) or _NAME(name) is None:
            raise NotKnown(f"no name in the claim {self._name_claim}")
        told = claims.get(self._roles_claim, [])
        words = told.split() if isinstance(told, str) else told if isinstance(told, list) else []
        roles = frozenset(self._roles[word] for word in words if isinstance(word, str) and word in self._roles)
        if not roles:
            raise NotAllowed(name, "no role")
        if conflicts(roles):
            raise NotAllowed(name, "roles that one person must not have together")
        unit = claims.get(self._unit_claim)
        return Person(name, roles, unit if isinstance(unit, str) and unit else None)

    def _may_ask(self) -> bool:
        return self._asks.take("", self._clock()) == 0

    async def _about(self) -> _Known:
        known, now = self._known, self._clock()
        if known is None or now - known.at >= _KNOWN_FOR:
            place = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = await _fetch(place)
            if found.get("issuer") != self._issuer:
                raise NotKnown("the provider calls itself by another name")
            urls = [str(found.get(f"{name}", "")) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
            for url in urls:
                try:
                    _check_url(url)
                except BadProvider:
                    raise NotKnown("the provider does not say where it is") from None
            known = self._known = _Known(urls[0], urls[1], urls[2], now)
            self._keys = None  # a key that the provider has taken back ends with the hour
        return known

    async def _key_set(self, anew: bool) -> KeySet:
        if self._keys is None or anew:
            found = await _fetch((await self._about()).jwks)
            try:
                self._keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
            except (JoseError, ValueError, KeyError, TypeError):
                raise NotKnown("the provider's keys cannot be read") from None
        return self._keys

    def _client(self, redirect: str) -> AsyncOAuth2Client:
        try:
            secret = None if self._secret_file is None else read_line(self._secret_file)
        except BadSecretFile as error:
            raise NotKnown(str(error)) from None
        return AsyncOAuth2Client(
            self._client_id,
            secret,
            token_endpoint_auth_method="none" if secret is None else "client_secret_basic",
            scope="openid profile",
            redirect_uri=redirect,
            code_challenge_method="S256",
            timeout=_WITHIN,
        )


async def _fetch(url: str) -> dict[str, Any]:
    try:
        async with httpx.AsyncClient(timeout=_WITHIN) as client:
            answer = await client.get(url)
            answer.raise_for_status()
            found = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise NotKnown(f"the provider does not answer: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise NotKnown("the provider answers something else")
    return found


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    is_here = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.netloc or (parts.scheme != "https" and not is_here):
        raise BadProvider(f"OIDC_ISSUER {url!r}: it must be https://…")


def _mapping(text: str) -> dict[str, Role]:
    """``group=role,group=role``. Raises :class:`BadProvider`."""
    found: dict[str, Role] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        word, _, role = part.rpartition("=")
        if not word or role not in set(Role):
            raise BadProvider(f"OIDC_ROLES {part!r}: it must be what-the-claim-holds=role; roles: {', '.join(Role)}")
        found[word] = Role(role)
    if not found:
        raise BadProvider("OIDC_ISSUER needs OIDC_ROLES, or nobody has a role")
    return found
