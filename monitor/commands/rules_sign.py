"""rules keygen and rules sign: keys, and signatures of rule packs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitor.commands.common import fail, out
from monitor.rules.signature import FILE, BadSignature
from monitor.rules.signature import sign as signatures_of
from monitor.secret_files import BadSecretFile, write_secret
from monitor.stream.folder import RuleFolder
from monitor.stream.key_files import signer_in


def keygen(
    key: Annotated[
        Path, typer.Argument(metavar="FILE", help="new file of the private key; FILE.pem is the public one")
    ],
) -> None:
    """Make a key (Ed25519): for rule packs, or for the audit log. Keep the private one where nobody has it who may write to Kafka."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from monitor.signing import Signer

    made = Signer(Ed25519PrivateKey.generate())
    public = key.with_name(f"{key.name}.pem")
    try:
        if public.exists():
            raise FileExistsError(17, "it is there already", str(public))
        write_secret(key, made.private_pem(), is_new=True)
        public.write_bytes(made.public_pem())
    except OSError as error:
        raise fail(
            f"{error.filename2 or error.filename or key}: {error.strerror}; a key is never written over"
        ) from None
    out.print(f"{made.key_id}: {key} signs, {public} is for those who check", soft_wrap=True)


def sign(
    folder: Annotated[Path, typer.Argument(metavar="PACK", help="folder of rules")],
    key_file: Annotated[Path, typer.Option(help="file of the private key, readable by you alone")],
) -> None:
    """Sign a pack as it is now. Signatures by other keys stay, so that one key can take the place of another."""
    if not folder.is_dir():
        raise fail(f"{folder} is not a folder of rules")
    place = RuleFolder(folder)
    files = place.read()
    if not files:
        raise fail(f"{folder} holds no rules")
    try:
        signer = signer_in(key_file)
        assert signer is not None
        made = signatures_of(files, signer, place.signatures())
        (folder / FILE).write_bytes(made)
    except (BadSecretFile, BadSignature) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{folder / FILE}: {error.strerror}") from None
    out.print(f"{len(files)} files signed by {signer.key_id}")
