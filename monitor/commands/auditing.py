"""The audit log, for commands: whoever uses one is who the machine says they are, unless they say so themselves."""

from __future__ import annotations

import asyncio
import os
import pwd
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from monitor.audit.event import Audit, AuditEvent, AuditUnavailable, What
from monitor.commands.common import fail
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.privacy.mask import Mask


class ForCommands:
    """An audit log that is connected to for each event: commands write one or two."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def write(self, event: AuditEvent) -> None:
        """As :meth:`monitor.audit.event.Audit.write`."""
        from monitor.secret_files import BadSecretFile
        from monitor.stream.auditing import audited

        try:
            await audited(self._settings, event)
        except BadSecretFile as error:
            raise AuditUnavailable(str(error)) from None


def audit_of(settings: Settings) -> Audit:
    """Where what is done on the command line is audited."""
    return ForCommands(settings)


def machine_user() -> str:
    """Who the machine says that it is."""
    return f"os:{pwd.getpwuid(os.getuid()).pw_name}"


def _mask(settings: Settings) -> Mask | None:
    from monitor.stream.masking import mask_of
    from monitor.stream.seal import BadKey

    try:
        return mask_of(settings)
    except BadKey as error:
        raise fail(str(error)) from None


def note(
    settings: Settings, what: What, actors: Sequence[str] = (), subjects: Sequence[str] = (), reason: str = ""
) -> None:
    """Write down that the user of the machine does this, before it is done: ids of actors and subjects, which become pseudonyms with the
    identities sealed beside them. Exits when the log does not take it, or there are no keys."""
    sealed: dict[str, str] = {}
    mask = _mask(settings) if actors or subjects else None
    if mask is not None:
        actors = [mask.name("actor", each, sealed) for each in actors]
        subjects = [mask.name("subject", each, sealed) for each in subjects]
    event = AuditEvent(
        id=str(uuid.uuid4()),
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        by=machine_user(),
        what=what,
        actors=tuple(actors),
        subjects=tuple(subjects),
        reason=reason,
        sealed=sealed,
    )
    try:
        asyncio.run(audit_of(settings).write(event))
    except AuditUnavailable as error:
        raise fail(f"the audit log does not take it, so nothing is done: {error}") from None
