"""Looking at Kafka before a span is run again or exported: what is there, what is gone, which rules were in force."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any, Final, NamedTuple

import orjson

from monitor.agree import Agree, Live
from monitor.evidence import Unusable
from monitor.evidence.facts import Facts, by_receipt
from monitor.evidence.kafka_log import Log
from monitor.reach import longest_wait
from monitor.rerun import Fact, Message, version_in
from monitor.rules import load_texts
from monitor.secret_files import BadSecretFile
from monitor.settings import Settings
from monitor.signing import PublicKeys
from monitor.stream import topics
from monitor.stream.key_files import public_keys_in
from monitor.stream.versions import CURRENT, accepted

_DAY_MS: Final = 24 * 3600 * 1000
#: So many records of a keyed partition are looked at, at most, to find by which rules its sources began.
_LOOKED_AT: Final = 200_000
#: A worker tells that a source is idle once a second, so on average half a second after it is.
_TOLD_MS: Final = 500


class Range(NamedTuple):
    """Offsets of a partition: the first that Kafka still has, and the one after the last that is used."""

    first: int
    past: int


class Known(NamedTuple):
    """What one look at the reference topic says: its lists, and when what comes after the last gap was received."""

    lists: list[str]
    after_gap_ms: int | None


@contextmanager
def span_of(settings: Settings, from_ms: int, to_ms: int, wait: float) -> Iterator[KafkaSpan]:
    """A span of Kafka's, as :func:`survey` sees it, for as long as it is needed."""
    with closing(Log(settings)) as log:
        yield survey(log, from_ms, to_ms, wait)


def survey(log: Log, from_ms: int, to_ms: int, wait: float) -> KafkaSpan:
    """Look at a span. Workers that are behind are waited for, ``wait`` seconds at most.

    Raises :class:`Unusable` when there is nothing to run again, and kafka-python's ``KafkaError``.
    """
    settings = log.settings
    settled = [past for _, past in log.ranges(topics.ALERTS)]
    try:
        packs, current = _packs(log, public_keys_in(settings.rules_keys))
    except BadSecretFile as error:
        raise Unusable(str(error)) from None
    ranges, received_to_ms = _ranges(log, packs, from_ms, to_ms)
    received = _oldest_received(log, ranges)
    cut = [at for (first, _), at in zip(ranges, received, strict=True) if first > 0]
    known_from = max(cut, default=None)
    facts_range = Range(*log.ranges(topics.REFERENCE)[0])
    known = _known(log, facts_range)
    begin = min((at for at in received if at is not None), default=0)
    starts, notes = _Starts(log, ranges, packs, current).find()
    preload = known.after_gap_ms is not None and known.after_gap_ms > begin
    if preload:
        notes.append(
            "compaction has removed versions of reference records that were known then; the oldest that is left of each is used "
            "(LOOKUP_MONITOR_REFERENCE_HISTORY_DAYS keeps them for longer)"
        )
    behind = log.wait_for_workers([past for _, past in ranges], wait)
    alert_ranges = [Range(*each) for each in log.ranges(topics.ALERTS)]
    facts = Facts(
        from_ms=from_ms,
        to_ms=to_ms,
        starts=starts,
        quantile=settings.quantile,
        idle_ms=int(settings.idle_after * 1000) + _TOLD_MS,
        gap_after_ms=settings.gap_after_ms,
        forget_ms=settings.forget_ms,
        received_to_ms=received_to_ms,
        known_from_ms=known_from,
        settled=settled,
        preload=preload,
        behind=behind,
        lists=known.lists,
        gone=_gone(known_from, _alerts_from(log, alert_ranges), from_ms),
        notes=notes,
    )
    return KafkaSpan(
        log, facts, packs, {topics.EVENTS: ranges, topics.REFERENCE: [facts_range], topics.ALERTS: alert_ranges}
    )


