"""Audit logs as several writers at once make them, and what somebody could do to them."""

from __future__ import annotations

import random

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from monitor.audit.chain import Chain, Stored, Tracks, digest_of, link_of
from monitor.audit.event import AuditEvent
from monitor.signing import PublicKeys, Signer, public_keys_of

TOPIC = "lookup.audit.v1"


def signer(number: int = 1) -> Signer:
    """A signer whose key is always the same."""
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def keys(*numbers: int) -> PublicKeys:
    return public_keys_of([signer(number).public_pem() for number in numbers or (1,)])


def event(number: int) -> AuditEvent:
    return AuditEvent(
        id=f"e-{number}", time=f"2026-11-27T10:00:{number % 60:02d}Z", by=f"d-{number % 3}", what="search"
    )


class Writer:
    """One process: it reads the log, at times late, and writes to its end."""

    def __init__(self, name: str, log: list[Stored], with_signer: Signer | None) -> None:
        self.chain = Chain(name, with_signer)
        self.log = log
        self.signer = with_signer
        self.tracks = Tracks(0)
        self.at = 0

    def read(self, behind: int = 0) -> None:
        while self.at < len(self.log) - behind:
            record = self.log[self.at]
            self.tracks.add(digest_of(record.key, record.value, record.headers))
            self.at += 1

    def write(self, made_of: AuditEvent) -> None:
        seen = self.tracks.seen()
        assert seen is not None
        made = self.chain.make(made_of, seen)
        self.log.append(Stored(len(self.log), *made))
        self.chain.wrote(made)

    def lose(self, made_of: AuditEvent, new_name: str) -> Stored:
        """A record of which it does not hear whether it is there."""
        seen = self.tracks.seen()
        assert seen is not None
        made = self.chain.make(made_of, seen)
        self.chain = Chain(new_name, self.signer)
        return Stored(0, *made)


def made_log(seed: int, size: int, signed: Signer | None = None, lag: int = 3) -> list[Stored]:
    """A log of ``size`` records by up to four processes, which start and end at any time; one may be ``lag`` records behind. Now and then one
    does not hear of its record any more, and begins a new chain; the record comes later than others, or never.
    """
    chance = random.Random(seed)
    log: list[Stored] = []
    writers: list[Writer] = []
    lost: list[Stored] = []
    for number in range(size):
        if not writers or (len(writers) < 4 and chance.random() < 0.2):
            writers.append(Writer(f"w{number}", log, signed))
            writers[-1].read()
        if len(writers) > 1 and chance.random() < 0.1:
            writers.pop(chance.randrange(len(writers)))
        writer = chance.choice(writers)
        writer.read(chance.randrange(lag + 1))
        if chance.random() < 0.1:
            lost.append(writer.lose(event(1000 + number), f"w{number}'"))
        if lost and chance.random() < 0.3:
            log.append(lost.pop()._replace(offset=len(log)))
        writer.write(event(number))
    return log[:size]


def other(record: Stored, by: str = "nobody") -> Stored:
    """The record with another name in it, as if it had always been there; the signature is the old one."""
    link = link_of(record.value)
    changed = msgspec.structs.replace(link, event=msgspec.structs.replace(link.event, by=by))
    return record._replace(value=msgspec.json.encode(changed, order="deterministic"))


def renumbered(log: list[Stored], first: int = 0) -> list[Stored]:
    """The log as it would be in a topic that was written anew."""
    return [record._replace(offset=first + place) for place, record in enumerate(log)]
