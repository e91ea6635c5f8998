"""The order: what a privacy officer has done about what is held of people. ``hold`` keeps it, ``lift`` ends that, ``erase`` removes it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from monitor.events import MAX_ID_CHARS
from monitor.feedback.message import BadMessage, read

MAX_NAMES: Final = 64
Kind = Literal["hold", "lift", "erase"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
_Name = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]


class BadOrder(BadMessage):
    """A message that is no order. ``reason`` is of a closed set; ``detail`` names nobody."""


class Order(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One message of ``lookup.holds.v1``, keyed by ``id``: the last one of an id counts, so ``lift`` has the id of its ``hold``.

    ``names`` are pseudonyms of actors or subjects, or ids of incidents. ``by`` did it, for ``reason``; ``time`` is when they say so (RFC
    3339 with an offset).
    """

    order: Kind
    id: _Name
    by: _Name
    time: _Name
    reason: Annotated[str, Meta(min_length=1, max_length=2048)]
    names: Annotated[list[_Name], Meta(max_length=MAX_NAMES)] = []


_encoder: Final = msgspec.json.Encoder(order="deterministic")


def encode(order: Order) -> bytes:
    """The order as JSON; the same one gives the same bytes."""
    return _encoder.encode(order)


def decode(raw: bytes | None) -> Order:
    """The order in a message. Raises :class:`BadOrder`."""
    found = read(raw, Order, BadOrder)
    if found.order != "lift" and not found.names:
        raise BadOrder("missing-field", "an order to hold or erase has names")
    return found
