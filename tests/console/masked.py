"""An incident under pseudonyms with its identities sealed, and a desk of identities over a log in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.errors import KafkaConnectionError

from monitor import alerts
from monitor.access.roles import Person, Role
from monitor.alerts import Alert
from monitor.audit.event import Audit
from monitor.console.shared_desk import SharedDesk
from monitor.incidents.model import Incident
from monitor.privacy.desk import UnmaskingDesk
from monitor.privacy.identity import Identities
from monitor.privacy.mask import Mask
from monitor.privacy.pseudonym import Pseudonyms
from monitor.privacy.unmasking import Signer, Unmaskings
from monitor.stream import topics
from tests.console.harness import Store
from tests.incidents.made import Desk as Story
from tests.incidents.made import alert

#: The key of now, and one of before.
PSEUDONYMS = Pseudonyms([b"p" * 64, b"q" * 64])
KEY = b"k" * 64
SIGNER, IDENTITIES = Signer((KEY,)), Identities([KEY])
ACTOR, SUBJECT = "o-99817", "p-444119"
A = PSEUDONYMS.of("actor", ACTOR)
S = PSEUDONYMS.of("subject", SUBJECT)
#: A colleague of the desk, and who has two roles that one person must not have: then the second person is asked for all the same.
OTHER = Person("k.klaassen", frozenset({Role.DESK}))
BOTH = Person("b.both", frozenset({Role.DESK, Role.PRIVACY_OFFICER}))


def masked(store: Store, story: Story, name: str = "masked") -> Incident:
    """An incident of one alert under pseudonyms, put into the store."""
    one: Alert = Mask(PSEUDONYMS, IDENTITIES).alert(
        alert(name, "critical", actors=(ACTOR,), subjects=(SUBJECT,), ts=story.now)
    )
    found = story.raised(one)
    store.put(
        [(topics.ALERTS, alerts.encode(one)), *((topics.INCIDENTS, raw) for _, raw in story.book.changed())], story.now
    )
    return found


class Steps:
    """``lookup.unmaskings.v1``: one order, Kafka's clock, and readers that begin at its beginning. ``fails``: so many reads break off midway."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.records: list[tuple[bytes | None, bytes | None, int]] = []
        self.fails = self.opened = self.closed = 0

    @asynccontextmanager
    async def desk(self, audit: Audit) -> AsyncIterator[UnmaskingDesk]:
        self.opened += 1
        try:
            yield UnmaskingDesk(Unmaskings(SIGNER, 8.0), SIGNER, _Reader(self), audit, IDENTITIES)
        finally:
            self.closed += 1

    def shared(self, audit: Audit, within: float = 15.0) -> SharedDesk:
        return SharedDesk(lambda: self.desk(audit), within)


class _Reader:
    def __init__(self, log: Steps) -> None:
        self._log, self._at = log, 0

    async def read(self) -> list[Any]:
        found, self._at = self._log.records[self._at :], len(self._log.records)
        if self._log.fails:
            self._log.fails -= 1
            raise KafkaConnectionError("gone")  # what was read is lost with it
        return found

    async def write(self, key: bytes, raw: bytes) -> None:
        self._log.records.append((key, raw, self._log.now()))
