"""Whether the audit log is as it was written: read record by record, against the chains in it, signatures, and a head kept elsewhere.

What it cannot see by itself: that records at the very end, which nothing after them speaks of, were removed; a *head* (see :class:`Head`) that is
kept where nobody who can write to Kafka reaches it tells of all that came before it. Without signatures, who can write to the topic can also
add records, and who can write all of it anew, all of it.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from monitor.audit.chain import (
    CONTEXT,
    KEY_HEADER,
    SIGNATURE_HEADER,
    BadLink,
    Link,
    Seen,
    Stored,
    Tracks,
    digest_of,
    link_of,
)
from monitor.signing import PublicKeys

Kind = Literal[
    "altered",  # a record is not the one that others speak of
    "removed",  # records are missing
    "fork",  # a writer's number comes twice
    "order",  # a writer's records do not follow each other
    "alien",  # no record of the audit log
    "signature",  # not signed, or not by a key that is accepted
    "truncated",  # the log ends before the head
    "early",  # records were removed before retention allowed it
]
#: More breaks than these are counted and not listed.
MAX_LISTED: Final = 200
_LARGEST_GAP: Final = 100_000


class BadHead(ValueError):
    """A file that is no head of the audit log."""


class Break(msgspec.Struct, frozen=True):
    """Where the log is not what it was. ``offset`` is where that shows, in partition 0; ``writer`` whose record it is, if known."""

    kind: Kind
    offset: int
    writer: str | None
    why: str


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of the log up to ``offset`` in one number. ``time`` is that of the record there (RFC 3339)."""

    v: int = 1
    topic: str
    offset: int
    since: int
    whole: str
    time: str


