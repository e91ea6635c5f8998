"""What every answer says to the browser, whoever makes it."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders

CSP: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
ALWAYS: Final = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS: Final = "max-age=31536000; includeSubDomains"
#: Where files lie that tell nothing of anybody; only these may be kept by a browser, and by no proxy.
STATIC: Final = "/static/"


def secure(headers: MutableHeaders, path: str, is_https: bool) -> None:
    """Set them, whatever was there."""
    for name, value in ALWAYS.items():
        headers[name] = value
    if is_https:
        headers["strict-transport-security"] = HSTS
    if not (path.startswith(STATIC) and headers.get("cache-control", "").startswith("private")):
        headers["cache-control"] = "no-store"
    if "server" in headers:
        del headers["server"]
