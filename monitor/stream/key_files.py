"""The signing keys that are set: of the audit log and of rule packs."""

from __future__ import annotations

from pathlib import Path

from monitor.secret_files import BadSecretFile, read_public, read_secret
from monitor.signing import BadSigningKey, PublicKeys, Signer, public_keys_of, signer_of


def signer_in(path: Path | None) -> Signer | None:
    """The signer of a private key file; ``None`` without a file. Raises :class:`BadSecretFile`."""
    if path is None:
        return None
    raw = read_secret(path)
    try:
        return signer_of(raw)
    except BadSigningKey as error:
        raise BadSecretFile(f"{path}: {error}") from None


def public_keys_in(path: Path | None) -> PublicKeys | None:
    """The keys in a file or folder; ``None`` without one. Raises :class:`BadSecretFile`."""
    if path is None:
        return None
    texts = read_public(path)
    try:
        return public_keys_of(texts)
    except BadSigningKey as error:
        raise BadSecretFile(f"{path}: {error}") from None
