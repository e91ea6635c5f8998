"""The command: what somebody does with an incident. Closing is none: that is a disposition that names the incident."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from monitor.events import MAX_ID_CHARS
from monitor.feedback.message import REASONS as UNREADABLE
from monitor.feedback.message import BadMessage, read
from monitor.incidents.model import MONITOR

MAX_REASON_CHARS: Final = 2048
What = Literal["acknowledge", "comment", "escalate"]
COMMANDS: Final[tuple[str, ...]] = get_args(What)
#: Every reason a command can be refused for; they are metric labels, so the set is closed.
REASONS: Final = (*UNREADABLE, "unknown-incident", "closed", "too-many-steps")
_Name = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]


class BadCommand(BadMessage):
    """A message that is no command, or one that cannot be done. ``reason`` is one of :data:`REASONS`."""


class Command(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One message of ``lookup.incidents.commands.v1``.

    ``acknowledge``: somebody works on it, so nobody is called again. ``comment``: the history has ``reason`` (a supervisor's answer, for
    one). ``escalate``: to the desk, and from there to the pager, whatever the risk. ``by`` is who did it, ``time`` when they
    say they did (RFC 3339 with an offset); what counts is when Kafka received it.
    """

    command: What
    incident: _Name
    by: _Name
    time: _Name
    reason: Annotated[str, Meta(max_length=MAX_REASON_CHARS)] = ""


_encoder: Final = msgspec.json.Encoder(order="deterministic")


def encode(command: Command) -> bytes:
    """The command as JSON; the same one gives the same bytes."""
    return _encoder.encode(command)


def decode(raw: bytes | None) -> Command:
    """The command in a message. Raises :class:`BadCommand`."""
    found = read(raw, Command, BadCommand)
    if found.by == MONITOR:
        raise BadCommand("wrong-field", f"`by` must not be {MONITOR!r}: so it is told from what people do")
    if found.command != "acknowledge" and not found.reason:
        raise BadCommand("missing-field", f"the command {found.command!r} needs a reason")
    return found


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``lookup.incidents.commands.v1``."""
    (schema,), components = msgspec.json.schema_components([Command], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lookup.incidents.commands.v1",
        **schema,
        "$defs": components,
    }
