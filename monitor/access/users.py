"""The local users: a file that only the console and ``monitor users`` can read. Passwords and recovery codes are in it as hashes; what a second
factor's codes are made of cannot be.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import pyotp

from monitor.access.passwords import (
    check_password,
    hash_password,
    hash_recovery,
    is_password,
    new_recovery_codes,
    nobodys_hash,
    recovery_place,
)
from monitor.access.roles import Person, Role, conflicts
from monitor.secret_files import BadSecretFile, read_secret, write_secret
from monitor.when import rfc3339

VERSION: Final = 1
#: A code counts in its half minute, and in the one before and after it.
_STEP_SECONDS: Final = 30
_WINDOW: Final = 1
_ISSUER: Final = "lookup-monitor"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII).fullmatch
_NO_SECRET: Final = "A" * 32


class BadUser(ValueError):
    """What was asked of the users cannot be done; the text says why."""


class User(msgspec.Struct, forbid_unknown_fields=True):
    """One of them. ``totp_step`` is the last half minute whose code was used: neither it nor one before it counts again. Logins of before
    ``not_before`` (seconds since the epoch) have ended."""

    name: str
    roles: list[Role]
    password: str
    totp: str
    recovery: list[str]
    unit: str | None = None
    totp_step: int = 0
    is_disabled: bool = False
    changed: str = ""
    not_before: float = 0.0


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    users: list[User] = []
    #: Names that may not log in whoever vouches for them (users of OpenID Connect are not in the list above).
    blocked: list[str] = []


class Secrets(msgspec.Struct, frozen=True):
    """What is given to a user once and is nowhere afterwards."""

    totp_uri: str
    recovery: list[str]


Before = Callable[[], None]


def _nothing() -> None:
    return None


class Users:
    """The file. It is read again whenever it has changed.

    Each change takes a ``before``: it is called when nothing stands against the change any more, and when it raises, nothing is changed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: tuple[int, int, int] | None = None
        self._known: dict[str, User] = {}
        self._blocked = frozenset[str]()

    def all(self) -> list[User]:
        """Every user, by name. Raises :class:`BadSecretFile`."""
        self._refresh()
        return sorted(self._known.values(), key=lambda each: each.name)

    def get(self, name: str) -> User | None:
        """The user of a name, disabled or not. Raises :class:`BadSecretFile`."""
        self._refresh()
        return self._known.get(name)

    def is_blocked(self, name: str) -> bool:
        """Whether the name may not log in. Raises :class:`BadSecretFile`."""
        self._refresh()
        found = self._known.get(name)
        return name in self._blocked or (found is not None and found.is_disabled)

    def person(self, name: str, since: float | None = None) -> Person | None:
        """Who that is now, with the roles of now; ``None`` for who is not there, may not log in, or logged in at ``since``, which has ended.

        Raises :class:`BadSecretFile`.
        """
        found = self.get(name)
        if found is None or self.is_blocked(name) or (since is not None and since < found.not_before):
            return None
        return Person(found.name, frozenset(found.roles), found.unit)

    def add(
        self, name: str, roles: frozenset[Role], unit: str | None, password: str, now: float, before: Before = _nothing
    ) -> Secrets:
        """Add a user. Raises :class:`BadUser`, :class:`BadPassword`, :class:`BadSecretFile`."""
        if _NAME(name) is None:
            raise BadUser("a name has 1 to 64 letters, digits and . _ @ -, and begins with a letter or digit")
        _check_roles(roles, unit)
        check_password(password, name)
        made, told = _new_secrets(name)
        user = User(name, sorted(roles), hash_password(password), made, told.recovery, unit, changed=_text(now))
        user.recovery = [hash_recovery(code) for code in told.recovery]
        with self._changing(before) as users:
            if any(each.name == name for each in users.users):
                raise BadUser(f"there is a user {name} already")
            users.users.append(user)
            users.blocked = [each for each in users.blocked if each != name]
        return told

    def set_roles(
        self, name: str, roles: frozenset[Role], unit: str | None, now: float, before: Before = _nothing
    ) -> None:
        """Give a user these roles and no others. They count at once. Raises as :meth:`add`."""
        _check_roles(roles, unit)
        with self._changing(before) as users:
            user = _one(users, name)
            user.roles, user.unit, user.changed = sorted(roles), unit, _text(now)

    def disable(self, name: str, now: float, before: Before = _nothing) -> None:
        """Let nobody of that name in any more; what they have open ends at once. A name that is no local user's is blocked too."""
        with self._changing(before) as users:
            known = [user for user in users.users if user.name == name]
            for user in known:
                user.is_disabled, user.changed, user.not_before = True, _text(now), now
            if not known and name not in users.blocked:
                users.blocked.append(name)

    def enable(self, name: str, now: float, before: Before = _nothing) -> None:
        """Let a name in again that was disabled; it logs in anew. Raises :class:`BadUser`, :class:`BadSecretFile`."""
        with self._changing(before) as users:
            known = [user for user in users.users if user.name == name]
            if not known and name not in users.blocked:
                raise BadUser(f"there is no user {name}, and nobody of that name is kept out")
            for user in known:
                user.is_disabled, user.changed = False, _text(now)
            users.blocked = [each for each in users.blocked if each != name]

    def reset(self, name: str, password: str, now: float, before: Before = _nothing) -> Secrets:
        """A new password, second factor and recovery codes; who was disabled may log in again. Raises as :meth:`add`."""
        check_password(password, name)
        made, told = _new_secrets(name)
        with self._changing(before) as users:
            user = _one(users, name)
            user.password, user.totp = hash_password(password), made
            user.recovery = [hash_recovery(code) for code in told.recovery]
            user.is_disabled, user.changed, user.not_before = False, _text(now), now
        return told

    def set_password(self, name: str, password: str, now: float) -> None:
        """Raises as :meth:`add`."""
        check_password(password, name)
        with self._changing() as users:
            user = _one(users, name)
            user.password, user.changed, user.not_before = hash_password(password), _text(now), now

    def prove(self, name: str, password: str, code: str, now: float) -> bool:
        """Whether name, password and code (of the second factor, or a recovery code) are somebody's who may log in. A code counts once.

        It takes about as long whatever is wrong. Raises :class:`BadSecretFile`.
        """
        user = self.get(name)
        hashed, secret = (nobodys_hash(), _NO_SECRET) if user is None else (user.password, user.totp)
        has_password = is_password(hashed, password)
        step = _step_of(secret, code, now)
        recovery = recovery_place(user.recovery if user else [hash_recovery("none")] * 8, code)
        may = user is not None and not self.is_blocked(name)
        if not (has_password and may) or (step is None and recovery is None):
            return False
        return self._use(name, step, code)

    def _use(self, name: str, step: int | None, code: str) -> bool:
        """Use up the code, in the file, so that it counts once whoever asks; whether it was still there."""
        with self._changing() as users:
            user = _one(users, name)
            if user.is_disabled or name in users.blocked:
                return False
            if step is not None:
                if step <= user.totp_step:
                    return False
                user.totp_step = step
                return True
            place = recovery_place(user.recovery, code)
            if place is None:
                return False
            del user.recovery[place]
            return True

    def _refresh(self) -> None:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            self._mark, self._known, self._blocked = None, {}, frozenset()
            return
        except OSError as error:
            raise BadSecretFile(f"{self._path}: {error.strerror}") from None
        mark = (now.st_ino, now.st_mtime_ns, now.st_size)
        if mark != self._mark:
            found = self._read()
            self._known = {user.name: user for user in found.users}
            self._blocked = frozenset(found.blocked)
            self._mark = mark

    def _read(self) -> _File:
        if not self._path.exists():
            return _File(VERSION)
        raw = read_secret(self._path)
        try:
            version = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get("version", msgspec.Raw(b"none"))
            if bytes(version) != str(VERSION).encode():
                text = bytes(version).decode(errors="replace")
                raise BadSecretFile(f"{self._path}: users of version {text}, and this program knows {VERSION}")
            return msgspec.json.decode(raw, type=_File)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise BadSecretFile(f"{self._path}: not a file of users; restore it from a copy") from None

    @contextmanager
    def _changing(self, before: Before = _nothing) -> Iterator[_File]:
        """The users, to be changed; written when that ends well. One process at a time."""
        lock = os.open(self._path.with_name(f".{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            users = self._read()
            yield users
            users.users.sort(key=lambda each: each.name)
            before()
            write_secret(self._path, msgspec.json.format(msgspec.json.encode(users)) + b"\n")
            self._mark = None
        finally:
            os.close(lock)


def _text(now: float) -> str:
    return rfc3339(int(now * 1000))


def _one(users: _File, name: str) -> User:
    for user in users.users:
        if user.name == name:
            return user
    raise BadUser(f"there is no user {name}")


def _check_roles(roles: frozenset[Role], unit: str | None) -> None:
    if not roles:
        raise BadUser("a user has at least one role")
    if apart := conflicts(roles):
        pairs = ", ".join(" and ".join(sorted(pair)) for pair in apart)
        raise BadUser(f"one person cannot be both {pairs}")
    if Role.SUPERVISOR in roles and not unit:
        raise BadUser("a supervisor has a unit")


def _new_secrets(name: str) -> tuple[str, Secrets]:
    secret = pyotp.random_base32()
    uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)
    return secret, Secrets(uri, new_recovery_codes())


def _step_of(secret: str, code: str, now: float) -> int | None:
    """The half minute whose code this is, if it is one that counts now. All are compared."""
    totp, typed, found = pyotp.TOTP(secret), code.replace(" ", ""), None
    for step in range(int(now) // _STEP_SECONDS - _WINDOW, int(now) // _STEP_SECONDS + _WINDOW + 1):
        if pyotp.utils.strings_equal(totp.generate_otp(step), typed):
            found = step
    return found
