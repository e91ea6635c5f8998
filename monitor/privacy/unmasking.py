"""Who may see whose identity, and until when: asked by one, approved by another, of one incident, for some hours.

One message of ``lookup.unmaskings.v1`` a step, and the requests are what the steps make of it, in the order of the log. What counts as
the time of a step is when Kafka took it in. Each is signed by a key that follows from that of the identities: a process that cannot
open identities cannot say that somebody may see them either, whatever it may write to Kafka.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from monitor.events import BadEvent, parse_ms
from monitor.privacy.pseudonym import kind_of

MAX_NAMES: Final = 64
MAX_REASON_CHARS: Final = 2048
MAX_BYTES: Final = 32 * 1024
#: So long a request waits for an answer.
WAITS_MS: Final = 7 * 24 * 3600 * 1000
#: A step whose sender's clock is further from Kafka's was not sent now: somebody has written an old one once more.
MAX_APART_MS: Final = 5 * 60 * 1000
HOUR_MS: Final = 3600 * 1000
Status = Literal["open", "approved", "refused"]
Reason = Literal[
    "unreadable", "forged", "stale", "repeated", "no-names", "no-reason", "unknown-request", "own-request", "answered", "too-late",
    "not-asker", "not-approved", "expired",
]  # fmt: skip
_Name = Annotated[str, Meta(min_length=1, max_length=256)]
_Text = Annotated[str, Meta(max_length=MAX_REASON_CHARS)]
_Words: Final = {
    "unreadable": "it is no step of a request",
    "forged": "its signature is not that of the identities' key",
    "stale": "the sender's clock and Kafka's are too far apart",
    "repeated": "it is there already",
    "no-names": f"it must name 1 to {MAX_NAMES} pseudonyms",
    "no-reason": "it needs a reason",
    "unknown-request": "there is no such request",
    "own-request": "nobody approves or refuses what they asked for themselves",
    "answered": "it has been answered",
    "too-late": "it was asked for too long ago; ask again",
    "not-asker": "only who asked sees it",
    "not-approved": "it has not been approved",
    "expired": "the time for which it was approved is over; ask again",
}


class Refused(Exception):
    """A step that is not taken. ``why`` is of a closed set; the text names nobody."""

    def __init__(self, why: Reason) -> None:
        super().__init__(_Words[why])
        self.why = why


class Ask(msgspec.Struct, frozen=True, tag_field="step", tag="ask"):
    """``by`` asks for the identities behind ``names`` (pseudonyms) of an incident. Its ``id`` is that of the request."""

    id: _Name
    by: _Name
    time: _Name
    incident: _Name
    names: Annotated[list[str], Meta(max_length=MAX_NAMES)]
    reason: _Text


class Answer(msgspec.Struct, frozen=True, tag_field="step", tag="answer"):
    """``by`` approves or refuses a request."""

    id: _Name
    by: _Name
    time: _Name
    request: _Name
    approve: bool
    reason: _Text


class Seen(msgspec.Struct, frozen=True, tag_field="step", tag="seen"):
    """``by`` sees what was approved: the place of this in the log says when."""

    id: _Name
    by: _Name
    time: _Name
    request: _Name


Step = Ask | Answer | Seen


class Request(msgspec.Struct):
    """A request as it stands. Times are Kafka's (ms); ``until`` is 0 until it is approved, ``seen`` are the times at which it was shown."""

    id: str
    by: str
    incident: str
    names: list[str]
    reason: str
    asked: int
    status: Status = "open"
    answered_by: str = ""
    answer: str = ""
    answered: int = 0
    until: int = 0
    seen: list[int] = []


