"""The journal: everything that makes incidents, in the one order in which it was taken in.

Alerts come in several partitions, verdicts and commands in others: in which order they are read is chance. So they are written to
``lookup.incidents.journal.v1`` first, a topic of one partition whose times are the broker's, and incidents are made of the journal
alone. Whoever reads it again makes the same ones, byte for byte.
"""

from __future__ import annotations

from typing import Final

import msgspec

from monitor.alerts import Alert
from monitor.feedback.disposition import Disposition
from monitor.incidents.command import Command
from monitor.incidents.order import Order


class Source(msgspec.Struct, frozen=True, array_like=True):
    """Where an entry was read: ``name`` (``alerts``, ``dispositions``, ``commands`` or ``orders``), partition and offset there."""

    name: str
    partition: int
    offset: int

    @property
    def key(self) -> str:
        """The partition it comes from."""
        return f"{self.name}/{self.partition}"


class Raised(msgspec.Struct, frozen=True, tag_field="kind", tag="alert"):
    """An alert, and what the reference data said when it was taken in.

    ``watched``: a subject of it is under observation, and an actor of it was not to know. ``units``: actors to their units. ``teams`` have
    a subject of it in a sealed watch.
    """

    source: Source
    alert: Alert
    watched: bool = False
    units: dict[str, str] = {}
    teams: list[str] = []


class Judged(msgspec.Struct, frozen=True, tag_field="kind", tag="disposition"):
    """A verdict."""

    source: Source
    disposition: Disposition


class Asked(msgspec.Struct, frozen=True, tag_field="kind", tag="command"):
    """A command."""

    source: Source
    command: Command


class Ordered(msgspec.Struct, frozen=True, tag_field="kind", tag="order"):
    """A privacy officer's order: to hold, to lift a hold, or to erase."""

    source: Source
    order: Order


class Tick(msgspec.Struct, frozen=True, tag_field="kind", tag="tick"):
    """Nothing but that time has passed: written when something is due."""


Entry = Raised | Judged | Asked | Ordered | Tick
_encoder: Final = msgspec.json.Encoder(order="deterministic")
_decoder: Final[msgspec.json.Decoder[Entry]] = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """The entry as JSON; the same one gives the same bytes."""
    return _encoder.encode(entry)


def decode(raw: bytes) -> Entry:
    """The entry of :func:`encode`. Raises ``msgspec.MsgspecError``."""
    return _decoder.decode(raw)
