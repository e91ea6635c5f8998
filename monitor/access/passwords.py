"""Passwords of local users, and the codes that stand in for a lost second factor. Only hashes of either are kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from functools import lru_cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

MIN_CHARACTERS: Final = 12
MAX_CHARACTERS: Final = 256
RECOVERY_CODES: Final = 8
_RECOVERY_BYTES: Final = 10
#: argon2id: 64 MiB, three passes, four lanes (RFC 9106, section 4, the second recommended).
_hasher: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


class BadPassword(ValueError):
    """A password that is not taken; the text says why. Never holds it."""


def check_password(password: str, name: str) -> None:
    """Raises :class:`BadPassword` for one that is too short or long, or holds the user's name."""
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise BadPassword(f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters")
    if name.casefold() in password.casefold():
        raise BadPassword("a password does not hold the user's name")
    if len(set(password)) < 5:
        raise BadPassword("a password has at least five different characters")


def hash_password(password: str) -> str:
    """The hash to keep, with a salt of its own."""
    return _hasher.hash(password)


def is_password(hashed: str, password: str) -> bool:
    """Whether the hash is that of the password. It takes as long either way."""
    try:
        return _hasher.verify(hashed, password[:MAX_CHARACTERS])
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def nobodys_hash() -> str:
    """A hash of no password that anybody knows: what is asked when there is no such user, so that it takes as long."""
    return hash_password(secrets.token_hex(32))


def new_recovery_codes() -> list[str]:
    """Codes of 80 random bits, as people can type them. Each counts once in place of the second factor."""
    made = [base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in made]


def hash_recovery(code: str) -> str:
    """The hash to keep. With 80 random bits nothing slower is needed."""
    plain = code.replace("-", "").replace(" ", "").lower()
    return hashlib.sha256(b"recovery\0" + plain.encode()).hexdigest()


def recovery_place(hashes: list[str], code: str) -> int | None:
    """Which of the hashes is the code's, if any. All are compared."""
    wanted, found = hash_recovery(code), None
    for place, each in enumerate(hashes):
        if hmac.compare_digest(each, wanted):
            found = place
    return found
