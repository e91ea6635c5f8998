"""The identity behind a pseudonym, sealed beside it: it goes where the pseudonym goes, and is gone when that is.

AES-SIV (RFC 5297) with the pseudonym as associated data: the same id gives the same bytes, so that a replay gives the same alert, and a
sealed identity cannot be put beside another pseudonym. Ids are filled up to 32 bytes, so that their length says nothing.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

_BLOCK: Final = 32
_LENGTH: Final = 2
_CONTEXT: Final = b"lookup-monitor identity v1"


class NotOpened(ValueError):
    """A sealed identity that none of the keys opens, or that is not of this pseudonym."""


class Identities:
    """Seals with the first of ``keys`` and opens by any of them. Raises ``ValueError`` without a key."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._ciphers = [AESSIV(hmac.digest(key, _CONTEXT, "sha512")) for key in keys]
        if not self._ciphers:
            raise ValueError("identities need a key")

    def seal(self, pseudonym: str, name: str) -> str:
        """The id of a pseudonym, sealed, as text."""
        raw = name.encode()
        plain = len(raw).to_bytes(_LENGTH, "big") + raw
        plain += bytes(-len(plain) % _BLOCK)
        return base64.urlsafe_b64encode(self._ciphers[0].encrypt(plain, _about(pseudonym))).decode()

    def unseal(self, pseudonym: str, sealed: str) -> str:
        """The id. Raises :class:`NotOpened`."""
        try:
            raw = base64.urlsafe_b64decode(sealed)
        except ValueError:
            raise NotOpened("it is not sealed as identities are") from None
        for cipher in self._ciphers:
            try:
                plain = cipher.decrypt(raw, _about(pseudonym))
            except (InvalidTag, ValueError):
                continue
            length = int.from_bytes(plain[:_LENGTH], "big")
            return plain[_LENGTH : _LENGTH + length].decode()
        raise NotOpened("no key opens it, or it is of another pseudonym")


def _about(pseudonym: str) -> list[bytes]:
    return [_CONTEXT, pseudonym.encode()]
