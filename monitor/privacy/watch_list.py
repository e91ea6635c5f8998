"""Making and opening sealed watch lists: what the owner team does, with its own key and nobody else's help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from monitor.privacy.identity import Identities, NotOpened
from monitor.records import Watch
from monitor.sealed_watch import hash_of

#: So many subjects a record holds: it has to fit into a message.
PER_RECORD: Final = 500
_encoder: Final = msgspec.json.Encoder(order="deterministic")


def sealed_watches(
    name: str,
    team: str,
    keys: Sequence[bytes],
    subjects: Iterable[str],
    may_know: Sequence[str] = (),
    from_: str | None = None,
    to: str | None = None,
) -> list[bytes]:
    """The ``watch`` records of a list, sealed by the first of a team's keys, ``<name>-1`` and on.

    They are in the order of their hashes, so that the order of the list says nothing. How many there are is seen.
    """
    made = sorted({hash_of(team, keys[0], each): each for each in subjects}.items())
    boxes = Identities(keys)
    return [
        _encoder.encode(
            Watch(
                id=f"{name}-{number // PER_RECORD + 1}",
                may_know=list(may_know),
                from_=from_,
                to=to,
                team=team,
                sealed=[sealed for sealed, _ in made[number : number + PER_RECORD]],
                boxes=[boxes.seal(sealed, each) for sealed, each in made[number : number + PER_RECORD]],
            )
        )
        for number in range(0, len(made), PER_RECORD)
    ]


def opened_watch(record: Watch, keys: Sequence[bytes]) -> Iterator[str]:
    """The subjects of a sealed watch, as far as one of the keys opens them."""
    boxes = Identities(keys)
    for sealed, box in zip(record.sealed or (), record.boxes or (), strict=False):
        try:
            yield boxes.unseal(sealed, box)
        except NotOpened:
            continue
