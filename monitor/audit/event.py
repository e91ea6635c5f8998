"""One thing that a user of the monitor did or was refused."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Protocol, get_args

import msgspec
from msgspec import Meta

What = Literal[
    "login",
    "logout",
    "view-queue",
    "view-incident",
    "view-actor",
    "view-subject",
    "view-audit",
    "search",
    "acknowledge",
    "comment",
    "escalate",
    "dispose",
    "identity-ask",
    "identity-approve",
    "identity-refuse",
    "identity-see",
    "privacy-export",
    "privacy-erase",
    "privacy-hold",
    "watch-seal",
    "rules-deploy",
    "user-change",
]
WHATS: Final[tuple[str, ...]] = get_args(What)
_Name = Annotated[str, Meta(min_length=1, max_length=256)]


class AuditEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """``by`` did ``what`` at ``time`` (RFC 3339). ``id`` is unique: an event that is written twice counts once.

    ``incident``, ``actors`` and ``subjects`` are what it was done to; the last two are pseudonyms, or what was typed in a search
    turned into one. ``sealed`` are the identities behind them, as far as they are at hand, for whoever has the key
    (:mod:`monitor.privacy.identity`): rules about kin and observations ask for ids. ``reason`` is what they gave as a reason. ``done`` is False for what was refused. ``client`` is the address they came
    from. What was searched for, or unmasked, is a lookup about somebody, and goes through the monitor as one.
    """

    id: _Name
    time: _Name
    by: _Name
    what: What
    done: bool = True
    roles: tuple[str, ...] = ()
    incident: str | None = None
    actors: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    reason: str = ""
    client: str | None = None
    sealed: dict[str, str] = {}


class AuditUnavailable(Exception):
    """The audit log did not take an event. What the event is about must not be done then."""


class Audit(Protocol):
    """Where audit events go."""

    async def write(self, event: AuditEvent) -> None:
        """Return when ``event`` is in the log for good. Raises :class:`AuditUnavailable`; the caller then does nothing and shows nothing."""
