"""An audit log that is a file of JSON Lines: for commands, where no other is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from monitor.audit.event import AuditEvent, AuditUnavailable


class AuditFile:
    """Appends events to a file that its owner alone reads, and waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def write(self, event: AuditEvent) -> None:
        """As :meth:`monitor.audit.event.Audit.write`."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                line = msgspec.json.encode(event) + b"\n"
                if os.write(file, line) != len(line):
                    raise AuditUnavailable(f"{self._path}: the disk took a part of an event")
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise AuditUnavailable(f"{self._path}: {error.strerror}") from None
