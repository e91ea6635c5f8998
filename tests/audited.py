"""An audit log in memory, and one for commands that write to it."""

from __future__ import annotations

import pytest

from monitor.audit.event import AuditEvent, AuditUnavailable
from monitor.settings import Settings
from monitor.stream import auditing


class Logged:
    """An audit log. ``is_up`` False: it takes nothing."""

    def __init__(self, is_up: bool = True) -> None:
        self.events: list[AuditEvent] = []
        self.is_up = is_up

    async def write(self, event: AuditEvent) -> None:
        if not self.is_up:
            raise AuditUnavailable
        self.events.append(event)


def audited(monkeypatch: pytest.MonkeyPatch, is_up: bool = True) -> list[AuditEvent]:
    """What commands write to the audit log from now on; with ``is_up`` False it takes nothing."""
    events: list[AuditEvent] = []

    async def write(settings: Settings, *given: AuditEvent) -> None:
        if not is_up:
            raise AuditUnavailable("Kafka does not answer")
        events.extend(given)

    monkeypatch.setattr(auditing, "audited", write)
    return events
