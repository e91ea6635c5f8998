"""The guard behind the real server, with real TLS; and settings that let nobody in."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from secure_kafka import Authority

from monitor.access.body import MAX_BYTES
from monitor.access.headers import CSP
from monitor.access.origin import Way
from monitor.access.setup import BadAccess, access_of, server_options
from monitor.settings import Settings
from tests.access.made import PASSWORD, House, Log, cheap_passwords, field_of


@contextmanager
def served(house: House, settings: Settings, at: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(house.guard, log_level="critical", lifespan="off", **server_options(settings))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [at]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(20)


def test_a_login_over_tls(house: House, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.issue("console")
    with closing(socket.socket()) as at:
        at.bind(("127.0.0.1", 0))
        port = at.getsockname()[1]
        url = f"https://127.0.0.1:{port}"
        settings = Settings(console_url=url, console_certificate_file=certificate, console_key_file=key)
        house.access.way = Way(url)
        house.now = time.time()
        context = ssl.create_default_context(cafile=authority.file)
        with served(house, settings, at), httpx.Client(base_url=url, verify=context, timeout=20) as browser:
            page = browser.get("/login")
            assert (page.status_code, page.headers["content-security-policy"]) == (200, CSP)
            assert "strict-transport-security" in page.headers
            assert "server" not in page.headers
            fields = {"csrf": field_of(page), "name": "anna", "password": PASSWORD, "code": house.code()}
            ours = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
            assert (
                browser.post("/login", data={**fields, "next": "/a\r\nX-Evil: 1"}, headers=ours).headers["location"]
                == "/"
            )
            me = browser.get("/me").json()
            assert me["name"] == "anna"
            assert browser.post("/me", data={"csrf": me["csrf"]}, headers=ours).status_code == 200
            assert browser.post("/me", data={"csrf": me["csrf"]}).status_code == 403
            assert browser.post("/me", content=b"x" * (MAX_BYTES + 1), headers=ours).status_code == 413
            for raw in (
                b"GET /login?next=/a%0d%0aX-Evil:%201 HTTP/1.1",
                b"GET /a%0d%0aX-Evil:1 HTTP/1.1",
                b"GET /a HTTP/1.1\r\nHX-Request: true\r\nX-Forwarded-For: 1.1.1.1\x0bX-Evil: 1",
            ):
                head = said(context, port, raw)
                assert b"\r\nx-evil" not in head.lower()


def said(context: ssl.SSLContext, port: int, begin: bytes) -> bytes:
    """The head of the answer to what no client library would send."""
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="127.0.0.1") as link:
        link.sendall(begin + f"\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        found = b""
        while chunk := link.recv(65_536):
            found += chunk
    return found.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "LOOKUP_MONITOR_USERS_FILE"),
        ({"users_file": "users", "console_url": "http://console.example"}, "CONSOLE_URL"),
        ({"users_file": "users", "console_url": "https://console.example/path"}, "CONSOLE_URL"),
        ({"users_file": "users", "console_proxies": "proxy"}, "CONSOLE_PROXIES"),
        ({"users_file": "users", "sessions_file": "none/sessions"}, "none/sessions"),
        ({"oidc_issuer": "https://idp.example"}, "OIDC_CLIENT_ID"),
        ({"oidc_issuer": "https://idp.example", "oidc_client_id": "m"}, "OIDC_ROLES"),
        (
            {
                "oidc_issuer": "https://idp.example",
                "oidc_client_id": "m",
                "oidc_roles": "a=desk",
                "oidc_client_secret_file": "open",
            },
            "chmod 600",
        ),
        ({"users_file": "open"}, "chmod 600"),
    ],
)
def test_settings_that_let_nobody_in_are_said(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    (tmp_path / "open").write_text("x")
    (tmp_path / "open").chmod(0o644)
    given = {name: tmp_path / value if name.endswith("_file") else value for name, value in change.items()}
    with cheap_passwords(), pytest.raises(BadAccess, match=said):
        access_of(Settings(**given), Log())


def test_settings_that_do(tmp_path: Path) -> None:
    with cheap_passwords():
        made = access_of(Settings(users_file=tmp_path / "users", sessions_file=tmp_path / "sessions"), Log())
    assert made.provider is None
    made.sessions.close()
    oidc = {"oidc_issuer": "https://idp.example", "oidc_client_id": "m", "oidc_roles": "a=desk"}
    assert access_of(Settings(**oidc), Log()).provider is not None


def test_tls_settings_that_cannot_be(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("x")
    key.chmod(0o640)
    for given, said in (
        ({"console_key_file": key}, "go together"),
        ({"console_key_file": key, "console_certificate_file": key}, "CONSOLE_URL"),
        ({"console_key_file": key, "console_certificate_file": key, "console_url": "https://c"}, "chmod 600"),
    ):
        with pytest.raises(BadAccess, match=said):
            server_options(Settings(**given))
