"""The guard as it is set: what decides who gets in, and the server's side of TLS."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any

from monitor.access.limits import Buckets
from monitor.access.login import Access
from monitor.access.oidc import BadProvider, Provider
from monitor.access.origin import BadOrigin, Way
from monitor.access.passwords import nobodys_hash
from monitor.access.sessions import Sessions
from monitor.access.users import Users
from monitor.audit.event import Audit
from monitor.secret_files import BadSecretFile, check_mode
from monitor.settings import ENV_PREFIX, Settings


class BadAccess(ValueError):
    """The settings let nobody in, or cannot be; the text says which, and what to do."""


def access_of(settings: Settings, audit: Audit, clock: Callable[[], float] = time.time) -> Access:
    """What the settings say. Raises :class:`BadAccess`."""
    try:
        way = Way(settings.console_url, settings.console_proxies)
        users = None if settings.users_file is None else Users(settings.users_file)
        if users is not None and settings.users_file is not None and settings.users_file.exists():
            users.all()
        provider = _provider(settings, clock)
        if settings.oidc_client_secret_file is not None:
            check_mode(settings.oidc_client_secret_file)
        sessions = Sessions(settings.sessions_file, settings.session_idle, settings.session_longest)
    except (BadOrigin, BadProvider) as error:
        raise BadAccess(f"{ENV_PREFIX}{error}") from None
    except (BadSecretFile, OSError, sqlite3.Error) as error:
        raise BadAccess(str(error)) from None
    if users is None and provider is None:
        raise BadAccess(
            f"nobody can log in: set {ENV_PREFIX}USERS_FILE (`monitor users add`) or {ENV_PREFIX}OIDC_ISSUER"
        )
    if provider is None:
        nobodys_hash()  # made now, or the first who is not there would be told apart by the time it takes
    a_minute = settings.session_requests
    return Access(way, sessions, audit, users, provider, Buckets(a_minute, a_minute / 60), clock)


def _provider(settings: Settings, clock: Callable[[], float]) -> Provider | None:
    if settings.oidc_issuer is None:
        return None
    claims = (settings.oidc_name_claim, settings.oidc_unit_claim, settings.oidc_roles_claim)
    return Provider(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret_file,
        claims,
        settings.oidc_roles,
        settings.oidc_acr,
        clock,
    )


def server_options(settings: Settings) -> dict[str, Any]:
    """What uvicorn must be told besides the app, host and port: TLS by the files that are set, no word on who it is, and no belief in proxies,
    which the guard decides. Raises :class:`BadAccess`."""
    certificate, key = settings.console_certificate_file, settings.console_key_file
    if (certificate is None) != (key is None):
        raise BadAccess(f"{ENV_PREFIX}CONSOLE_CERTIFICATE_FILE and {ENV_PREFIX}CONSOLE_KEY_FILE go together")
    made: dict[str, Any] = {
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
        "limit_concurrency": 200,
        "timeout_keep_alive": 10,
        "ws": "none",
        "http": "h11",
        "h11_max_incomplete_event_size": 64 * 1024,
    }
    if certificate is None or key is None:
        return made
    if settings.console_url is None:
        raise BadAccess(f"{ENV_PREFIX}CONSOLE_CERTIFICATE_FILE needs {ENV_PREFIX}CONSOLE_URL, as browsers reach it")
    try:
        check_mode(key)
    except BadSecretFile as error:
        raise BadAccess(f"{ENV_PREFIX}CONSOLE_KEY_FILE {error}") from None
    return made | {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
