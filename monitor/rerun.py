"""The log as it lies in Kafka, run once more: every record at its own offset, under the rules that were in force there.

What is decided here, and when, depends on the records alone (their offsets, times of receipt, headers), so that two runs of the
same log give the same alerts. The core is that of :class:`monitor.backtest.Backtest`, and so that of the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from monitor import ending, events
from monitor.alerts import Alert
from monitor.backtest import Backtest, RollBack
from monitor.detector import FORGET_AFTER_MS, JOINED, Detector, KeyState
from monitor.due import Due
from monitor.enrich import enrich
from monitor.gaps import AFTER_MS
from monitor.model.versions import day_of
from monitor.reference import BadRecord, Reference, decode, key_of
from monitor.rules import RuleSet

#: The header of a control record in the log; its value is the version of the rules that counts from there on.
CONTROL: Final = "lookup-monitor-rules"
#: The header of a control record from which on every model is again what it was when a day began; its value is the day, 2026-11-24.
ROLL_BACK: Final = "lookup-monitor-roll-back"
#: After so many messages, or so many milliseconds between two, what can be released and decided is.
_EVERY: Final = 256
_PAUSE_MS: Final = 1_000
#: For so long time goes on after the end of the log, to see what might still be decided: longer than any rule waits.
_FOR_EVER_MS: Final = 100 * 366 * 24 * 3600 * 1000


class UnknownPack(Exception):
    """A version of the rules of which there are no texts."""


class Message(NamedTuple):
    """A record of ``lookup.events.v1``: a lookup, something that is none, or the sign that other rules count from here on.

    ``received_ms`` is the record's timestamp, in milliseconds since the epoch.
    """

    partition: int
    offset: int
    received_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Fact(NamedTuple):
    """A record of ``lookup.reference.v1``; no value takes back what the key said."""

    offset: int
    received_ms: int
    key: bytes | None
    value: bytes | None


class Raised(NamedTuple):
    """An alert of the run. Not ``decided``: it waits at the end of the log and will be raised, unless something comes still."""

    alert: Alert
    decided: bool


def version_in(record: Any) -> str | None:
    """The version that a control record names; ``None`` for a lookup."""
    return _header(record, CONTROL)


def roll_back_in(record: Any) -> str | None:
    """The day to which a control record returns, as text; ``None`` for a lookup."""
    return _header(record, ROLL_BACK)


def _header(record: Any, wanted: str) -> str | None:
    for name, value in record.headers or ():
        if name == wanted and value is not None:
            return str(value.decode("ascii", "replace"))
    return None


def put(reference: Reference, fact: Fact) -> None:
    """Take a record in, or what it takes back out. Raises :class:`BadRecord` for one that is refused.

    Either way the reference data is then that of the position after it.
    """
    reference.position = fact.offset + 1
    try:
        if not fact.value:
            reference.remove((fact.key or b"").decode())
            return
        record = decode(fact.value)
        if fact.key is not None and fact.key.decode() != key_of(record):
            raise BadRecord("the key is not <record>/<id> of the record")
    except UnicodeDecodeError:
        raise BadRecord("the key is not UTF-8") from None
    reference.put(record)


class Rerun(Backtest):
    """One run of a log from its beginning.

    ``rules_of`` gives the rules of a version (raising :class:`UnknownPack`), ``starts`` are the versions in force where the log
    of each partition begins. ``reference`` is filled as the log's :class:`Fact` records come. A source from which nothing has been
    received for ``idle_ms`` holds nobody back, as in a worker.
    """

    def __init__(
        self,
        rules_of: Callable[[str], RuleSet],
        starts: Sequence[str],
        reference: Reference,
        quantile: float,
        idle_ms: int,
        forget_ms: int = FORGET_AFTER_MS,
        gap_after_ms: int = AFTER_MS,
    ) -> None:
        self._rules_of = rules_of
        self._due = Due()
        self._detectors: dict[str, Detector] = {}
        super().__init__(
            rules_of(starts[0]), reference, len(starts), lambda actor: 0, quantile, 0, forget_ms, gap_after_ms
        )
        self._versions_at = list(starts)
        self._idle_ms = idle_ms
        #: When something was last received: of each source, and of all.
        self._heard: list[int] | None = None
        self._now = self._looked = 0
        #: Reference records that were refused.
        self.bad_facts = 0

    def play(self, log: Iterable[Message | Fact]) -> Iterator[Raised]:
        """Yield the alerts of the log, whose records are in the order they were received."""
        since = 0
        for entry in log:
            if isinstance(entry, Fact):
                if since:
                    since = 0
                    yield from self._settle()
                self._learn(entry)
                continue
            self._hear(entry)
            yield from (Raised(alert, True) for alert in self._message(entry))
            since += 1
            if since >= _EVERY or self._now - self._looked >= _PAUSE_MS:
                since = 0
                yield from self._settle()
        yield from self._finish()

    def _learn(self, fact: Fact) -> None:
        try:
            put(self._reference, fact)
        except BadRecord:
            self.bad_facts += 1

    def _hear(self, message: Message) -> None:
        self._now = max(self._now, message.received_ms)
        if self._heard is None:
            self._heard = [self._now] * len(self._reached)
            self._looked = self._now
        self._heard[message.partition] = self._now

    def _message(self, message: Message) -> list[Alert]:
        src = message.partition
        version = version_in(message) if message.headers else None
        if version is not None:
            self._switch(src, version)
            return []
        text = roll_back_in(message) if message.headers else None
        if text is not None:
            self._return(src, message.offset, text)
            return []
        detector = self._detector_of(self._versions_at[src])
        try:
            lookup = events.decode(message.value, received_ms=message.received_ms, headers=message.headers)
            lookup = enrich(lookup, self._reference, detector.rules.explanations)
        except events.Notice as notice:
            if notice.kind == "heartbeat":
                self._count_beat(notice.fields, src, message.offset)
        except events.BadEvent as error:
            self.refused[error.reason] += 1
        except Exception:  # as the intake: what there is no answer for is refused, and stops nothing
            self.refused["internal"] += 1
        else:
            return self._count(lookup, src, message.offset, detector)
        return []

    def _switch(self, src: int, version: str) -> None:
        try:
            self._detector_of(version)
        except UnknownPack:
            self.refused["unknown-rules"] += 1
        else:
            self._versions_at[src] = version

    def _return(self, src: int, off: int, text: str) -> None:
        try:
            self._count_roll_back(RollBack(day_of(text)), src, off)
        except ValueError:
            self.refused["unknown-model"] += 1

    def _detector_of(self, version: str) -> Detector:
        detector = self._detectors.get(version)
        if detector is None:
            rules = self._versions[version] = self._rules_of(version)
            detector = self._detectors[version] = self._detector_for(rules)
        return detector

    def _note_waiting(self, key: str, state: KeyState) -> None:
        for waiting in state.waiting:
            self._due.add(waiting.src, waiting.due, key)

    def _settle(self) -> Iterator[Raised]:
        """Release what nothing can come before any more, and decide what has waited long enough."""
        self._looked = self._now
        for src, heard in enumerate(self._heard or ()):
            if self._now - heard >= self._idle_ms:
                self._rest(src)
        for alert in self._release():
            yield Raised(alert, True)
        # A source that has said nothing yet has reached 0, and holds back what joins it: so it does in a worker.
        yield from self._decide_until([*enumerate(self._reached), (JOINED, min(self._reached))], True)

    def _finish(self) -> Iterator[Raised]:
        for src in range(len(self._reached)):
            self._rest(src)
        yield from self._settle()
        ends, end = ending.ends_of(self._reached, [1] * len(self._reached), _FOR_EVER_MS)
        yield from self._decide_until([*enumerate(ends), (JOINED, end)], False)
        for alert in self._numberings.due(end):
            yield Raised(alert, False)

    def _decide_until(self, times: Iterable[tuple[int, int]], decided: bool) -> Iterator[Raised]:
        for src, now in times:
            for key in self._due.until(src, now):
                state = self._states[key]
                for alert in self._detector.advance(key, state, src, now):
                    yield Raised(alert, decided)
                self._note_waiting(key, state)