class Signer:
    """Signs steps and knows its own again. ``keys``: those of the identities, the one that signs first."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        if not keys:
            raise ValueError("signing needs a key")
        self._keys = [hmac.digest(key, b"lookup-monitor unmasking v1", "sha256") for key in keys]

    def tag(self, raw: bytes) -> str:
        """The signature of a step."""
        return hmac.new(self._keys[0], raw, hashlib.sha256).hexdigest()

    def knows(self, raw: bytes, tag: str) -> bool:
        """Whether it is one of ours, by any key."""
        made = [hmac.new(key, raw, hashlib.sha256).hexdigest() for key in self._keys]
        return any([hmac.compare_digest(each.encode(), tag.encode()) for each in made])


class _Signed(msgspec.Struct, frozen=True):
    said: msgspec.Raw
    tag: str


_encoder: Final = msgspec.json.Encoder(order="deterministic")
_signed: Final = msgspec.json.Decoder(_Signed)
_step: Final[msgspec.json.Decoder[Step]] = msgspec.json.Decoder(Step)


def encode(step: Step, signer: Signer) -> bytes:
    """The step as a message."""
    raw = _encoder.encode(step)
    return _encoder.encode(_Signed(msgspec.Raw(raw), signer.tag(raw)))


def key_of(step: Step) -> bytes:
    """The key of its message. Each step has its own, so that none takes another's place when the topic is compacted."""
    return f"{step.id if isinstance(step, Ask) else step.request}/{step.id}".encode()


class Unmaskings:
    """All requests, out of the log. The same log gives the same requests."""

    def __init__(self, signer: Signer, hours: float) -> None:
        """``hours``: how long an identity may be seen after the approval."""
        self._signer = signer
        self._for_ms = int(hours * HOUR_MS)
        self._known: set[str] = set()
        self.requests: dict[str, Request] = {}

    def take(self, key: bytes | None, raw: bytes | None, at: int) -> Step | None:
        """Take in the next message of the log, received at ``at`` (ms); ``None`` for one that was removed. Raises :class:`Refused`."""
        if raw is None:
            return None
        step = self._read(raw)
        if key != key_of(step):
            raise Refused("forged")
        if step.id in self._known:
            raise Refused("repeated")
        if abs(parse_ms(step.time) - at) > MAX_APART_MS:
            raise Refused("stale")
        self.check(step, at)
        self._known.add(step.id)
        self._apply(step, at)
        return step

    def check(self, step: Step, at: int) -> None:
        """Whether a step would be taken at ``at`` (ms). Raises :class:`Refused`."""
        if isinstance(step, Ask):
            if not step.names or not all(map(kind_of, step.names)):
                raise Refused("no-names")
            if not step.reason.strip():
                raise Refused("no-reason")
            return
        found = self.requests.get(step.request)
        if found is None:
            raise Refused("unknown-request")
        if isinstance(step, Answer):
            self._check_answer(step, found, at)
        else:
            self._check_seen(step, found, at)

    @staticmethod
    def _check_answer(step: Answer, found: Request, at: int) -> None:
        if is_same(step.by, found.by):
            raise Refused("own-request")
        # An approval is taken back by a refusal; a refusal stands.
        if found.status == "refused" or (found.status == "approved" and step.approve):
            raise Refused("answered")
        if step.approve and at > found.asked + WAITS_MS:
            raise Refused("too-late")
        if not step.reason.strip():
            raise Refused("no-reason")

    @staticmethod
    def _check_seen(step: Seen, found: Request, at: int) -> None:
        if not is_same(step.by, found.by):
            raise Refused("not-asker")
        if found.status != "approved":
            raise Refused("not-approved")
        if at >= found.until:
            raise Refused("expired")

    def _read(self, raw: bytes) -> Step:
        if len(raw) > MAX_BYTES:
            raise Refused("unreadable")
        try:
            signed = _signed.decode(raw)
            if not self._signer.knows(bytes(signed.said), signed.tag):
                raise Refused("forged")
            step = _step.decode(signed.said)
            parse_ms(step.time)
        except (msgspec.MsgspecError, BadEvent, UnicodeDecodeError):
            raise Refused("unreadable") from None
        return step

    def _apply(self, step: Step, at: int) -> None:
        if isinstance(step, Ask):
            names = sorted(set(step.names))
            self.requests[step.id] = Request(step.id, step.by, step.incident, names, step.reason, at)
            return
        found = self.requests[step.request]
        if isinstance(step, Seen):
            found.seen.append(at)
            return
        found.status = "approved" if step.approve else "refused"
        found.answered_by, found.answer, found.answered = step.by, step.reason, at
        found.until = at + self._for_ms if step.approve else 0


def is_same(one: str, other: str) -> bool:
    """Whether two names are of one person: as written in capitals or not, composed or not, with spaces around or not."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()
