"""One key's state + one lookup → the new state, alerts and features: the rules and the features in one place."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from monitor import alerts
from monitor.model.features import FeatureState, observe
from monitor.rules import RuleSet, Window

STATE_VERSION: Final = 2
#: A lookup up to this much older than its key's newest still counts in the windows it belongs to.
ALLOWED_LATENESS_MS: Final = 24 * 3600 * 1000
#: How many of a key's last lookups a duplicate is recognised among, and the size of each one's fingerprint.
REMEMBERED: Final = 256
_FINGERPRINT: Final = 8


class BadState(Exception):
    """Saved state that this version cannot read."""


class KeyState(msgspec.Struct, array_like=True):
    """Everything kept about one key. ``at`` is the last offset counted of each source partition (promise 1)."""

    version: int = STATE_VERSION
    at: dict[int, int] = {}
    newest: int = 0
    fingerprints: bytes = b""
    windows: dict[str, Window] = {}
    features: FeatureState = msgspec.field(default_factory=FeatureState)


class Outcome(msgspec.Struct):
    """What one lookup led to. ``fate`` is ``counted``, ``late``, ``duplicate`` or ``repeated`` (redelivered by Kafka)."""

    fate: str
    alerts: list[alerts.Alert] = []
    features: dict[str, float] | None = None


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(KeyState).decode
_REPEATED: Final = Outcome("repeated")
_DUPLICATE: Final = Outcome("duplicate")


def load_state(data: bytes | None) -> KeyState:
    """The state of :func:`save_state`, or a new one for ``None``. Raises :class:`BadState`."""
    if data is None:
        return KeyState()
    try:
        state = _decode(data)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise BadState(f"the saved state cannot be read: {error}") from None
    if state.version == 1:  # before the feature no_sequel
        state.features.shares.append(0.0)
        state.version = 2
    if state.version != STATE_VERSION:
        raise BadState(f"the saved state has version {state.version}; this program reads version {STATE_VERSION}")
    return state


def save_state(state: KeyState) -> bytes:
    """The state as bytes for the changelog."""
    return _encode(state)


class Detector:
    """The rules and features over keyed lookups. Holds no state of its own but the rules."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules

    def step(self, key: str, state: KeyState, lookup: dict[str, Any], src: int, off: int) -> Outcome:
        """Count ``lookup`` (which came as offset ``off`` of source partition ``src``) in ``state``, changed in place."""
        if off <= state.at.get(src, -1):
            return _REPEATED
        state.at[src] = off
        fingerprint = fingerprint_of(lookup)
        if _is_remembered(state.fingerprints, fingerprint):
            return _DUPLICATE
        state.fingerprints = state.fingerprints[-(REMEMBERED - 1) * _FINGERPRINT :] + fingerprint
        ts: int = lookup["ts"]
        is_actor = key.startswith("actor/")
        if ts < state.newest - ALLOWED_LATENESS_MS:
            firings = self.rules.evaluate_late(lookup) if is_actor else []
            return Outcome("late", [alerts.from_firing(firing) for firing in firings])
        state.newest = max(state.newest, ts)
        firings = self.rules.evaluate(key, lookup, state.windows)
        features = observe(state.features, lookup) if is_actor else None
        return Outcome("counted", [alerts.from_firing(firing) for firing in firings], features)


def fingerprint_of(lookup: dict[str, Any]) -> bytes:
    """What makes a lookup the same lookup: its system and id."""
    name = f"{lookup['system']}\x00{lookup['id']}".encode()
    return hashlib.blake2b(name, digest_size=_FINGERPRINT).digest()


def _is_remembered(fingerprints: bytes, fingerprint: bytes) -> bool:
    at = fingerprints.find(fingerprint)
    while at >= 0:
        if at % _FINGERPRINT == 0:
            return True
        at = fingerprints.find(fingerprint, at + 1)
    return False


def peer_group_of(lookup: dict[str, Any]) -> str:
    """The peer group whose model scores the lookup: the actor's own, else that of the role, else ``unknown``."""
    group = lookup.get("actor.peer_group")
    if group:
        return str(group)
    role = lookup.get("actor.role")
    return f"role:{role}" if role else "unknown"
