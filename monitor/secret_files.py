"""Files of secrets: read only when nobody but their owner can read them. A secret has no other way in, but for the environment."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

#: What may be in a folder or file of public keys.
_PEM: Final = "*.pem"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
#: A file that root owns may be read by the group too: that is how Kubernetes gives a secret to who is not root (PostgreSQL has the same rule).
_OF_ROOT: Final = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


class BadSecretFile(ValueError):
    """A file that cannot be used: which, why, and what to do. Never holds any of what is in it."""


def check_mode(path: Path) -> None:
    """Raises :class:`BadSecretFile` when others than the owner may read or change the file, or it is not there. A file that root owns and
    another reads may be readable by the group."""
    try:
        found = path.stat()
    except OSError as error:
        raise BadSecretFile(f"{path}: {error.strerror}") from None
    mode = found.st_mode
    if mode & (_OF_ROOT if found.st_uid == 0 and os.geteuid() != 0 else _OTHERS):
        raise BadSecretFile(
            f"{path}: others than its owner can read or change it (mode {mode & 0o777:04o}); chmod 600 {path}"
        )


def read_secret(path: Path) -> bytes:
    """What is in a file that only its owner can read. Raises :class:`BadSecretFile`."""
    check_mode(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadSecretFile(f"{path}: {error.strerror}") from None


def read_line(path: Path) -> str:
    """A secret of one line, without the line's end. Raises :class:`BadSecretFile`, also when it is empty."""
    try:
        found = read_secret(path).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise BadSecretFile(f"{path}: not text") from None
    if not found:
        raise BadSecretFile(f"{path} is empty")
    return found


def write_secret(path: Path, raw: bytes, is_new: bool = False) -> None:
    """Write a file whole or not at all, for its owner alone (mode 0600). With ``is_new`` it must not be there yet.

    Raises ``OSError``, ``FileExistsError`` among them.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            os.link(draft, path)
        else:
            draft.replace(path)
            return
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_public(path: Path) -> list[bytes]:
    """The texts of a file, or of the ``*.pem`` files of a folder. They are public: who may read them does not matter.

    Raises :class:`BadSecretFile`.
    """
    try:
        return [each.read_bytes() for each in (sorted(path.glob(_PEM)) if path.is_dir() else [path])]
    except OSError as error:
        raise BadSecretFile(f"{path}: {error.strerror}") from None
