"""The manifest of an export: what is in it, and by what each file is known."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from monitor.evidence import Damaged
from monitor.evidence.facts import Facts
from monitor.evidence.lines import Mark

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SEAL: Final = "manifest.json.hmac"
EVENTS_FILE: Final = "events.jsonl"
REFERENCE_FILE: Final = "reference.jsonl"
ALERTS_FILE: Final = "alerts.jsonl"
RULES_FOLDER: Final = "rules"


class Offsets(msgspec.Struct, forbid_unknown_fields=True):
    """What of a partition is in the export: from offset ``first`` up to and without ``past``, so many records."""

    topic: str
    partition: int
    first: int
    past: int
    records: int


class InForce(msgspec.Struct, forbid_unknown_fields=True):
    """From where in the log of a partition a version of the rules counts; ``since`` is when that was written to the log."""

    version: str
    partition: int
    offset: int
    since: str


class Manifest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``from_`` and ``to`` are the span in event time, ``from_ <= t < to``; the rest of what decides is in ``facts``.

    ``whole`` is the SHA-256 of the list of ``files`` as ``sha256sum`` writes it, in the order of their names.
    """

    format: int = FORMAT
    program: str
    made: str
    from_: str = msgspec.field(name="from")
    to: str
    facts: Facts
    topics: list[Offsets]
    rules: list[InForce]
    files: dict[str, Mark]
    whole: str


def whole_of(files: Mapping[str, Mark]) -> str:
    """The hash of all files together: of the lines that ``sha256sum`` writes of them."""
    lines = "".join(f"{files[name].sha256}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def encode(manifest: Manifest) -> bytes:
    """The manifest as it is written."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def load(folder: Path) -> tuple[Manifest, bytes]:
    """The manifest of an export, and its bytes. Raises :class:`Damaged` and ``OSError``."""
    raw = (folder / MANIFEST).read_bytes()
    try:
        found = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(f"{MANIFEST}: {error}") from None
    if found.format != FORMAT:
        raise Damaged(f"{MANIFEST}: has format {found.format}; this program reads format {FORMAT}")
    return found, raw


def seal_of(manifest: bytes, key: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of the manifest, in hexadecimal digits."""
    return hmac.new(key, manifest, hashlib.sha256).hexdigest()