class Written(msgspec.Struct):
    """What one writer wrote: ``records`` of them that are here, from ``first`` to ``last`` (offsets)."""

    writer: str
    records: int
    first: int
    last: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. ``broken`` counts all breaks, of which the first are listed in ``breaks``."""

    records: int
    first: int
    end: int
    signed: int
    writers: list[Written]
    broken: int
    breaks: list[Break]
    notes: list[str]
    head: Head | None


def decode_head(raw: bytes) -> Head:
    """The head in a file. Raises :class:`BadHead`."""
    try:
        head = msgspec.json.decode(raw, type=Head)
        bytes.fromhex(head.whole)
    except ValueError as error:  # msgspec's are too
        raise BadHead(f"not a head of the audit log: {error}") from None
    if head.v != 1:
        raise BadHead(f"a head of version {head.v}, and this program knows 1")
    return head


class _Writer(msgspec.Struct):
    n: int
    digest: str
    seen: int
    written: Written


class Verifier:
    """Give it every record in order, then ask for the :meth:`report`.

    ``first`` is the offset the log begins at. With ``keys``, what is not signed by one of them is a break; but records at the beginning
    may be without, from before there was a key. ``head`` is an earlier one.
    """

    def __init__(self, topic: str, first: int, keys: PublicKeys | None = None, head: Head | None = None) -> None:
        self._topic = topic
        self._first = self._next = first
        self._keys = keys
        self._head = head
        self._tracks = Tracks(first)
        self._writers: dict[str, _Writer] = {}
        self._events = set[str]()
        self._last: Link | None = None
        self._signed = self._unsigned = self._unknown = self._again = self._broken = 0
        self._breaks: list[Break] = []
        self._notes: list[str] = []
        if head is not None and head.topic != topic:
            raise BadHead(f"a head of {head.topic}, not of {topic}")
        if head is not None and head.offset == first - 1 and first:
            self._tracks.trust(Seen(head.since, head.offset, bytes.fromhex(head.whole)))

    def take(self, record: Stored) -> None:
        """The next record."""
        self._place(record)
        digest = digest_of(record.key, record.value, record.headers)
        try:
            link = link_of(record.value)
        except BadLink as error:
            self._say("alien", record.offset, None, str(error))
        else:
            self._judge(record, link)
            self._follow(record, link, digest)
            self._last = link
        self._tracks.add(digest)
        self._next = record.offset + 1
        if self._head is not None and record.offset == self._head.offset:
            self._meet(self._head)

    def report(self, end: int, head_is_expired: bool = False) -> Report:
        """What came of it. ``end`` is the offset after the last that Kafka has; ``head_is_expired``: what was written at the head's time may
        have been removed by retention."""
        if end > self._next:
            self._say("removed", self._next, None, f"{end - self._next} records at the end are missing")
        self._look_at_ends(head_is_expired)
        if self._keys is not None and not self._signed and self._next > self._first:
            self._say("signature", self._first, None, "no record is signed, though there are keys")
        return Report(
            records=self._next - self._first,
            first=self._first,
            end=end,
            signed=self._signed,
            writers=[each.written for each in self._writers.values()],
            broken=self._broken,
            breaks=self._breaks,
            notes=[*self._notes, *self._further()],
            head=self._head_now(),
        )

    def _say(self, kind: Kind, offset: int, writer: str | None, why: str) -> None:
        self._broken += 1
        if len(self._breaks) < MAX_LISTED:
            self._breaks.append(Break(kind, offset, writer, why))

    def _place(self, record: Stored) -> None:
        missing = record.offset - self._next
        if missing < 0:
            raise ValueError("records must come in the order of their offsets")
        if missing:
            self._say("removed", self._next, None, f"{missing} records are missing before offset {record.offset}")
        for _ in range(min(missing, _LARGEST_GAP)):
            self._tracks.add(bytes(32))

    def _judge(self, record: Stored, link: Link) -> None:
        """What the record says of itself and of the log before it."""
        offset, writer = record.offset, link.writer
        if record.key != writer.encode():
            self._say("altered", offset, writer, "its key is not its writer")
        self._check_signature(record, link)
        try:
            whole = bytes.fromhex(link.whole)
        except ValueError:
            whole = b""
        verdict = self._tracks.judge(Seen(link.since, link.seen, whole))
        if verdict == "unknown":
            self._unknown += 1
        elif verdict == "wrong":
            self._say(
                "altered",
                offset,
                writer,
                f"its writer had read other records than those there are now, up to offset {link.seen}",
            )
        if link.event.id in self._events:
            self._again += 1
        self._events.add(link.event.id)

    def _check_signature(self, record: Stored, link: Link) -> None:
        found = dict(record.headers)
        is_signed = SIGNATURE_HEADER in found
        if len(found) != len(record.headers) or not found.keys() <= {KEY_HEADER, SIGNATURE_HEADER}:
            self._say("altered", record.offset, link.writer, "it has headers that no writer gives it")
        if self._keys is None:
            self._signed += is_signed
            return
        if not is_signed:
            self._unsigned += 1
            if self._signed:
                self._say("signature", record.offset, link.writer, "it is not signed, and records before it are")
            return
        self._signed += 1
        key_id = found.get(KEY_HEADER, b"").decode("ascii", "replace")
        if key_id not in self._keys.ids:
            self._say("signature", record.offset, link.writer, f"signed by the key {key_id!r}, which is not accepted")
        elif not self._keys.has_signed(key_id, CONTEXT, record.value or b"", found[SIGNATURE_HEADER]):
            self._say("signature", record.offset, link.writer, "its signature is wrong")

    def _follow(self, record: Stored, link: Link, digest: bytes) -> None:
        """Whether it follows its writer's last record."""
        offset, known = record.offset, self._writers.get(link.writer)
        if known is None:
            if link.n == 0:
                if link.prev:
                    self._say("altered", offset, link.writer, "its writer's first record speaks of one before it")
            elif self._first == 0:
                self._say("removed", offset, link.writer, f"its writer's first {link.n} records are missing")
            written = Written(link.writer, 1, offset, offset)
            self._writers[link.writer] = _Writer(link.n, digest.hex(), link.seen, written)
            return
        if link.n <= known.n:
            self._say(
                "fork", offset, link.writer, f"its writer's record {link.n} is there, or a later one was before it"
            )
        elif link.n > known.n + 1:
            self._say("removed", offset, link.writer, f"its writer's records {known.n + 1} to {link.n - 1} are missing")
        elif link.prev != known.digest:
            self._say(
                "altered", known.written.last, link.writer, f"the record after it, at {offset}, speaks of another"
            )
        if link.seen < known.seen:
            self._say("order", offset, link.writer, "its writer had read less than for its record before")
        known.n, known.digest, known.seen = max(link.n, known.n), digest.hex(), link.seen
        known.written.records += 1
        known.written.last = offset

    def _meet(self, head: Head) -> None:
        now = self._tracks.whole(head.since, head.offset)
        if now is None:
            self._tracks.trust(Seen(head.since, head.offset, bytes.fromhex(head.whole)))
        elif now.hex() != head.whole:
            self._say("altered", head.offset, None, "the log up to here is not the one of the head")

    def _look_at_ends(self, head_is_expired: bool) -> None:
        head = self._head
        if head is None:
            return
        if self._next <= head.offset:
            self._say("truncated", self._next, None, f"the log ends here; the head is of offset {head.offset}")
        elif head.offset < self._first:
            if not head_is_expired:
                self._say("early", self._first, None, f"records of {head.time}, before the retention's end, are gone")
            elif head.offset < self._first - 1:
                self._notes.append("retention has removed the record of the head: it tells nothing any more")

    def _further(self) -> list[str]:
        told = []
        if self._first:
            told.append(
                f"{self._first} records before offset {self._first} are gone, as retention does; only a head tells if too early"
            )
        if self._unknown:
            told.append(f"{self._unknown} records at the front speak only of what is gone")
        if self._keys is not None and self._unsigned and self._signed:
            told.append(f"{self._unsigned} records are not signed")
        if self._again:
            told.append(f"{self._again} events are there more than once; each counts once")
        return told

    def _head_now(self) -> Head | None:
        seen = self._tracks.seen()
        if seen is None or self._last is None:
            return None
        time = self._last.event.time
        return Head(topic=self._topic, offset=seen.offset, since=seen.since, whole=seen.whole.hex(), time=time)
