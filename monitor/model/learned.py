"""What a model has learned, apart from whom it has alerted about: small enough to keep a version of it for every day."""

from __future__ import annotations

import zlib

import msgspec


class Learned(msgspec.Struct, array_like=True):
    """What a :class:`monitor.model.PeerModel` has learned. The fields are those of :class:`monitor.model.ranges.Ranges` and
    :class:`monitor.model.quantile.ScoreQuantile`; ``version`` is that of models. What follows from them is worked out anew."""

    version: int
    seen: int
    actors: list[str]
    masses: list[list[int]]
    kinds: list[int]
    faded: int
    counts: list[int]
    before: list[int]
    turned: int


def encode(learned: Learned) -> bytes:
    """As bytes: MessagePack, compressed (most bins are empty)."""
    return zlib.compress(msgspec.msgpack.encode(learned), 6)


def decode(raw: bytes) -> Learned:
    """What :func:`encode` was given. Raises ``ValueError`` for anything else."""
    try:
        return msgspec.msgpack.decode(zlib.decompress(raw), type=Learned)
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"not what a model has learned: {error}") from None
