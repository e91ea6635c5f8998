"""Versions of the rules: what a pack is as a message, and the records that say from where in the log it counts."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import msgspec

from monitor.rerun import CONTROL, ROLL_BACK
from monitor.rules import RuleSet
from monitor.rules.load import version_of
from monitor.rules.signature import signed_by
from monitor.signing import PublicKeys
from monitor.stream.batches import Out
from monitor.stream.topics import EVENTS, RULES

#: The key under which the version that is deployed stands.
CURRENT: Final = b"current"
#: The header of a pack's signatures.
SIGNATURES: Final = "signatures"
Files = Mapping[str, str]


class Packs(Protocol):
    """The versions of the rules that are known."""

    @property
    def current(self) -> str | None:
        """The version that is deployed, if any."""

    def rules(self, version: str) -> RuleSet:
        """The rules of a version. Raises :class:`UnknownPack`."""


class Pinned:
    """One set of rules, whatever version is asked for: for tests and measurements."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules

    @property
    def current(self) -> str:
        """The version of these rules."""
        return self._rules.version

    def rules(self, version: str) -> RuleSet:
        """These rules."""
        return self._rules


def encode(files: Files) -> bytes:
    """A pack's texts as a message."""
    return zlib.compress(msgspec.json.encode(dict(files)), 6)


def decode(raw: bytes) -> dict[str, str]:
    """The texts of :func:`encode`. Raises ``ValueError`` for anything else."""
    try:
        return msgspec.json.decode(zlib.decompress(raw), type=dict[str, str])
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ValueError(f"not a rule pack: {error}") from None


def pack_records(files: Files, signatures: bytes | None = None) -> tuple[str, list[Out]]:
    """The version, and what has to be in Kafka before anything names it; with the pack's signatures, if it has any."""
    version = version_of(files)
    headers = () if signatures is None else ((SIGNATURES, signatures),)
    return version, [Out(RULES, 0, version.encode(), encode(files), None, headers)]


def accepted(
    key: bytes, value: bytes, headers: Iterable[tuple[str, bytes]], keys: PublicKeys | None
) -> tuple[dict[str, str], str | None]:
    """The texts of a pack's record, and with ``keys`` the one that signed it. Raises ``ValueError`` for what no worker takes."""
    texts = decode(value)
    if version_of(texts).encode() != key:
        raise ValueError("the key is not the version of the texts")
    if keys is None:
        return texts, None
    return texts, signed_by(texts, dict(headers).get(SIGNATURES), keys)


def switch_records(version: str, partitions: int) -> list[Out]:
    """What makes a version count: from these records on, and for partitions that have never had one."""
    headers = ((CONTROL, version.encode()),)
    return [
        Out(RULES, 0, CURRENT, version.encode(), None),
        *(Out(EVENTS, partition, None, version.encode(), None, headers) for partition in range(partitions)),
    ]


def roll_back_records(day: str, partitions: int) -> list[Out]:
    """What makes every model return to the beginning of a day (2026-11-24): one record a source, as their places in the order differ; the
    last of them in that order is what counts in the end."""
    headers = ((ROLL_BACK, day.encode()),)
    return [Out(EVENTS, partition, None, day.encode(), None, headers) for partition in range(partitions)]
