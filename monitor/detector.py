"""One key's state + one lookup → the new state, alerts and features: the rules and the features in one place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from monitor import alerts
from monitor.model.features import hold, measure
from monitor.model.state import FeatureState, upgrade
from monitor.rules import RuleSet, State, Waiting
from monitor.rules.ruleset import Explained, first_due, is_any_due

STATE_VERSION: Final = 4
#: The versions of before that have the same form but for the features, which are upgraded.
_LIKE_NOW: Final = (2, 3)
#: What is taken for a version that is not yet known; a higher number is no version but something else.
LATER_VERSIONS: Final = range(STATE_VERSION + 1, 32)
#: A lookup up to this much older than its key's newest still counts in the windows it belongs to.
ALLOWED_LATENESS_MS: Final = 24 * 3600 * 1000
#: How many of a key's last lookups a duplicate is recognised among, and the size of each one's fingerprint.
REMEMBERED: Final = 256
_FINGERPRINT: Final = 8
#: What is known of a key that nobody has looked at for so long is forgotten: longer than any rule looks back (5 years).
FORGET_AFTER_MS: Final = 1830 * 24 * 3600 * 1000
#: The source under which keys that join actors wait: their lookups come in one order, whatever the source.
JOINED: Final = -1
#: The levels of alerts that are for the desk; a lower one is a question.
_LOUD: Final = frozenset({"medium", "high", "critical"})
#: Saved state begins with a byte for its version and eight for the time at which something waiting in it is due.
_HEAD: Final = 9
_WITH_HEAD: Final = tuple(bytes((each,)) for each in (*_LIKE_NOW, STATE_VERSION))


class BadState(Exception):
    """Saved state that this version cannot read."""


class NewerState(BadState):
    """Saved state of a later version of the program: to begin anew would throw away what that one can read."""


class KeyState(msgspec.Struct, array_like=True, gc=False):
    """Everything kept about one key. ``at`` is the last offset counted of each source partition (promise 1)."""

    at: dict[int, int] = {}
    newest: int = 0
    fingerprints: bytes = b""
    windows: dict[str, State] = {}
    waiting: list[Waiting] = []
    features: FeatureState = msgspec.field(default_factory=FeatureState)


class _First(msgspec.Struct, array_like=True):
    """State of version 1, whose windows were named by rules only: they begin anew, all else goes on."""

    version: int
    at: dict[int, int]
    newest: int
    fingerprints: bytes
    windows: dict[str, Any]
    features: FeatureState


class _Due(msgspec.Struct, array_like=True, gc=False):
    """The beginning of a :class:`monitor.rules.Waiting`."""

    due: int
    src: int


class _Waits(msgspec.Struct, array_like=True, gc=False):
    """A :class:`KeyState` of which only what waits is read."""

    at: msgspec.Raw
    newest: msgspec.Raw
    fingerprints: msgspec.Raw
    windows: msgspec.Raw
    waiting: list[_Due]


class Outcome(msgspec.Struct, gc=False):
    """What one lookup led to. ``fate`` is ``counted``, ``late``, ``duplicate`` or ``repeated`` (redelivered by Kafka).

    ``features`` is the vector of :func:`monitor.model.features.measure`; ``anomalies`` are the ids of the rules that wait for the model's score of the lookup.
    """

    fate: str
    alerts: list[alerts.Alert] = []
    features: list[float] | None = None
    anomalies: list[str] = []


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(KeyState).decode
_decode_waits: Final = msgspec.msgpack.Decoder(_Waits).decode
_decode_first: Final = msgspec.msgpack.Decoder(_First).decode


def load_state(data: bytes | None) -> KeyState:
    """The state of :func:`save_state`, or of an earlier version, or a new one for ``None``. Raises :class:`BadState`, :class:`NewerState` among them."""
    if data is None:
        return KeyState()
    head = data[0] if data else 0
    try:
        if head == STATE_VERSION or head in _LIKE_NOW:
            state = _decode(memoryview(data)[_HEAD:])
            if head in _LIKE_NOW:
                upgrade(state.features)
            return state
        if head >= 0x90:  # version 1 had no head: MessagePack's arrays begin with such bytes
            old = _decode_first(data)
            upgrade(old.features)
            return KeyState(old.at, old.newest, old.fingerprints, {}, [], old.features)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadState(f"the saved state cannot be read: {error}") from None
    kind = NewerState if head in LATER_VERSIONS else BadState
    raise kind(f"the saved state has version {head}; this program reads up to version {STATE_VERSION}")


def save_state(state: KeyState) -> bytes:
    """The state as bytes for the changelog."""
    due = min((waiting.due for waiting in state.waiting), default=0)
    return bytes((STATE_VERSION,)) + max(0, due).to_bytes(_HEAD - 1, "big") + _encode(state)


def is_waiting(data: bytes) -> bool:
    """Whether something waits in saved state, told without reading it."""
    return data[:1] in _WITH_HEAD and any(data[1:_HEAD])


def first_due_of(data: bytes) -> int:
    """The event time (milliseconds since the epoch) before which nothing that waits in saved state is due."""
    return int.from_bytes(data[1:_HEAD], "big")


def dues_of(data: bytes) -> list[tuple[int, int]]:
    """Source partition and time (milliseconds since the epoch) of all that waits in saved state; of it nothing else is read.

    Raises :class:`BadState`.
    """
    if not is_waiting(data):
        return []
    try:
        return [(each.src, each.due) for each in _decode_waits(memoryview(data)[_HEAD:]).waiting]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadState(f"the saved state cannot be read: {error}") from None


def is_forgotten(state: KeyState, reached: int, forget_ms: int) -> bool:
    """Whether what is known of a key counts no more at event time ``reached``: its newest lookup is more than ``forget_ms`` older.

    A lookup that comes later finds the key as if it had never been. So whether, and when, its state was removed in between
    makes no difference.
    """
    return 0 < state.newest < reached - forget_ms and not state.waiting


def forget(state: KeyState) -> None:
    """Forget all but the offsets, without which what Kafka delivers again would count."""
    state.newest, state.fingerprints, state.windows, state.features = 0, b"", {}, FeatureState()


def _never(actor: str, subject: str | None, ts: int, until: int) -> bool:
    return False


class Detector:
    """The rules and features over keyed lookups. Holds no state of its own but the rules.

    ``explained`` says whether paperwork that followed a lookup explains it; without it nothing does. Where no model runs,
    features need not be counted. ``rules_of`` gives the rules of an earlier version, for what began to wait under them.
    ``forget_ms`` is the event time after which a key without lookups is forgotten, in milliseconds.
    """

    def __init__(
        self,
        rules: RuleSet,
        explained: Explained = _never,
        with_features: bool = True,
        rules_of: Callable[[str], RuleSet] | None = None,
        forget_ms: int = FORGET_AFTER_MS,
    ) -> None:
        self.rules = rules
        self._explained = explained
        self._with_features = with_features
        self._rules_of = rules_of
        self._forget_ms = forget_ms

    def step(
        self, key: str, state: KeyState, lookup: dict[str, Any], src: int, off: int, reached: int | None = None
    ) -> Outcome:
        """Count ``lookup`` (which came as offset ``off`` of source partition ``src``) in ``state``, changed in place.

        ``reached`` is the newest event time of the source (for keys that join actors: of all sources) so far.
        """
        if off <= state.at.get(src, -1):
            return Outcome("repeated")
        due = self.advance(key, state, src, reached) if state.waiting and reached is not None else []
        if reached is not None and is_forgotten(state, reached, self._forget_ms):
            forget(state)
        state.at[src] = off
        fingerprint = fingerprint_of(lookup)
        if _is_remembered(state.fingerprints, fingerprint):
            return Outcome("duplicate", due)
        state.fingerprints = state.fingerprints[-(REMEMBERED - 1) * _FINGERPRINT :] + fingerprint
        ts: int = lookup["ts"]
        is_actor = key.startswith("actor/")
        if ts < state.newest - ALLOWED_LATENESS_MS:
            late = self.rules.evaluate_late(lookup) if is_actor else []
            return Outcome("late", due + [alerts.from_firing(firing, self.rules.version) for firing in late])
        if ts > state.newest:
            state.newest = ts
        firings, anomalies = self.rules.evaluate(key, lookup, state, src if is_actor else JOINED)
        raised = [alerts.from_firing(firing, self.rules.version) for firing in firings]
        if is_actor:
            _withhold(state, raised)
        features = measure(state.features, lookup) if is_actor and self._with_features else None
        due += raised
        return Outcome("counted", due, features, anomalies)

    def advance(self, key: str, state: KeyState, src: int, reached: int) -> list[alerts.Alert]:
        """Decide what has waited in ``state`` until the event time ``reached`` of the source ``src``."""
        own = src if key.startswith("actor/") else JOINED
        if not is_any_due(state, own, reached):
            return []
        made: list[alerts.Alert] = []
        # What is decided leads to nothing under a version that nothing waited under before.
        known = self._known(state)
        # One at a time, whatever the versions: what is decided first may keep the next quiet.
        while (waiting := first_due(state, own, reached, known)) is not None:
            rules = self._rules_for(waiting.version)
            firings = rules.settle(key, state, waiting, own, self._explained)
            made += [alerts.from_firing(firing, rules.version) for firing in firings]
        if key.startswith("actor/"):
            # By the alerts' own times: it must not matter whether a tick or the next lookup decides.
            _withhold(state, made)
        return made

    def _known(self, state: KeyState) -> set[str]:
        every = {each.version for each in state.waiting}
        return every if self._rules_of is not None else every & {self.rules.version}

    def _rules_for(self, version: str) -> RuleSet:
        if version == self.rules.version or self._rules_of is None:
            return self.rules
        return self._rules_of(version)


def _withhold(state: KeyState, made: list[alerts.Alert]) -> None:
    """What the desk is alerted about does not teach the model what is usual."""
    for alert in made:
        if alert.rule.level in _LOUD:
            hold(state.features, alert.ts)


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