class KafkaSpan:
    """A span as it lies in Kafka: evidence for a rerun, and what an export writes down."""

    def __init__(
        self, log: Log, facts: Facts, packs: Mapping[str, Mapping[str, str]], ranges: dict[str, list[Range]]
    ) -> None:
        self.facts = facts
        self.packs = packs
        self.ranges = ranges
        self._log = log

    def pack(self, version: str) -> Mapping[str, str] | None:
        """As :meth:`monitor.evidence.facts.Evidence.pack`."""
        return self.packs.get(version)

    def log(self) -> Iterator[Message | Fact]:
        """As :meth:`monitor.evidence.facts.Evidence.log`."""
        return by_receipt(self._messages(), self.known, self.facts.preload)

    def lookups(self) -> Iterator[Message]:
        """The lookups alone, in the order they were received."""
        for entry in by_receipt(self._messages(), lambda: iter(()), False):
            assert isinstance(entry, Message)
            yield entry

    def _messages(self) -> list[Iterator[Message]]:
        ranges = self.ranges[topics.EVENTS]
        return [map(message_of, self._log.read(topics.EVENTS, number, *each)) for number, each in enumerate(ranges)]

    def known(self) -> Iterator[Fact]:
        """The reference records that were received until then; with ``preload``, all there are."""
        for record in self._log.read(topics.REFERENCE, 0, *self.ranges[topics.REFERENCE][0]):
            if self.facts.preload or record.timestamp <= self.facts.received_to_ms:
                yield Fact(record.offset, record.timestamp, record.key, record.value)

    def alerts(self) -> Iterator[Any]:
        """The records of the alerts, from a day before the span on: a lookup may be a day ahead."""
        after = self._log.after(topics.ALERTS, self.facts.from_ms - _DAY_MS - 1)
        for number, (first, past) in enumerate(self.ranges[topics.ALERTS]):
            begin = after[number]
            yield from self._log.read(topics.ALERTS, number, past if begin is None else max(first, begin), past)

    def live(self) -> Iterator[Live]:
        """As :meth:`monitor.evidence.facts.Evidence.live`."""
        return (
            live_of(record.partition, record.offset, record.timestamp, record.value, self.facts)
            for record in self.alerts()
        )


def live_of(partition: int, offset: int, received_ms: int, value: bytes | None, facts: Facts) -> Live:
    """The alert of a record. It is settled when nothing that came after the log's end can have led to it."""
    settled = dict(enumerate(facts.settled)).get(partition, 0)
    is_settled = offset < settled and received_ms <= facts.received_to_ms
    return Live(partition, offset, value, is_settled)


def message_of(record: Any) -> Message:
    """The message of a consumer's record."""
    return Message(
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        tuple(map(tuple, record.headers or ())),
    )


def _packs(log: Log, keys: PublicKeys | None) -> tuple[dict[str, dict[str, str]], str | None]:
    """Every version that was deployed, the first deployed first, and the one that is now."""
    found: dict[str, dict[str, str]] = {}
    current = None
    for record in log.read(topics.RULES, 0, *log.ranges(topics.RULES)[0]):
        if record.key == CURRENT:
            version = (record.value or b"").decode("ascii", "replace")
            if keys is None or version in found:
                current = version
        elif record.key is not None and record.value is not None:
            try:
                texts, _ = accepted(record.key, record.value, record.headers or (), keys)
            except ValueError:
                continue  # workers refuse it too
            found.setdefault(record.key.decode("ascii"), texts)
    if not found:
        raise Unusable(
            "no rules were ever deployed in this Kafka, so no worker has judged anything; start `monitor worker`"
        )
    return found, current


def _ranges(log: Log, packs: Mapping[str, Mapping[str, str]], from_ms: int, to_ms: int) -> tuple[list[Range], int]:
    """What of the log is needed, and up to which time of receipt: until all that concerns the span is decided.

    A day is added for what comes late. If alerts of the span came later still (an old log was read in, or somebody has forged
    them), all of the log is needed to tell.
    """
    ranges, now = [Range(*each) for each in log.ranges(topics.EVENTS)], int(time.time() * 1000)
    if to_ms + _DAY_MS >= now:
        return ranges, now
    waits = max(longest_wait(load_texts(texts).rules) for texts in packs.values())
    received_to_ms = to_ms + _DAY_MS + waits
    if received_to_ms >= now or _has_later(log, from_ms, to_ms, received_to_ms):
        return ranges, now
    after = log.after(topics.EVENTS, received_to_ms)
    return [
        Range(each.first, each.past if at is None else max(each.first, min(each.past, at)))
        for each, at in zip(ranges, after, strict=True)
    ], received_to_ms


