"""The desk's queue: each alert's priority, from the alerts and verdicts that came, in the order they came.

What a verdict teaches does not depend on when an alert was read: an alert's features come of the alerts about its entity, which are
in order in one partition, and verdicts are in order in another. So a crash, and reading again, end with the same.

Feedback orders alerts. It removes none: nothing of this is read by what raises them. And it cannot bury a rule: no level
falls below its floor, and a random share of all alerts goes to the top whatever is thought of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, MutableMapping
from typing import Final, Literal

import msgspec

from monitor.alerts import Alert
from monitor.feedback.disposition import LABELS, VERDICTS, BadDisposition, Disposition
from monitor.feedback.history import History, entity_key, measure
from monitor.feedback.ranker import BadState, Ranker
from monitor.review import Sampler

STATE_VERSION: Final = 1
#: The least priority of an alert by its level, whatever was learned.
FLOORS: Final = {"critical": 0.5, "high": 0.25, "medium": 0.1}
#: An alert of the random share has at least this.
TOP: Final = 0.9
#: So many of the newest alerts without a verdict are put in order again when something was learned.
OPEN: Final = 5_000
_MAX_VERDICTS: Final = 16
Why = Literal["likely", "floor", "sample"]
Fate = Literal["learned", "recorded", "repeated", "review"]


class Priority(msgspec.Struct, frozen=True):
    """One message of ``lookup.priorities.v1``, keyed by the alert: the last one of an alert counts.

    ``priority`` (0..1) is where it stands in the queue, and ``why``: because it is ``likely`` (``probability``: the chance that the
    desk will call it misuse), its level's ``floor``, or of the random ``sample``. ``learned`` is after how many verdicts that
    was said; when the alert has a ``verdict``, ``probability`` is what was said before it. ``verdicts`` are the last ones, each with its
    offset. ``source`` is the alert's partition and offset; ``entity`` a short name of what it is about, ``history`` what was known of
    that with it.
    """

    alert: str
    ts: int
    rule: str
    typology: str
    level: str
    priority: float
    probability: float
    why: Why
    learned: int
    verdict: str | None
    features: dict[str, float]
    verdicts: list[tuple[int, str]]
    source: tuple[int, int]
    entity: str
    history: History


class State(msgspec.Struct, array_like=True):
    """What is saved beside the priorities: the next offset of verdicts, and of each partition of alerts; what was learned."""

    version: int
    position: int = 0
    alerts: dict[int, int] = {}
    ranker: bytes = b""


_encoder: Final = msgspec.json.Encoder(order="deterministic")
_decoder: Final = msgspec.json.Decoder(Priority)


def encode(priority: Priority) -> bytes:
    """The priority as JSON."""
    return _encoder.encode(priority)


def decode(raw: bytes) -> Priority:
    """The priority of :func:`encode`. Raises ``msgspec.MsgspecError``."""
    return _decoder.decode(raw)


def load_state(raw: bytes | None) -> State:
    """The state of :meth:`Desk.save`. Raises :class:`monitor.feedback.ranker.BadState`."""
    if raw is None:
        return State(STATE_VERSION)
    try:
        state = msgspec.msgpack.decode(raw, type=State)
    except msgspec.MsgspecError as error:
        raise BadState(f"the ranker's state cannot be read: {error}") from None
    if state.version != STATE_VERSION:
        raise BadState(f"the ranker's state has version {state.version}; this program reads version {STATE_VERSION}")
    return state


class Desk:
    """Alerts and verdicts in, priorities out. ``store`` holds what is known of each alert; it begins empty."""

    def __init__(self, store: MutableMapping[str, bytes], sampler: Sampler, state: State) -> None:
        """Raises :class:`monitor.feedback.ranker.BadState`."""
        self._store = store
        self._sampler = sampler
        self.ranker = Ranker.from_bytes(state.ranker) if state.ranker else Ranker()
        #: The next offsets to read.
        self.position = state.position
        self.alerts = dict(state.alerts)
        self._open: dict[str, int] = {}
        self._restored: dict[str, tuple[int, int]] = {}

    def restore(self, raw: bytes) -> None:
        """Take in a priority that was written before. What is newer than the state is left out: it comes again.

        Raises ``msgspec.MsgspecError`` for something else.
        """
        priority = decode(raw)
        src, off = priority.source
        if off >= self.alerts.get(src, 0):
            return
        verdicts = [each for each in priority.verdicts if each[0] < self.position]
        verdict = verdicts[-1][1] if verdicts else None
        self._keep(msgspec.structs.replace(priority, verdicts=verdicts, verdict=verdict))
        # The priorities of one alert come in order; those of an entity do not.
        if (src, off) >= self._restored.get(priority.entity, (src, -1)):
            self._restored[priority.entity] = src, off
            self._store[f"entity/{priority.entity}"] = msgspec.msgpack.encode(priority.history)

    def restored(self) -> None:
        """All priorities were taken in."""
        self._restored.clear()

    def knows(self, alert: str) -> bool:
        """Whether an alert has come."""
        return self._get(alert) is not None

    def take_alert(self, alert: Alert, src: int, off: int) -> Priority | None:
        """The priority of an alert that was read at ``src``, ``off``; ``None`` for one that had come before."""
        if off < self.alerts.get(src, 0):
            return None
        self.alerts[src] = off + 1
        if self.knows(alert.id):
            return None
        entity = entity_key(alert)
        raw = self._store.get(f"entity/{entity}")
        before = History() if raw is None else msgspec.msgpack.decode(raw, type=History)
        features, after = measure(alert, before)
        self._store[f"entity/{entity}"] = msgspec.msgpack.encode(after)
        rule = alert.rule
        made = Priority(
            alert.id, alert.ts, rule.id, rule.typology, rule.level, 0.0, 0.0, "likely", 0, None,
            features, [], (src, off), entity, after,
        )  # fmt: skip
        return self._keep(self._placed(made))

    def take_verdict(self, disposition: Disposition, off: int) -> tuple[Fate, Priority | None]:
        """What becomes of a verdict that was read at ``off``, and the alert's new priority.

        A verdict that says what the alert's last one said teaches nothing more. Raises
        :class:`monitor.feedback.disposition.BadDisposition` when the alert has not come.
        """
        if off < self.position:
            return "repeated", None
        self.position = off + 1
        if disposition.alert is None:
            return "review", None
        known = self._get(disposition.alert)
        if known is None:
            raise BadDisposition("unknown-alert", "no such alert is in lookup.alerts.v1")
        label = LABELS.get(disposition.verdict)
        said = [LABELS[verdict] for _, verdict in known.verdicts if verdict in LABELS]
        is_new = label is not None and said[-1:] != [label]
        if not known.verdicts:
            known = self._placed(known)  # what was said before the first verdict stays
        if label is not None and is_new:
            self.ranker.learn(known.rule, known.typology, known.level, known.features, label, known.why == "sample")
        verdicts = [*known.verdicts, (off, disposition.verdict)][-_MAX_VERDICTS:]
        kept = self._keep(msgspec.structs.replace(known, verdicts=verdicts, verdict=disposition.verdict))
        return "learned" if is_new else "recorded", kept

    def rerank(self) -> Iterator[Priority]:
        """The newest alerts without a verdict whose place is another one, by what was learned since."""
        if len(self._open) > OPEN:
            newest = heapq.nlargest(OPEN, self._open.items(), key=lambda each: (each[1], each[0]))
            self._open = dict(newest)
        for name in sorted(self._open):
            known = self._get(name)
            assert known is not None
            placed = self._placed(known)
            if (placed.priority, placed.probability) != (known.priority, known.probability):
                yield self._keep(placed)

    def save(self) -> bytes:
        """The state. What it says must be written when the priorities are."""
        return msgspec.msgpack.encode(State(STATE_VERSION, self.position, self.alerts, self.ranker.to_bytes()))

    def _placed(self, known: Priority) -> Priority:
        probability = round(self.ranker.probability(known.rule, known.typology, known.level, known.features), 3)
        floor = FLOORS.get(known.level, 0.0)
        why: Why = "likely" if probability >= floor else "floor"
        priority = max(probability, floor)
        if self._sampler.takes(known.alert):
            # Evenly spread over the top, so that the surest are not all below them.
            top = TOP + self._sampler.number(f"{known.alert}/place") * (1 - TOP)
            priority, why = max(priority, round(top, 3)), "sample"
        return msgspec.structs.replace(
            known, priority=priority, probability=probability, why=why, learned=self.ranker.learned
        )

    def _keep(self, priority: Priority) -> Priority:
        self._store[f"alert/{priority.alert}"] = encode(priority)
        if priority.verdict is None:
            self._open[priority.alert] = priority.ts
        else:
            self._open.pop(priority.alert, None)
        return priority

    def _get(self, alert: str) -> Priority | None:
        raw = self._store.get(f"alert/{alert}")
        return None if raw is None else decode(raw)


def json_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of ``lookup.priorities.v1``."""
    (schema,), components = msgspec.json.schema_components([Priority], ref_template="#/$defs/{name}")
    for name in ("priority", "probability"):
        components["Priority"]["properties"][name].update(minimum=0, maximum=1)
    components["Priority"]["properties"]["verdict"] = {"enum": [*VERDICTS, None]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lookup.priorities.v1",
        **schema,
        "$defs": components,
    }
