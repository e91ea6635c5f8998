"""The chain of the audit log: what each record says of those before it, so that nothing can be changed without it being seen.

Several processes write at once, and nobody gives them an order but Kafka. So each writer has a chain of its own: its records are
numbered, and each carries the SHA-256 of the one before (``prev``). And each says how far its writer had read the topic (``seen``) and
the running hash of all the records up to there, by whomever they are (``whole``). So two writers cannot have been shown two different logs.
A writer begins a new chain whenever it starts, or does not know what became of a record: no chain is ever taken up by another.

The running hash begins at the offset ``since``: 0, unless a writer came when retention had removed all that could have told it what was before.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal, NamedTuple

import msgspec

from monitor.audit.event import AuditEvent
from monitor.signing import Signer

VERSION: Final = 1
#: What the running hash is before the first record.
GENESIS: Final = hashlib.sha256(b"lookup.audit.v1").digest()
#: What a signature of a record is for.
CONTEXT: Final = "lookup-audit-record-v1"
KEY_HEADER: Final = "key"
SIGNATURE_HEADER: Final = "signature"
_DIGEST_BYTES: Final = 32
#: So many different beginnings of running hashes are followed; an honest log has one or two.
_MAX_TRACKS: Final = 32
Headers = tuple[tuple[str, bytes], ...]
Verdict = Literal["right", "wrong", "unknown"]


class BadLink(ValueError):
    """A record that is none of the audit log's."""


class Stored(NamedTuple):
    """A record as Kafka has it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record: the event, who wrote it as the how-manieth, and what came before. Hashes are hexadecimal."""

    v: int
    writer: str
    n: int
    prev: str
    since: int
    seen: int
    whole: str
    event: AuditEvent


_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder(Link).decode


def link_of(value: bytes | None) -> Link:
    """What a record says. Raises :class:`BadLink`."""
    try:
        link = _decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadLink(f"not a record of the audit log: {error}") from None
    if link.v != VERSION:
        raise BadLink(f"of version {link.v}, and this program knows {VERSION}")
    return link


def digest_of(key: bytes | None, value: bytes | None, headers: Headers) -> bytes:
    """The SHA-256 of a record with key and headers, each with its length before it. The offset is not part of it."""
    made = hashlib.sha256()
    for part in (key, value, *(each for name, held in headers for each in (name.encode(), held))):
        made.update(b"\xff" * 8 if part is None else len(part).to_bytes(8, "big"))
        made.update(part or b"")
    return made.digest()


def fold(whole: bytes, digest: bytes) -> bytes:
    """The running hash after one more record."""
    return hashlib.sha256(whole + digest).digest()


class Seen(NamedTuple):
    """How far a log was read: the running hash ``whole`` of the offsets ``since`` to ``offset``, both included."""

    since: int
    offset: int
    whole: bytes


class Made(NamedTuple):
    """A record to write."""

    key: bytes
    value: bytes
    headers: Headers


class Chain:
    """The chain of one writer, whose name nobody else may ever have. With a signer every record is signed."""

    def __init__(self, writer: str, signer: Signer | None = None) -> None:
        self.writer = writer
        self._signer = signer
        self._n = 0
        self._prev = ""

    def make(self, event: AuditEvent, seen: Seen) -> Made:
        """The next record. It is part of the chain once :meth:`wrote` is told of it."""
        link = Link(
            v=VERSION,
            writer=self.writer,
            n=self._n,
            prev=self._prev,
            since=seen.since,
            seen=seen.offset,
            whole=seen.whole.hex(),
            event=event,
        )
        value = _encode(link)
        headers: Headers = ()
        if self._signer is not None:
            signature = self._signer.sign(CONTEXT, value)
            headers = ((KEY_HEADER, self._signer.key_id.encode()), (SIGNATURE_HEADER, signature))
        return Made(self.writer.encode(), value, headers)

    def wrote(self, made: Made) -> None:
        """The record is in the log."""
        self._n += 1
        self._prev = digest_of(*made).hex()


