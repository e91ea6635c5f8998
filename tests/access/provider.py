"""A real identity provider on loopback: it speaks HTTP, checks client, redirect and PKCE, and signs with real keys; and it can lie."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwk, jwt

CLIENT, SECRET = "lookup-monitor", "the client's own secret"


class IdP:
    """The provider. ``claims`` are what it says of whoever logs in; ``sign`` makes a token of them."""

    def __init__(self, issuer: str, now: Callable[[], float]) -> None:
        self.issuer, self.now = issuer, now
        self.keys = [self.new_key("k1")]
        self.claims: dict[str, Any] = {"sub": "anna", "groups": ["grp-desk"], "unit": "north"}
        self.sign: Callable[[dict[str, Any]], str] = self.token
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        self.name = issuer

    @staticmethod
    def new_key(kid: str) -> jwk.RSAKey:
        return jwk.RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})

    def token(self, claims: dict[str, Any], key: Any = None, alg: str = "RS256", kid: str | None = None) -> str:
        used = key or self.keys[-1]
        return jwt.encode({"alg": alg, "kid": kid or used.kid}, claims, used, algorithms=[alg])

    def allow(self, url: str) -> dict[str, str]:
        """Somebody logs in at the address that the browser was sent to: what comes back with him."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert asked["client_id"] == CLIENT
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def answer(self, path: str, authorization: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            places = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/jwks"}
            return 200, {"issuer": self.name, **{name: self.issuer + to for name, to in places.items()}}
        if path == "/jwks":
            return 200, {"keys": [key.as_dict(private=False) for key in self.keys]}
        if path == "/token":
            return self.exchange(authorization, form)
        return 404, {}

    def exchange(self, authorization: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        known = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if authorization.removeprefix("Basic ") != known:
            return 401, {"error": "invalid_client"}
        if (
            asked is None
            or challenge.decode().rstrip("=") != asked["code_challenge"]
            or form.get("redirect_uri") != asked["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        now = int(self.now())
        base = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.sign({**base, **self.claims})}


@contextmanager
def identity_provider(now: Callable[[], float]) -> Iterator[IdP]:
    """Serve it."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(size).decode()).items()}
            status, body = made.answer(urlsplit(self.path).path, self.headers.get("Authorization", ""), form)
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = _serve

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = IdP(f"http://127.0.0.1:{server.server_port}", now)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def back(answer: dict[str, str]) -> str:
    """Where the provider sends the browser to."""
    return "/oidc/callback?" + urlencode(answer)
