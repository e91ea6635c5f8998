"""What every page stands on, and the places in lists that addresses name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from monitor.console.guarding import Recorder, Refused
from monitor.console.health import Looks
from monitor.console.reading import Key, Reader
from monitor.console.sending import Commands
from monitor.console.shared_desk import SharedDesk
from monitor.console.showing import address

_KEY: Final = re.compile(r"(-?\d{1,19})\.(.{0,512})", re.ASCII | re.DOTALL).fullmatch


@dataclass(frozen=True)
class Desk:
    """All that pages stand on. ``as_stored`` turns what was typed into the ids that stand in messages (pseudonyms, if there are some).

    ``behind``: how many messages are not in the store yet, if that is known; ``now`` in milliseconds since the epoch. ``identities`` is
    None where there is no key of them.
    """

    reader: Reader
    recorder: Recorder
    commands: Commands
    health: Looks
    now: Callable[[], int]
    as_stored: Callable[[str], Sequence[str]]
    behind: Callable[[], int | None]
    dead_days: int
    identities: SharedDesk | None


def desk_of(request: Request) -> Desk:
    """What the application was made of."""
    found = request.app.state.desk
    assert isinstance(found, Desk)
    return found


def key_of(request: Request) -> Key | None:
    """Where a list goes on. Raises :class:`Refused` for what is no such place."""
    text = request.query_params.get("after", "")
    if not text:
        return None
    found = _KEY(text)
    if found is None or abs(int(found[1])) >= 1 << 63:
        raise Refused("wrong", 400)
    return int(found[1]), found[2].replace("\0", "")


def after(path: str, key: Key | None, **query: object) -> str | None:
    """The address of the next page."""
    return None if key is None else address(path, **query, after=f"{key[0]}.{key[1]}")