def _has_later(log: Log, from_ms: int, to_ms: int, received_to_ms: int) -> bool:
    """Whether there are alerts of the span that came of something received after a time; or something that is no alert."""
    agree = Agree(from_ms, to_ms)
    for number, first in enumerate(log.after(topics.ALERTS, received_to_ms)):
        if first is not None:
            records = log.read(topics.ALERTS, number, first, log.ranges(topics.ALERTS)[number][1])
            if any(agree.live(Live(number, record.offset, record.value)) for record in records):
                return True
    return False


def _oldest_received(log: Log, ranges: list[Range]) -> list[int]:
    """When the first record that is left of each partition was received; of one of which nothing is left: now."""
    found = []
    for number, (first, past) in enumerate(ranges):
        record = next(log.read(topics.EVENTS, number, first, past), None)
        found.append(int(time.time() * 1000) if record is None else record.timestamp)
    return found


def _alerts_from(log: Log, ranges: list[Range]) -> int | None:
    """Since when the alerts are complete; ``None``: from the first one."""
    oldest = []
    for number, (first, past) in enumerate(ranges):
        if first > 0:
            record = next(log.read(topics.ALERTS, number, first, past), None)
            oldest.append(int(time.time() * 1000) if record is None else record.timestamp)
    return max(oldest, default=None)


def _gone(known_from: int | None, alerts_from: int | None, from_ms: int) -> list[str]:
    notes = []
    for what, since in (("lookups", known_from), ("alerts", alerts_from)):
        if since is not None and since > from_ms:
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since / 1000))
            notes.append(f"a part of the span is gone: retention has removed {what} that were received before {at}")
    return notes


def _known(log: Log, facts: Range) -> Known:
    lists: set[str] = set()
    expected, after_gap = 0, None
    for record in log.read(topics.REFERENCE, 0, *facts):
        if record.offset != expected:
            after_gap = record.timestamp
        expected = record.offset + 1
        if record.key is not None and record.key.startswith(b"list/"):
            lists.add(record.key.removeprefix(b"list/").decode("utf-8", "replace"))
    return Known(sorted(lists), after_gap)


class _Starts:
    """Finds the versions of the rules in force where the log of each partition begins.

    The first version of all has no control record; but workers write beside each lookup by which version they judged it.
    """

    def __init__(
        self, log: Log, ranges: list[Range], packs: Mapping[str, Mapping[str, str]], current: str | None
    ) -> None:
        self._log = log
        self._ranges = ranges
        self._packs = packs
        self._first = next(iter(packs)) if len(packs) > 1 or current not in packs else str(current)

    def find(self) -> tuple[list[str], list[str]]:
        """The versions by partition, and what is not certain about them."""
        judged = self._judged()
        starts, notes = [], []
        for number, (first, past) in enumerate(self._ranges):
            at, version = judged.get(number, (past, ""))
            if self._has_switch(number, first, at) or version not in self._packs:
                starts.append(self._first)
                if len(self._packs) > 1 and self._has_lookups(number, first, at):
                    notes.append(
                        f"by which rules partition {number} was judged before its first change of rules is not known; "
                        f"version {self._first} is taken"
                    )
            else:
                starts.append(version)
        return starts, notes

    def _judged(self) -> dict[int, tuple[int, str]]:
        """By source partition: the offset of the first lookup of which it is written by which version it was judged."""
        wanted = {number for number, (first, past) in enumerate(self._ranges) if first < past}
        found: dict[int, tuple[int, str]] = {}
        for number, (begin, end) in enumerate(self._log.ranges(topics.KEYED)):
            seen = set[int]()
            for record in islice(self._log.read(topics.KEYED, number, begin, end), _LOOKED_AT):
                if record.key in (topics.TICK, topics.SWITCH):
                    continue
                try:
                    _, src, off, _, version = orjson.loads(record.value)["@"]
                except (ValueError, KeyError, TypeError):
                    continue  # no worker has written that
                if off >= self._ranges[src].first:
                    seen.add(src)
                    found[src] = min(found.get(src, (off, version)), (off, version))
                    if seen >= wanted:
                        break
        return found

    def _has_switch(self, number: int, first: int, past: int) -> bool:
        return any(version_in(record) is not None for record in self._log.read(topics.EVENTS, number, first, past))

    def _has_lookups(self, number: int, first: int, past: int) -> bool:
        """Whether there is anything before the first change of rules."""
        record = next(self._log.read(topics.EVENTS, number, first, past), None)
        return record is not None and version_in(record) is None
