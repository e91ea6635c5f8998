"""Signatures of rule packs: who may write to Kafka, or to a worker's folder, must not be able to say what the monitor looks for.

What is signed is a manifest: the name and SHA-256 of every file that is taken from the folder, in one canonical form. The signature lies
beside the files (:data:`FILE`) and travels with the pack. A pack may have several, while one key takes the place of another.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from monitor.signing import PublicKeys, Signer

FILE: Final = "pack.sig"
#: What a signature of a pack is for.
CONTEXT: Final = "lookup-rule-pack-v1"
#: A file of more is none.
MAX_BYTES: Final = 16 * 1024


class BadSignature(ValueError):
    """The pack is not signed by anybody who is accepted; says why."""


class _One(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    signature: str


class _All(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    signatures: list[_One]


def manifest_of(files: Mapping[str, str]) -> bytes:
    """What is signed of a pack: names, as below its folder, and the SHA-256 of each text."""
    hashes = {
        path.replace("\\", "/"): hashlib.sha256(text.encode(errors="replace")).hexdigest()
        for path, text in files.items()
    }
    return msgspec.json.encode({"v": 1, "files": hashes}, order="sorted")


def sign(files: Mapping[str, str], signer: Signer, before: bytes | None = None) -> bytes:
    """The file of signatures with one more, or one anew. Those of other keys in ``before`` stay: whether they are of these files is for whoever
    has their keys to tell. Raises :class:`BadSignature` when ``before`` is no such file."""
    kept = [each for each in _read(before).signatures if each.key != signer.key_id] if before else []
    made = base64.b64encode(signer.sign(CONTEXT, manifest_of(files))).decode()
    signatures = _All(1, [*kept, _One(signer.key_id, made)])
    return msgspec.json.format(msgspec.json.encode(signatures)) + b"\n"


def signed_by(files: Mapping[str, str], raw: bytes | None, keys: PublicKeys) -> str:
    """The name of the key that has signed these files. Raises :class:`BadSignature` when none of ``keys`` has."""
    if raw is None:
        raise BadSignature("it is not signed (`monitor rules sign`)")
    manifest, found = manifest_of(files), _read(raw).signatures
    for each in found:
        try:
            signature = base64.b64decode(each.signature, validate=True)
        except ValueError:
            continue
        if keys.has_signed(each.key, CONTEXT, manifest, signature):
            return each.key
    if any(each.key in keys.ids for each in found):
        raise BadSignature(
            "its signature is of other files than these: it was changed after it was signed, or is another's"
        )
    raise BadSignature(
        f"signed by {', '.join(each.key[:32] for each in found) or 'nobody'}, and none of them is accepted"
    )


def _read(raw: bytes) -> _All:
    try:
        found = msgspec.json.decode(raw[: MAX_BYTES + 1], type=_All)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BadSignature("its file of signatures cannot be read") from None
    if found.v != 1 or len(raw) > MAX_BYTES:
        raise BadSignature("its file of signatures is of another version, or too large")
    return found
