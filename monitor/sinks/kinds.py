"""The kinds of sinks. Each delivers one message, and names it by the same key when it delivers it again."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import os
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Protocol

import httpx
import msgspec

from monitor.incidents.model import Incident
from monitor.sinks.config import BadSinks, SinkConfig
from monitor.sinks.http import SinkDown, post
from monitor.sinks.message import Message, text_of
from monitor.sinks.ocsf import finding_of
from monitor.when import rfc3339

_encoder: Final = msgspec.json.Encoder(order="deterministic")
#: PagerDuty's severities.
_SEVERITIES: Final = {
    "informational": "info",
    "low": "info",
    "medium": "warning",
    "high": "error",
    "critical": "critical",
}
#: An alert of Alertmanager is over when it is closed, or after so long (ms).
_FIRES_FOR: Final = 365 * 24 * 3600 * 1000


class Sink(Protocol):
    """Delivers messages. ``is_record``: it is to get every notice, not only where an incident stands."""

    is_record: bool

    async def deliver(self, message: Message, incident: Incident) -> None:
        """Raises :class:`monitor.sinks.http.SinkDown` or :class:`monitor.sinks.http.Refused`."""


class Alertmanager:
    """Alertmanager's API v2 (``/api/v2/alerts`` is put behind ``url``); with a secret as a bearer token.

    Its alerts are known by their labels, so one that is sent again is the same one. When the labels change (a higher level, another
    call), those of before are resolved in the same request. No label names a person.
    """

    is_record = False

    def __init__(self, config: SinkConfig, client: httpx.AsyncClient) -> None:
        self._url = f"{config.url}".rstrip("/") + "/api/v2/alerts"
        secret = config.secret()
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self._client = client

    async def deliver(self, message: Message, incident: Incident) -> None:
        """As :meth:`Sink.deliver`."""
        earlier = [labels_of(message.incident, each.kind, each.level, each.number) for each in incident.notices]
        calls = [each for each in earlier if each["notice"] not in ("acknowledged", "closed")]
        is_over = message.kind in ("acknowledged", "closed")
        mine = labels_of(message.incident, message.kind, message.level, message.number)
        old = [each for each in calls if is_over or (int(each["number"]) < message.number)]
        body = [self._alert(each, message, is_firing=False) for each in old]
        if not is_over:
            body.append(self._alert(mine, message, is_firing=True))
        if body:
            await post(self._client, self._url, _encoder.encode(body), self._headers)

    @staticmethod
    def _alert(labels: dict[str, str], message: Message, is_firing: bool) -> dict[str, Any]:
        at = int(datetime.fromisoformat(message.time).timestamp() * 1000)
        annotations = {"summary": message.title, "description": text_of(message)}
        ends = rfc3339(at + _FIRES_FOR) if is_firing else message.time
        starts = message.time if is_firing else rfc3339(min(at, message.opened))
        return {"labels": labels, "annotations": annotations, "startsAt": starts, "endsAt": ends}


def labels_of(incident: str, kind: str, level: str, number: int) -> dict[str, str]:
    """The labels of a notice as an alert."""
    return {
        "alertname": "LookupIncident",
        "incident": incident,
        "notice": kind,
        "severity": level,
        "number": str(number),
    }


class PagerDuty:
    """PagerDuty's Events API v2: trigger, acknowledge and resolve, with the incident as ``dedup_key``. The secret is the routing key."""

    is_record = False

    def __init__(self, config: SinkConfig, client: httpx.AsyncClient) -> None:
        self._url, self._key, self._client = f"{config.url}", config.secret(), client

    async def deliver(self, message: Message, incident: Incident) -> None:
        """As :meth:`Sink.deliver`."""
        action = {"acknowledged": "acknowledge", "closed": "resolve"}.get(message.kind, "trigger")
        body: dict[str, Any] = {"routing_key": self._key, "event_action": action, "dedup_key": message.incident}
        if action == "trigger":
            body["payload"] = {
                "summary": message.title[:1024],
                "source": "lookup-monitor",
                "severity": _SEVERITIES.get(message.level, "warning"),
                "timestamp": message.time,
                "class": message.typologies[0] if message.typologies else "incident",
                "custom_details": {"notice": message.key, "text": text_of(message)},
            }
        await post(self._client, self._url, _encoder.encode(body), {})