class _Track:
    """The running hashes after the offsets from ``at`` on; of the last ``window`` offsets, or of all."""

    def __init__(self, at: int, whole: bytes) -> None:
        self.at = at
        self.last = whole
        self._wholes = bytearray(whole)

    def add(self, digest: bytes, window: int | None) -> None:
        self.last = fold(self.last, digest)
        self._wholes += self.last
        if window is not None and len(self._wholes) > 2 * window * _DIGEST_BYTES:
            gone = len(self._wholes) // _DIGEST_BYTES - window
            del self._wholes[: gone * _DIGEST_BYTES]
            self.at += gone

    def whole(self, offset: int) -> bytes:
        start = (offset - self.at) * _DIGEST_BYTES
        return bytes(self._wholes[start : start + _DIGEST_BYTES])


class Tracks:
    """Reads a log from the offset ``first`` on and knows its running hashes: from the beginning, or from the first record that says
    what they were. With a ``window`` only so many of the last offsets are remembered."""

    def __init__(self, first: int, window: int | None = None) -> None:
        self._first = first
        self._next = first
        self._window = window
        self._digests = bytearray()
        self._kept_from = first
        self._tracks: dict[int, _Track] = {}
        if first == 0:
            self._tracks[0] = _Track(-1, GENESIS)

    def add(self, digest: bytes) -> None:
        """One record more."""
        for track in self._tracks.values():
            track.add(digest, self._window)
        self._digests += digest
        self._next += 1
        if self._window is not None and self._tracks and len(self._digests) > 2 * self._window * _DIGEST_BYTES:
            gone = len(self._digests) // _DIGEST_BYTES - self._window
            del self._digests[: gone * _DIGEST_BYTES]
            self._kept_from += gone

    def judge(self, claim: Seen) -> Verdict:
        """Whether the log up to ``claim.offset`` is what is claimed of it; ``unknown``: it cannot be told, as the front is gone.

        What is wrong is believed from then on, so that what follows from it is not found once more.
        """
        # A log loses its front and never gets it back: no writer can have begun anew behind where it begins now.
        if not 0 <= claim.since <= self._first or not claim.since - 1 <= claim.offset < self._next:
            return "wrong"
        if len(claim.whole) != _DIGEST_BYTES:
            return "wrong"
        track = self._tracks.get(claim.since)
        if track is None:
            if len(self._tracks) >= _MAX_TRACKS:
                return "wrong"
            if claim.since == self._kept_from:
                track = self._begin(claim.since, claim.since - 1, GENESIS)
            elif claim.offset >= self._kept_from - 1:
                self._begin(claim.since, claim.offset, claim.whole)
                return "right"
            else:
                return "unknown"
        if claim.offset < track.at:
            return "unknown"
        if track.whole(claim.offset) == claim.whole:
            return "right"
        if claim.offset >= self._kept_from - 1:
            self._begin(claim.since, claim.offset, claim.whole)
        return "wrong"

    def trust(self, claim: Seen) -> None:
        """Begin with what is known from elsewhere, of an offset that was not before the first."""
        self._begin(claim.since, claim.offset, claim.whole)

    def whole(self, since: int, offset: int) -> bytes | None:
        """The running hash that begins at ``since`` after ``offset``, if it is known."""
        track = self._tracks.get(since)
        return None if track is None or not track.at <= offset < self._next else track.whole(offset)

    def seen(self) -> Seen | None:
        """All that was read, by the beginning that goes back furthest; ``None`` when nothing told what was before."""
        if not self._tracks:
            return None
        since = min(self._tracks)
        return Seen(since, self._next - 1, self._tracks[since].last)

    def begin_anew(self) -> Seen:
        """All that was read, by a running hash that begins with it. Only for when :meth:`seen` is ``None``."""
        return Seen(self._kept_from, self._next - 1, self._begin(self._kept_from, self._kept_from - 1, GENESIS).last)

    def _begin(self, since: int, at: int, whole: bytes) -> _Track:
        track = self._tracks[since] = _Track(at, whole)
        start = (at + 1 - self._kept_from) * _DIGEST_BYTES
        for place in range(start, len(self._digests), _DIGEST_BYTES):
            track.add(bytes(self._digests[place : place + _DIGEST_BYTES]), self._window)
        return track
