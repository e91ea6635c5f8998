"""Ed25519 signatures (RFC 8032): of audit records and of rule packs. Whoever checks one needs no secret.

What is signed always begins with what it is (``context``), so that a signature of one kind of thing is worth nothing for another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: How long the name of a key is, in hexadecimal digits of the SHA-256 of the public key.
ID_DIGITS: Final = 16
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.S)
_PUBLIC: Final = b"PUBLIC KEY"


class BadSigningKey(ValueError):
    """What was given is no key that can be used. Never holds any of the key."""


def _id_of(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:ID_DIGITS]


def _message(context: str, message: bytes) -> bytes:
    return context.encode() + b"\0" + message


class Signer:
    """Signs with one private key, which is called ``key_id``."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = _id_of(key.public_key())

    def sign(self, context: str, message: bytes) -> bytes:
        """The signature, 64 bytes. The same message always gets the same one."""
        return self._key.sign(_message(context, message))

    def public_pem(self) -> bytes:
        """The public key, PEM: what those need who check."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def private_pem(self) -> bytes:
        """The private key, PEM, not encrypted."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


class PublicKeys:
    """The public keys whose signatures are accepted, by the name of each."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self._keys = dict(keys)

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the keys."""
        return tuple(self._keys)

    def has_signed(self, key_id: str, context: str, message: bytes, signature: bytes) -> bool:
        """Whether the key of that name is one of these and has signed the message."""
        key = self._keys.get(key_id)
        if key is None:
            return False
        try:
            key.verify(signature, _message(context, message))
        except InvalidSignature:
            return False
        return True


def signer_of(pem: bytes) -> Signer:
    """The signer with a private key (PEM, PKCS 8, without a password). Raises :class:`BadSigningKey`."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadSigningKey("not a private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSigningKey("not a key of Ed25519")
    return Signer(key)


def public_keys_of(pems: Iterable[bytes]) -> PublicKeys:
    """The public keys in texts of PEM, each of which may hold several. Raises :class:`BadSigningKey` for what is no public key of Ed25519,
    a private key too: it has no place where everybody can read it; and when there is none at all."""
    found: dict[str, Ed25519PublicKey] = {}
    for pem in pems:
        for block in _PEM.finditer(pem):
            if block[1] != _PUBLIC:
                raise BadSigningKey(f"it holds a {block[1].decode().lower()}; only public keys belong there")
            try:
                key = serialization.load_pem_public_key(block[0])
            except (ValueError, UnsupportedAlgorithm):
                raise BadSigningKey("not a public key in PEM") from None
            if not isinstance(key, Ed25519PublicKey):
                raise BadSigningKey("not a key of Ed25519")
            found[_id_of(key)] = key
    if not found:
        raise BadSigningKey("no public key in it")
    return PublicKeys(found)
