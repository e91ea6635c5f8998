"""Where a request comes from: by which way, from which address, and whether a page of our own has sent it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_SAFE_SITES: Final = frozenset({"same-origin"})
Network = IPv4Network | IPv6Network


class BadOrigin(ValueError):
    """A setting of how the console is reached that cannot be."""


class Refused(Exception):
    """A request that did not come by the way it must; ``status`` is what it is answered with."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Way:
    """How browsers reach the console: ``url`` (``https://host[:port]``), or loopback by http without one; ``proxies`` are those before it
    whose word on who asks is taken. Raises :class:`BadOrigin`."""

    def __init__(self, url: str | None = None, proxies: str = "") -> None:
        self.is_https = url is not None
        self._host = ""
        self._origin = ""
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme != "https" or not parts.netloc or parts.path not in ("", "/") or parts.query or "@" in url:
                raise BadOrigin(f"CONSOLE_URL {url!r}: it must be https://host or https://host:port")
            self._host = parts.netloc.lower().removesuffix(":443")
            self._origin = f"https://{self._host}"
        try:
            self._proxies: list[Network] = [ip_network(each.strip()) for each in proxies.split(",") if each.strip()]
        except ValueError as error:
            raise BadOrigin(f"CONSOLE_PROXIES: {error}") from None

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raises :class:`Refused` for a request to another host (it would be answered to whoever owns that name), or without TLS."""
        host = headers.get("host", "").lower()
        if self.is_https:
            if host.removesuffix(":443") != self._host:
                raise Refused(421, "there is no such host here")
            if not self._came_by_tls(scope, headers):
                raise Refused(400, "only by https")
        elif _name_of(host) not in LOOPBACK:
            raise Refused(421, "without LOOKUP_MONITOR_CONSOLE_URL this answers to this machine alone")
        elif not _is_loopback(self.client(scope, headers)):
            raise Refused(403, "without LOOKUP_MONITOR_CONSOLE_URL this answers to this machine alone")

    def _came_by_tls(self, scope: Scope, headers: Headers) -> bool:
        if scope.get("scheme") == "https":
            return True
        return self._is_proxy(_peer(scope)) and headers.get("x-forwarded-proto", "").strip().lower() == "https"

    def client(self, scope: Scope, headers: Headers) -> str:
        """The address of who asks: the peer's, or before proxies that are believed, the last one that is none of them."""
        address = _peer(scope)
        if self._is_proxy(address):
            told = [each.strip() for line in headers.getlist("x-forwarded-for") for each in line.split(",")]
            for each in reversed(told):
                try:
                    address = str(ip_address(each))
                except ValueError:
                    break
                if not self._is_proxy(address):
                    break
        return address

    def origin(self, headers: Headers) -> str:
        """What a page of our own has as its origin."""
        return self._origin or f"http://{headers.get('host', '').lower()}"

    def is_ours(self, headers: Headers) -> bool:
        """Whether a request that changes something comes from a page of our own, by what the browser says of it. One that says nothing is none:
        every browser of today does."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is None and origin is None:
            return False
        return (site is None or site in _SAFE_SITES) and (origin is None or origin.lower() == self.origin(headers))

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _is_loopback(address: str) -> bool:
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    return found.is_loopback


def _name_of(host: str) -> str:
    """A host without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def local_path(wanted: str | None) -> str:
    """Where to go after a login: a path of ours, or the beginning. What a browser could take for another host is none."""
    if not wanted or len(wanted) > 2000 or not wanted.startswith("/") or wanted.startswith(("//", "/\\")):
        return "/"
    if "\\" in wanted or any(ord(letter) < 0x21 or ord(letter) > 0x7E for letter in wanted):
        return "/"
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc else wanted