class Webhook:
    """A signed webhook, as the Standard Webhooks specification 1.0 has it: HMAC-SHA256 over ``<id>.<time stamp>.<body>``.

    ``webhook-id`` is the message's key: the receiver must drop what it has. The secret is ``whsec_`` and base64, or any text of 24
    characters or more. The time stamp is when it is sent.
    """

    is_record = True

    def __init__(self, config: SinkConfig, client: httpx.AsyncClient, now: Callable[[], float]) -> None:
        self._url, self._client, self._now = f"{config.url}", client, now
        self._key = _webhook_key(config.name, config.secret() or "")

    async def deliver(self, message: Message, incident: Incident) -> None:
        """As :meth:`Sink.deliver`."""
        body, at = _encoder.encode(message), str(int(self._now()))
        await post(self._client, self._url, body, signed(self._key, message.key, at, body))


def signed(key: bytes, name: str, at: str, body: bytes) -> dict[str, str]:
    """The headers of a signed message; ``at`` is in seconds since the epoch."""
    tag = hmac.digest(key, f"{name}.{at}.".encode() + body, "sha256")
    signature = f"v1,{base64.b64encode(tag).decode()}"
    return {"webhook-id": name, "webhook-timestamp": at, "webhook-signature": signature, "Idempotency-Key": name}


def _webhook_key(name: str, secret: str) -> bytes:
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise BadSinks(f"sink {name}: its secret begins with whsec_ and is not base64 after that") from None
    if len(key) < 24:
        raise BadSinks(f"sink {name}: its secret is shorter than 24 bytes; make one: openssl rand -hex 32")
    return key


class Apprise:
    """Mail and chat by Apprise, whose URLs (one a line) are the secret. Who gets it twice when we are killed in between cannot tell."""

    is_record = False

    def __init__(self, config: SinkConfig) -> None:
        import apprise

        self._apprise = apprise.Apprise(asset=apprise.AppriseAsset(secure_logging=True))
        for line in (config.secret() or "").splitlines():
            if line.strip() and not self._apprise.add(line.strip()):
                raise BadSinks(f"sink {config.name}: Apprise does not know what a line of its secret is")
        if not len(self._apprise):
            raise BadSinks(f"sink {config.name}: there is no URL in its secret")

    async def deliver(self, message: Message, incident: Incident) -> None:
        """As :meth:`Sink.deliver`; when one of several URLs fails, all are tried again."""
        if not await asyncio.to_thread(self._apprise.notify, title=message.title, body=text_of(message)):
            raise SinkDown("Apprise could not deliver it")


class OcsfHttp:
    """OCSF Detection Findings to a collector; with a secret as a bearer token. ``metadata.uid`` is the message's key."""

    is_record = True

    def __init__(self, config: SinkConfig, client: httpx.AsyncClient) -> None:
        self._url, self._client, secret = f"{config.url}", client, config.secret()
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    async def deliver(self, message: Message, incident: Incident) -> None:
        """As :meth:`Sink.deliver`."""
        headers = {**self._headers, "Idempotency-Key": message.key}
        await post(self._client, self._url, _encoder.encode(finding_of(message)), headers)


class OcsfFile:
    """OCSF Detection Findings appended to a file, one a line, each synced to disk. A line that a crash cut off is taken away.

    What is among the last lines already is not written again.
    """

    is_record = True
    _TAIL: Final = 1 << 20

    def __init__(self, config: SinkConfig) -> None:
        assert config.path is not None
        self._path = config.path
        self._last: set[str] | None = None

    async def deliver(self, message: Message, incident: Incident) -> None:
        """As :meth:`Sink.deliver`."""
        try:
            await asyncio.to_thread(self._append, message)
        except OSError as error:
            self._last = None
            raise SinkDown(f"{error.strerror}") from None

    def _append(self, message: Message) -> None:
        with open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if self._last is None:
                file.seek(max(0, end - self._TAIL))
                tail = file.read()
                whole = tail[: tail.rfind(b"\n") + 1]
                end -= len(tail) - len(whole)
                file.truncate(end)
                self._last = {_uid(line) for line in whole.splitlines()}
            if message.key in self._last:
                return
            file.seek(end)
            raw = _encoder.encode(finding_of(message)) + b"\n"
            if file.write(raw) != len(raw):
                raise OSError(28, "not all of it could be written")
            os.fsync(file.fileno())
            self._last.add(message.key)


def _uid(line: bytes) -> str:
    try:
        return str(msgspec.json.decode(line)["metadata"]["uid"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return ""  # the first line of the tail may be cut


def make(config: SinkConfig, client: httpx.AsyncClient, now: Callable[[], float]) -> Sink:
    """The sink of a configuration. Raises :class:`monitor.sinks.config.BadSinks`."""
    if config.kind == "alertmanager":
        return Alertmanager(config, client)
    if config.kind == "pagerduty":
        return PagerDuty(config, client)
    if config.kind == "webhook":
        return Webhook(config, client, now)
    if config.kind == "apprise":
        return Apprise(config)
    return OcsfFile(config) if config.path is not None else OcsfHttp(config, client)
