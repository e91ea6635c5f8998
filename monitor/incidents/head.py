"""What is saved beside the incidents, and what is at hand of those that are open."""

from __future__ import annotations

from typing import Final

import msgspec

from monitor.incidents.model import Incident
from monitor.incidents.order import Order
from monitor.incidents.response import Budget

STATE_VERSION: Final = 1
#: The key of what is saved beside the incidents. In a changelog it comes last of what is saved together.
HEAD: Final = "head"


class BadState(Exception):
    """Saved state that this program cannot read."""


class Brief(msgspec.Struct, frozen=True):
    """What is at hand of every open incident."""

    level: str
    response: str
    status: str
    opened: int
    due: int
    risk: float
    is_muted: bool


class Head(msgspec.Struct):
    """What is saved beside the incidents: ``position`` is the next entry, ``sources`` the next offsets behind what is in the journal,
    ``holds`` the legal holds in force by the id of their order."""

    version: int = STATE_VERSION
    position: int = 0
    now: int = 0
    sources: dict[str, int] = {}
    budget: Budget = msgspec.field(default_factory=Budget)
    holds: dict[str, Order] = {}


def brief_of(incident: Incident) -> Brief:
    """What is at hand of an open incident."""
    one = incident
    return Brief(one.level, one.response, one.status, one.opened, one.due, one.risk, one.muted_by is not None)


def load_head(raw: bytes | None) -> Head:
    """The head as it was saved; a new one for ``None``. Raises :class:`BadState`."""
    if raw is None:
        return Head()
    try:
        head = msgspec.msgpack.decode(raw, type=Head)
    except msgspec.MsgspecError as error:
        raise BadState(f"the incidents' state cannot be read: {error}") from None
    if head.version > STATE_VERSION:
        raise BadState(f"the incidents' state has version {head.version}; this program reads up to {STATE_VERSION}")
    return head
