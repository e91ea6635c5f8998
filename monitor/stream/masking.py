"""The keys of pseudonyms and identities, from files: who has which of them decides who can tell whom an alert is about."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from monitor.alerts import Alert
from monitor.privacy.identity import Identities
from monitor.privacy.mask import Mask
from monitor.privacy.pseudonym import Pseudonyms
from monitor.sealed_watch import BadTeams, Sealer, parse_teams
from monitor.settings import Settings
from monitor.stream.seal import BadKey, read_keys

#: The files of the keys in the folder of :func:`local_keys`.
PSEUDONYM_KEY: Final = "pseudonym.key"
IDENTITY_KEY: Final = "identity.key"
_HOW: Final = (
    "make one with `monitor privacy key FILE`, give it to every worker, or set LOOKUP_MONITOR_PSEUDONYMS=off to have names "
    "written as they are"
)


def local_keys() -> Path:
    """The folder of the keys that ``monitor up`` makes for this machine, in the user's data folder."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "lookup-monitor" / "keys"


def mask_of(settings: Settings) -> Mask | None:
    """What alerts go through when they are finished; ``None`` when pseudonyms are off. Raises :class:`BadKey`."""
    if settings.pseudonyms == "off":
        return None
    pseudonyms = pseudonyms_of(settings)
    assert pseudonyms is not None
    return Mask(pseudonyms, identities_of(settings))


def pseudonyms_of(settings: Settings) -> Pseudonyms | None:
    """The pseudonyms; ``None`` when they are off. Raises :class:`BadKey`."""
    if settings.pseudonyms == "off":
        return None
    path = _file(settings.pseudonym_key_file, PSEUDONYM_KEY)
    if path is None:
        raise BadKey(f"pseudonyms are on and LOOKUP_MONITOR_PSEUDONYM_KEY_FILE is not set: {_HOW}")
    return Pseudonyms(read_keys(path))


def has_identity_key(settings: Settings) -> bool:
    """Whether a key of identities is set or lies in the folder of :func:`local_keys`; whether it can be used is not asked."""
    return _file(settings.identity_key_file, IDENTITY_KEY) is not None


def identities_of(settings: Settings) -> Identities:
    """The identities that are sealed beside pseudonyms. Raises :class:`BadKey` when there is no key."""
    return Identities(identity_keys(settings))


def identity_keys(settings: Settings) -> tuple[bytes, ...]:
    """The keys of identities, that of now first. Raises :class:`BadKey` when there is none."""
    path = _file(settings.identity_key_file, IDENTITY_KEY)
    if path is None:
        raise BadKey(f"pseudonyms are on and LOOKUP_MONITOR_IDENTITY_KEY_FILE is not set: {_HOW}")
    return read_keys(path)


def masks_if_known(settings: Settings) -> list[Callable[[Alert], Alert]]:
    """Each form that alerts may have in Kafka, as far as the keys are here, the one of now first; names as they are come last.

    Raises :class:`BadKey` for a key that is set and cannot be used.
    """
    plain: list[Callable[[Alert], Alert]] = [lambda alert: alert]
    if settings.pseudonyms == "off":
        return plain
    if _file(settings.pseudonym_key_file, PSEUDONYM_KEY) is None:
        return plain
    mask = mask_of(settings)
    assert mask is not None
    return [*(each.alert for each in mask.each()), *plain]


def sealer_of(settings: Settings) -> Sealer:
    """What knows the subjects of sealed watches again; nothing where no key is set. Raises :class:`BadKey`."""
    path = settings.watch_key_file
    if path is None:
        return Sealer()
    try:
        return Sealer(parse_teams(path.read_text().splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(f"{path}: {getattr(error, 'strerror', 'not text')}") from None
    except BadTeams as error:
        raise BadKey(f"{path}: {error}") from None


def with_local_keys(settings: Settings, folder: Path) -> Settings:
    """Settings with keys in ``folder``, made (readable to their owner only) if they are not there, where no others are set."""
    if settings.pseudonyms == "off":
        return settings
    wanted = {
        "pseudonym_key_file": settings.pseudonym_key_file or made_key(folder / PSEUDONYM_KEY),
        "identity_key_file": settings.identity_key_file or made_key(folder / IDENTITY_KEY),
    }
    return settings.model_copy(update=wanted)


def made_key(path: Path) -> Path:
    """A file with a key; one that is there already stays as it is. Raises ``OSError``."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        write_key(path)
    return path


def write_key(path: Path) -> None:
    """A new file with a new key, readable to its owner only. Raises ``OSError``, also when the file is there."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{secrets.token_hex(32)}\n")


def rotate_key(path: Path) -> None:
    """Put a new key before those of a file, which go on being recognised. The file is whole at every moment.

    Raises ``OSError`` and :class:`BadKey`.
    """
    known = read_keys(path)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    write_key(draft)
    with draft.open("ab") as file:
        file.write(b"".join(each + b"\n" for each in known))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def _file(path: Path | None, name: str) -> Path | None:
    if path is not None:
        return path
    local = local_keys() / name
    return local if local.is_file() else None
