"""What the relay makes of an audit event."""

from __future__ import annotations

from types import SimpleNamespace

import orjson
import pytest

from monitor.audit.chain import Chain, Tracks
from monitor.audit.event import AuditEvent
from monitor.metrics_relay import RelayMetrics
from monitor.privacy.identity import Identities
from monitor.privacy.pseudonym import Pseudonyms
from monitor.settings import Settings
from monitor.stream.relaying import Relay

KEY, OTHER = b"k" * 64, b"o" * 64
NAME = Pseudonyms([b"p" * 64]).of("subject", "AB-12-CD")


@pytest.mark.parametrize(("key", "about"), [(KEY, "AB-12-CD"), (OTHER, NAME), (None, NAME)])
def test_a_lookup_of_the_desk_names_the_id_when_it_can_be_opened(key: bytes | None, about: str) -> None:
    sealed = {NAME: Identities([KEY]).seal(NAME, "AB-12-CD")}
    event = AuditEvent(id="a-1", time="2026-11-27T10:00:00Z", by="d-1", what="search", subjects=(NAME,), sealed=sealed)
    made = Chain("writer", None).make(event, Tracks(0).begin_anew())
    relay = Relay(Settings(), RelayMetrics(), None if key is None else Identities([key]))
    (out,) = relay._made_of(SimpleNamespace(value=made.value, offset=0))
    assert out.value is not None
    assert orjson.loads(out.value)["subject"]["id"] == about
    assert out.key == b"d-1"
